//! Sends that wait for the disk: one sender after the other against 16 at once, in one room and in 16.
//!
//! On a card that takes 5 ms a sync (emulated: the engine sleeps before each sync) the number of syncs decides,
//! and group commit must serve 16 senders with about as many as one. On this machine's own disk, whose syncs
//! are far shorter than the work of a send, the processor decides; its figures stand beside the raw sync rate.
#![allow(missing_docs, clippy::unwrap_used, clippy::cast_precision_loss)]

mod support;

use std::{
    fs::File,
    io::Write,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use ruma::OwnedRoomId;
use support::{Server, message, timed, user};

const SENDERS: usize = 16;
const SENDS_EACH: usize = 60;

fn send(server: &Server, room: &OwnedRoomId, number: usize) {
    server.append(room, message(&user("creator"), number));
    server.storage.durable_blocking().unwrap();
}

/// Sends a second of `senders` threads; the rooms are dealt out among them.
fn rate(server: &Server, senders: usize, rooms: &[OwnedRoomId]) -> (f64, u64) {
    let syncs = server.engine.syncs.load(Ordering::Relaxed);
    let time = timed(|| {
        std::thread::scope(|threads| {
            for sender in 0..senders {
                threads.spawn(move || {
                    for number in 0..SENDS_EACH {
                        send(server, &rooms[sender % rooms.len()], number);
                    }
                });
            }
        });
    });
    let syncs = server.engine.syncs.load(Ordering::Relaxed) - syncs;
    ((senders * SENDS_EACH) as f64 / time.as_secs_f64(), syncs)
}

fn raw_sync_rate(server: &Server) -> f64 {
    let mut file = File::create(server.folder().join("raw")).unwrap();
    let start = Instant::now();
    let mut syncs = 0;
    while start.elapsed() < Duration::from_secs(1) {
        file.write_all(&[0; 512]).unwrap();
        file.sync_data().unwrap();
        syncs += 1;
    }
    f64::from(syncs) / start.elapsed().as_secs_f64()
}

fn compare(name: &str, delay: Duration) {
    let server = Server::start(delay);
    let rooms: Vec<OwnedRoomId> = (0..SENDERS).map(|_| server.room(&user("creator"))).collect();
    rate(&server, SENDERS, &rooms);
    println!("{name}; the disk's own syncs: {:.0} a second", raw_sync_rate(&server));
    let (one, syncs) = rate(&server, 1, &rooms[..1]);
    println!(
        "   1 sender:              {one:>7.0} a second, {:.2} sends a sync",
        SENDS_EACH as f64 / syncs as f64
    );
    for (what, rooms) in [("one room: ", &rooms[..1]), ("16 rooms: ", &rooms[..])] {
        let (many, syncs) = rate(&server, SENDERS, rooms);
        let per_sync = (SENDERS * SENDS_EACH) as f64 / syncs as f64;
        println!(
            "  16 senders, {what} {many:>7.0} a second, {per_sync:.2} sends a sync: {:.1} x",
            many / one
        );
    }
}

fn main() {
    compare("a card that takes 5 ms a sync", Duration::from_millis(5));
    compare("this machine's disk", Duration::ZERO);
}
