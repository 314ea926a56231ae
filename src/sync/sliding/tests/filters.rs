use ruma::OwnedRoomId;
use serde_json::{Value, json};

use crate::{
    rooms::testing::content,
    sync::testing::{SlidingClient, SyncFixture, people},
};

struct World {
    server: SyncFixture,
    rooms: Vec<(&'static str, OwnedRoomId)>,
}

impl World {
    /// Alice in a plain room, an encrypted one, a direct chat, a space with one child, with an invite.
    fn new() -> Self {
        let server = SyncFixture::new();
        let [alice, bob, _] = people();
        let make = || server.rooms.public_room(&alice);
        let mut rooms: Vec<_> = ["plain", "encrypted", "direct", "child"].map(|name| (name, make())).into();
        let encryption = json!({"algorithm": "m.megolm.v1.aes-sha2"});
        server.rooms.set_state(&rooms[1].1, &alice, "m.room.encryption", "", encryption).unwrap();
        server.set_data(&alice, None, "m.direct", &json!({"@bob:example.org": [rooms[2].1]}));
        let space = server.rooms.room_of_type(&alice, "m.space");
        let link = json!({"via": ["example.org"]});
        server.rooms.set_state(&space, &alice, "m.space.child", rooms[3].1.as_str(), link).unwrap();
        server.rooms.set_state(&space, &alice, "m.space.child", rooms[0].1.as_str(), json!({})).unwrap();
        rooms.push(("space", space));
        let invite = server.rooms.public_room(&bob);
        server.rooms.set_membership(&invite, &bob, &alice, "invite").unwrap();
        rooms.push(("invite", invite));
        server.set_data(&alice, Some(&rooms[0].1), "m.tag", &json!({"tags": {"m.favourite": {}, "u.x": {}}}));
        server.set_data(&alice, Some(&rooms[2].1), "m.tag", &json!({"tags": {"u.x": {"order": 0.5}}}));
        Self { server, rooms }
    }

    fn id(&self, name: &str) -> &OwnedRoomId {
        &self.rooms.iter().find(|(known, _)| *known == name).unwrap().1
    }

    fn named(&self, answer: &Value) -> Vec<&'static str> {
        let told = answer["rooms"].as_object().unwrap();
        let mut names: Vec<_> = self
            .rooms
            .iter()
            .filter(|(_, id)| told.contains_key(id.as_str()))
            .map(|(name, _)| *name)
            .collect();
        names.sort_unstable();
        names
    }

    fn list(&self, filters: Value) -> Vec<&'static str> {
        let body = json!({"lists": {"l": {"timeline_limit": 0, "required_state": [], "filters": filters}}});
        let answer = SlidingClient::new(&self.server, &people()[0], body).sync(&self.server);
        let names = self.named(&answer);
        assert_eq!(answer["lists"]["l"]["count"], names.len());
        names
    }
}

#[test]
fn each_filter_takes_its_rooms() {
    let world = World::new();
    for (filters, expected) in [
        (json!({}), &["child", "direct", "encrypted", "invite", "plain", "space"][..]),
        (json!({"is_dm": true}), &["direct"]),
        (json!({"is_dm": false, "is_invite": false}), &["child", "encrypted", "plain", "space"]),
        (json!({"is_encrypted": true}), &["encrypted"]),
        (json!({"is_encrypted": false}), &["child", "direct", "invite", "plain", "space"]),
        (json!({"is_invite": true}), &["invite"]),
        (json!({"room_types": ["m.space"]}), &["space"]),
        (json!({"room_types": [null]}), &["child", "direct", "encrypted", "invite", "plain"]),
        (json!({"not_room_types": ["m.space"]}), &["child", "direct", "encrypted", "invite", "plain"]),
        (json!({"not_room_types": [null]}), &["space"]),
        (json!({"room_types": ["m.space", null], "not_room_types": ["m.space"], "is_dm": true}), &["direct"]),
        (json!({"tags": ["u.x"]}), &["direct", "plain"]),
        (json!({"tags": ["u.x"], "not_tags": ["m.favourite"]}), &["direct"]),
        (json!({"not_tags": ["u.x"], "is_invite": false}), &["child", "encrypted", "space"]),
        (json!({"spaces": [world.id("space"), "!unknown:example.org"]}), &["child"]),
        (json!({"spaces": []}), &[]),
    ] {
        assert_eq!(world.list(filters.clone()), expected, "{filters}");
    }
}

#[test]
fn a_room_that_comes_to_pass_a_filter_is_told_of() {
    let world = World::new();
    let [alice, ..] = people();
    let client = |filters: Value| {
        let list = json!({"timeline_limit": 0, "required_state": [], "filters": filters});
        let body = json!({"conn_id": filters.to_string(), "lists": {"l": list}});
        let mut client = SlidingClient::new(&world.server, &alice, body);
        client.sync(&world.server);
        client
    };
    let mut tagged = client(json!({"tags": ["u.new"]}));
    let mut encrypted = client(json!({"is_encrypted": true}));
    let mut direct = client(json!({"is_dm": true}));
    let mut children = client(json!({"spaces": [world.id("space")]}));
    let (server, plain) = (&world.server, world.id("plain"));
    server.set_data(&alice, Some(plain), "m.tag", &json!({"tags": {"u.new": {}}}));
    let encryption = content(json!({"algorithm": "m.megolm.v1.aes-sha2"}));
    let draft = crate::rooms::appender::Draft::state(&alice, "m.room.encryption", "", encryption);
    server.rooms.append(plain, draft).unwrap();
    server.set_data(&alice, None, "m.direct", &json!({"@bob:example.org": [plain]}));
    let link = json!({"via": ["example.org"]});
    server.rooms.set_state(world.id("space"), &alice, "m.space.child", plain.as_str(), link).unwrap();
    for client in [&mut tagged, &mut encrypted, &mut direct, &mut children] {
        let answer = client.sync(server);
        assert_eq!(world.named(&answer), ["plain"], "{}", client.body);
        assert_eq!(answer["rooms"][plain.as_str()]["is_dm"], true);
    }
}

#[test]
fn a_room_that_becomes_a_direct_chat_is_told_so() {
    let world = World::new();
    let [alice, ..] = people();
    let list = json!({"timeline_limit": 0, "required_state": []});
    let mut client = SlidingClient::new(&world.server, &alice, json!({"lists": {"l": list}}));
    client.sync(&world.server);
    world.server.set_data(&alice, None, "m.direct", &json!({"@bob:example.org": [world.id("plain")]}));
    let answer = client.sync(&world.server);
    assert_eq!(world.named(&answer), ["direct", "plain"]);
    assert_eq!(answer["rooms"][world.id("direct").as_str()]["is_dm"], false);
    assert_eq!(answer["rooms"][world.id("plain").as_str()]["is_dm"], true);
}
