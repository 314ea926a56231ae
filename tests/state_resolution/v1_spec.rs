//! The algorithm of room version 1 as the specification has it, over plain maps, with the oracle's auth rules.

use std::collections::{BTreeMap, BTreeSet};

use ruma::events::StateEventType;

use super::{
    oracle::Oracle,
    world::{Entries, World},
};

/// The resolution of a set of states.
pub fn resolve(oracle: &Oracle, world: &World, states: &[Entries]) -> Entries {
    let mut events_by_key: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    for (key, event) in states.iter().flatten() {
        events_by_key.entry(*key).or_default().insert(*event);
    }
    let (conflicting, agreed): (BTreeMap<_, _>, BTreeMap<_, _>) =
        events_by_key.into_iter().partition(|(_, events)| events.len() > 1);
    let mut r: Entries = agreed.into_iter().map(|(key, events)| (key, *events.first().unwrap())).collect();

    let sorted = |events: &BTreeSet<u64>| {
        let mut events: Vec<u64> = events.iter().copied().collect();
        events.sort_by_key(|id| std::cmp::Reverse(sha1(world, *id)));
        events.sort_by_key(|id| world.event(*id).depth());
        events
    };
    let type_of = |key: &u64| world.event(*conflicting[key].first().unwrap()).event_type().to_owned();
    for pass in ["m.room.power_levels", "m.room.join_rules", "m.room.member"] {
        let mut outcome = Entries::new();
        for key in conflicting.keys().filter(|key| type_of(key) == pass) {
            let list = sorted(&conflicting[key]);
            let mut trial = r.clone();
            trial.insert(*key, list[0]);
            for event in &list[1..] {
                if !allowed(oracle, world, *event, &trial) {
                    break;
                }
                trial.insert(*key, *event);
            }
            outcome.insert(*key, trial[key]);
        }
        r.extend(outcome);
    }
    let mut outcome = Entries::new();
    for (key, events) in &conflicting {
        if !r.contains_key(key) {
            let mut best_first = sorted(events);
            best_first.reverse();
            let pick = best_first.into_iter().find(|event| allowed(oracle, world, *event, &r));
            outcome.extend(pick.map(|event| (*key, event)));
        }
    }
    r.extend(outcome);
    r
}

fn allowed(oracle: &Oracle, world: &World, event: u64, state: &Entries) -> bool {
    let event = oracle.get(world.event(event).event_id()).expect("the oracle follows the room");
    let fetch = |event_type: &StateEventType, state_key: &str| {
        let key = world.known_key(&event_type.to_string(), state_key)?;
        oracle.get(world.event(*state.get(&key)?).event_id())
    };
    ruma_state_res::check_state_dependent_auth_rules(&world.rules.authorization, event, fetch).is_ok()
}

fn sha1(world: &World, id: u64) -> Vec<u8> {
    let event_id = world.event(id).event_id().as_str();
    ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, event_id.as_bytes()).as_ref().to_vec()
}
