//! What one connection has been told.
//!
//! An answer counts as told once the client asks with its `pos`; until then both are kept, what was told
//! before it and what it changes, so that a request which is repeated is answered again from where it
//! started, with whatever happened since. Main type: [`Connection`].

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{required_state::RequiredState, response::ListResult};
use crate::{
    rooms::{SlidingToken, SyncToken},
    storage::{ShortRoomId, ShortUserId, StreamPosition, records::Membership},
    sync::{SyncError, limits},
};

/// How far something has been told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Told {
    /// Not at all.
    #[default]
    Never,
    /// Up to the last answer.
    Live,
    /// Up to this position; there is more since.
    Until(StreamPosition),
}

impl Told {
    /// Up to where, if the last answer ended at `last`.
    pub(super) fn position(self, last: StreamPosition) -> Option<StreamPosition> {
        match self {
            Self::Never => None,
            Self::Live => Some(last),
            Self::Until(position) => Some(position),
        }
    }

    /// When something has happened after `last` that is not told.
    pub(super) fn fallen_behind(self, last: StreamPosition) -> Self {
        if self == Self::Live { Self::Until(last) } else { self }
    }
}

/// What has been told of a room.
#[derive(Debug, Clone)]
pub(super) struct RoomTold {
    /// Events, state, counts.
    pub(super) events: Told,
    /// The user's account data of the room.
    pub(super) account_data: Told,
    /// Receipts.
    pub(super) receipts: Told,
    /// As what the user saw the room.
    pub(super) membership: Membership,
    /// Whether it was called a direct chat.
    pub(super) is_dm: bool,
    /// The limit of the timeline, when the room was last looked at.
    pub(super) timeline_limit: usize,
    /// At least so many of the newest events are known.
    pub(super) timeline_known: usize,
    /// The wanted state, when the room was last looked at.
    pub(super) required: Arc<RequiredState>,
    /// Lazily loaded members that are known.
    pub(super) members: Vec<ShortUserId>,
}

impl RoomTold {
    fn bytes(&self) -> usize {
        // The table's entry with its key, and what it points to.
        size_of::<Self>() + 16 + self.members.capacity() * size_of::<ShortUserId>()
    }
}

/// What a request's lists and rooms were, to know whether they are others now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RulesTold {
    /// A hash of the lists and subscriptions with all that belongs to them.
    pub(super) hash: u64,
    /// The version of the user's set of rooms.
    pub(super) rooms_version: u64,
    /// True when each room within a range was looked at.
    pub(super) complete: bool,
    /// What was told of the lists.
    pub(super) lists: BTreeMap<String, ListResult>,
}

/// What an answer changes.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Up to where it tells.
    pub(super) until: SyncToken,
    /// The rooms of which something was told, or now is behind; `None` for those to be forgotten.
    pub(super) rooms: HashMap<ShortRoomId, Option<RoomTold>>,
    /// Lists and subscriptions.
    pub(super) rules: RulesTold,
    /// True when global account data has been told.
    pub(super) account_data: bool,
    /// True when the threads that the user follows have been told.
    pub(super) subscriptions: bool,
    /// A hash of what was told of the device's keys.
    pub(super) keys: Option<u64>,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    id: u64,
    /// The number of the answer that the client is known to have.
    acknowledged: u64,
    told: ToldAll,
    /// The newest answer, which the client may have.
    sent: Option<(u64, News)>,
    answers: u64,
    turn: u64,
    bytes: usize,
}

/// What a client is known to know.
#[derive(Debug, Default)]
pub(super) struct ToldAll {
    /// Up to where; `None` before the first answer.
    pub(super) until: Option<SyncToken>,
    /// By room.
    pub(super) rooms: HashMap<ShortRoomId, RoomTold>,
    /// Lists and subscriptions.
    pub(super) rules: RulesTold,
    /// True when global account data has been told.
    pub(super) account_data: bool,
    /// True when the threads that the user follows have been told.
    pub(super) subscriptions: bool,
    /// A hash of what was told of the device's keys; `None` if that was not asked for.
    pub(super) keys: Option<u64>,
    /// The wanted states that rooms share.
    required: Vec<Arc<RequiredState>>,
}

impl ToldAll {
    /// The same wanted state, shared with the rooms that have it already.
    pub(super) fn shared(&self, required: RequiredState) -> Arc<RequiredState> {
        let known = self.required.iter().find(|known| ***known == required);
        known.cloned().unwrap_or_else(|| Arc::new(required))
    }

    fn remember(&mut self, required: &Arc<RequiredState>) {
        if !self.required.iter().any(|known| Arc::ptr_eq(known, required)) {
            if self.required.len() >= limits::REQUIRED_STATES_SHARED_MAX {
                self.required.remove(0);
            }
            self.required.push(required.clone());
        }
    }

    /// Applies an answer; how the bytes have changed.
    fn apply(&mut self, news: News) -> (usize, usize) {
        let (mut added, mut removed) = (0, 0);
        for (room, told) in news.rooms {
            let before = match told {
                Some(told) => {
                    added += told.bytes();
                    self.remember(&told.required);
                    self.rooms.insert(room, told)
                }
                None => self.rooms.remove(&room),
            };
            removed += before.map_or(0, |before| before.bytes());
        }
        self.until = Some(news.until);
        self.rules = news.rules;
        self.account_data |= news.account_data;
        // Who left it out of a request is told all of it again.
        self.subscriptions = news.subscriptions;
        self.keys = news.keys;
        (added, removed)
    }
}

impl Connection {
    /// A new one, with a random number that no other has.
    pub(super) fn new(id: u64) -> Self {
        Self {
            id,
            acknowledged: 0,
            told: ToldAll::default(),
            sent: None,
            answers: 0,
            turn: 0,
            bytes: limits::CONNECTION_BYTES,
        }
    }

    /// What the client knows.
    pub(super) fn told(&self) -> &ToldAll {
        &self.told
    }

    /// Takes note of the answer that the client has. [`SyncError::UnknownPosition`] if it is none of the two that
    /// it can have.
    pub(super) fn acknowledge(&mut self, pos: SlidingToken) -> Result<(), SyncError> {
        if pos.connection != self.id {
            return Err(SyncError::UnknownPosition);
        }
        match self.sent.take() {
            Some((number, news)) if number == pos.answer => {
                let (added, removed) = self.told.apply(news);
                self.bytes = (self.bytes + added).saturating_sub(removed);
                self.acknowledged = number;
                Ok(())
            }
            // The last answer was lost: it is made anew.
            _ if pos.answer == self.acknowledged && pos.answer > 0 => Ok(()),
            sent => {
                self.sent = sent;
                Err(SyncError::UnknownPosition)
            }
        }
    }

    /// Gives the turn to a request, and so takes it from the one before.
    pub(super) fn next_turn(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }

    /// True while no other request has come.
    pub(super) fn has_turn(&self, turn: u64) -> bool {
        self.turn == turn
    }

    /// Takes over what a look has found; the `pos` that the client gets. A look that found nothing to tell
    /// changes only from where the next one starts.
    pub(super) fn answer(&mut self, news: News, is_news: bool) -> SlidingToken {
        let told = news.until;
        if is_news || self.acknowledged == 0 {
            self.answers += 1;
            self.sent = Some((self.answers, news));
            return SlidingToken { told, connection: self.id, answer: self.answers };
        }
        let (added, removed) = self.told.apply(news);
        self.bytes = (self.bytes + added).saturating_sub(removed);
        SlidingToken { told, connection: self.id, answer: self.acknowledged }
    }

    /// About how many bytes it takes. An answer that is not acknowledged counts as if it were.
    pub(super) fn bytes(&self) -> usize {
        let sent = self.sent.iter().flat_map(|(_, news)| news.rooms.values().flatten());
        let required = self.told.required.iter().map(|required| required.bytes());
        self.bytes + sent.map(RoomTold::bytes).sum::<usize>() + required.sum::<usize>()
    }
}
