//! Incremental sync: what it costs to tell a client of one new message, by the number of the user's rooms.
//!
//! `cargo bench --bench sync_incremental` makes a server on disk with 5,000 rooms and three users who are in
//! 10, 100 and all of them, and times the answer to a request whose token is one message old: finding the
//! room, the timeline with its state, unread counts by the push rules, and the answer as JSON. All three are
//! in the room where it happens, and their database is the same, so that they differ in nothing but the
//! number of rooms that stay quiet.
//!
//! Bar: with 5,000 rooms at most 1.5 times as long as with 10. The ratio of the medians is printed and
//! asserted before the benches run, so a regression fails the command.
#![allow(clippy::expect_used)] // A bench may fail loudly.

#[path = "support/sync_server.rs"]
mod sync_server;

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use conduit::{
    rooms::SyncToken,
    sync::{
        SyncFilter,
        v3::{SyncRequest, response::StateUpTo},
    },
};
use divan::Bencher;
use serde_json::json;
use sync_server::SyncServer;

/// Numbers of rooms that the users are in; the largest is that of all rooms.
const ROOMS: [usize; 3] = [10, 100, 5_000];
/// Rooms in which something happens, by turns. All users are in them.
const BUSY_ROOMS: usize = 10;
/// Answers timed for the ratio, with each number of rooms.
const ROUNDS: usize = 600;
/// The bar for the ratio of the largest to the smallest.
const RATIO_MAX: f64 = 1.5;

fn main() {
    assert_ratio();
    divan::main();
}

/// The server; the users are in the order of [`ROOMS`].
fn server() -> &'static SyncServer {
    SyncServer::get(&ROOMS)
}

/// A user's request, without a token.
fn request(user: usize) -> SyncRequest {
    let filter = json!({"room": {"state": {"lazy_load_members": true}}});
    let filter = serde_json::from_value(filter).expect("a filter");
    SyncRequest {
        viewer: server().viewers[user].clone(),
        since: None,
        filter: Arc::new(SyncFilter::new(&filter)),
        full_state: false,
        state_up_to: StateUpTo::TimelineStart,
    }
}

/// The answer to a request with this token, as it is sent.
fn answer(request: &SyncRequest, since: SyncToken) -> Vec<u8> {
    let request = SyncRequest { since: Some(since), ..request.clone() };
    let answer = server().sync.answer(&request).expect("an answer");
    assert_eq!(answer.response.rooms.join.len(), 1, "one room has changed");
    serde_json::to_vec(&answer.response).expect("JSON")
}

/// Times the users by turns, so that whatever else the machine does meets them alike.
fn assert_ratio() {
    let (server, requests) = (server(), [0, 1, 2].map(request));
    let mut times = ROOMS.map(|_| Vec::with_capacity(ROUNDS));
    for round in 0..ROUNDS {
        let since = server.say(round % BUSY_ROOMS);
        // Who comes first finds colder caches.
        for turn in 0..ROOMS.len() {
            let user = (round + turn) % ROOMS.len();
            let start = Instant::now();
            black_box(answer(&requests[user], since));
            // In the first round of turns, members are told for the first time.
            if round >= BUSY_ROOMS {
                times[user].push(start.elapsed());
            }
        }
    }
    let medians = times.map(median);
    for (rooms, median) in ROOMS.iter().zip(medians) {
        println!("incremental sync with one changed room of {rooms}: {median:.1?}");
    }
    let quiet = (BUSY_ROOMS..ROUNDS).map(|room| {
        let since = server.say(room);
        let start = Instant::now();
        black_box(answer(&requests[2], since));
        start.elapsed()
    });
    println!(
        "the same in rooms that were quiet before, so that little is cached: {:.1?}",
        median(quiet.collect())
    );
    let [smallest, _, largest] = medians.map(|median: Duration| median.as_secs_f64());
    let ratio = largest / smallest;
    println!("ratio of {} rooms to {}: {ratio:.2} (at most {RATIO_MAX})", ROOMS[2], ROOMS[0]);
    assert!(ratio <= RATIO_MAX, "the cost of an incremental sync grows with the user's rooms");
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn user_in(rooms: usize) -> usize {
    ROOMS.iter().position(|known| *known == rooms).expect("one of the numbers")
}

/// One new message.
#[divan::bench(args = ROOMS)]
fn one_changed_room(bencher: Bencher<'_, '_>, rooms: usize) {
    let request = request(user_in(rooms));
    let mut turn = 0;
    bencher
        .with_inputs(|| {
            turn += 1;
            server().say(turn % BUSY_ROOMS)
        })
        .bench_local_values(|since| answer(&request, since));
}

/// A look that finds nothing, as a woken client's may be.
#[divan::bench(args = ROOMS)]
fn nothing_changed(bencher: Bencher<'_, '_>, rooms: usize) {
    let request = SyncRequest { since: Some(server().token()), ..request(user_in(rooms)) };
    bencher.bench_local(|| server().sync.answer(&request).expect("an answer").response.is_empty());
}

/// The first answer: all rooms.
#[divan::bench(args = [10, 100], sample_count = 20)]
fn initial(bencher: Bencher<'_, '_>, rooms: usize) {
    let request = request(user_in(rooms));
    bencher.bench_local(|| server().sync.answer(&request).expect("an answer").response.rooms.join.len());
}
