use std::{
    convert::Infallible,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use ruma::device_id;
use tokio::time::Instant;

use crate::sync::{
    testing::{SyncFixture, people, shown},
    wait_for_news,
};

#[tokio::test]
async fn a_waiting_member_is_answered_by_the_event_and_others_wait_on() {
    let server = SyncFixture::new();
    let [alice, bob, carol] = people();
    let room = server.rooms.public_room(&alice);
    server.rooms.join(&room, &bob);
    server.rooms.public_room(&carol);
    let (_, token) = server.sync(&bob, None);
    // What has happened so far wakes nobody any more.
    server.notifier.settle();
    let waiting = server.notifier.register(server.short_user(&bob), device_id!("PHONE"));
    let elsewhere = server.notifier.register(server.short_user(&carol), device_id!("PHONE"));
    let request = server.request(&bob, Some(token), serde_json::json!({}));
    let look = |_: Option<&_>| {
        let answer = server.sync.answer(&request).unwrap();
        async { Ok::<_, Infallible>(answer) }
    };
    let far = Instant::now() + Duration::from_secs(3_600);
    let answered = wait_for_news(&waiting, far, look, |answer| !answer.response.is_empty());
    let (answered, ()) = tokio::join!(answered, async {
        server.rooms.say(&room, &alice, "wake up");
    });
    let Ok(answer) = answered;
    let response = serde_json::to_value(&answer.response).unwrap();
    assert_eq!(shown(&response["rooms"]["join"][room.as_str()]["timeline"]), ["wake up"]);
    server.notifier.settle();
    let mut context = Context::from_waker(Waker::noop());
    assert_eq!(pin!(elsewhere.woken()).poll(&mut context), Poll::Pending);
}

#[tokio::test]
async fn an_invite_wakes_who_is_invited() {
    let server = SyncFixture::new();
    let [alice, bob, _] = people();
    let room = server.rooms.public_room(&alice);
    let (_, token) = server.sync(&bob, None);
    let waiting = server.notifier.register(server.short_user(&bob), device_id!("PHONE"));
    let request = server.request(&bob, Some(token), serde_json::json!({}));
    let look = |_: Option<&_>| {
        let answer = server.sync.answer(&request).unwrap();
        async { Ok::<_, Infallible>(answer) }
    };
    let far = Instant::now() + Duration::from_secs(3_600);
    let answered = wait_for_news(&waiting, far, look, |answer| !answer.response.is_empty());
    let (answered, ()) = tokio::join!(answered, async {
        server.rooms.set_membership(&room, &alice, &bob, "invite").unwrap();
    });
    let Ok(answer) = answered;
    assert_eq!(answer.response.rooms.invite.len(), 1);
}
