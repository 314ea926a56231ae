//! One look for news: what changed, which rooms that means, what is told of each.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::PoisonError,
};

use ruma::OwnedUserId;

use super::{
    Inner, SlidingRequest,
    connection::{Connection, News, RoomTold, ToldAll},
    response::SlidingResponse,
    rules::{Matches, RoomRule, Rules},
    user_rooms::RoomChanges,
};
use crate::{
    rooms::{SyncToken, Viewer},
    storage::{Read, ShortRoomId, StreamPosition, records::MembershipRow, tables::MEMBERSHIPS},
    sync::{
        SyncError,
        v3::{SyncSources, SyncV3},
        window::Span,
    },
    users::{AccountData, ignored_users},
};

/// A look.
pub(super) struct Look<'a> {
    pub(super) inner: &'a Inner,
    pub(super) sync: &'a SyncV3,
    pub(super) request: &'a SlidingRequest,
    pub(super) told: &'a ToldAll,
    /// Up to where was told before.
    pub(super) since: Option<SyncToken>,
    /// Up to where is told now.
    pub(super) until: SyncToken,
    pub(super) ignored: HashSet<OwnedUserId>,
    pub(super) changes: Changes,
}

/// What happened in the span of a look.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// To rooms and to the user.
    pub(super) of_user: RoomChanges,
    /// Rooms where the list of typists has changed.
    pub(super) typing: BTreeSet<ShortRoomId>,
}

/// A room to be looked at.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) room: ShortRoomId,
    pub(super) rule: RoomRule,
    pub(super) row: MembershipRow,
    pub(super) is_direct: bool,
    /// False for a room that left the user's lists and is told of for the last time.
    pub(super) stays: bool,
}

impl<'a> Look<'a> {
    /// Reads what changed since the connection's last answer that its client is known to have.
    pub(super) fn new(
        inner: &'a Inner,
        request: &'a SlidingRequest,
        connection: &'a Connection,
        until: SyncToken,
    ) -> Result<Self, SyncError> {
        let sources = inner.sync.sources();
        let told = connection.told();
        let since = told.until.map(|since| SyncToken::new(since.position.min(until.position), since.typing));
        let mut look = Self {
            inner,
            sync: &inner.sync,
            request,
            told,
            since,
            until,
            ignored: ignored_users(&sources.storage, request.viewer.user, &request.viewer.user_id)?,
            changes: Changes::default(),
        };
        if let Some(since) = since {
            look.changes.of_user = look.changes_since(since.position)?;
            look.changes.typing = sources.typing.rooms_since(since.typing).into_iter().collect();
        }
        Ok(look)
    }

    pub(super) fn sources(&self) -> &'a SyncSources {
        self.sync.sources()
    }

    pub(super) fn viewer(&self) -> &'a Viewer {
        &self.request.viewer
    }

    /// Where the last answer ended; the beginning if there was none.
    pub(super) fn last(&self) -> StreamPosition {
        self.since.map(|since| since.position).unwrap_or_default()
    }

    fn changes_since(&self, since: StreamPosition) -> Result<RoomChanges, SyncError> {
        let until = self.until.position;
        if since >= until {
            return Ok(RoomChanges::default());
        }
        let (changed, user) = (self.sync.changed_rooms(), self.viewer().user);
        let own = changed.own_changes(user, Span { since: Some(since), until })?;
        Ok(RoomChanges {
            rooms: changed.on_server(since)?,
            own: own.into_keys().collect(),
            account_data: AccountData::changed_since(&self.sources().storage, user, since, until)?,
        })
    }

    /// The answer, what it changes of what was told, and whether it is worth sending before the time is over.
    pub(super) fn run(self) -> Result<(SlidingResponse, News, bool), SyncError> {
        let mut news = News { until: self.until, ..News::default() };
        let mut response = SlidingResponse::default();
        let (visits, matches) = self.visits()?;
        news.rules = matches.told;
        for visit in &visits {
            if visit.row.position > self.until.position {
                // What the user is to the room has changed while this reads. The next look tells.
                news.rules.complete = false;
                continue;
            }
            let told = self.visit(visit, &mut response)?;
            news.rooms.insert(visit.room, told);
        }
        self.leave_behind(&mut news.rooms);
        let (keys, has_encryption_news) = self.encryption(&mut response.extensions)?;
        news.keys = keys;
        news.account_data = self.global_account_data(&mut response.extensions)?;
        news.subscriptions = self.thread_subscriptions(&mut response.extensions)?;
        self.sticky_events(&mut response)?;
        response.lists.clone_from(&news.rules.lists);
        let is_news = self.since.is_none()
            || !response.rooms.is_empty()
            || !response.extensions.is_empty()
            || has_encryption_news
            || self.told.rules.lists != news.rules.lists;
        Ok((response, news, is_news))
    }

    /// The rooms to look at.
    fn visits(&self) -> Result<(Vec<Visit>, Matches), SyncError> {
        let sources = self.sources();
        let body = &self.request.body;
        if body.lists.is_empty() && body.room_subscriptions.is_empty() && self.told.rooms.is_empty() {
            // As Element X asks for what encryption needs: no order of rooms is read for it.
            return Ok((Vec::new(), Matches::default()));
        }
        let changed = self.changed_rooms();
        let mut rules = Rules::new(body, self.viewer(), self.told, sources)?;
        let user_rooms = self.inner.user_rooms.of_user(self.viewer().user);
        let mut user_rooms = user_rooms.lock().unwrap_or_else(PoisonError::into_inner);
        self.bring_up_to_date(&mut user_rooms)?;
        let matches = rules.walk(&mut user_rooms, sources, &changed)?;
        let mut wanted: BTreeMap<ShortRoomId, (RoomRule, bool)> = BTreeMap::new();
        let candidates: BTreeSet<_> = matches.rooms().chain(rules.subscriptions()).collect();
        for room in candidates {
            let Some(rule) = rules.of_room(&matches, room) else { continue };
            let told = self.told.rooms.get(&room);
            let is_direct = user_rooms.is_direct(room);
            let worthwhile = changed.contains(&room)
                || rule.wants_more_than(told)
                || told.is_some_and(|told| told.is_dm != is_direct);
            if worthwhile {
                wanted.insert(room, (rule, true));
            }
        }
        for room in &self.changes.of_user.own {
            if user_rooms.get(*room).is_none()
                && !wanted.contains_key(room)
                && let Some(rule) = rules.of_departed(*room)
            {
                wanted.insert(*room, (rule, false));
            }
        }
        let keys: Vec<_> = wanted.keys().map(|room| (self.viewer().user, *room)).collect();
        let rows = sources.storage.get_many(&MEMBERSHIPS, &keys)?;
        let visits = wanted.into_iter().zip(rows).filter_map(|((room, (rule, stays)), row)| {
            let stays = stays && (user_rooms.get(room).is_some() || rules.is_subscribed(room));
            Some(Visit { room, rule, row: row?, is_direct: user_rooms.is_direct(room), stays })
        });
        Ok((visits.collect(), matches))
    }

    /// Brings the order of the user's rooms up to this look, if it is not there or beyond.
    fn bring_up_to_date(&self, user_rooms: &mut super::user_rooms::UserRooms) -> Result<(), SyncError> {
        let until = self.until.position;
        let known = user_rooms.position();
        if known.is_some_and(|known| known >= until) {
            return Ok(());
        }
        let viewer = self.viewer();
        let cache = &self.inner.user_rooms;
        if known.is_some() && known == self.since.map(|since| since.position) {
            user_rooms.update(self.sources(), cache, viewer, &self.changes.of_user, until)?;
        } else {
            let changes =
                known.map_or_else(|| Ok(RoomChanges::default()), |known| self.changes_since(known))?;
            user_rooms.update(self.sources(), cache, viewer, &changes, until)?;
        }
        cache.used(viewer.user, user_rooms.bytes());
        Ok(())
    }

    /// All rooms that something about has changed, for the user or for everybody.
    fn changed_rooms(&self) -> BTreeSet<ShortRoomId> {
        let Changes { of_user, typing } = &self.changes;
        let with_data = of_user.account_data.iter().filter_map(|entry| entry.room);
        of_user.rooms.iter().chain(&of_user.own).chain(typing).copied().chain(with_data).collect()
    }

    /// Remembers of rooms that have changed and are not told of where they stopped.
    fn leave_behind(&self, rooms: &mut HashMap<ShortRoomId, Option<RoomTold>>) {
        let of_user = &self.changes.of_user;
        let with_data = of_user.account_data.iter().filter_map(|entry| entry.room);
        for room in of_user.rooms.iter().chain(&of_user.own).copied().chain(with_data) {
            if rooms.contains_key(&room) {
                continue;
            }
            let Some(told) = self.told.rooms.get(&room) else { continue };
            let last = self.last();
            let behind = RoomTold {
                events: told.events.fallen_behind(last),
                account_data: told.account_data.fallen_behind(last),
                receipts: told.receipts.fallen_behind(last),
                ..told.clone()
            };
            rooms.insert(room, Some(behind));
        }
    }
}
