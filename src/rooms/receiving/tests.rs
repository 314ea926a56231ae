//! What comes of events of other servers, one kind after the other.

use std::collections::{BTreeMap, BTreeSet};

use ruma::{EventId, OwnedUserId, RoomId, RoomVersionId};
use serde_json::{Value, json};

use super::{
    Reception,
    testing::{Server, two_servers},
};
use crate::{
    matrix::event::Event,
    rooms::{DUMMY_EVENT, RoomError, Viewer, Visibility, appender::Draft, limits},
    storage::{
        Read, StreamPosition, TimelineKey,
        records::{EventStatus, Membership},
        tables::{EVENT_META, FORKED_STATES, IDLE_REDACTIONS, MISSING_EVENTS, STRIPPED_STATE},
    },
};

const V11: RoomVersionId = RoomVersionId::V11;

fn text(body: &str) -> Value {
    json!({"msgtype": "m.text", "body": body})
}

fn say(server: &Server, on: &Server, room: &RoomId, sender: &str) -> Event {
    server.build_on(on, room, (&server.user(sender), "m.room.message", None), &text("hello"))
}

fn visibility(server: &Server) -> Visibility {
    let rooms = &server.rooms;
    Visibility::new(rooms.storage.clone(), rooms.index.clone(), rooms.events.clone(), rooms.states.clone())
}

fn sees(server: &Server, user: &str, room: &RoomId, event: &EventId) -> bool {
    let user_id = server.user(user);
    let user = server.rooms.storage.short_user_id(&user_id).unwrap().unwrap();
    let viewer = Viewer { user, user_id, device_id: None };
    let visibility = visibility(server);
    let view = visibility.view(&viewer, server.rooms.short(room)).unwrap();
    view.sees_short(server.short(event)).unwrap().is_some()
}

fn membership(server: &Server, user: &OwnedUserId, room: &RoomId) -> Option<Membership> {
    let user = server.rooms.storage.short_user_id(user).unwrap()?;
    Some(server.rooms.index.membership(user, server.rooms.short(room)).unwrap()?.membership)
}

#[test]
fn a_room_is_taken_in_with_its_state() {
    for version in [RoomVersionId::V1, RoomVersionId::V6, V11, RoomVersionId::V12] {
        let (one, two, room) = two_servers(&version);
        assert_eq!(one.state(&room), two.state(&room), "{version}");
        assert_eq!(two.timeline_types(&room), ["m.room.member"]);
        assert_eq!(one.ends(&room), two.ends(&room));
        let short = two.rooms.short(&room);
        assert_eq!(two.rooms.index.member_counts(short).unwrap(), (2, 0));
        assert!(two.rooms.index.is_joined(&two.user("bob"), short).unwrap());
        assert!(two.rooms.index.is_joined(&one.user("alice"), short).unwrap());
        assert_eq!(two.received.missing_history(&room, 10).unwrap().len(), 1);
        // And both go on.
        let said = two.rooms.say(&room, &two.user("bob"), "here I am");
        one.accept(&two.event(&said));
        let answer = one.rooms.say(&room, &one.user("alice"), "welcome");
        two.accept(&one.event(&answer));
        assert!(sees(&two, "bob", &room, &answer) && sees(&one, "alice", &room, &said));
    }
}

#[test]
fn an_event_is_received_once() {
    let (one, two, room) = two_servers(&V11);
    let said = one.rooms.say(&room, &one.user("alice"), "hello");
    two.accept(&one.event(&said));
    assert!(matches!(two.receive(&one.event(&said)), Reception::AlreadyKnown));
    assert_eq!(two.ends(&room), [said]);
}

#[test]
fn forks_are_resolved_and_joined() {
    let (one, two, room) = two_servers(&V11);
    let (alice, bob) = (one.user("alice"), two.user("bob"));
    // Both change something at the same time.
    let topic = one.rooms.set_state(&room, &alice, "m.room.topic", "", json!({"topic": "cats"})).unwrap();
    let said = two.rooms.say(&room, &bob, "meanwhile");
    one.accept(&two.event(&said));
    two.accept(&one.event(&topic));
    assert_eq!(one.ends(&room), two.ends(&room));
    assert_eq!(one.ends(&room).len(), 2);
    assert_eq!(one.state(&room), two.state(&room));
    assert_eq!(two.rooms.state_content(&room, "m.room.topic", ""), json!({"topic": "cats"}));
    // The state that the topic follows was not the current one of the second server.
    let meta = two.stored(&topic).unwrap().meta;
    let place = (two.rooms.short(&room), meta.timeline.unwrap());
    assert_eq!(two.rooms.storage.get(&FORKED_STATES, &place).unwrap(), None, "a message changes no state");
    let joining = two.rooms.say(&room, &bob, "after both");
    one.accept(&two.event(&joining));
    assert_eq!(one.ends(&room), [joining]);
    assert_eq!(one.state(&room), two.state(&room));
}

#[test]
fn members_follow_what_a_resolution_comes_to() {
    let (one, two, room) = two_servers(&V11);
    let (alice, bob) = (one.user("alice"), two.user("bob"));
    let carol = two.user("carol");
    // Alice bans Carol while Carol joins: the ban wins.
    let ban = one.rooms.set_membership(&room, &alice, &carol, "ban").unwrap();
    two.rooms.join(&room, &carol);
    let join = two.ends(&room).pop().unwrap();
    assert_eq!(two.rooms.index.member_counts(two.rooms.short(&room)).unwrap(), (3, 0));
    two.accept(&one.event(&ban));
    assert_eq!(membership(&two, &carol, &room), Some(Membership::Ban));
    assert_eq!(two.rooms.index.member_counts(two.rooms.short(&room)).unwrap(), (2, 0));
    // The first server sees the join after the ban: soft-failed, and not followed by what it sends.
    assert!(matches!(one.receive(&two.event(&join)), Reception::SoftFailed));
    assert_eq!(one.ends(&room), [ban]);
    assert!(!sees(&one, "alice", &room, &join));
    // Bob's next event follows both; the ends before it are all followed.
    let said = two.rooms.say(&room, &bob, "oh");
    one.accept(&two.event(&said));
    assert_eq!(one.ends(&room), [said]);
    assert_eq!(one.state(&room), two.state(&room));
}

#[test]
fn what_the_rules_refuse_is_kept_and_not_shown() {
    let (one, two, room) = two_servers(&V11);
    let bob = two.user("bob");
    let before = one.state(&room);
    // Bob has no power to set the topic.
    let topic = two.build_on(&one, &room, (&bob, "m.room.topic", Some("")), &json!({"topic": "mine"}));
    assert!(matches!(one.receive(&topic), Reception::Rejected(_)));
    assert_eq!(one.status(topic.event_id()), EventStatus::Unauthorised);
    assert_eq!(one.state(&room), before);
    assert!(!sees(&one, "alice", &room, topic.event_id()));
    // What follows it is none the worse.
    let after = two.build(&one, &[&topic], &before, (&bob, "m.room.message", None), &text("so what"));
    one.accept(&after);
    assert_eq!(one.state(&room), before);
}

#[test]
fn the_state_before_decides_over_stale_auth_events() {
    let (one, two, room) = two_servers(&V11);
    let (alice, bob) = (one.user("alice"), two.user("bob"));
    let stale = one.state(&room);
    let kick = one.rooms.set_membership(&room, &alice, &bob, "leave").unwrap();
    let last = one.event(&kick);
    // It follows the kick, and cites the membership from before it.
    let said = two.build(&one, &[&last], &stale, (&bob, "m.room.message", None), &text("still here"));
    assert!(matches!(one.receive(&said), Reception::Rejected(_)));
    assert_eq!(one.status(said.event_id()), EventStatus::Rejected);
    assert_eq!(one.ends(&room), [kick]);
}

#[test]
fn what_is_missing_is_asked_for() {
    let (one, two, room) = two_servers(&V11);
    let alice = one.user("alice");
    let first = one.rooms.say(&room, &alice, "one");
    let second = one.rooms.say(&room, &alice, "two");
    match two.receive(&one.event(&second)) {
        Reception::Missing { prev_events, auth_events } => {
            assert_eq!((prev_events, auth_events.len()), (vec![first.clone()], 0));
        }
        other => panic!("{other:?}"),
    }
    assert!(two.stored(&second).is_none());
    two.accept(&one.event(&first));
    two.accept(&one.event(&second));
    assert_eq!(two.ends(&room), [second]);
}

#[test]
fn a_given_state_bridges_a_gap() {
    let (one, two, room) = two_servers(&V11);
    let alice = one.user("alice");
    let topic = one.rooms.set_state(&room, &alice, "m.room.topic", "", json!({"topic": "gap"})).unwrap();
    let first = one.rooms.say(&room, &alice, "lost");
    let second = one.rooms.say(&room, &alice, "after the gap");
    let ids: Vec<_> = one.state_before(&second).into_values().collect();
    let given = |two: &Server| two.received.receive_with_state((*one.event(&second)).clone(), &ids).unwrap();
    match given(&two) {
        Reception::Missing { prev_events, auth_events } => {
            assert_eq!((prev_events.len(), auth_events), (0, vec![topic.clone()]));
        }
        other => panic!("{other:?}"),
    }
    let outliers = vec![(*one.event(&topic)).clone()];
    two.received.store_outliers(&room, &V11, outliers).unwrap();
    assert!(matches!(given(&two), Reception::Accepted(_)));
    assert_eq!(two.state(&room), one.state(&room));
    let gap = two.received.missing_history(&room, 10).unwrap();
    assert!(gap.contains(&(first.clone(), second.clone())), "{gap:?}");
    // The old end is still one: nothing says that the new event follows it.
    assert_eq!(two.ends(&room).len(), 2);
    // When the lost events come after all, they are no ends, since something follows them.
    two.accept(&one.event(&topic));
    two.accept(&one.event(&first));
    assert_eq!(two.ends(&room), [second]);
    assert_eq!(two.state(&room), one.state(&room));
    let missing = two.short(&first);
    assert!(!two.rooms.storage.contains(&MISSING_EVENTS, &(two.rooms.short(&room), missing)).unwrap());
}

#[test]
fn a_redaction_may_come_before_its_target() {
    let (one, two, room) = two_servers(&V11);
    let bob = two.user("bob");
    let said = two.rooms.say(&room, &bob, "a secret");
    let whole = two.event(&said);
    let redaction = Draft::redaction(&bob, &said, None);
    let redaction = two.rooms.append(&room, redaction).unwrap();
    // The first server gets the redaction with a given state, before what it redacts.
    let ids: Vec<_> = two.state_before(&redaction).into_values().collect();
    let received = one.received.receive_with_state((*two.event(&redaction)).clone(), &ids).unwrap();
    assert!(matches!(received, Reception::Accepted(_)));
    assert!(!sees(&one, "alice", &room, &redaction), "it is not shown until it takes effect");
    one.accept(&whole);
    let stored = one.stored(&said).unwrap();
    assert_eq!(stored.event.content_json(), "{}");
    assert_eq!(stored.meta.redacted_by, Some(one.short(&redaction)));
    assert!(sees(&one, "alice", &room, &redaction));
    let row = (one.short(&said), one.short(&redaction));
    assert!(!one.rooms.storage.contains(&IDLE_REDACTIONS, &row).unwrap());
}

/// An entry of the state by which a server came in is redacted there, and its place in history is fetched later.
#[test]
fn what_was_redacted_by_reference_stays_so() {
    let (one, two) = (Server::new("one.example"), Server::new("two.example"));
    let (alice, bob) = (one.user("alice"), two.user("bob"));
    let room = one.public_room(&alice, &V11);
    let topic = one.rooms.set_state(&room, &alice, "m.room.topic", "", json!({"topic": "cats"})).unwrap();
    let text = (*one.event(&topic)).clone();
    two.join_through(&one, &room, &bob);
    let redaction = one.rooms.append(&room, Draft::redaction(&alice, &topic, None)).unwrap();
    two.accept(&one.event(&redaction));
    assert_eq!(two.event(&topic).content_json(), "{}");
    // A server that has not heard of the redaction tells the history.
    let history: Vec<Event> = one
        .rooms
        .timeline(&room)
        .iter()
        .filter(|event| *event.event_id() != *redaction && event.sender() == alice)
        .map(|event| if *event.event_id() == *topic { text.clone() } else { (**event).clone() })
        .collect();
    let placed = two.received.append_backfilled(&room, history, &BTreeMap::new()).unwrap();
    assert!(placed.appended > 0, "{placed:?}");
    let stored = two.stored(&topic).unwrap();
    assert!(stored.meta.timeline.is_some());
    assert_eq!(stored.event.content_json(), "{}");
    assert_eq!(stored.meta.redacted_by, Some(two.short(&redaction)));
}

#[test]
fn only_who_may_redacts() {
    let (one, two, room) = two_servers(&RoomVersionId::V10);
    let (alice, bob) = (one.user("alice"), two.user("bob"));
    let said = one.rooms.say(&room, &alice, "by Alice");
    two.accept(&one.event(&said));
    // Bob has no power, and Alice is on another server: his redaction does nothing, and nobody sees it.
    let redacts = |server: &Server, sender: &OwnedUserId, target: &EventId| {
        let last = server.event(&server.ends(&room)[0]);
        let mut event = server
            .build(server, &[&last], &server.state(&room), (sender, "m.room.redaction", None), &json!({}))
            .to_object()
            .unwrap();
        event.insert("redacts".to_owned(), target.as_str().into());
        Event::from_object(&event, &RoomVersionId::V10.rules().unwrap()).unwrap()
    };
    let useless = redacts(&two, &bob, &said);
    one.accept(&useless);
    assert!(one.event(&said).content_json().contains("by Alice"));
    assert!(!sees(&one, "alice", &room, useless.event_id()));
    // Alice may redact what Bob says.
    let reply = two.rooms.say(&room, &bob, "by Bob");
    one.accept(&two.event(&reply));
    two.accept(&useless);
    let effective = redacts(&one, &alice, &reply);
    one.accept(&effective);
    two.accept(&effective);
    for server in [&one, &two] {
        assert_eq!(server.event(&reply).content_json(), "{}");
    }
    assert!(sees(&two, "bob", &room, effective.event_id()));
}

#[test]
fn many_ends_are_joined_by_an_event_nobody_sees() {
    let (one, two, room) = two_servers(&V11);
    let bob = two.user("bob");
    let base = one.event(&one.ends(&room)[0]);
    let state = one.state(&room);
    for number in 0..=limits::EXTREMITIES_UNJOINED_MAX {
        let said =
            two.build(&one, &[&base], &state, (&bob, "m.room.message", None), &text(&number.to_string()));
        one.accept(&said);
    }
    let ends = one.ends(&room);
    assert_eq!(ends.len(), 1);
    let dummy = one.event(&ends[0]);
    assert_eq!(dummy.event_type(), DUMMY_EVENT);
    assert_eq!(dummy.sender(), one.user("alice"));
    assert_eq!(dummy.prev_events().len(), limits::EXTREMITIES_UNJOINED_MAX + 1);
    assert!(!sees(&one, "alice", &room, dummy.event_id()));
}

#[test]
fn ends_that_nobody_here_may_join_are_bounded() {
    let (one, two, room) = two_servers(&V11);
    let (alice, bob) = (one.user("alice"), two.user("bob"));
    // Nobody of the first server may send messages, so that it can't join the ends.
    let levels =
        json!({"users": {alice.as_str(): 50, bob.as_str(): 100}, "events_default": 100, "state_default": 50});
    one.rooms.set_state(&room, &alice, "m.room.power_levels", "", levels).unwrap();
    let base = one.event(&one.ends(&room)[0]);
    let state = one.state(&room);
    let mut said = Vec::new();
    for number in 0..limits::EXTREMITIES_MAX + 5 {
        let event =
            two.build(&one, &[&base], &state, (&bob, "m.room.message", None), &text(&number.to_string()));
        one.accept(&event);
        said.push(event.event_id().to_owned());
        assert_eq!(one.ends(&room).len(), (number + 1).min(limits::EXTREMITIES_MAX));
    }
    let newest: BTreeSet<_> = said[5..].iter().cloned().collect();
    assert_eq!(one.ends(&room).into_iter().collect::<BTreeSet<_>>(), newest);
    assert_eq!(one.state(&room), state);
    // What follows all that are left joins them.
    let last: Vec<_> = said[5..].iter().map(|id| one.event(id)).collect();
    for part in last.chunks(20) {
        let previous: Vec<&Event> = part.iter().map(|event| &**event).collect();
        one.accept(&two.build(&one, &previous, &state, (&bob, "m.room.message", None), &text("joined")));
    }
    assert_eq!(one.ends(&room).len(), limits::EXTREMITIES_MAX.div_ceil(20));
}

#[test]
fn more_ends_than_an_event_may_name_are_joined_in_turn() {
    let (one, two, room) = two_servers(&V11);
    let (alice, bob) = (one.user("alice"), two.user("bob"));
    // Nobody of the first server may send messages, so that it can't join the ends when they come.
    let content =
        json!({"users": {alice.as_str(): 50, bob.as_str(): 100}, "events_default": 60, "state_default": 50});
    let levels = one.rooms.set_state(&room, &alice, "m.room.power_levels", "", {
        let mut first = content.clone();
        first["users"][alice.as_str()] = json!(100);
        first
    });
    levels.unwrap();
    let base = one.event(&one.ends(&room)[0]);
    let state = one.state(&room);
    for number in 0..25 {
        let content = json!({"n": number});
        let key = format!("key{number}");
        let set = two.build(&one, &[&base], &state, (&bob, "org.example.state", Some(&key)), &content);
        // As Bob's server sends them while nobody here can send: received in one go.
        let mut opened = one.received.open(&room).unwrap();
        let reception = one.received.receive_in(&mut opened, set.into(), None).unwrap();
        assert!(matches!(reception, Reception::Accepted(_)), "{reception:?}");
    }
    assert_eq!(one.ends(&room).len(), 25);
    let all = one.state(&room);
    assert_eq!(all.keys().filter(|(kind, _)| kind == "org.example.state").count(), 25);
    one.rooms.set_state(&room, &alice, "m.room.topic", "", json!({"topic": "joined"})).unwrap();
    assert_eq!(one.ends(&room).len(), 6, "twenty are joined");
    let with_topic = one.state(&room);
    assert_eq!(
        with_topic.len(),
        all.len() + usize::from(!all.contains_key(&("m.room.topic".into(), String::new())))
    );
    one.rooms.say(&room, &alice, "all");
    assert_eq!(one.ends(&room).len(), 1);
    assert_eq!(one.state(&room), with_topic);
}

#[test]
fn invites_of_unknown_rooms_are_shown_and_ended() {
    let (one, two) = (Server::new("one.example"), Server::new("two.example"));
    let (alice, bob) = (one.user("alice"), two.user("bob"));
    let room = one.public_room(&alice, &V11);
    let invite = one.build_on(
        &one,
        &room,
        (&alice, "m.room.member", Some(bob.as_str())),
        &json!({"membership": "invite"}),
    );
    let stripped = vec![serde_json::value::to_raw_value(&json!({"type": "m.room.name"})).unwrap()];
    two.received.remote_invite(&V11, invite.clone(), stripped).unwrap();
    assert_eq!(membership(&two, &bob, &room), Some(Membership::Invite));
    let user = two.rooms.storage.short_user_id(&bob).unwrap().unwrap();
    assert!(two.rooms.storage.contains(&STRIPPED_STATE, &(user, two.rooms.short(&room))).unwrap());
    assert!(matches!(two.rooms.appender.begin(&room), Err(RoomError::RoomNotFound(_))));
    let leave = two.build_on(
        &one,
        &room,
        (&bob, "m.room.member", Some(bob.as_str())),
        &json!({"membership": "leave"}),
    );
    two.received.remote_leave(&V11, leave).unwrap();
    assert_eq!(membership(&two, &bob, &room), Some(Membership::Leave));
    // Invited again, and the invite is taken back: only by who sent it.
    let state = one.state(&room);
    two.received.remote_invite(&V11, invite.clone(), Vec::new()).unwrap();
    let stranger = OwnedUserId::try_from("@mallory:three.example").unwrap();
    for (sender, ends) in [(&stranger, false), (&alice, true)] {
        let last = one.event(&one.ends(&room)[0]);
        let member = (&**sender, "m.room.member", Some(bob.as_str()));
        let kick = one.build(&one, &[&last], &state, member, &json!({"membership": "leave"}));
        assert_eq!(two.received.rescind(kick).unwrap(), ends);
        let expected = if ends { Membership::Leave } else { Membership::Invite };
        assert_eq!(membership(&two, &bob, &room), Some(expected));
    }
    // Invited again, Bob joins after all: the invite becomes part of the room.
    two.received.remote_invite(&V11, invite.clone(), Vec::new()).unwrap();
    one.accept(&invite);
    two.join_through(&one, &room, &bob);
    assert_eq!(membership(&two, &bob, &room), Some(Membership::Join));
    assert_eq!(two.state(&room), one.state(&room));
    assert_eq!(two.status(invite.event_id()), EventStatus::Outlier);
    assert_eq!(two.rooms.index.member_counts(two.rooms.short(&room)).unwrap(), (2, 0));
}

#[test]
fn a_room_left_and_joined_again_has_its_new_state() {
    let (one, two, room) = two_servers(&V11);
    let (alice, bob) = (one.user("alice"), two.user("bob"));
    let leave = two.rooms.set_membership(&room, &bob, &bob, "leave").unwrap();
    one.accept(&two.event(&leave));
    one.rooms.set_state(&room, &alice, "m.room.topic", "", json!({"topic": "while away"})).unwrap();
    one.rooms.join(&room, &one.user("dave"));
    two.join_through(&one, &room, &bob);
    assert_eq!(two.state(&room), one.state(&room));
    assert_eq!(two.ends(&room), one.ends(&room));
    assert_eq!(membership(&two, &one.user("dave"), &room), Some(Membership::Join));
    assert_eq!(two.rooms.index.member_counts(two.rooms.short(&room)).unwrap(), (3, 0));
    assert_eq!(two.timeline_types(&room).len(), 3);
}

#[test]
fn history_from_before_the_join_comes_before_the_timeline() {
    let (one, two) = (Server::new("one.example"), Server::new("two.example"));
    let (alice, bob) = (one.user("alice"), two.user("bob"));
    let room = one.public_room(&alice, &V11);
    for number in 0..5 {
        one.rooms.say(&room, &alice, &number.to_string());
    }
    let topic = one.rooms.set_state(&room, &alice, "m.room.topic", "", json!({"topic": "old"})).unwrap();
    one.rooms.say(&room, &alice, "last");
    two.join_through(&one, &room, &bob);
    let all = one.rooms.timeline(&room);
    let page: Vec<Event> = all.iter().rev().skip(1).take(3).map(|event| (**event).clone()).collect();
    // The page: a message, the topic, a message. What lies before the lowest is missing.
    let given = BTreeMap::new();
    let backfilled = two.received.append_backfilled(&room, page.clone(), &given).unwrap();
    let lowest = page.last().unwrap().event_id().to_owned();
    assert_eq!(backfilled.needs_state.as_ref(), Some(&lowest), "{backfilled:?}");
    let states = BTreeMap::from([(lowest.clone(), one.state_before(&lowest).into_values().collect())]);
    let backfilled = two.received.append_backfilled(&room, page.clone(), &states).unwrap();
    assert_eq!(backfilled.appended, 3, "{backfilled:?}");
    assert_eq!(two.timeline_types(&room).len(), 4);
    for event in &page {
        assert_eq!(two.state_before(event.event_id()), one.state_before(event.event_id()));
    }
    let meta = two.stored(&topic).unwrap().meta;
    assert_eq!((meta.timeline, meta.position), (Some(TimelineKey(-2)), StreamPosition(0)));
    // Only messages before it: the state is known from what follows them.
    let page: Vec<Event> = all.iter().rev().skip(4).take(3).map(|event| (**event).clone()).collect();
    let backfilled = two.received.append_backfilled(&room, page.clone(), &given).unwrap();
    assert_eq!(backfilled.appended, 3, "{backfilled:?}");
    assert_eq!(two.head(&room).oldest, TimelineKey(-6));
    // And again changes nothing.
    let again = two.received.append_backfilled(&room, page, &given).unwrap();
    assert_eq!(again.appended, 0);
    assert_eq!(two.state(&room), one.state(&room));
    let sees = all.iter().rev().skip(1).take(6).all(|event| sees(&two, "bob", &room, event.event_id()));
    assert!(sees, "shared history is shown");
}

#[test]
fn history_reaches_the_create_event_in_whatever_pages() {
    for size in 1..8 {
        let (one, two) = (Server::new("one.example"), Server::new("two.example"));
        let (alice, bob) = (one.user("alice"), two.user("bob"));
        let room = one.public_room(&alice, &V11);
        one.rooms.say(&room, &alice, "hello");
        two.join_through(&one, &room, &bob);
        let all = one.rooms.timeline(&room);
        for _ in 0..all.len() {
            let missing = two.received.missing_history(&room, 1).unwrap();
            let Some((newest, _)) = missing.first() else { break };
            let from = all.iter().position(|event| event.event_id() == newest).unwrap();
            let page: Vec<Event> =
                all[..=from].iter().rev().take(size).map(|event| (**event).clone()).collect();
            let lowest = page.last().unwrap().event_id().to_owned();
            let state = one.state_before(&lowest).into_values().collect();
            let given = BTreeMap::from([(lowest, state)]);
            let backfilled = two.received.append_backfilled(&room, page.clone(), &given).unwrap();
            assert_eq!(backfilled.appended, page.len(), "{size}: {backfilled:?}");
        }
        assert!(two.received.missing_history(&room, 1).unwrap().is_empty(), "{size}");
        let ids = |server: &Server| -> Vec<_> {
            server.rooms.timeline(&room).iter().map(|event| event.event_id().to_owned()).collect()
        };
        assert_eq!(ids(&two), ids(&one), "{size}");
    }
}

#[test]
fn a_forged_beginning_is_refused() {
    let (one, two, room) = two_servers(&V11);
    let last = one.event(&one.ends(&room)[0]);
    let bob = two.user("bob");
    let mut create = two
        .build(
            &one,
            &[&last],
            &one.state(&room),
            (&bob, "m.room.create", Some("")),
            &json!({"room_version": "11"}),
        )
        .to_object()
        .unwrap();
    create.insert("prev_events".to_owned(), ruma::CanonicalJsonValue::Array(Vec::new()));
    create.insert("auth_events".to_owned(), ruma::CanonicalJsonValue::Array(Vec::new()));
    let create = Event::from_object(&create, &V11.rules().unwrap()).unwrap();
    assert!(matches!(one.receive(&create), Reception::Rejected(_)));
    assert!(one.stored(create.event_id()).is_none());
}

#[test]
fn an_event_of_an_unknown_room_is_not_taken() {
    let (one, two, room) = two_servers(&V11);
    let said = say(&two, &one, &room, "bob");
    let three = Server::new("three.example");
    assert!(matches!(three.received.receive(said), Err(RoomError::RoomNotFound(_))));
}

#[test]
fn an_outlier_that_arrives_as_an_event_gets_its_place() {
    let (one, two, room) = two_servers(&V11);
    let alice = one.user("alice");
    let topic = one.rooms.set_state(&room, &alice, "m.room.topic", "", json!({"topic": "t"})).unwrap();
    two.received.store_outliers(&room, &V11, vec![(*one.event(&topic)).clone()]).unwrap();
    assert_eq!(two.status(&topic), EventStatus::Outlier);
    assert!(two.rooms.state(&room, "m.room.topic", "").is_none());
    two.accept(&one.event(&topic));
    assert_eq!(
        two.rooms.storage.get(&EVENT_META, &two.short(&topic)).unwrap().unwrap().status,
        EventStatus::Accepted
    );
    assert_eq!(two.state(&room), one.state(&room));
}
