//! A request's lists and single rooms: which rooms they mean now, and what is wanted of each.
//!
//! Rooms are found by walking the user's order in memory, never in the store. After a complete walk, with the
//! same lists over the same set of rooms and ranges that start at the top, only rooms that have changed can
//! come into a range: then the walk ends when those are found, which stand at the top.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use ruma::OwnedRoomId;

use super::{
    connection::{RulesTold, Told, ToldAll},
    filters::Filter,
    request::{ListRequest, RoomExtension, SlidingBody},
    required_state::RequiredState,
    response::ListResult,
    user_rooms::UserRooms,
};
use crate::{
    rooms::{RoomError, Viewer},
    storage::{Read, ShortRoomId},
    sync::v3::SyncSources,
};

/// The lists that a room is in, a bit each, in the order of their names.
type ListSet = u128;

/// Rooms to look at, by what brought them there.
#[derive(Debug, Default)]
pub(super) struct Matches {
    /// Within a range of these lists.
    lists: HashMap<ShortRoomId, ListSet>,
    /// What is to be remembered of the lists.
    pub(super) told: RulesTold,
}

/// What is wanted of one room.
#[derive(Debug, Clone)]
pub(super) struct RoomRule {
    /// State events.
    pub(super) required: Arc<RequiredState>,
    /// The most events of the timeline.
    pub(super) timeline_limit: usize,
    /// True when account data is wanted.
    pub(super) account_data: bool,
    /// True when receipts are wanted.
    pub(super) receipts: bool,
    /// True when it is wanted who is typing.
    pub(super) typing: bool,
}

/// A request's rules.
pub(super) struct Rules<'a> {
    body: &'a SlidingBody,
    viewer: &'a Viewer,
    told: &'a ToldAll,
    subscriptions: BTreeMap<ShortRoomId, &'a OwnedRoomId>,
    /// Rules that were put together before, by lists and single room.
    combined: HashMap<(ListSet, Option<ShortRoomId>), RoomRule>,
}

impl<'a> Rules<'a> {
    /// Of a request. Single rooms that this server has never heard of are not looked at.
    pub(super) fn new(
        body: &'a SlidingBody,
        viewer: &'a Viewer,
        told: &'a ToldAll,
        sources: &SyncSources,
    ) -> Result<Self, RoomError> {
        let mut subscriptions = BTreeMap::new();
        for room_id in body.room_subscriptions.keys() {
            if let Some(room) = sources.storage.short_room_id(room_id)? {
                subscriptions.insert(room, room_id);
            }
        }
        Ok(Self { body, viewer, told, subscriptions, combined: HashMap::new() })
    }

    /// The single rooms.
    pub(super) fn subscriptions(&self) -> impl Iterator<Item = ShortRoomId> + '_ {
        self.subscriptions.keys().copied()
    }

    /// True when this is one of the single rooms.
    pub(super) fn is_subscribed(&self, room: ShortRoomId) -> bool {
        self.subscriptions.contains_key(&room)
    }

    /// Walks the lists. Of the rooms within their ranges, those are found that may have something to tell.
    pub(super) fn walk(
        &self,
        rooms: &mut UserRooms,
        sources: &SyncSources,
        changed: &BTreeSet<ShortRoomId>,
    ) -> Result<Matches, RoomError> {
        let mut hasher = DefaultHasher::new();
        self.hash_request(&mut hasher);
        let mut filters = Vec::with_capacity(self.body.lists.len());
        for list in self.body.lists.values() {
            filters.push(Filter::new(list.filters.as_ref(), rooms, sources, self.viewer, &mut hasher)?);
        }
        let told = &self.told.rules;
        let hash = hasher.finish();
        let are_new = hash != told.hash || rooms.version() != told.rooms_version || !told.complete;
        let mut matches = Matches {
            lists: HashMap::new(),
            told: RulesTold { hash, rooms_version: rooms.version(), complete: true, lists: BTreeMap::new() },
        };
        for (number, ((name, list), filter)) in self.body.lists.iter().zip(&filters).enumerate() {
            let walk = Walk { rooms, sources, filter, list, changed, told: self.told, bit: 1 << number };
            let count = match told.lists.get(name).filter(|_| !are_new) {
                Some(known) => {
                    walk.for_changes(&mut matches.lists);
                    known.count
                }
                None => walk.whole(&mut matches.lists),
            };
            matches.told.lists.insert(name.clone(), ListResult { count });
        }
        Ok(matches)
    }

    fn hash_request(&self, hasher: &mut DefaultHasher) {
        let room = |room: &super::request::RoomRequest, hasher: &mut DefaultHasher| {
            (&room.required_state, room.timeline_limit).hash(hasher);
        };
        for (name, list) in &self.body.lists {
            (name, &list.ranges).hash(hasher);
            room(&list.room, hasher);
            list.filters.hash(hasher);
        }
        for (room_id, subscription) in &self.body.room_subscriptions {
            room_id.hash(hasher);
            room(subscription, hasher);
        }
        let extensions = &self.body.extensions;
        (&extensions.account_data, &extensions.receipts, &extensions.typing).hash(hasher);
    }

    /// What is wanted of a room; `None` when no rule means it.
    pub(super) fn of_room(&mut self, matches: &Matches, room: ShortRoomId) -> Option<RoomRule> {
        let lists = matches.lists.get(&room).copied().unwrap_or_default();
        let subscription = self.subscriptions.get(&room).map(|_| room);
        if lists == 0 && subscription.is_none() {
            return None;
        }
        if let Some(rule) = self.combined.get(&(lists, subscription)) {
            return Some(rule.clone());
        }
        let rule = self.combine(lists, subscription);
        self.combined.insert((lists, subscription), rule.clone());
        Some(rule)
    }

    /// What is wanted of a room that left all lists: as much as the last time.
    pub(super) fn of_departed(&self, room: ShortRoomId) -> Option<RoomRule> {
        let told = self.told.rooms.get(&room)?;
        Some(RoomRule {
            required: told.required.clone(),
            timeline_limit: told.timeline_limit,
            account_data: false,
            receipts: false,
            typing: false,
        })
    }

    fn combine(&self, lists: ListSet, subscription: Option<ShortRoomId>) -> RoomRule {
        let in_lists: Vec<(&String, &ListRequest)> = self
            .body
            .lists
            .iter()
            .enumerate()
            .filter(|(number, _)| lists & (1 << number) != 0)
            .map(|(_, list)| list)
            .collect();
        let room_id = subscription.and_then(|room| self.subscriptions.get(&room).copied());
        let wanted = in_lists
            .iter()
            .map(|(_, list)| &list.room)
            .chain(room_id.and_then(|room_id| self.body.room_subscriptions.get(room_id)));
        let mut required = RequiredState::default();
        let mut timeline_limit = 0;
        for room in wanted {
            required.merge(&room.required_state(&self.viewer.user_id));
            timeline_limit = timeline_limit.max(room.timeline_limit());
        }
        let takes = |extension: &RoomExtension| {
            extension.is_enabled()
                && (in_lists.iter().any(|(name, _)| extension.takes_list(name))
                    || room_id.is_some_and(|room_id| extension.takes_room(room_id.as_str())))
        };
        let extensions = &self.body.extensions;
        RoomRule {
            required: self.told.shared(required),
            timeline_limit,
            account_data: takes(&extensions.account_data),
            receipts: takes(&extensions.receipts),
            typing: takes(&extensions.typing),
        }
    }
}

impl Matches {
    /// The rooms that lists mean.
    pub(super) fn rooms(&self) -> impl Iterator<Item = ShortRoomId> + '_ {
        self.lists.keys().copied()
    }
}

impl RoomRule {
    /// True when a room of which nothing new happened may have something to tell all the same.
    pub(super) fn wants_more_than(&self, told: Option<&super::connection::RoomTold>) -> bool {
        let Some(told) = told else { return true };
        told.events != Told::Live
            || (self.account_data && told.account_data != Told::Live)
            || (self.receipts && told.receipts != Told::Live)
            || (self.timeline_limit > told.timeline_limit && self.timeline_limit > told.timeline_known)
            || (!Arc::ptr_eq(&self.required, &told.required) && self.required.exceeds(&told.required))
    }
}

/// A walk through one list.
struct Walk<'a> {
    rooms: &'a UserRooms,
    sources: &'a SyncSources,
    filter: &'a Filter<'a>,
    list: &'a ListRequest,
    changed: &'a BTreeSet<ShortRoomId>,
    told: &'a ToldAll,
    bit: ListSet,
}

impl Walk<'_> {
    /// All rooms of the list: those within its ranges are found, the others counted.
    fn whole(&self, found: &mut HashMap<ShortRoomId, ListSet>) -> u64 {
        let mut count = 0;
        for (room, entry) in self.rooms.newest_first() {
            if self.filter.takes(self.rooms, room, entry, self.sources) {
                if self.has(count) {
                    *found.entry(room).or_default() |= self.bit;
                }
                count += 1;
            }
        }
        count
    }

    /// The rooms that can have come into a range, or have changed within one, since the last complete walk.
    fn for_changes(&self, found: &mut HashMap<ShortRoomId, ListSet>) {
        let last = match self.list.ranges.as_deref() {
            None => u64::MAX,
            Some(ranges) => match ranges.iter().map(|(_, last)| *last).max() {
                Some(last) => last,
                None => return,
            },
        };
        let starts_at_top = self.list.ranges.as_deref().is_none_or(|ranges| matches!(ranges, [(0, _)]));
        let mut sought: HashSet<ShortRoomId> =
            self.changed.iter().copied().filter(|room| self.rooms.get(*room).is_some()).collect();
        let mut place = 0;
        for (room, entry) in self.rooms.newest_first() {
            if place > last || (starts_at_top && sought.is_empty()) {
                return;
            }
            let has_changed = sought.remove(&room);
            if !self.filter.takes(self.rooms, room, entry, self.sources) {
                continue;
            }
            if self.has(place) && (has_changed || self.is_behind(room)) {
                *found.entry(room).or_default() |= self.bit;
            }
            place += 1;
        }
    }

    fn is_behind(&self, room: ShortRoomId) -> bool {
        self.told.rooms.get(&room).is_none_or(|told| told.events != Told::Live)
    }

    fn has(&self, place: u64) -> bool {
        let ranges = self.list.ranges.as_deref();
        ranges.is_none_or(|ranges| ranges.iter().any(|(first, last)| (*first..=*last).contains(&place)))
    }
}
