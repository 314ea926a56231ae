use ruma::{OwnedEventId, RoomId, UserId};
use serde_json::{Value, json};

use crate::{
    rooms::{appender::Draft, sticky_events, testing::content},
    storage::StreamPosition,
    sync::testing::{SlidingClient, SyncFixture, people},
};

fn stick(server: &SyncFixture, room: &RoomId, sender: &UserId, sticky_ms: u64) -> OwnedEventId {
    let draft = Draft::message(sender, "m.rtc.member", content(json!({"n": 1}))).sticky(Some(sticky_ms));
    server.rooms.append(room, draft).unwrap()
}

fn ids(events: &Value) -> Vec<&str> {
    let events = events["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    events.iter().map(|event| event["event_id"].as_str().unwrap()).collect()
}

#[test]
fn sticky_events_are_told_whatever_the_timelines_limit() {
    let server = SyncFixture::new();
    let [alice, bob, _] = people();
    let room = server.rooms.public_room(&alice);
    let (_, token) = server.sync(&alice, None);
    let sticky = stick(&server, &room, &alice, 600_000);
    stick(&server, &room, &alice, 0);
    server.rooms.say(&room, &alice, "later");
    let filter = json!({"room": {"timeline": {"limit": 1}}});
    let (answer, after) = server.filtered(&alice, Some(token), filter.clone());
    let joined = &answer["rooms"]["join"][room.as_str()];
    assert_eq!(ids(&joined["msc4354_sticky"]), [sticky.as_str()]);
    let event = &joined["msc4354_sticky"]["events"][0];
    assert_eq!(event["msc4354_sticky"], json!({"duration_ms": 600_000}));
    assert_eq!(event["unsigned"]["msc4354_sticky_duration_ttl_ms"], 600_000);

    // Who has it in the timeline is not told twice, nor is who has been told.
    let (whole, _) = server.sync(&alice, Some(token));
    assert_eq!(whole["rooms"]["join"][room.as_str()]["msc4354_sticky"], Value::Null);
    server.rooms.say(&room, &alice, "still later");
    let (next, _) = server.filtered(&alice, Some(after), filter.clone());
    assert_eq!(next["rooms"]["join"][room.as_str()]["msc4354_sticky"], Value::Null);

    // Who joins sees it, though the room's history is for members from their joining on.
    server
        .rooms
        .set_state(&room, &alice, "m.room.history_visibility", "", json!({"history_visibility": "joined"}))
        .unwrap();
    let second = stick(&server, &room, &alice, 600_000);
    server.rooms.join(&room, &bob);
    let (answer, _) = server.filtered(&bob, None, filter.clone());
    let told = &answer["rooms"]["join"][room.as_str()]["msc4354_sticky"];
    assert_eq!(ids(told), [sticky.as_str(), second.as_str()]);

    server.rooms.append(&room, Draft::redaction(&alice, &sticky, None)).unwrap();
    let (answer, _) = server.filtered(&bob, None, filter);
    assert_eq!(ids(&answer["rooms"]["join"][room.as_str()]["msc4354_sticky"]), [second.as_str()]);
    let (short, storage) = (server.rooms.short(&room), &server.rooms.storage);
    let all = (StreamPosition(0), StreamPosition(u64::MAX - 1));
    let at = |now_ms| sticky_events(storage, short, all, now_ms).unwrap().len();
    assert_eq!((at(1_700_000_000_000), at(1_700_000_700_000)), (1, 0));
}

#[test]
fn sliding_sync_goes_on_where_the_client_says() {
    let server = SyncFixture::new();
    let [alice, ..] = people();
    let room = server.rooms.public_room(&alice);
    let sticky = stick(&server, &room, &alice, 600_000);
    let body = |since: Option<&str>| {
        let mut extension = json!({"enabled": true});
        if let Some(since) = since {
            extension["since"] = since.into();
        }
        json!({"extensions": {"org.matrix.msc4354.sticky_events": extension}})
    };
    let mut client = SlidingClient::new(&server, &alice, body(None));
    let told = client.sync(&server)["extensions"]["org.matrix.msc4354.sticky_events"].clone();
    assert_eq!(ids(&told["rooms"][room.as_str()]), [sticky.as_str()]);
    let since = told["next_batch"].as_str().unwrap().to_owned();
    let second = stick(&server, &room, &alice, 600_000);
    let mut client = SlidingClient::new(&server, &alice, body(Some(&since)));
    let told = client.sync(&server)["extensions"]["org.matrix.msc4354.sticky_events"].clone();
    assert_eq!(ids(&told["rooms"][room.as_str()]), [second.as_str()]);
    let since = told["next_batch"].as_str().unwrap().to_owned();
    let mut client = SlidingClient::new(&server, &alice, body(Some(&since)));
    assert_eq!(client.sync(&server)["extensions"], json!({}));
}
