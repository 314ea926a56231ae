//! The authorisation rules over rooms of every version, made of the input: the same answer each time, and
//! `ruma-state-res`'s wherever the events are in the form that the specification gives them.
#![no_main]

use std::{collections::BTreeMap, convert::Infallible, sync::Arc};

use conduit::matrix::{AuthState, Event, auth_rules, auth_rules::AuthEvent, room_versions};
use libfuzzer_sys::fuzz_target;
use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedEventId, RoomId, RoomVersionId, UInt, UserId,
    events::{StateEventType, TimelineEventType},
    room_version_rules::RoomVersionRules,
};
use serde_json::{Value, json, value::RawValue};

const USERS: [&str; 5] = ["@a:one.example", "@b:one.example", "@c:two.example", "@d:two.example", "@e:three.example"];
const MEMBERSHIPS: [&str; 6] = ["join", "invite", "leave", "ban", "knock", "unknown"];
const JOIN_RULES: [&str; 6] = ["public", "invite", "knock", "restricted", "knock_restricted", "private"];
const FIELDS: [&str; 7] = ["users_default", "events_default", "state_default", "ban", "redact", "kick", "invite"];
const TYPES: [&str; 8] = [
    "m.room.member",
    "m.room.power_levels",
    "m.room.join_rules",
    "m.room.third_party_invite",
    "m.room.redaction",
    "m.room.aliases",
    "m.room.topic",
    "m.room.message",
];
const LEVELS: [i64; 8] = [0, 1, 49, 50, 51, 99, 100, -1];

fuzz_target!(|input: &[u8]| {
    let mut input = Input { bytes: input, is_wild: false };
    let room = Room::new(&mut input);
    let event = room.incoming(&mut input);
    let Some(event) = event else { return };
    let ours = auth_rules::check_state_dependent(&event, &room.rules, &room);
    let again = auth_rules::check_state_dependent(&event, &room.rules, &room);
    assert_eq!(format!("{ours:?}"), format!("{again:?}"), "another answer to the same question");
    let known: Vec<AuthEvent> =
        room.state.values().map(|event| AuthEvent { event: event.clone(), rejected: input.byte() == 255 }).collect();
    let _ = auth_rules::check_state_independent(&event, &room.rules, &known, known.first());
    if !input.is_wild {
        let theirs = room.oracle(&event);
        assert_eq!(ours.is_ok(), theirs.is_ok(), "{ours:?}, but {theirs:?}: {}\n{room:#?}", event.json());
    }
});

#[derive(Debug)]
struct Room {
    rules: RoomVersionRules,
    version: RoomVersionId,
    state: BTreeMap<(String, String), Arc<Event>>,
}

impl AuthState for Room {
    type Error = Infallible;

    fn state_event(&self, event_type: &str, state_key: &str) -> Result<Option<Arc<Event>>, Infallible> {
        Ok(self.state.get(&(event_type.to_owned(), state_key.to_owned())).cloned())
    }
}

impl Room {
    fn new(input: &mut Input<'_>) -> Self {
        let version = input.pick(&room_versions::SUPPORTED);
        let rules = room_versions::rules(&version).expect("a supported version");
        let mut room = Self { rules, version, state: BTreeMap::new() };
        let create = room.create_content(input);
        let creator = input.user();
        room.put(creator, "m.room.create", "", create);
        let join_rule = json!({"join_rule": input.pick(&JOIN_RULES)});
        let join_rule = input.or_wild(join_rule);
        room.put(creator, "m.room.join_rules", "", join_rule);
        if input.byte() % 4 > 0 {
            let levels = room.levels(input);
            room.put(creator, "m.room.power_levels", "", levels);
        }
        for user in USERS {
            let content = json!({"membership": input.pick(&MEMBERSHIPS[..5])});
            if input.byte() % 4 > 0 {
                let content = input.or_wild(content);
                room.put(user, "m.room.member", user, content);
            }
        }
        if input.byte() % 8 == 0 {
            let content = input.or_wild(json!({"public_key": "a", "public_keys": [{"public_key": "b"}]}));
            room.put(USERS[0], "m.room.third_party_invite", "token", content);
        }
        room
    }

    fn create_content(&self, input: &mut Input<'_>) -> Value {
        let mut content = json!({"room_version": self.version.as_str()});
        if !self.rules.authorization.use_room_create_sender {
            content["creator"] = json!(input.user());
        }
        if input.byte() % 4 == 0 {
            content["m.federate"] = json!(input.byte() % 2 == 0);
        }
        if input.byte() % 2 == 0 {
            content["additional_creators"] = json!([input.user()]);
        }
        input.or_wild(content)
    }

    /// Power levels: those in the state with some changed, or new ones.
    fn levels(&self, input: &mut Input<'_>) -> Value {
        let current = self.state.get(&("m.room.power_levels".to_owned(), String::new()));
        let mut content = match current {
            Some(event) if input.byte() % 4 > 0 => {
                serde_json::from_str(event.content_json()).unwrap_or_else(|_| json!({}))
            }
            _ => json!({}),
        };
        for _ in 0..input.byte() % 6 {
            let level = input.level(&self.rules);
            let (map, key) = match input.byte() % 4 {
                0 => ("", input.pick(&FIELDS)),
                1 => ("users", input.user()),
                2 => ("events", input.pick(&TYPES)),
                _ => ("notifications", "room"),
            };
            let place = if map.is_empty() { &mut content } else { &mut content[map] };
            if !place.is_object() && !place.is_null() {
                continue;
            }
            if input.byte() % 4 == 0 {
                place.as_object_mut().map(|members| members.remove(key));
            } else {
                place[key] = level;
            }
        }
        // What was removed from nothing left a null.
        if let Some(members) = content.as_object_mut() {
            members.retain(|_, value| !value.is_null());
        }
        input.or_wild(content)
    }

    /// The event that is checked.
    fn incoming(&self, input: &mut Input<'_>) -> Option<Event> {
        let (kind, sender) = (input.pick(&TYPES), input.user());
        let (state_key, content) = match kind {
            "m.room.member" => {
                let mut content = json!({"membership": input.pick(&MEMBERSHIPS)});
                if input.byte() % 4 == 0 {
                    content["join_authorised_via_users_server"] = json!(input.user());
                }
                if input.byte() % 16 == 0 {
                    let (mxid, token) = (input.user(), input.pick(&["token", "other"]));
                    content["third_party_invite"] = json!({"signed": {
                        "mxid": mxid, "token": token, "signatures": {"id.example": {"ed25519:0": "c2ln"}},
                    }});
                }
                (Some(input.user()), content)
            }
            "m.room.power_levels" => (Some(""), self.levels(input)),
            "m.room.join_rules" => (Some(""), json!({"join_rule": input.pick(&JOIN_RULES)})),
            "m.room.aliases" => (Some(input.pick(&["one.example", "two.example", ""])), json!({"aliases": []})),
            "m.room.third_party_invite" => (Some("token"), json!({})),
            "m.room.topic" => (Some(input.pick(&["", USERS[0], USERS[2], "@", "key"])), json!({"topic": "t"})),
            _ => (None, json!({})),
        };
        let content = input.or_wild(content);
        self.event(sender, kind, state_key, &content, input.byte() % 8 == 0)
    }

    fn put(&mut self, sender: &str, kind: &str, state_key: &str, content: Value) {
        if let Some(event) = self.event(sender, kind, Some(state_key), &content, false) {
            self.state.insert((kind.to_owned(), state_key.to_owned()), Arc::new(event));
        }
    }

    fn event(
        &self,
        sender: &str,
        kind: &str,
        state_key: Option<&str>,
        content: &Value,
        follows_create: bool,
    ) -> Option<Event> {
        let create = self.state.get(&("m.room.create".to_owned(), String::new()));
        let with_hashes = self.rules.event_format.require_event_id;
        let reference = |id: &str| if with_hashes { json!([id, {"sha256": ""}]) } else { json!(id) };
        let previous = match create {
            Some(create) if follows_create => vec![reference(create.event_id().as_str())],
            _ => vec![reference("$previous:one.example")],
        };
        let mut pdu = json!({
            "type": kind, "sender": sender, "content": content, "origin_server_ts": 1, "depth": 1,
            "prev_events": if kind == "m.room.create" { vec![] } else { previous },
            "auth_events": create.iter().map(|create| reference(create.event_id().as_str())).collect::<Vec<_>>(),
            "hashes": {}, "signatures": {},
        });
        if let Some(state_key) = state_key {
            pdu["state_key"] = json!(state_key);
        }
        match create {
            Some(create) => pdu["room_id"] = json!(create.room_id()),
            None if self.rules.event_format.require_room_create_room_id => {
                pdu["room_id"] = json!("!room:one.example");
            }
            None => {}
        }
        if kind == "m.room.redaction" {
            pdu["redacts"] = json!("$redacted:two.example");
        }
        let name = if with_hashes { ":one.example" } else { "" };
        let event_id = OwnedEventId::try_from(format!("${}{name}", kind.replace('.', "-"))).expect("an event id");
        Event::from_stored(event_id, &pdu.to_string(), &self.rules).ok()
    }

    fn oracle(&self, event: &Event) -> Result<(), String> {
        let oracle = |event: &Event| OracleEvent::new(event, &self.rules);
        let fetch = |kind: &StateEventType, state_key: &str| {
            self.state.get(&(kind.to_string(), state_key.to_owned())).map(|event| oracle(event))
        };
        ruma_state_res::check_state_dependent_auth_rules(&self.rules.authorization, oracle(event), fetch)
    }
}

/// The input as a source of choices; the first of everything once it has ended.
struct Input<'a> {
    bytes: &'a [u8],
    /// Whether something is not in the form that the specification gives it.
    is_wild: bool,
}

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.bytes.split_first() else { return 1 };
        self.bytes = rest;
        byte
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[usize::from(self.byte()) % from.len()].clone()
    }

    fn user(&mut self) -> &'static str {
        self.pick(&USERS)
    }

    fn level(&mut self, rules: &RoomVersionRules) -> Value {
        let level = self.pick(&LEVELS);
        match self.byte() {
            // Levels as strings, where they count.
            0..=31 if !rules.authorization.integer_power_levels => json!(level.to_string()),
            32..=39 => {
                self.is_wild = true;
                self.pick(&[json!(" +1 "), json!(1.5), json!(null), json!([]), json!(u64::MAX), json!("1e2")])
            }
            _ => json!(level),
        }
    }

    /// The value, or now and then an object of the input's.
    fn or_wild(&mut self, value: Value) -> Value {
        if self.byte() != 255 {
            return value;
        }
        let length = usize::from(self.byte()).min(self.bytes.len());
        let (text, rest) = self.bytes.split_at(length);
        self.bytes = rest;
        match serde_json::from_slice::<Value>(text) {
            Ok(wild @ Value::Object(_)) => {
                self.is_wild = true;
                wild
            }
            _ => value,
        }
    }
}

/// An event as the oracle wants it.
struct OracleEvent {
    event: Event,
    event_id: OwnedEventId,
    event_type: TimelineEventType,
    content: Box<RawValue>,
    redacts: Option<OwnedEventId>,
    has_room_id: bool,
}

impl OracleEvent {
    fn new(event: &Event, rules: &RoomVersionRules) -> Self {
        Self {
            event_id: event.event_id().to_owned(),
            event_type: event.timeline_event_type(),
            content: RawValue::from_string(event.content_json().to_owned()).expect("content is JSON"),
            redacts: event.redacts().map(ToOwned::to_owned),
            has_room_id: event.event_type() != "m.room.create" || rules.event_format.require_room_create_room_id,
            event: event.clone(),
        }
    }
}

impl ruma_state_res::Event for OracleEvent {
    type Id = OwnedEventId;

    fn event_id(&self) -> &OwnedEventId {
        &self.event_id
    }

    fn room_id(&self) -> Option<&RoomId> {
        self.has_room_id.then(|| self.event.room_id())
    }

    fn sender(&self) -> &UserId {
        self.event.sender()
    }

    fn origin_server_ts(&self) -> MilliSecondsSinceUnixEpoch {
        MilliSecondsSinceUnixEpoch(UInt::MAX)
    }

    fn event_type(&self) -> &TimelineEventType {
        &self.event_type
    }

    fn content(&self) -> &RawValue {
        &self.content
    }

    fn state_key(&self) -> Option<&str> {
        self.event.state_key()
    }

    fn prev_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Box::new(self.event.prev_events().iter())
    }

    fn auth_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Box::new(self.event.auth_events().iter())
    }

    fn redacts(&self) -> Option<&OwnedEventId> {
        self.redacts.as_ref()
    }

    fn rejected(&self) -> bool {
        false
    }
}
