//! Searching in rooms of 10,000 and 100,000 messages, and what the index costs who sends them: time and bytes written
//! per message, beside one of the same size whose text is encrypted and so is not indexed.
//!
//! Messages have ten words, drawn so that few words are in nearly all of them and most are rare, as in any language.
#![allow(missing_docs, clippy::unwrap_used, clippy::cast_precision_loss)]

mod support;

use std::{sync::atomic::Ordering, time::Duration};

use conduit::{
    rooms::{
        EventFilter, Viewer, Visibility,
        appender::Draft,
        search::{EventSearch, SearchKey, SearchOrder, SearchRequest},
    },
    storage::Read,
};
use ruma::{OwnedRoomId, UserId};
use support::{Server, content, median, timed, user};

const SIZES: [usize; 2] = [10_000, 100_000];
const SEARCHES: usize = 51;
const WORDS: u64 = 5_000;

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A word; the first ones are far more frequent than the last.
    fn word(&mut self) -> String {
        let (one, other) = (self.roll() % WORDS, self.roll() % WORDS);
        format!("word{}", one * other / WORDS)
    }
}

fn text(dice: &mut Dice) -> String {
    (0..10).map(|_| dice.word()).collect::<Vec<_>>().join(" ")
}

fn message(sender: &UserId, text: &str) -> Draft {
    Draft::message(sender, "m.room.message", content(&format!(r#"{{"body":"{text}","msgtype":"m.text"}}"#)))
}

fn encrypted(sender: &UserId, text: &str) -> Draft {
    let json = format!(r#"{{"ciphertext":"{text}","algorithm":"m"}}"#);
    Draft::message(sender, "m.room.encrypted", content(&json))
}

fn measure_sending(server: &Server, sender: &UserId) {
    let (plain, secret) = (server.room(sender), server.room(sender));
    let mut dice = Dice(7);
    let mut times = [Vec::new(), Vec::new()];
    let mut bytes = [0, 0];
    for _ in 0..2_000 {
        let text = text(&mut dice);
        for (at, (room, draft)) in
            [(&plain, message(sender, &text)), (&secret, encrypted(sender, &text))].into_iter().enumerate()
        {
            let before = server.engine.bytes.load(Ordering::Relaxed);
            times[at].push(timed(|| server.append(room, draft)));
            bytes[at] += server.engine.bytes.load(Ordering::Relaxed) - before;
        }
    }
    let [plain, secret] = times.map(median);
    println!("sending, indexed: {plain:.1?} and {} bytes a message", bytes[0] / 2_000);
    println!("sending, encrypted: {secret:.1?} and {} bytes a message", bytes[1] / 2_000);
}

fn fill(server: &Server, sender: &UserId, messages: usize) -> OwnedRoomId {
    let room = server.room(sender);
    let mut dice = Dice(11);
    let mut sent = 0;
    while sent < messages {
        let mut batch = server.appender.begin(&room).unwrap();
        for _ in 0..50 {
            let mut text = text(&mut dice);
            if sent == messages / 3 {
                text.push_str(" needle");
            }
            batch.push(message(sender, &text)).unwrap();
            sent += 1;
        }
        batch.commit(None).unwrap();
    }
    server.storage.durable_blocking().unwrap();
    room
}

fn main() {
    let server = Server::start(Duration::ZERO);
    let sender = user("sender");
    measure_sending(&server, &sender);
    let (storage, appender) = (server.storage.clone(), &server.appender);
    let (index, events, states) =
        (appender.index().clone(), appender.events().clone(), appender.states().clone());
    let visibility = Visibility::new(storage.clone(), index.clone(), events.clone(), states.clone());
    let search = EventSearch::new(storage.clone(), index, events, states, visibility);
    let rooms = SIZES.map(|messages| fill(&server, &sender, messages));
    let short = storage.short_user_id(&sender).unwrap().unwrap();
    let viewer = Viewer { user: short, user_id: sender, device_id: None };
    for (name, term) in [
        ("one rare word", "needle"),
        ("a common word", "word1"),
        ("two usual words", "word300 word700"),
        ("a beginning of many words", "word12"),
        ("nothing", "nowhere"),
    ] {
        for order in [SearchOrder::Recent, SearchOrder::Rank] {
            for (messages, room) in SIZES.iter().zip(&rooms) {
                let filter: EventFilter =
                    serde_json::from_value::<ruma::api::client::filter::RoomEventFilter>(
                        serde_json::json!({ "rooms": [room] }),
                    )
                    .unwrap()
                    .into();
                let request = SearchRequest {
                    term: term.to_owned(),
                    keys: vec![SearchKey::Body],
                    filter,
                    order,
                    from: None,
                };
                let mut count = 0;
                let mut times: Vec<Duration> = (0..SEARCHES)
                    .map(|_| timed(|| count = search.search(&viewer, &request).unwrap().count))
                    .collect();
                times.sort_unstable();
                println!(
                    "{name}, {order:?}, {messages} messages: {count} found, p50 {:.1?}, p99 {:.1?}",
                    times[SEARCHES / 2],
                    times[SEARCHES - 1],
                );
            }
        }
    }
}
