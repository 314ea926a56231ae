//! Matching events against the namespaces of 50 application services: time for one event's names (sender, state
//! key, room, two aliases), where nobody's names match and where each belongs to one. Aim: under 5 µs an event.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{
    fs,
    hint::black_box,
    time::{Duration, Instant},
};

use conduit::users::{Appservices, appservices::Registered};
use ruma::{OwnedRoomAliasId, OwnedRoomId, OwnedUserId, server_name};

const SERVICES: usize = 50;
const EVENTS_A_ROUND: u32 = 20_000;
const ROUNDS: usize = 11;

struct Names {
    sender: OwnedUserId,
    member: OwnedUserId,
    room: OwnedRoomId,
    aliases: [OwnedRoomAliasId; 2],
}

fn registered() -> std::sync::Arc<Registered> {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..SERVICES {
        let text = format!(
            "id: bridge{number}\nurl: null\nas_token: a{number}\nhs_token: h{number}\nsender_localpart: bot{number}\n\
             namespaces:\n  users:\n    - {{exclusive: true, regex: '@bridge{number}_.*:example\\.org'}}\n    \
             - {{exclusive: true, regex: '@_net{number}_[a-z0-9=_.-]+:example\\.org'}}\n  aliases:\n    \
             - {{exclusive: true, regex: '#bridge{number}_.+:example\\.org'}}\n  rooms:\n    \
             - {{exclusive: false, regex: '!bridge{number}:example\\.org'}}\n"
        );
        fs::write(folder.path().join(format!("{number}.yaml")), text).unwrap();
    }
    Appservices::default().load(folder.path(), server_name!("example.org")).unwrap()
}

fn names(localpart: &str) -> Names {
    Names {
        sender: format!("@{localpart}_alice:example.org").try_into().unwrap(),
        member: format!("@{localpart}_somebody.with-a=longer_name:example.org").try_into().unwrap(),
        room: format!("!{localpart}:example.org").try_into().unwrap(),
        aliases: ["tea", "cake"].map(|name| format!("#{localpart}_{name}:example.org").try_into().unwrap()),
    }
}

/// How many match.
fn matched(registered: &Registered, names: &Names) -> usize {
    registered.of_user(&names.sender).count()
        + registered.of_user(&names.member).count()
        + registered.of_room(&names.room).count()
        + names.aliases.iter().map(|alias| registered.of_alias(alias).count()).sum::<usize>()
}

fn measure(registered: &Registered, names: &Names) -> Duration {
    let mut times: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..EVENTS_A_ROUND {
                black_box(matched(registered, black_box(names)));
            }
            start.elapsed() / EVENTS_A_ROUND
        })
        .collect();
    times.sort_unstable();
    times[ROUNDS / 2]
}

fn main() {
    let registered = registered();
    for (what, localpart, expected) in [("nobody's", "people", 0), ("the 26th's", "bridge25", 5)] {
        let names = names(localpart);
        assert_eq!(matched(&registered, &names), expected, "{what}");
        println!(
            "{SERVICES} application services, {what} names: {:?} an event",
            measure(&registered, &names)
        );
    }
}
