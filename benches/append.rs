//! Appending to rooms whose state has 10, 1,000 and 100,000 entries: time and bytes written per event.
//!
//! The rooms take turns, so that a machine that slows down slows all of them; what counts are the ratios to the
//! smallest room, for messages and for state events (a new topic; a member's new name).
#![allow(missing_docs, clippy::unwrap_used, clippy::cast_precision_loss)]

mod support;

use std::{sync::atomic::Ordering, time::Duration};

use conduit::{
    rooms::appender::Draft,
    storage::{Read, StorageError, tables::ROOM_HEADS},
};
use ruma::{OwnedEventId, OwnedRoomId};
use support::{Server, content, median, message, timed, user};

const STATE_ENTRIES: [usize; 3] = [10, 1_000, 100_000];
const ROUNDS: usize = 60;
const EVENTS_A_ROUND: usize = 20;

/// A room with as many members in its state. The members' rows are put there as they would be after that many
/// joins; joining one by one would only take longer.
fn room_with_state(server: &Server, entries: usize) -> OwnedRoomId {
    let creator = user("creator");
    let room_id = server.room(&creator);
    let room = server.appender.index().room(&room_id).unwrap().unwrap();
    for chunk in (0..entries.saturating_sub(3)).collect::<Vec<_>>().chunks(1_000) {
        server
            .storage
            .write(|tx| {
                let mut head = tx.get(&ROOM_HEADS, &room)?.unwrap();
                let mut state = conduit::state::tree::StateRoot::from_bytes(head.state);
                for number in chunk {
                    let name = user(&format!("member{number}_{entries}"));
                    let key = tx.intern_state_key("m.room.member", name.as_str())?;
                    let event = tx.intern_event(
                        &OwnedEventId::try_from(format!("$member{number}_{entries}")).unwrap(),
                    )?;
                    state = server.appender.states().set(tx, state, key, event).unwrap();
                }
                head.state = state.to_bytes();
                tx.put(&ROOM_HEADS, &room, &head);
                Ok::<_, StorageError>(())
            })
            .unwrap();
    }
    room_id
}

fn measure(server: &Server, rooms: &[OwnedRoomId], name: &str, draft: impl Fn(usize) -> Draft) {
    let mut times = vec![Vec::new(); rooms.len()];
    let mut bytes = vec![0; rooms.len()];
    let mut number = 0;
    for round in 0..=ROUNDS {
        for (at, room) in rooms.iter().enumerate() {
            let before = server.engine.bytes.load(Ordering::Relaxed);
            let time = timed(|| {
                for _ in 0..EVENTS_A_ROUND {
                    number += 1;
                    server.append(room, draft(number));
                }
            });
            if round > 0 {
                times[at].push(time / u32::try_from(EVENTS_A_ROUND).unwrap());
                bytes[at] += server.engine.bytes.load(Ordering::Relaxed) - before;
            }
        }
    }
    let events = (ROUNDS * EVENTS_A_ROUND) as u64;
    let times: Vec<Duration> = times.into_iter().map(median).collect();
    println!("{name}");
    for (at, entries) in STATE_ENTRIES.iter().enumerate() {
        let time_ratio = times[at].as_secs_f64() / times[0].as_secs_f64();
        let byte_ratio = bytes[at] as f64 / bytes[0] as f64;
        println!(
            "  {entries:>7} entries: {:>9.1?} an event ({time_ratio:.2} x), {:>5} bytes ({byte_ratio:.2} x)",
            times[at],
            bytes[at] / events,
        );
    }
}

fn main() {
    let server = Server::start(Duration::ZERO);
    let rooms: Vec<OwnedRoomId> =
        STATE_ENTRIES.iter().map(|entries| room_with_state(&server, *entries)).collect();
    let creator = user("creator");
    measure(&server, &rooms, "append a message", |number| message(&creator, number));
    measure(&server, &rooms, "append a topic (a state event)", |number| {
        let topic = format!(r#"{{"topic":"The topic, changed for the {number}th time, as nobody does"}}"#);
        Draft::state(&creator, "m.room.topic", "", content(&topic))
    });
    measure(&server, &rooms, "append a membership (a state event among the members)", |number| {
        let member = format!(r#"{{"displayname":"Creator the {number}th","membership":"join"}}"#);
        Draft::state(&creator, "m.room.member", creator.as_str(), content(&member))
    });
}
