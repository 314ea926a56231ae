//! The known scenarios, one file each in `fixtures/`; a new one costs a file.
//!
//! A file holds `events` in order, each on the branches that know it (`both` and `all` of them), with auth
//! events chosen from the branch's state; `states`, if the states to resolve are not those of the branches;
//! and per group of room versions the `outcomes`: the event (or none) at each key of interest.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use ruma::RoomVersionId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    oracle::Oracle,
    v1_spec,
    world::{Draft, Entries, World},
};

#[derive(Deserialize)]
struct Scenario {
    about: String,
    events: Vec<ScenarioEvent>,
    states: Option<Vec<Vec<String>>>,
    outcomes: Vec<Outcome>,
}

#[derive(Deserialize)]
struct ScenarioEvent {
    name: String,
    branch: String,
    #[serde(rename = "type")]
    event_type: String,
    state_key: String,
    sender: String,
    content: Value,
    origin_server_ts: u64,
    depth: Option<u64>,
}

#[derive(Deserialize)]
struct Outcome {
    versions: Vec<RoomVersionId>,
    /// Type, and after a space the state key, to the name of an event.
    state: BTreeMap<String, Option<String>>,
}

/// A scenario in one room version.
struct Played {
    world: World,
    names: BTreeMap<String, u64>,
    states: Vec<Entries>,
}

/// In every branch, before there are any.
const ALL_BRANCHES: &str = "both";

fn play(scenario: &Scenario, version: &RoomVersionId) -> Played {
    let mut world = World::new(version);
    let mut names = BTreeMap::new();
    let words = scenario.events.iter().flat_map(|event| event.branch.split(' '));
    let branches: BTreeSet<&str> = words.filter(|name| *name != ALL_BRANCHES).collect();
    let mut states: BTreeMap<&str, Entries> = branches.iter().map(|name| (*name, Entries::new())).collect();
    for (depth, event) in (1..).zip(&scenario.events) {
        let on: BTreeSet<&str> = event.branch.split(' ').collect();
        let is_on = |branch: &str| on.contains(ALL_BRANCHES) || on.contains(branch);
        let state = states.iter().find(|(name, _)| is_on(name)).map(|(_, state)| state.clone()).unwrap();
        let server = if world.rules.event_format.require_event_id { ":one.example" } else { "" };
        let draft = Draft {
            event_id: format!("${}{server}", event.name),
            sender: event.sender.clone(),
            event_type: event.event_type.clone(),
            state_key: event.state_key.clone(),
            content: content_of(event, version, &world),
            origin_server_ts: event.origin_server_ts,
            depth: event.depth.unwrap_or(depth),
            prev_events: if depth == 1 { vec![] } else { vec![depth - 1] },
        };
        let auth_events = world.select_auth_events(&draft, &state);
        let built = world.build(&draft, &auth_events);
        assert!(world.allows(&built, &state), "{}: the rules allow {}", scenario.about, event.name);
        let id = world.insert(built, &auth_events, false);
        names.insert(event.name.clone(), id);
        for (_, state) in states.iter_mut().filter(|(name, _)| is_on(name)) {
            state.insert(world.get(id).state_key, id);
        }
    }
    let listed = |names_of_state: &Vec<String>| -> Entries {
        names_of_state.iter().map(|name| (world.get(names[name]).state_key, names[name])).collect()
    };
    let states = match &scenario.states {
        Some(states) => states.iter().map(listed).collect(),
        None => states.into_values().collect(),
    };
    Played { world, names, states }
}

/// What the version asks for beyond the scenario: the create event's fields, and creators without a level.
fn content_of(event: &ScenarioEvent, version: &RoomVersionId, world: &World) -> Value {
    let rules = &world.rules.authorization;
    let mut content = event.content.clone();
    if event.event_type == "m.room.create" {
        content["room_version"] = json!(version);
        if !rules.use_room_create_sender {
            content["creator"] = json!(event.sender);
        }
    }
    if rules.explicitly_privilege_room_creators
        && let Some(users) = content.get_mut("users").and_then(Value::as_object_mut)
    {
        users.retain(|user, _| !user.starts_with("@alice:"));
    }
    content
}

fn check(scenario: &Scenario, outcome: &Outcome, version: &RoomVersionId) {
    let Played { mut world, names, states } = play(scenario, version);
    let context = format!("version {version}: {}", scenario.about);
    let mut oracle = Oracle::default();
    oracle.follow(&world);
    let expected = match version {
        RoomVersionId::V1 => v1_spec::resolve(&oracle, &world, &states),
        _ => oracle.resolve(&world, &states).unwrap(),
    };
    let mut roots: Vec<_> = states.iter().map(|state| world.root_of(state)).collect();
    let root = world.resolve(&roots);
    let resolved = world.entries_of(root);
    let name_of = |id: u64| names.iter().find(|(_, known)| **known == id).map(|(name, _)| name.as_str());
    for (key, name) in &outcome.state {
        let (event_type, state_key) = key.split_once(' ').unwrap_or((key, ""));
        let key_id = world.known_key(event_type, state_key).expect("a key of the room");
        let found = resolved.get(&key_id).and_then(|id| name_of(*id));
        assert_eq!(found, name.as_deref(), "{key} in {context}");
    }
    assert_eq!(resolved, expected, "as the oracle: {context}");
    roots.reverse();
    assert_eq!(world.resolve(&roots), root, "in any order: {context}");
}

#[test]
fn known_scenarios_come_out_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/state_resolution/fixtures");
    let mut checked = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let scenario: Scenario = serde_json::from_str(&fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for outcome in &scenario.outcomes {
            for version in &outcome.versions {
                check(&scenario, outcome, version);
                checked += 1;
            }
        }
    }
    assert!(checked > 40, "the files are found: {checked}");
}
