//! The stored index answers what the one in memory answers.

use proptest::prelude::*;

use super::chains::{StoredChains, put_rows};
use crate::{
    rooms::testing::RoomsFixture,
    state::chain_cover::{ChainPosition, ChainSource, MemoryChains, NewEvent, append, verify},
    storage::{Read, Storage, StorageError},
};

/// Events by the earlier ones that they cite, as distances backward.
fn graphs() -> impl Strategy<Value = Vec<(u64, Vec<u64>)>> {
    prop::collection::vec((0..6_u64, prop::collection::vec(1..12_u64, 0..4)), 1..60)
}

fn assert_same<C: ChainSource<Error = StorageError>>(stored: &C, memory: &MemoryChains, events: u64) {
    for event in 1..=events {
        assert_eq!(stored.position(event).unwrap(), memory.position(event).unwrap());
        let Some(position) = memory.position(event).unwrap() else { continue };
        assert_eq!(stored.entry(position).unwrap(), memory.entry(position).unwrap());
        let last = memory.last_sequence(position.chain).unwrap();
        assert_eq!(stored.last_sequence(position.chain).unwrap(), last);
        for sequence in 0..=last + 1 {
            let from = ChainPosition { chain: position.chain, sequence };
            for limit in [1, 3, 100] {
                let entries = stored.entries_back(from, limit).unwrap();
                assert_eq!(entries, memory.entries_back(from, limit).unwrap(), "{from:?}");
                assert_eq!(stored.backlinks(from, limit).unwrap(), memory.backlinks(from, limit).unwrap());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn the_stored_index_is_the_one_in_memory(graph in graphs()) {
        let storage = Storage::in_memory().unwrap();
        let mut memory = MemoryChains::new();
        for (event, (state_key, distances)) in (1_u64..).zip(&graph) {
            let mut auth_events: Vec<u64> =
                distances.iter().filter_map(|distance| event.checked_sub(*distance)).filter(|id| *id > 0).collect();
            auth_events.sort_unstable();
            auth_events.dedup();
            let new = NewEvent { event, state_key: *state_key, citable: *state_key < 4, auth_events: &auth_events };
            let expected = append(&memory, new).unwrap();
            storage.write(|rows| {
                let appended = append(&StoredChains(&*rows), new).unwrap();
                assert_eq!(appended, expected);
                put_rows(rows, &appended);
                Ok::<_, StorageError>(())
            }).unwrap();
            memory.insert(&expected);
            prop_assert_eq!(verify(&StoredChains(&storage), new).unwrap(), None);
        }
        assert_same(&StoredChains(&storage), &memory, graph.len() as u64);
    }
}

#[test]
fn what_the_appender_writes_is_indexed() {
    let rooms = RoomsFixture::new();
    let [alice, bob] = ["alice", "bob"].map(RoomsFixture::user);
    let room = rooms.public_room(&alice);
    rooms.join(&room, &bob);
    let said = rooms.say(&room, &bob, "no place for messages");
    let chains = StoredChains(&rooms.storage);
    let short = |id: &ruma::EventId| rooms.storage.short_event_id(id).unwrap().unwrap().0;
    assert_eq!(chains.position(short(&said)).unwrap(), None);
    for event in rooms.timeline(&room).iter().filter(|event| event.is_state()) {
        let position = chains.position(short(event.event_id())).unwrap();
        assert!(position.is_some(), "{}", event.event_type());
    }
}
