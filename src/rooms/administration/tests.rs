use serde_json::json;

use super::*;
use crate::rooms::{
    MemberProfiles,
    creation::{NewRoom, Preset},
    testing::RoomsFixture,
};

fn service(rooms: &RoomsFixture) -> RoomAdministration {
    let profiles = MemberProfiles::stored(rooms.storage.clone());
    let memberships = Memberships::new(rooms.appender.clone(), profiles);
    RoomAdministration::new(rooms.appender.clone(), memberships)
}

#[test]
fn rooms_are_listed_and_filtered() {
    let rooms = RoomsFixture::new();
    let [alice, bob] = ["alice", "bob"].map(RoomsFixture::user);
    let public = rooms.create(NewRoom {
        preset: Some(Preset::PublicChat),
        listed: true,
        name: Some("The Kitchen".to_owned()),
        ..NewRoom::by(alice.clone())
    });
    rooms.join(&public, &bob);
    let private = rooms.create(NewRoom::by(alice.clone()));
    rooms.set_membership(&private, &alice, &alice, "leave").unwrap();
    let service = service(&rooms);
    let ids = |filter: RoomFilter| {
        let found = service.list(&filter).unwrap();
        found.into_iter().map(|room| room.room_id).collect::<Vec<_>>()
    };
    assert_eq!(ids(RoomFilter::default()), [public.clone(), private.clone()]);
    assert_eq!(ids(RoomFilter { public: Some(true), ..RoomFilter::default() }), [public.clone()]);
    assert_eq!(ids(RoomFilter { empty: Some(true), ..RoomFilter::default() }), [private.clone()]);
    let named = |term: &str| ids(RoomFilter { search_term: Some(term.to_owned()), ..RoomFilter::default() });
    assert_eq!(named("kitchen"), [public.clone()]);
    assert_eq!(named(private.as_str()), [private]);
    assert_eq!(named("cellar").len(), 0);

    let details = service.details(&public).unwrap();
    assert_eq!((details.overview.joined_members, details.overview.joined_local_members), (2, 2));
    assert_eq!(
        (details.overview.creator, details.overview.join_rules.as_deref()),
        (Some(alice), Some("public"))
    );
    assert!(!details.forgotten && !details.tombstoned && details.state_events > 5);
    assert_eq!(service.members(&public).unwrap().len(), 2);
}

#[test]
fn power_is_taken_over_from_the_most_powerful_local_member() {
    let rooms = RoomsFixture::new();
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(RoomsFixture::user);
    let room =
        rooms.create(NewRoom { version: Some(ruma::RoomVersionId::V11), ..NewRoom::by(alice.clone()) });
    let service = service(&rooms);
    let made = service.make_admin(&room, &bob).unwrap();
    assert_eq!(made, MadeAdmin { by: Some(alice.clone()), is_invited: true });
    assert_eq!(rooms.state_content(&room, "m.room.power_levels", "")["users"][bob.as_str()], 100);
    let again = service.make_admin(&room, &bob).unwrap();
    assert_eq!(again, MadeAdmin { by: None, is_invited: false });
    let levels = json!({ "users": { bob.as_str(): 100 } });
    rooms.set_state(&room, &alice, "m.room.power_levels", "", levels).unwrap();
    assert!(service.make_admin(&room, &carol).is_err(), "nobody here may");
}

#[test]
fn a_room_is_read_without_being_in_it() {
    let rooms = RoomsFixture::new();
    let alice = RoomsFixture::user("alice");
    let room = rooms.create(NewRoom::by(alice.clone()));
    for n in 0..5 {
        rooms.say(&room, &alice, &format!("message {n}"));
    }
    let service = service(&rooms);
    assert_eq!(service.state(&room, Some("m.room.member")).unwrap().len(), 1);
    let all = service.page(&room, None, ruma::api::Direction::Forward, 1_000).unwrap();
    assert_eq!((all.events.len(), all.end), (rooms.timeline(&room).len(), None));
    let (mut from, mut read) = (None, Vec::new());
    loop {
        let page = service.page(&room, from, ruma::api::Direction::Backward, 2).unwrap();
        read.extend(page.events.iter().map(|event| event.get().to_owned()));
        from = page.end;
        if from.is_none() {
            break;
        }
    }
    read.reverse();
    assert_eq!(read, all.events.iter().map(|event| event.get().to_owned()).collect::<Vec<_>>());
}
