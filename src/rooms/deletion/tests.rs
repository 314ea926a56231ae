use ruma::{OwnedRoomId, OwnedUserId};
use serde_json::json;

use super::*;
use crate::{
    rooms::{MemberProfiles, testing::RoomsFixture},
    storage::tables,
    users::fixture::Fixture,
};

struct World {
    rooms: RoomsFixture,
    sources: DeletionSources,
    alice: OwnedUserId,
    bob: OwnedUserId,
}

fn world() -> World {
    let users = Fixture::new();
    let [alice, bob] = ["alice", "bob"].map(|name| users.user(name).user_id);
    let rooms = RoomsFixture::over(users.storage.clone());
    let memberships = Memberships::new(rooms.appender.clone(), MemberProfiles::stored(users.storage.clone()));
    let (clock, _) = Clock::manual(1_700_000_000_000);
    let sources = DeletionSources {
        appender: rooms.appender.clone(),
        sender: EventSender::new(rooms.appender.clone(), memberships.clone()),
        memberships,
        creator: rooms.creator.clone(),
        clock,
    };
    World { rooms, sources, alice, bob }
}

impl World {
    fn deletions(&self) -> RoomDeletions {
        RoomDeletions::new(self.sources.clone())
    }

    fn request(&self) -> DeletionRequest {
        DeletionRequest {
            by: self.alice.clone(),
            new_room_user: None,
            new_room_name: "Closed".to_owned(),
            message: "This room was closed".to_owned(),
            purges: true,
            forces: false,
        }
    }

    /// A room with messages, reactions, a thread and redactions.
    fn busy_room(&self) -> OwnedRoomId {
        let room = self.rooms.public_room(&self.alice);
        self.rooms.join(&room, &self.bob);
        for n in 0..300 {
            let said = self.rooms.say(&room, &self.alice, &format!("message {n}"));
            if n % 10 == 0 {
                let relation = json!({ "rel_type": "m.annotation", "event_id": said, "key": "+" });
                let content = crate::rooms::testing::content(json!({ "m.relates_to": relation }));
                let draft = crate::rooms::appender::Draft::message(&self.bob, "m.reaction", content);
                self.rooms.append(&room, draft).unwrap();
            }
        }
        room
    }

    /// How many rows each table has, but for the numbers of ids, which are kept, and those that go when the last
    /// events have been sent to other servers.
    fn rows(&self) -> Vec<(&'static str, usize)> {
        let kept = [
            "SHORT_IDS",
            "SHORT_ID_TEXTS",
            "COUNTERS",
            "ROOM_DELETIONS",
            "OWN_MEMBERSHIP_CHANGES",
            "OUTBOX",
            "SERVER_DEPARTURES",
        ];
        tables::ALL
            .iter()
            .filter(|table| !kept.contains(&table.name) && !table.name.starts_with("TRANSACTION_ID"))
            .map(|table| {
                let (lower, upper) = ([table.number], [table.number + 1]);
                let rows =
                    self.rooms.storage.raw_scan(table.family, &lower, Some(&upper), Direction::Forward);
                (table.name, rows.count())
            })
            .collect()
    }
}

#[test]
fn nothing_is_left_of_a_deleted_room_and_others_are_untouched() {
    let world = world();
    let other = world.busy_room();
    let before = world.rows();
    let room = world.busy_room();
    assert_ne!(world.rows(), before);
    let deletions = world.deletions();
    let id = deletions.schedule(&room, world.request()).unwrap();
    assert!(deletions.schedule(&room, world.request()).is_err(), "it is being deleted already");
    let carol = RoomsFixture::user("carol");
    assert!(world.sources.memberships.join(&carol, &room, None).is_err(), "nobody joins meanwhile");
    deletions.work_off().unwrap();
    let record = deletions.get(id).unwrap().unwrap();
    assert_eq!((record.phase, record.error), (DeletionPhase::Complete, None));
    assert_eq!(record.kicked.len(), 2);
    assert!(record.events_removed > 300);
    for ((table, rows), (_, was)) in world.rows().into_iter().zip(before) {
        assert_eq!(rows, was, "{table}");
    }
    assert!(world.rooms.index.room(&room).unwrap().is_none());
    assert!(world.rooms.timeline(&other).len() > 300);
    assert!(deletions.schedule(&room, world.request()).is_err(), "it is gone");
}

#[test]
fn a_deletion_goes_on_after_a_restart() {
    let world = world();
    let room = world.busy_room();
    let short = world.rooms.short(&room);
    let deletions = world.deletions();
    let id = deletions.schedule(&room, world.request()).unwrap();
    let mut record = deletions.get(id).unwrap().unwrap();
    record.phase = DeletionPhase::ShuttingDown;
    deletions.shut_down(id, &mut record).unwrap();
    record.phase = DeletionPhase::Purging;
    assert!(deletions.purge_events(id, short, &mut record).unwrap(), "there is more");
    let restarted = world.deletions();
    restarted.work_off().unwrap();
    let record = restarted.get(id).unwrap().unwrap();
    assert_eq!(record.phase, DeletionPhase::Complete);
    assert!(record.events_removed > 300, "all are counted");
    assert!(world.rooms.index.room(&room).unwrap().is_none());
}

#[test]
fn users_are_brought_to_a_new_room_that_says_why() {
    let world = world();
    let room = world.busy_room();
    let deletions = world.deletions();
    let request =
        DeletionRequest { new_room_user: Some(world.alice.clone()), purges: false, ..world.request() };
    let id = deletions.schedule(&room, request).unwrap();
    deletions.work_off().unwrap();
    let record = deletions.get(id).unwrap().unwrap();
    let new_room = record.new_room.unwrap();
    assert_eq!(world.rooms.state_content(&new_room, "m.room.name", "")["name"], "Closed");
    let bob = world.rooms.state_content(&new_room, "m.room.member", world.bob.as_str());
    assert_eq!(bob["membership"], "join");
    let said = world.rooms.timeline(&new_room);
    assert!(
        said.iter()
            .any(|event| event.content_field::<String>("body").as_deref() == Some("This room was closed"))
    );
    assert!(world.rooms.index.room(&room).unwrap().is_some(), "it was not to be removed");
    assert_eq!(world.rooms.index.member_counts(world.rooms.short(&room)).unwrap().0, 0);
}
