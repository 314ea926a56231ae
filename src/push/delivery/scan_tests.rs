use ruma::owned_device_id;
use serde_json::json;

use super::*;
use crate::{
    net::outbound::Outbound,
    push::{
        Pushers,
        pushers::NewPusher,
        testing::{PushFixture, people},
    },
    rooms::creation::{NewRoom, Preset},
    users::Clock,
};

fn sources(server: &PushFixture) -> PushSources {
    let (clock, _) = Clock::manual(1_700_000_000_000);
    PushSources {
        storage: server.storage.clone(),
        index: server.rooms.index.clone(),
        events: server.rooms.events.clone(),
        states: server.rooms.states.clone(),
        timelines: server.timelines.clone(),
        unread: server.unread.clone(),
        pushers: Pushers::new(server.storage.clone(), clock.clone()),
        clock,
        gateways: Outbound::new(None, &[]).unwrap().public(),
    }
}

fn pusher() -> NewPusher {
    let data = json!({ "url": "https://push.example/_matrix/push/v1/notify" });
    NewPusher {
        app_id: "app".to_owned(),
        pushkey: "key".to_owned(),
        app_display_name: "App".to_owned(),
        device_display_name: "Phone".to_owned(),
        profile_tag: None,
        lang: "en".to_owned(),
        data: data.as_object().unwrap().clone(),
        device_id: owned_device_id!("PHONE"),
        append: false,
        enabled: None,
    }
}

#[test]
fn an_invite_that_a_look_has_passed_before_it_was_told_of_is_pushed() {
    let server = PushFixture::new();
    let sources = sources(&server);
    let (badges, mut scan) = (Badges::new(sources.clone()), Scan::default());
    let [alice, bob, _] = people();
    let bob_short = server.short_user(&bob);
    sources.pushers.set(bob_short, pusher()).unwrap();
    let mut look = |told: &[ShortUserId]| {
        server.storage.durable_blocking().unwrap();
        let found = scan.look(&sources, &badges, &told.iter().copied().collect()).unwrap();
        found.pushers.len()
    };
    look(&[]);
    let preset = Some(Preset::PrivateChat);
    let room = server.rooms.create(NewRoom { preset, ..NewRoom::by(alice.clone()) });
    server.rooms.set_membership(&room, &alice, &bob, "invite").unwrap();
    // The position is there, and whom it concerns is not said yet.
    look(&[]);
    assert_eq!(look(&[bob_short]), 1, "told of now");
    assert_eq!(look(&[bob_short]), 0, "and once");
}
