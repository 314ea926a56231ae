use ruma::{OwnedRoomId, OwnedUserId};
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
        Self { spaces: Spaces::new(summaries), fixture, alice: RoomsFixture::user("alice") }
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
        self.spaces.page(user, space, request)
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
    assert_eq!(page.rooms[0].children.len(), 3);
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
    let forged =
        ["", "h", "h1", "h1_0", "h1_0_x", "h99_0_7777", "h1_0_1_1_1_1_1_1_1_1_1_1_1_1_1_1_1_1_1_1_1_1_1_1"];
    let forged = forged.map(|from| HierarchyRequest { from: Some(from.to_owned()), ..request(1) });
    for request in forged.into_iter().chain([changed]) {
        let outcome = setting.page("alice", &top, &request);
        assert!(matches!(outcome, Err(ReadError::InvalidToken(_))), "{request:?}");
    }
}
