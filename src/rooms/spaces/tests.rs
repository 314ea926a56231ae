use std::{cell::RefCell, collections::HashMap};

use ruma::{
    OwnedRoomId, OwnedUserId,
    room::RoomSummary,
    serde::{Base64, base64::UrlSafe},
};
use serde_json::{Value, json};

use super::*;
use crate::rooms::{
    ReadError,
    creation::{NewRoom, Preset},
    testing::{RoomsFixture, content},
};

struct Setting {
    fixture: RoomsFixture,
    spaces: Spaces,
    alice: OwnedUserId,
    /// What other servers tell.
    elsewhere: HashMap<OwnedRoomId, ServerHierarchy>,
    /// The rooms that they were asked for.
    asked: RefCell<Vec<OwnedRoomId>>,
}

impl Setting {
    fn new() -> Self {
        let fixture = RoomsFixture::new();
        let storage = fixture.storage.clone();
        let summaries = RoomSummaries::new(
            storage,
            fixture.index.clone(),
            fixture.events.clone(),
            fixture.states.clone(),
        );
        Self {
            spaces: Spaces::new(summaries),
            fixture,
            alice: RoomsFixture::user("alice"),
            elsewhere: HashMap::new(),
            asked: RefCell::default(),
        }
    }

    fn room(&self, name: &str, space: bool, preset: Preset) -> OwnedRoomId {
        let creation_content = if space { json!({ "type": "m.space" }) } else { json!({}) };
        self.fixture.create(NewRoom {
            name: Some(name.to_owned()),
            preset: Some(preset),
            creation_content: content(creation_content),
            ..NewRoom::by(self.alice.clone())
        })
    }

    fn link(&self, space: &OwnedRoomId, child: &OwnedRoomId, more: Value) {
        self.fixture.clock.advance_ms(1);
        let mut link = json!({ "via": ["example.org"] });
        link.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.fixture.set_state(space, &self.alice, "m.space.child", child.as_str(), link).unwrap();
    }

    fn page(
        &self,
        user: &str,
        space: &OwnedRoomId,
        request: &HierarchyRequest,
    ) -> Result<HierarchyPage, ReadError> {
        let user = RoomsFixture::user(user);
        let user = self.fixture.storage.write(|rows| rows.intern_user(&user)).unwrap();
        let mut walk = self.spaces.walk(user, space, request.clone())?;
        while let WalkStep::Ask(stop) = walk.go_on(&self.spaces)? {
            self.asked.borrow_mut().push(stop.room_id.clone());
            walk.answer(&self.spaces, self.elsewhere.get(&stop.room_id))?;
        }
        Ok(walk.into_page())
    }
}

fn request(limit: usize) -> HierarchyRequest {
    HierarchyRequest { from: None, limit, max_depth: limits_max(), suggested_only: false }
}

fn limits_max() -> usize {
    crate::rooms::limits::HIERARCHY_DEPTH_MAX
}

fn names(page: &HierarchyPage) -> Vec<String> {
    page.rooms.iter().map(|room| room.summary.name.clone().unwrap()).collect()
}

#[test]
fn a_space_is_walked_depth_first_in_pages_of_any_size_and_loops_end() {
    let setting = Setting::new();
    let public = Preset::PublicChat;
    let [top, sub, deep] = ["top", "sub", "deep"].map(|name| setting.room(name, true, public));
    let [one, two, three] = ["one", "two", "three"].map(|name| setting.room(name, false, public));
    setting.link(&top, &two, json!({ "order": "b" }));
    setting.link(&top, &one, json!({ "order": "a" }));
    setting.link(&top, &sub, json!({ "suggested": true }));
    setting.link(&sub, &deep, json!({}));
    setting.link(&deep, &three, json!({}));
    setting.link(&deep, &top, json!({}));
    // No space, so its links count for nothing.
    setting.link(&one, &three, json!({}));
    let all = ["top", "one", "two", "sub", "deep", "three"];
    for limit in 1..7 {
        let mut found = Vec::new();
        let mut wanted = request(limit);
        loop {
            let page = setting.page("bob", &top, &wanted).unwrap();
            assert!(page.rooms.len() <= limit);
            found.extend(names(&page));
            wanted.from = page.next;
            if wanted.from.is_none() {
                break;
            }
        }
        assert_eq!(found, all, "{limit} a page");
    }
    let shallow = HierarchyRequest { max_depth: 1, ..request(50) };
    let page = setting.page("bob", &top, &shallow).unwrap();
    assert_eq!(names(&page), ["top", "one", "two", "sub"]);
    assert_eq!(page.rooms[0].links.len(), 3);
    let suggested = HierarchyRequest { suggested_only: true, ..request(50) };
    assert_eq!(names(&setting.page("bob", &top, &suggested).unwrap()), ["top", "sub"]);
}

#[test]
fn only_rooms_that_one_may_know_of_are_shown() {
    let setting = Setting::new();
    let top = setting.room("top", true, Preset::PublicChat);
    let hidden = setting.room("hidden", true, Preset::PrivateChat);
    let below = setting.room("below", false, Preset::PublicChat);
    let restricted = setting.room("restricted", false, Preset::PrivateChat);
    let allow = json!([{ "type": "m.room_membership", "room_id": top }]);
    let rules = json!({ "join_rule": "restricted", "allow": allow });
    setting.fixture.set_state(&restricted, &setting.alice, "m.room.join_rules", "", rules).unwrap();
    setting.link(&top, &hidden, json!({}));
    setting.link(&hidden, &below, json!({}));
    setting.link(&top, &restricted, json!({}));
    assert_eq!(names(&setting.page("bob", &top, &request(50)).unwrap()), ["top"]);
    let bob = RoomsFixture::user("bob");
    setting.fixture.join(&top, &bob);
    let page = setting.page("bob", &top, &request(50)).unwrap();
    assert_eq!(names(&page), ["top", "restricted"]);
    assert_eq!(json!(page.rooms[1].summary)["allowed_room_ids"], json!([top]));
    setting.fixture.set_membership(&hidden, &setting.alice, &bob, "invite").unwrap();
    assert_eq!(
        names(&setting.page("bob", &top, &request(50)).unwrap()),
        ["top", "hidden", "below", "restricted"]
    );
    assert!(matches!(setting.page("carol", &hidden, &request(50)), Err(ReadError::NotInRoom)));
}

#[test]
fn forged_tokens_and_changed_requests_are_refused() {
    let setting = Setting::new();
    let top = setting.room("top", true, Preset::PublicChat);
    let below = setting.room("below", false, Preset::PublicChat);
    setting.link(&top, &below, json!({}));
    let first = setting.page("alice", &top, &request(1)).unwrap();
    let next = first.next.unwrap();
    let changed = HierarchyRequest { from: Some(next), suggested_only: true, ..request(1) };
    let path = |rooms: usize| {
        let path = json!(vec![top.as_str(); rooms]).to_string();
        format!("h{}_0_{}", limits_max(), Base64::<UrlSafe, _>::new(path.into_bytes()))
    };
    let forged = ["", "h", "h1", "h1_0", "h1_0_x", "h99_0_7777", &path(0), &path(2), &path(limits_max() + 2)];
    let forged = forged.map(|from| HierarchyRequest { from: Some(from.to_owned()), ..request(1) });
    for request in forged.into_iter().chain([changed]) {
        let outcome = setting.page("alice", &top, &request);
        assert!(matches!(outcome, Err(ReadError::InvalidToken(_))), "{request:?}");
    }
}

#[test]
fn rooms_of_other_servers_are_asked_for_once_each_and_shown_to_who_may_join_them() {
    let mut setting = Setting::new();
    let top = setting.room("top", true, Preset::PublicChat);
    let last = setting.room("last", false, Preset::PublicChat);
    let room = |name: &str| OwnedRoomId::try_from(format!("!{name}:far.test")).unwrap();
    let summary = |name: &str, more: Value| -> RoomSummary {
        let mut summary = json!({
            "room_id": room(name), "name": name, "num_joined_members": 1, "world_readable": false,
            "guest_can_join": false,
        });
        summary.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(summary).unwrap()
    };
    let link = |name: &str, order: &str| {
        let link = json!({
            "type": "m.space.child", "state_key": room(name), "sender": "@a:far.test", "origin_server_ts": 1,
            "content": {"via": ["far.test"], "order": order},
        });
        serde_json::value::to_raw_value(&link).unwrap()
    };
    let removed = json!({
        "type": "m.space.child", "state_key": room("gone"), "sender": "@a:far.test", "origin_server_ts": 1,
        "content": {},
    });
    let removed = serde_json::value::to_raw_value(&removed).unwrap();
    let space = json!({"room_type": "m.space"});
    let far = ServerHierarchy::told(
        summary("far", space.clone()),
        [link("sub", "d"), link("plain", "a"), link("secret", "b"), link("members", "c"), removed]
            .into_iter(),
        vec![
            summary("plain", json!({})),
            summary("sub", space.clone()),
            summary("members", json!({"join_rule": "restricted", "allowed_room_ids": [top]})),
        ],
        vec![room("secret")],
    );
    setting.elsewhere.insert(room("far"), far);
    let sub = ServerHierarchy::told(
        summary("sub", space),
        [link("far", "a"), link("unknown", "b"), link("plain", "c")].into_iter(),
        Vec::new(),
        Vec::new(),
    );
    setting.elsewhere.insert(room("sub"), sub);
    setting.link(&top, &room("far"), json!({"via": ["far.test"], "order": "a"}));
    setting.link(&top, &last, json!({"order": "b"}));

    let page = setting.page("bob", &top, &request(50)).unwrap();
    assert_eq!(names(&page), ["top", "far", "plain", "sub", "plain", "last"]);
    assert_eq!(
        *setting.asked.borrow(),
        [room("far"), room("sub"), room("unknown")],
        "the others were told of"
    );
    // Who is in the room that lets its members in sees what it lets them into.
    let page = setting.page("alice", &top, &request(50)).unwrap();
    assert_eq!(names(&page), ["top", "far", "plain", "members", "sub", "plain", "last"]);
    for limit in 1..7 {
        let (mut found, mut wanted) = (Vec::new(), request(limit));
        loop {
            let page = setting.page("alice", &top, &wanted).unwrap();
            found.extend(names(&page));
            wanted.from = page.next;
            if wanted.from.is_none() {
                break;
            }
        }
        assert_eq!(found, ["top", "far", "plain", "members", "sub", "plain", "last"], "{limit} a page");
    }
}
