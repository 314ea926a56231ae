//! Sliding sync and sync v3 over the same random history tell the same rooms, timelines, states and counts.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use ruma::{EventId, OwnedRoomId, OwnedUserId};
use serde_json::{Value, json};

use crate::{
    rooms::{Mark, SyncToken},
    storage::records::ReceiptKind,
    sync::testing::{SlidingClient, SyncFixture, people},
};

#[derive(Debug, Clone)]
enum Action {
    Say(usize, usize),
    Name(usize, u8),
    Member(usize, usize, &'static str),
    Profile(usize, usize, u8),
    Read(usize),
    /// A look, with how many rooms the list reaches to; lost on the way or not.
    Look {
        reach: u64,
        lost: bool,
    },
}

const ROOMS: usize = 3;

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let (room, user) = (0..ROOMS, 0..3_usize);
    let memberships = prop::sample::select(vec!["join", "leave", "invite", "ban", "kick"]);
    let action = prop_oneof![
        4 => (room.clone(), user.clone()).prop_map(|(room, user)| Action::Say(room, user)),
        2 => (room.clone(), 0..4_u8).prop_map(|(room, n)| Action::Name(room, n)),
        3 => (room.clone(), user.clone(), memberships)
            .prop_map(|(room, user, membership)| Action::Member(room, user, membership)),
        1 => (room.clone(), user, 0..4_u8).prop_map(|(room, user, n)| Action::Profile(room, user, n)),
        1 => room.prop_map(Action::Read),
        4 => (0..4_u64, any::<bool>()).prop_map(|(reach, lost)| Action::Look { reach, lost }),
    ];
    prop::collection::vec(action, 1..50)
}

/// What a client shows of a room that it is in.
#[derive(Debug, Clone, Default, PartialEq)]
struct Shown {
    name: Option<String>,
    timeline: Vec<String>,
    state: BTreeMap<(String, String), String>,
    members: (u64, u64),
    unread: (u64, u64),
}

impl Shown {
    fn add_state(&mut self, events: &Value) {
        for event in events.as_array().into_iter().flatten() {
            let text = |field: &str| event[field].as_str().unwrap().to_owned();
            if event["state_key"].is_string() {
                self.state.insert((text("type"), text("state_key")), text("event_id"));
            }
        }
    }

    fn add_timeline(&mut self, events: &Value, limited: bool) {
        let events = events.as_array().cloned().unwrap_or_default();
        if limited {
            self.timeline.clear();
        }
        self.timeline.extend(events.iter().map(|event| event["event_id"].as_str().unwrap().to_owned()));
    }
}

fn count(value: &Value, known: u64) -> u64 {
    value.as_u64().unwrap_or(known)
}

/// A client's rooms: joined ones, and the ids of invites.
type Rooms = (BTreeMap<String, Shown>, Vec<String>);

#[derive(Default)]
struct V3Client {
    token: Option<SyncToken>,
    rooms: BTreeMap<String, Shown>,
    invites: BTreeSet<String>,
}

impl V3Client {
    fn sync(&mut self, server: &SyncFixture, user: &OwnedUserId) {
        let filter = json!({"room": {"timeline": {"limit": 500}}});
        let (answer, token) = server.filtered(user, self.token, filter);
        self.token = Some(token);
        let part = |name: &str| answer["rooms"][name].as_object().cloned().unwrap_or_default();
        for (room, joined) in part("join") {
            self.invites.remove(&room);
            let timeline = &joined["timeline"];
            let shown = self.rooms.entry(room).or_default();
            shown.add_state(&joined["state"]["events"]);
            shown.add_state(&timeline["events"]);
            shown.add_timeline(&timeline["events"], timeline["limited"] == true);
            let summary = &joined["summary"];
            shown.members.0 = count(&summary["m.joined_member_count"], shown.members.0);
            shown.members.1 = count(&summary["m.invited_member_count"], shown.members.1);
            let unread = &joined["unread_notifications"];
            shown.unread.0 = count(&unread["notification_count"], shown.unread.0);
            shown.unread.1 = count(&unread["highlight_count"], shown.unread.1);
        }
        for (room, _) in part("invite") {
            self.rooms.remove(&room);
            self.invites.insert(room);
        }
        for (room, _) in part("leave") {
            self.rooms.remove(&room);
            self.invites.remove(&room);
        }
    }

    /// With what sliding sync tells outright and v3 leaves to the client.
    fn rooms(&self, server: &SyncFixture) -> Rooms {
        let mut rooms = self.rooms.clone();
        for shown in rooms.values_mut() {
            let name = shown.state.get(&("m.room.name".to_owned(), String::new()));
            let event =
                name.map(|id| server.rooms.events.by_id(&EventId::parse(id).unwrap()).unwrap().unwrap());
            shown.name = event.and_then(|stored| stored.event.content_field("name"));
        }
        (rooms, self.invites.iter().cloned().collect())
    }
}

struct Sliding {
    client: SlidingClient,
    user: OwnedUserId,
    rooms: BTreeMap<String, Shown>,
    invites: BTreeSet<String>,
}

impl Sliding {
    fn new(server: &SyncFixture, user: &OwnedUserId) -> Self {
        let client = SlidingClient::new(server, user, Value::Null);
        Self { client, user: user.clone(), rooms: BTreeMap::new(), invites: BTreeSet::new() }
    }

    fn sync(&mut self, server: &SyncFixture, reach: u64, lost: bool) {
        self.client.body = json!({"lists": {"all": {
            "ranges": [[0, reach]], "timeline_limit": 100, "required_state": [["*", "*"]],
        }}});
        if lost && self.client.pos.is_some() {
            self.client.try_sync(server).unwrap();
            return;
        }
        let answer = self.client.sync(server);
        for (room, told) in answer["rooms"].as_object().unwrap() {
            self.apply(room, told);
        }
    }

    fn apply(&mut self, room: &str, told: &Value) {
        let own =
            |event: &Value| event["state_key"] == self.user.as_str() && event["type"] == "m.room.member";
        let state = told["required_state"].as_array().cloned().unwrap_or_default();
        let left = state.iter().any(|event| own(event) && event["content"]["membership"] != "join");
        if told.get("invite_state").is_some() || left {
            self.rooms.remove(room);
            self.invites.remove(room);
            if !left {
                self.invites.insert(room.to_owned());
            }
            return;
        }
        self.invites.remove(room);
        if told["initial"] == true {
            self.rooms.remove(room);
        }
        let shown = self.rooms.entry(room.to_owned()).or_default();
        shown.add_state(&told["required_state"]);
        shown.add_timeline(&told["timeline"], told["limited"] == true);
        if let Some(name) = told.get("name") {
            shown.name = name.as_str().map(ToOwned::to_owned);
        }
        shown.members.0 = count(&told["joined_count"], shown.members.0);
        shown.members.1 = count(&told["invited_count"], shown.members.1);
        shown.unread = (count(&told["notification_count"], 0), count(&told["highlight_count"], 0));
    }

    fn rooms(&self) -> Rooms {
        (self.rooms.clone(), self.invites.iter().cloned().collect())
    }
}

struct World {
    server: SyncFixture,
    people: [OwnedUserId; 3],
    rooms: Vec<OwnedRoomId>,
}

impl World {
    fn new() -> Self {
        let server = SyncFixture::new();
        let people = people();
        let rooms: Vec<_> = (0..ROOMS).map(|_| server.rooms.public_room(&people[0])).collect();
        for user in &people[1..] {
            server.rooms.join(&rooms[0], user);
        }
        Self { server, people, rooms }
    }

    /// Does it, if the room's rules let it be done; the watcher is the second user.
    fn act(&self, action: &Action) {
        let rooms = &self.server.rooms;
        match action {
            Action::Say(room, user) => {
                let draft = crate::rooms::appender::Draft::message(
                    &self.people[*user],
                    "m.room.message",
                    crate::rooms::testing::content(json!({"msgtype": "m.text", "body": "x"})),
                );
                let _ = rooms.append(&self.rooms[*room], draft);
            }
            Action::Name(room, n) => {
                let content = if *n == 0 { json!({}) } else { json!({"name": n.to_string()}) };
                rooms.set_state(&self.rooms[*room], &self.people[0], "m.room.name", "", content).unwrap();
            }
            Action::Member(room, user, membership) if *user != 0 => {
                let target = &self.people[*user];
                let own = matches!(*membership, "join" | "leave");
                let sender = if own { target } else { &self.people[0] };
                let membership = if *membership == "kick" { "leave" } else { membership };
                let _ = rooms.set_membership(&self.rooms[*room], sender, target, membership);
            }
            Action::Profile(room, user, n) => {
                let (user, room) = (&self.people[*user], &self.rooms[*room]);
                if rooms.state_content(room, "m.room.member", user.as_str())["membership"] == "join" {
                    let content = json!({"membership": "join", "displayname": n.to_string()});
                    rooms.set_state(room, user, "m.room.member", user.as_str(), content).unwrap();
                }
            }
            Action::Read(room) => {
                let room = &self.rooms[*room];
                let event_id = rooms.timeline(room).last().unwrap().event_id().to_owned();
                let thread = ruma::events::receipt::ReceiptThread::Unthreaded;
                let mark = Mark::Receipt { kind: ReceiptKind::Read, thread, event_id };
                let _ = self.server.receipts.mark(&self.server.viewer(&self.people[1]), room, &[mark]);
            }
            Action::Member(..) | Action::Look { .. } => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn both_kinds_of_sync_tell_the_same(actions in actions()) {
        let world = World::new();
        let watcher = &world.people[1];
        let mut v3 = V3Client::default();
        let mut sliding = Sliding::new(&world.server, watcher);
        // Both start at once, as unread counts and timelines begin where a client starts.
        v3.sync(&world.server, watcher);
        sliding.sync(&world.server, 9, false);
        for action in &actions {
            world.act(action);
            if let Action::Look { reach, lost } = action {
                sliding.sync(&world.server, *reach, *lost);
                v3.sync(&world.server, watcher);
            }
        }
        v3.sync(&world.server, watcher);
        sliding.sync(&world.server, 9, false);
        prop_assert_eq!(sliding.rooms(), v3.rooms(&world.server));
    }
}
