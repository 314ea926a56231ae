//! Which ends a room keeps when events come in another order than they were made, and some of them are refused.

use ruma::{OwnedEventId, RoomVersionId};
use serde_json::json;

use super::{
    Reception,
    testing::{Server, two_servers},
};
use crate::storage::records::EventStatus;

/// What the second server made, each following the one before, and the first one's ban that it did not know of.
struct Branch {
    one: Server,
    two: Server,
    room: ruma::OwnedRoomId,
    ban: OwnedEventId,
    /// Accepted by the first server: said by Bob.
    before: OwnedEventId,
    /// Refused by it (soft-failed): said by Carol, who is banned there.
    refused: OwnedEventId,
    /// Accepted: said by Bob.
    after: OwnedEventId,
}

fn branch() -> Branch {
    let (one, two, room) = two_servers(&RoomVersionId::V11);
    let (alice, bob, carol) = (one.user("alice"), two.user("bob"), two.user("carol"));
    two.rooms.join(&room, &carol);
    let join = two.ends(&room).pop().unwrap();
    one.accept(&two.event(&join));
    let ban = one.rooms.set_membership(&room, &alice, &carol, "ban").unwrap();
    let before = two.rooms.say(&room, &bob, "before");
    let refused = two.rooms.say(&room, &carol, "refused");
    let after = two.rooms.say(&room, &bob, "after");
    Branch { one, two, room, ban, before, refused, after }
}

impl Branch {
    fn receive(&self, event_id: &OwnedEventId) -> Reception {
        self.one.receive(&self.two.event(event_id))
    }

    /// Receives an event whose predecessors are missing, with the state before it.
    fn receive_over_gap(&self, event_id: &OwnedEventId) -> Reception {
        let ids: Vec<_> = self.two.state_before(event_id).into_values().collect();
        self.one.received.receive_with_state((*self.two.event(event_id)).clone(), &ids).unwrap()
    }

    fn assert_ends_are_ban_and_after(&self) {
        let mut wanted = [self.ban.clone(), self.after.clone()];
        wanted.sort();
        assert_eq!(self.one.ends(&self.room), wanted);
        assert_eq!(self.one.status(&self.refused), EventStatus::SoftFailed);
    }
}

#[test]
fn what_is_followed_over_a_refused_event_that_comes_late_is_no_end() {
    let branch = branch();
    assert!(matches!(branch.receive(&branch.before), Reception::Accepted(_)));
    assert!(matches!(branch.receive_over_gap(&branch.after), Reception::Accepted(_)));
    assert_eq!(branch.one.ends(&branch.room).len(), 3);
    assert!(matches!(branch.receive(&branch.refused), Reception::SoftFailed));
    branch.assert_ends_are_ban_and_after();
}

#[test]
fn what_comes_after_those_that_follow_it_is_no_end() {
    let branch = branch();
    assert!(matches!(branch.receive_over_gap(&branch.after), Reception::Accepted(_)));
    assert!(matches!(branch.receive_over_gap(&branch.refused), Reception::SoftFailed));
    assert!(matches!(branch.receive(&branch.before), Reception::Accepted(_)));
    branch.assert_ends_are_ban_and_after();
}

#[test]
fn a_gap_below_a_refused_event_is_followed_by_what_follows_that() {
    let branch = branch();
    assert!(matches!(branch.receive_over_gap(&branch.refused), Reception::SoftFailed));
    assert!(matches!(branch.receive(&branch.after), Reception::Accepted(_)));
    assert!(matches!(branch.receive(&branch.before), Reception::Accepted(_)));
    branch.assert_ends_are_ban_and_after();
}

#[test]
fn the_state_is_that_of_the_ends_that_are_left() {
    let (one, two, room) = two_servers(&RoomVersionId::V11);
    let (alice, bob, carol) = (one.user("alice"), two.user("bob"), two.user("carol"));
    let levels = json!({"users": {alice.as_str(): 100, bob.as_str(): 100}});
    let levels = one.rooms.set_state(&room, &alice, "m.room.power_levels", "", levels).unwrap();
    two.accept(&one.event(&levels));
    two.rooms.join(&room, &carol);
    let join = two.ends(&room).pop().unwrap();
    one.accept(&two.event(&join));
    one.rooms.set_membership(&room, &alice, &carol, "ban").unwrap();
    // A topic, a word of Carol's, and another topic: later ones win over those that they do not follow only.
    two.rooms.clock.advance_ms(1000);
    let first = two.rooms.set_state(&room, &bob, "m.room.topic", "", json!({"topic": "one"})).unwrap();
    let refused = two.rooms.say(&room, &carol, "refused");
    two.rooms.clock.advance_ms(1000);
    let second = two.rooms.set_state(&room, &bob, "m.room.topic", "", json!({"topic": "two"})).unwrap();
    let ids: Vec<_> = two.state_before(&second).into_values().collect();
    one.accept(&two.event(&first));
    let reception = one.received.receive_with_state((*two.event(&second)).clone(), &ids).unwrap();
    assert!(matches!(reception, Reception::Accepted(_)), "{reception:?}");
    assert!(matches!(one.receive(&two.event(&refused)), Reception::SoftFailed));
    assert_eq!(one.ends(&room).len(), 2);
    assert_eq!(one.rooms.state_content(&room, "m.room.topic", ""), json!({"topic": "two"}));
}
