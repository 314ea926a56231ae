//! Sliding sync: what the first answer costs by the number of a user's rooms, and what an answer with one message
//! costs.
//!
//! `cargo bench --bench sliding_sync` makes a server on disk with 5,000 rooms and two users who are in 50 and in all
//! of them. It times the first answer of a new connection as Element X asks for it (20 rooms, spaces left out), with
//! the order of the user's rooms in memory and after it was forgotten, and the answer to one message.
//!
//! Bars: the first answer with 5,000 rooms under 50 ms, and at most twice that with 50 rooms. Both are asserted before
//! the benches run.
#![allow(clippy::expect_used)] // A bench may fail loudly.

#[path = "support/sync_server.rs"]
mod sync_server;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use conduit::{
    rooms::Viewer,
    sync::sliding::{SlidingRequest, SlidingSync},
};
use divan::Bencher;
use serde_json::{Value, json};
use sync_server::SyncServer;

/// Numbers of rooms that the users are in; the largest is that of all rooms.
const ROOMS: [usize; 2] = [50, 5_000];
/// First answers timed for the bars.
const ROUNDS: usize = 60;
/// The bar for the ratio of the larger number of rooms to the smaller.
const RATIO_MAX: f64 = 2.0;
/// The bar for the first answer.
const FIRST_MAX: Duration = Duration::from_millis(50);

fn main() {
    assert_bars();
    divan::main();
}

/// The room list's request.
fn body() -> Value {
    json!({
        "conn_id": "room-list",
        "lists": {"all_rooms": {
            "ranges": [[0, 19]],
            "timeline_limit": 1,
            "required_state": [
                ["m.room.name", ""], ["m.room.encryption", ""], ["m.room.member", "$LAZY"], ["m.room.member", "$ME"],
                ["m.room.topic", ""], ["m.room.canonical_alias", ""], ["m.room.power_levels", ""],
                ["org.matrix.msc3401.call.member", "*"], ["m.room.join_rules", ""], ["m.room.tombstone", ""],
                ["m.room.create", ""], ["m.room.history_visibility", ""], ["m.space.parent", "*"],
                ["m.space.child", "*"],
            ],
            "filters": {"not_room_types": ["m.space"]},
        }},
        "extensions": {
            "account_data": {"enabled": true}, "typing": {"enabled": true},
            "receipts": {"enabled": true, "lists": [], "rooms": ["*"]},
        },
    })
}

fn request(viewer: &Viewer, pos: Option<&str>) -> SlidingRequest {
    SlidingRequest {
        viewer: viewer.clone(),
        pos: pos.map(|pos| pos.parse().expect("a position")),
        body: serde_json::from_value(body()).expect("a request"),
    }
}

/// An answer as it is sent, with its position.
fn answer(sync: &SlidingSync, request: SlidingRequest) -> (Vec<u8>, String) {
    let turn = sync.begin(request).expect("a connection");
    let answer = sync.answer(&turn).expect("an answer");
    (serde_json::to_vec(&answer.response).expect("JSON"), answer.response.pos)
}

fn first(server: &SyncServer, sync: &SlidingSync, user: usize) -> Duration {
    let start = Instant::now();
    let (text, _) = black_box(answer(sync, request(&server.viewers[user], None)));
    assert!(text.len() > 10_000, "twenty rooms are told of");
    start.elapsed()
}

fn assert_bars() {
    let server = SyncServer::get(&ROOMS);
    let sync = SlidingSync::new(server.sync.clone());
    let (mut warm, mut cold) = (ROOMS.map(|_| Vec::new()), ROOMS.map(|_| Vec::new()));
    for round in 0..ROUNDS {
        for turn in 0..ROOMS.len() {
            let user = (round + turn) % ROOMS.len();
            // A service of its own remembers nothing, as after a restart.
            cold[user].push(first(server, &SlidingSync::new(server.sync.clone()), user));
            warm[user].push(first(server, &sync, user));
        }
    }
    let warm = warm.map(median);
    let cold = cold.map(median);
    for (index, rooms) in ROOMS.iter().enumerate() {
        println!(
            "first answer with {rooms} rooms: {:.2?}, with nothing in memory {:.2?}",
            warm[index], cold[index]
        );
    }
    let ratio = warm[1].as_secs_f64() / warm[0].as_secs_f64();
    println!("ratio of {} rooms to {}: {ratio:.2} (at most {RATIO_MAX})", ROOMS[1], ROOMS[0]);
    assert!(cold[1] < FIRST_MAX, "the first answer takes too long");
    assert!(ratio <= RATIO_MAX, "the cost of the first answer grows with the user's rooms");
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
fn one_message(bencher: Bencher<'_, '_>, rooms: usize) {
    let server = SyncServer::get(&ROOMS);
    let sync = SlidingSync::new(server.sync.clone());
    let viewer = &server.viewers[user_in(rooms)];
    let (_, mut pos) = answer(&sync, request(viewer, None));
    let mut turn = 0;
    let inputs = bencher.with_inputs(|| {
        turn += 1;
        server.say(turn % ROOMS[0])
    });
    inputs.bench_local_values(|_| {
        let (text, next) = answer(&sync, request(viewer, Some(&pos)));
        pos = next;
        text.len()
    });
}

/// A look that finds nothing, as a woken client's may be.
#[divan::bench(args = ROOMS)]
fn nothing_changed(bencher: Bencher<'_, '_>, rooms: usize) {
    let server = SyncServer::get(&ROOMS);
    let sync = SlidingSync::new(server.sync.clone());
    let viewer = &server.viewers[user_in(rooms)];
    let (_, pos) = answer(&sync, request(viewer, None));
    bencher.bench_local(|| answer(&sync, request(viewer, Some(&pos))).0.len());
}
