//! EDUs of which only the newest counts: who is typing, how far users have read, who is there.
//!
//! They are kept in memory, one a subject: a newer one takes the older one's place, and a server that is not there
//! gets none. Main type: [`VolatileEdus`].

use std::collections::BTreeMap;

use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedUserId, UInt,
    api::federation::transactions::edu::{
        Edu, PresenceContent, PresenceUpdate, ReceiptContent, ReceiptData, ReceiptMap, TypingContent,
    },
    events::receipt::{Receipt, ReceiptThread},
    presence::PresenceState,
};

use super::limits;

/// What an EDU is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// Whether a user is typing in a room.
    Typing(OwnedRoomId, OwnedUserId),
    /// How far a user has read a thread of a room (empty: regardless of threads).
    Receipt(OwnedRoomId, OwnedUserId, String),
    /// A user's presence.
    Presence(OwnedUserId),
}

/// What is said about it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum News {
    /// Whether the user is typing.
    Typing(bool),
    /// The event read up to, and when.
    Receipt(OwnedEventId, u64),
    /// The presence.
    Presence(PresenceNews),
}

/// A user's presence as other servers are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceNews {
    /// Online, unavailable or offline.
    pub presence: PresenceState,
    /// What the user says.
    pub status_msg: Option<String>,
    /// When the user last did something, in milliseconds since 1970.
    pub last_active_ms: u64,
    /// Whether the user is doing something just now.
    pub is_currently_active: bool,
}

/// The newest of each subject, for one server.
#[derive(Debug, Default)]
pub(super) struct VolatileEdus(BTreeMap<Subject, News>);

impl VolatileEdus {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Puts news in the place of older ones. When too much waits already, what is new is dropped.
    pub(super) fn put(&mut self, subject: Subject, news: News) {
        if self.0.len() < limits::VOLATILE_EDUS_MAX || self.0.contains_key(&subject) {
            self.0.insert(subject, news);
        }
    }

    /// Takes what was taken back, unless there is something newer: it did not arrive.
    pub(super) fn put_back(&mut self, taken: Vec<(Subject, News)>) {
        for (subject, news) in taken {
            // By now, who was typing may not be any more.
            if !matches!(news, News::Typing(_)) && !self.0.contains_key(&subject) {
                self.put(subject, news);
            }
        }
    }

    /// Takes what fits into `edus_max` EDUs.
    pub(super) fn take(&mut self, edus_max: usize, now_ms: u64) -> (Vec<Edu>, Vec<(Subject, News)>) {
        let mut built = Builder { now_ms, ..Builder::default() };
        let mut taken = Vec::new();
        while let Some((subject, news)) = self.0.pop_first() {
            if !built.add(&subject, &news, edus_max) {
                self.0.insert(subject, news);
                break;
            }
            taken.push((subject, news));
        }
        (built.finish(), taken)
    }
}

/// Puts news together into as few EDUs as they fit in.
#[derive(Default)]
struct Builder {
    now_ms: u64,
    typing: Vec<Edu>,
    presence: Vec<PresenceUpdate>,
    /// In one EDU, a user has one receipt a room.
    receipts: Vec<BTreeMap<OwnedRoomId, ReceiptMap>>,
}

impl Builder {
    fn count(&self) -> usize {
        self.typing.len() + self.receipts.len() + usize::from(!self.presence.is_empty())
    }

    /// False when there is no room for it.
    fn add(&mut self, subject: &Subject, news: &News, edus_max: usize) -> bool {
        let is_full = self.count() >= edus_max;
        match (subject, news) {
            (Subject::Typing(room, user), News::Typing(is_typing)) => {
                if is_full {
                    return false;
                }
                self.typing.push(Edu::Typing(TypingContent::new(room.clone(), user.clone(), *is_typing)));
            }
            (Subject::Presence(user), News::Presence(news)) => {
                let has_room = !self.presence.is_empty() || !is_full;
                if !has_room || self.presence.len() >= limits::PRESENCE_UPDATES_MAX {
                    return false;
                }
                self.presence.push(self.presence_update(user, news));
            }
            (Subject::Receipt(room, user, thread), News::Receipt(event_id, at_ms)) => {
                return self.add_receipt(room, user, thread, (event_id, *at_ms), is_full);
            }
            // A subject and news of different kinds are never put together.
            _ => {}
        }
        true
    }

    fn presence_update(&self, user: &OwnedUserId, news: &PresenceNews) -> PresenceUpdate {
        let ago = UInt::new_saturating(self.now_ms.saturating_sub(news.last_active_ms));
        let mut update = PresenceUpdate::new(user.clone(), news.presence.clone(), ago);
        update.status_msg.clone_from(&news.status_msg);
        update.currently_active = news.is_currently_active;
        update
    }

    fn add_receipt(
        &mut self,
        room: &OwnedRoomId,
        user: &OwnedUserId,
        thread: &str,
        (event_id, at_ms): (&OwnedEventId, u64),
        is_full: bool,
    ) -> bool {
        let has_none = |edu: &BTreeMap<OwnedRoomId, ReceiptMap>| {
            edu.get(room).is_none_or(|map| !map.read.contains_key(user))
        };
        let place = match self.receipts.iter().position(has_none) {
            Some(place) => place,
            None if is_full => return false,
            None => {
                self.receipts.push(BTreeMap::new());
                self.receipts.len() - 1
            }
        };
        let mut receipt = Receipt::new(MilliSecondsSinceUnixEpoch(UInt::new_saturating(at_ms)));
        receipt.thread =
            ReceiptThread::try_from(Some(thread).filter(|it| !it.is_empty())).unwrap_or_default();
        if let Some(edu) = self.receipts.get_mut(place) {
            let map = edu.entry(room.clone()).or_insert_with(|| ReceiptMap::new(BTreeMap::new()));
            map.read.insert(user.clone(), ReceiptData::new(receipt, vec![event_id.clone()]));
        }
        true
    }

    fn finish(self) -> Vec<Edu> {
        let presence =
            (!self.presence.is_empty()).then(|| Edu::Presence(PresenceContent::new(self.presence)));
        let receipts = self.receipts.into_iter().map(|edu| Edu::Receipt(ReceiptContent::new(edu)));
        self.typing.into_iter().chain(presence).chain(receipts).collect()
    }
}

#[cfg(test)]
mod tests {
    use ruma::{event_id, room_id, user_id};
    use serde_json::json;

    use super::*;

    fn receipt(thread: &str) -> Subject {
        let (room, user) = (room_id!("!r:a.test").to_owned(), user_id!("@u:a.test").to_owned());
        Subject::Receipt(room, user, thread.to_owned())
    }

    fn json_of(edus: Vec<Edu>) -> serde_json::Value {
        serde_json::to_value(edus).unwrap()
    }

    #[test]
    fn the_newest_of_a_subject_is_told_once() {
        let mut edus = VolatileEdus::default();
        let typing = || Subject::Typing(room_id!("!r:a.test").to_owned(), user_id!("@u:a.test").to_owned());
        edus.put(typing(), News::Typing(true));
        edus.put(typing(), News::Typing(false));
        edus.put(receipt(""), News::Receipt(event_id!("$1").to_owned(), 7));
        edus.put(receipt("main"), News::Receipt(event_id!("$2").to_owned(), 8));
        let presence = PresenceNews {
            presence: PresenceState::Online,
            status_msg: Some("here".to_owned()),
            last_active_ms: 400,
            is_currently_active: true,
        };
        edus.put(Subject::Presence(user_id!("@u:a.test").to_owned()), News::Presence(presence));
        let (built, taken) = edus.take(100, 1_000);
        assert!(edus.is_empty());
        assert_eq!(taken.len(), 4);
        let receipt = |event: &str, data: serde_json::Value| {
            json!({"edu_type": "m.receipt", "content": {"!r:a.test": {"m.read": {"@u:a.test":
                {"event_ids": [event], "data": data}}}}})
        };
        assert_eq!(
            json_of(built),
            json!([
                {"edu_type": "m.typing", "content":
                    {"room_id": "!r:a.test", "user_id": "@u:a.test", "typing": false}},
                {"edu_type": "m.presence", "content": {"push": [{"user_id": "@u:a.test", "presence": "online",
                    "status_msg": "here", "last_active_ago": 600, "currently_active": true}]}},
                receipt("$1", json!({"ts": 7})),
                receipt("$2", json!({"ts": 8, "thread_id": "main"})),
            ])
        );
        edus.put_back(taken);
        assert_eq!(edus.0.len(), 3, "that somebody typed is not told later");
    }

    #[test]
    fn what_does_not_fit_waits() {
        let mut edus = VolatileEdus::default();
        for number in 0..limits::VOLATILE_EDUS_MAX + 9 {
            edus.put(receipt(&format!("$t{number}")), News::Receipt(event_id!("$1").to_owned(), 7));
        }
        assert_eq!(edus.0.len(), limits::VOLATILE_EDUS_MAX);
        let (built, taken) = edus.take(3, 0);
        assert_eq!((built.len(), taken.len()), (3, 3));
        assert_eq!(edus.0.len(), limits::VOLATILE_EDUS_MAX - 3);
        assert!(edus.take(0, 0).0.is_empty());
    }
}
