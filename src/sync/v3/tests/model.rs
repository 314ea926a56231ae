//! A client that follows a room by incremental answers knows, after each of them, the state that the server
//! has: whatever happened, whatever the limits and filters, with `state` and with `state_after`.

use std::collections::BTreeMap;

use proptest::prelude::*;
use ruma::{OwnedRoomId, OwnedUserId};
use serde_json::{Value, json};

use crate::{
    rooms::{SyncToken, appender::Draft, testing::content},
    sync::{
        testing::{SyncFixture, people},
        v3::response::StateUpTo,
    },
};

#[derive(Debug, Clone)]
enum Action {
    Say(usize, usize),
    Topic(usize, usize, u8),
    Member(usize, usize, &'static str),
    Profile(usize, usize, u8),
    Sync { limit: u64, messages_only: bool },
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let (room, user) = (0..2_usize, 0..3_usize);
    let action = prop_oneof![
        3 => (room.clone(), user.clone()).prop_map(|(room, user)| Action::Say(room, user)),
        2 => (room.clone(), user.clone(), 0..4_u8).prop_map(|(room, user, n)| Action::Topic(room, user, n)),
        3 => (room.clone(), user.clone(), prop::sample::select(vec!["join", "leave", "invite", "ban"]))
            .prop_map(|(room, user, membership)| Action::Member(room, user, membership)),
        1 => (room, user, 0..4_u8).prop_map(|(room, user, n)| Action::Profile(room, user, n)),
        3 => (0..4_u64, any::<bool>()).prop_map(|(limit, messages_only)| Action::Sync { limit, messages_only }),
    ];
    prop::collection::vec(action, 1..40)
}

type State = BTreeMap<(String, String), String>;

/// What a client remembers.
#[derive(Default)]
struct Client {
    token: Option<SyncToken>,
    rooms: BTreeMap<String, State>,
}

impl Client {
    fn apply(&mut self, answer: &Value, token: SyncToken) {
        self.token = Some(token);
        for (room, joined) in answer["rooms"]["join"].as_object().into_iter().flatten() {
            let state = self.rooms.entry(room.clone()).or_default();
            let after = joined["state_after"].as_object();
            let timeline = joined["timeline"]["events"].as_array().cloned().unwrap_or_default();
            let told = if after.is_some() { &joined["state_after"] } else { &joined["state"] };
            for event in told["events"].as_array().into_iter().flatten() {
                set(state, event);
            }
            if after.is_none() {
                timeline
                    .iter()
                    .filter(|event| event["state_key"].is_string())
                    .for_each(|event| set(state, event));
            }
        }
        for gone in ["leave", "invite"] {
            for (room, _) in answer["rooms"][gone].as_object().into_iter().flatten() {
                self.rooms.remove(room);
            }
        }
    }
}

fn set(state: &mut State, event: &Value) {
    let text = |field: &str| event[field].as_str().unwrap().to_owned();
    state.insert((text("type"), text("state_key")), text("event_id"));
}

fn server_state(server: &SyncFixture, room: &OwnedRoomId) -> State {
    let state = server.rooms.index.current_state(server.rooms.short(room)).unwrap();
    let states = &server.rooms.states;
    let entries = states.without_members(state).unwrap().into_iter().chain(states.members(state).unwrap());
    let events = entries.map(|(_, short)| server.rooms.events.get(short).unwrap().unwrap().event);
    events
        .map(|event| {
            let key = (event.event_type().to_owned(), event.state_key().unwrap().to_owned());
            (key, event.event_id().to_string())
        })
        .collect()
}

struct World {
    server: SyncFixture,
    people: [OwnedUserId; 3],
    rooms: Vec<OwnedRoomId>,
    clients: [(StateUpTo, Client); 2],
}

impl World {
    fn new() -> Self {
        let server = SyncFixture::new();
        let people = people();
        let rooms = vec![server.rooms.public_room(&people[0]), server.rooms.public_room(&people[0])];
        people[1..].iter().for_each(|user| server.rooms.join(&rooms[0], user));
        let clients = [StateUpTo::TimelineStart, StateUpTo::TimelineEnd].map(|it| (it, Client::default()));
        Self { server, people, rooms, clients }
    }

    /// Does it, if the room's rules let it be done; the watcher is the second user.
    fn act(&mut self, action: &Action) {
        let rooms = &self.server.rooms;
        let _ = match action {
            Action::Say(room, user) => {
                let content = content(json!({"msgtype": "m.text", "body": "x"}));
                let draft = Draft::message(&self.people[*user], "m.room.message", content);
                rooms.append(&self.rooms[*room], draft).map(drop)
            }
            Action::Topic(room, user, n) => rooms
                .set_state(&self.rooms[*room], &self.people[*user], "m.room.topic", "", json!({"topic": n}))
                .map(drop),
            Action::Member(room, user, membership) => {
                let target = &self.people[*user];
                let sender = if matches!(*membership, "join" | "leave") { target } else { &self.people[0] };
                if *user == 0 {
                    return;
                }
                rooms.set_membership(&self.rooms[*room], sender, target, membership).map(drop)
            }
            Action::Profile(room, user, n) => {
                let user = &self.people[*user];
                let room = &self.rooms[*room];
                if rooms.state_content(room, "m.room.member", user.as_str())["membership"] != "join" {
                    return;
                }
                let content = json!({"membership": "join", "displayname": n.to_string()});
                rooms.set_state(room, user, "m.room.member", user.as_str(), content).map(drop)
            }
            Action::Sync { limit, messages_only } => {
                self.sync(*limit, *messages_only);
                Ok(())
            }
        };
    }

    fn sync(&mut self, limit: u64, messages_only: bool) {
        let watcher = &self.people[1];
        for (up_to, client) in &mut self.clients {
            let mut timeline = json!({"limit": limit});
            if messages_only {
                timeline["types"] = json!(["m.room.message"]);
            }
            let filter = json!({"room": {"timeline": timeline}});
            let mut request = self.server.request(watcher, client.token, filter);
            request.state_up_to = *up_to;
            let (answer, token) = self.server.answer(&request);
            client.apply(&answer, token);
            for room in &self.rooms {
                let member = self.server.rooms.state_content(room, "m.room.member", watcher.as_str());
                let known = client.rooms.get(room.as_str());
                if member["membership"] == "join" {
                    assert_eq!(known, Some(&server_state(&self.server, room)), "{up_to:?} {answer:#}");
                } else {
                    assert_eq!(known, None, "{up_to:?} {answer:#}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_client_knows_the_state_after_every_answer(actions in actions()) {
        let mut world = World::new();
        for action in &actions {
            world.act(action);
        }
        world.sync(2, false);
    }
}
