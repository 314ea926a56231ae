//! A room that several servers fork and join again, one random step after the other.

use ruma::RoomVersionId;
use serde_json::{Value, json};

use super::{
    oracle::Oracle,
    random::Random,
    v1_spec,
    world::{Draft, Entries, World},
};

/// Users, on four servers. The first one creates the room.
const USERS: [&str; 10] = [
    "@alice:one.example",
    "@bob:two.example",
    "@carol:three.example",
    "@dave:four.example",
    "@erin:one.example",
    "@frank:two.example",
    "@grace:three.example",
    "@heidi:four.example",
    "@ivan:one.example",
    "@judy:two.example",
];
/// Levels that users and actions get.
const LEVELS: [i64; 6] = [0, 10, 50, 50, 75, 100];
/// Branches that a room has at most.
const BRANCHES_MAX: usize = 6;
/// Tries of one step to find something that is allowed.
const TRIES_MAX: usize = 8;

/// One server's idea of the room.
#[derive(Debug, Clone)]
struct Branch {
    state: Entries,
    heads: Vec<u64>,
    depth: u64,
}

/// What one step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Something else than a resolution.
    Quiet,
    /// Different states were resolved, and both sides agreed.
    Resolved,
}

pub struct Room {
    version: RoomVersionId,
    world: World,
    oracle: Oracle,
    branches: Vec<Branch>,
    clock: u64,
    salt: u64,
    join_rules_key: u64,
    /// States that were resolved last, and the outcome.
    last: Option<(Vec<Entries>, Entries)>,
}

impl Room {
    pub fn new(version: &RoomVersionId, salt: u64) -> Self {
        let mut room = Self {
            version: version.clone(),
            world: World::new(version),
            oracle: Oracle::default(),
            branches: vec![Branch { state: Entries::new(), heads: Vec::new(), depth: 0 }],
            clock: 1_000_000,
            salt,
            join_rules_key: 0,
            last: None,
        };
        room.join_rules_key = room.world.key("m.room.join_rules", "");
        let mut random = Random::new(salt);
        let privileged = room.world.rules.authorization.explicitly_privilege_room_creators;
        let mut create = json!({"room_version": version.as_str()});
        if !room.world.rules.authorization.use_room_create_sender {
            create["creator"] = json!(USERS[0]);
        }
        if privileged && random.one_in(2) {
            create["additional_creators"] = json!([USERS[1]]);
        }
        let mut users = json!({USERS[2]: 50});
        if !privileged {
            users[USERS[0]] = json!(100);
            users[USERS[1]] = json!(if random.one_in(2) { 100 } else { 50 });
        }
        room.must_send(&mut random, USERS[0], "m.room.create", "", create);
        room.must_send(&mut random, USERS[0], "m.room.member", USERS[0], json!({"membership": "join"}));
        room.must_send(&mut random, USERS[0], "m.room.power_levels", "", json!({"users": users}));
        room.must_send(&mut random, USERS[0], "m.room.join_rules", "", json!({"join_rule": "public"}));
        for user in &USERS[1..5] {
            room.must_send(&mut random, user, "m.room.member", user, json!({"membership": "join"}));
        }
        room
    }

    fn must_send(&mut self, random: &mut Random, sender: &str, kind: &str, key: &str, content: Value) {
        assert!(self.send(random, 0, sender, kind, key, content), "the room begins with {kind}");
    }

    /// Sends an event on a branch if the rules allow it there.
    fn send(
        &mut self,
        random: &mut Random,
        branch: usize,
        sender: &str,
        kind: &str,
        state_key: &str,
        content: Value,
    ) -> bool {
        self.clock += 10;
        let count = self.world.events.len() as u64;
        let name = Random::new(self.salt ^ (count << 20)).next();
        let server = if self.world.rules.event_format.require_event_id { ":one.example" } else { "" };
        let at = &self.branches[branch];
        let draft = Draft {
            event_id: format!("${name:016x}{server}"),
            sender: sender.to_owned(),
            event_type: kind.to_owned(),
            state_key: state_key.to_owned(),
            content,
            // Clocks of servers differ; now and then two events have the same time.
            origin_server_ts: (self.clock + random.below(400) as u64) / 20 * 20,
            depth: at.depth + 1,
            prev_events: at.heads.clone(),
        };
        let auth_events = self.world.select_auth_events(&draft, &at.state);
        let event = self.world.build(&draft, &auth_events);
        let is_allowed = self.world.allows(&event, &at.state);
        // A resolution may leave the room without join rules. These count as `invite` here, but the oracle
        // decides nothing without; so there are no events that it would need to decide, and no rejected join
        // rules in a state.
        let has_join_rules = at.state.contains_key(&self.join_rules_key);
        if kind == "m.room.member" && !has_join_rules && at.depth > 4 {
            return false;
        }
        // A state from another server may hold an event that this one rejected.
        let can_be_forced = at.depth > 6 && kind != "m.room.join_rules";
        let is_forced = !is_allowed && can_be_forced && random.one_in(400);
        if !is_allowed && !is_forced {
            return false;
        }
        let id = self.world.insert(event, &auth_events, is_forced);
        let key = self.world.get(id).state_key;
        let branch = &mut self.branches[branch];
        branch.state.insert(key, id);
        branch.heads = vec![id];
        branch.depth += 1;
        true
    }

    /// One step, which follows from `seed` and what was before.
    pub fn step(&mut self, seed: u64) -> Result<Step, String> {
        let mut random = Random::new(seed);
        match random.below(12) {
            0 | 1 if self.branches.len() < BRANCHES_MAX => {
                let branch = random.pick(&self.branches).clone();
                self.branches.push(branch);
            }
            2 if self.branches.len() > 1 => return self.merge(&mut random),
            3 if random.one_in(8) => self.lose(&mut random),
            _ => {
                let branch = random.below(self.branches.len());
                for _ in 0..TRIES_MAX {
                    if self.act(&mut random, branch) {
                        break;
                    }
                }
            }
        }
        Ok(Step::Quiet)
    }

    /// A branch's state goes wrong, as one from a faulty server: an entry is missing or an older one again.
    fn lose(&mut self, random: &mut Random) {
        let branch = random.below(self.branches.len());
        let state = &mut self.branches[branch].state;
        let keys: Vec<u64> =
            state.keys().copied().filter(|key| *key != self.world.get(1).state_key).collect();
        let key = *random.pick(&keys);
        let earlier: Vec<u64> = (1..)
            .zip(&self.world.events)
            .filter(|(_, event)| event.state_key == key && !event.rejected)
            .map(|(id, _)| id)
            .collect();
        if random.one_in(3) || earlier.is_empty() {
            state.remove(&key);
        } else {
            state.insert(key, *random.pick(&earlier));
        }
    }

    /// Somebody tries something on a branch.
    fn act(&mut self, random: &mut Random, branch: usize) -> bool {
        let (sender, other) = (*random.pick(&USERS), *random.pick(&USERS));
        let note = random.below(1000);
        let member = |membership: &str| json!({"membership": membership, "displayname": note.to_string()});
        let (kind, key, content) = match random.below(20) {
            0..=2 => {
                let content = self.changed_levels(random, branch);
                ("m.room.power_levels", "", content)
            }
            3 | 4 => ("m.room.join_rules", "", self.join_rule(random)),
            5 | 6 => ("m.room.topic", "", json!({"topic": note.to_string()})),
            7 => ("m.room.name", "", json!({"name": note.to_string()})),
            8 => ("org.example.widget", *random.pick(&["a", "b", "c"]), json!({"note": note})),
            9 | 10 => ("m.room.member", other, member("ban")),
            11 | 12 => ("m.room.member", other, member("leave")),
            13 => ("m.room.member", sender, member("leave")),
            14 | 15 => ("m.room.member", other, member("invite")),
            16 => ("m.room.member", sender, member("knock")),
            _ => {
                let mut content = member("join");
                if random.one_in(3) {
                    content["join_authorised_via_users_server"] = json!(other);
                }
                ("m.room.member", sender, content)
            }
        };
        self.send(random, branch, sender, kind, key, content)
    }

    fn join_rule(&self, random: &mut Random) -> Value {
        let rules = &self.world.rules.authorization;
        let mut names = vec!["public", "public", "invite", "private"];
        if rules.knocking {
            names.push("knock");
        }
        if rules.restricted_join_rule {
            names.push("restricted");
        }
        if rules.knock_restricted_join_rule {
            names.push("knock_restricted");
        }
        json!({"join_rule": random.pick(&names), "allow": []})
    }

    /// The branch's power levels with one thing changed.
    fn changed_levels(&mut self, random: &mut Random, branch: usize) -> Value {
        let key = self.world.key("m.room.power_levels", "");
        let current = self.branches[branch].state.get(&key);
        let content = current.map(|id| self.world.event(*id).content_json());
        let mut levels: Value = content.map_or(json!({}), |content| serde_json::from_str(content).unwrap());
        let level = *random.pick(&LEVELS);
        match random.below(6) {
            0 => levels[*random.pick(&["ban", "kick", "invite", "state_default"])] = json!(level),
            1 => levels[*random.pick(&["events_default", "users_default"])] = json!(level.min(50)),
            2 => levels["events"] = json!({*random.pick(&["m.room.topic", "m.room.join_rules"]): level}),
            _ => levels["users"][*random.pick(&USERS)] = json!(level),
        }
        levels
    }

    /// Some branches become one, by resolution.
    fn merge(&mut self, random: &mut Random) -> Result<Step, String> {
        random.shuffle(&mut self.branches);
        let count = 2 + random.below(self.branches.len() - 1);
        let merged = self.branches.split_off(self.branches.len() - count);
        let states: Vec<Entries> = merged.iter().map(|branch| branch.state.clone()).collect();
        let ours = self.resolve_ours(random, &states)?;
        self.oracle.follow(&self.world);
        let expected = if self.version == RoomVersionId::V1 {
            v1_spec::resolve(&self.oracle, &self.world, &states)
        } else {
            self.oracle.resolve(&self.world, &states)?
        };
        if ours != expected {
            return Err(self.describe(&states, &ours, &expected));
        }
        let mut heads: Vec<u64> = merged.iter().flat_map(|branch| branch.heads.clone()).collect();
        heads.sort_unstable();
        heads.dedup();
        let depth = merged.iter().map(|branch| branch.depth).max().unwrap_or(0);
        self.branches.push(Branch { state: ours.clone(), heads, depth });
        let differ = states.iter().any(|state| *state != states[0]);
        self.last = Some((states, ours));
        Ok(if differ { Step::Resolved } else { Step::Quiet })
    }

    /// Our resolution, which must not depend on how the states are ordered and grouped: which of them stand for
    /// one event that is followed, and which for several.
    fn resolve_ours(&mut self, random: &mut Random, states: &[Entries]) -> Result<Entries, String> {
        let mut roots: Vec<_> = states.iter().map(|state| self.world.root_of(state)).collect();
        let root = self.world.resolve(&roots);
        for _ in 0..random.below(2 * roots.len()) {
            roots.push(*random.pick(&roots.clone()));
        }
        random.shuffle(&mut roots);
        if self.world.resolve(&roots) != root {
            return Err("the order or the grouping of states changes the outcome".to_owned());
        }
        Ok(self.world.entries_of(root))
    }

    /// Another server received the same events in another order: it must come to the same state.
    pub fn check_arrival(&self, seed: u64) -> Result<(), String> {
        let Some((states, outcome)) = &self.last else { return Ok(()) };
        let mut random = Random::new(seed);
        let mut other = World::new(&self.version);
        let mut theirs: Vec<Option<u64>> = vec![None; self.world.events.len() + 1];
        let mut waiting: Vec<u64> = (1..=self.world.events.len() as u64).collect();
        random.shuffle(&mut waiting);
        let at = |id: u64| usize::try_from(id).unwrap();
        while !waiting.is_empty() {
            waiting.retain(|id| {
                let event = self.world.get(*id);
                let known = event.auth_events.iter().map(|id| theirs[at(*id)]).collect::<Option<Vec<u64>>>();
                // The create event is there before all others; in version 12 none of them cites it.
                let (Some(auth_events), true) = (known, *id == 1 || theirs[1].is_some()) else { return true };
                let new = other.insert(event.event.clone(), &auth_events, event.rejected);
                theirs[at(*id)] = Some(new);
                false
            });
        }
        let translate = |state: &Entries| -> Entries {
            let ids = state.values().map(|id| theirs[at(*id)].expect("all have arrived"));
            ids.map(|id| (other.get(id).state_key, id)).collect()
        };
        let translated: Vec<Entries> = states.iter().map(translate).collect();
        let expected = translate(outcome);
        let roots: Vec<_> = translated.iter().map(|state| other.root_of(state)).collect();
        let root = other.resolve(&roots);
        if other.entries_of(root) == expected {
            Ok(())
        } else {
            Err("the order in which events arrive changes the outcome".to_owned())
        }
    }

    fn describe(&self, states: &[Entries], ours: &Entries, expected: &Entries) -> String {
        use std::fmt::Write;
        let mut text = format!("version {}: the outcomes differ\n", self.version);
        let mut keys: Vec<u64> = ours.keys().chain(expected.keys()).copied().collect();
        keys.sort_unstable();
        keys.dedup();
        for key in keys.iter().filter(|key| ours.get(key) != expected.get(key)) {
            let values: Vec<_> = states.iter().map(|state| state.get(key)).collect();
            let _ = writeln!(
                text,
                "  key {key:x}: {values:?} to {:?}, not {:?}",
                ours.get(key),
                expected.get(key)
            );
        }
        for (id, stored) in (1..).zip(&self.world.events) {
            let event = &stored.event;
            let _ = writeln!(
                text,
                "  {id} {} ts {} depth {} {} [{}] by {} auth {:?}{} {}",
                event.event_id(),
                event.origin_server_ts(),
                event.depth(),
                event.event_type(),
                event.state_key().unwrap_or_default(),
                event.sender(),
                stored.auth_events,
                if stored.rejected { " rejected" } else { "" },
                event.content_json(),
            );
        }
        text
    }
}
