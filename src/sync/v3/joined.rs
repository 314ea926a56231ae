//! Rooms that the user is in.

use ruma::RoomId;

use super::{
    Session, SyncError,
    ephemeral::account_data_events,
    response::{EventJson, JoinedRoom, State, StateUpTo, Summary, UnreadCounts},
};
use crate::{
    matrix::Event,
    push::RoomUnread,
    rooms::{EventForm, RoomView, sticky_events},
    storage::{Read, ShortEventId, ShortRoomId, ShortStateKeyId, ShortUserId, StreamPosition},
    sync::{
        filter::LazyLoading,
        state_changes::{Extent, StateChanges, StateEntries, state_changes},
        summary::MemberSummary,
        window::{Span, Window},
    },
    users::{AccountData, AccountDataEntry},
};

/// How much of a room is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All: the client does not know the room.
    Whole,
    /// What came after a position.
    News(StreamPosition),
    /// What came after a position, with the whole state.
    NewsAndFullState(StreamPosition),
}

impl Part {
    fn since(self) -> Option<StreamPosition> {
        match self {
            Self::Whole => None,
            Self::News(since) | Self::NewsAndFullState(since) => Some(since),
        }
    }
}

impl Session<'_> {
    /// One room. `data` is the user's account data of the room that changed.
    pub(super) fn joined(
        &self,
        room: ShortRoomId,
        room_id: &RoomId,
        part: Part,
        data: Vec<AccountDataEntry>,
    ) -> Result<JoinedRoom, SyncError> {
        let view = self.sources.visibility.view(self.viewer(), room)?;
        let span = Span { since: part.since(), until: self.until() };
        let mut window = self.window(&view, room_id, span)?;
        // A client that knew the room before must not take this for what follows what it has: as Synapse does.
        window.limited |= part == Part::Whole && self.since.is_some();
        let extent = Extent {
            full: !matches!(part, Part::News(_)),
            members: !self.filter().members.is_on(),
            at_end: self.request.state_up_to != StateUpTo::TimelineStart,
        };
        let mut changes = state_changes(&self.sources.states, &window, extent)?;
        let summary = self.summary(room, &window, &changes, extent)?;
        let heroes = summary.as_ref().and_then(|summary| summary.heroes.as_deref()).unwrap_or_default();
        if self.filter().members.is_on() {
            self.add_lazy_members(&mut changes.entries, room, &window, extent, heroes)?;
        }
        let mut joined = JoinedRoom {
            summary: summary.map(shown_summary).unwrap_or_default(),
            state: State::new(self.request.state_up_to, self.state_events(&view, room_id, &changes.entries)?),
            timeline: self.timeline(&view, &window)?,
            account_data: self.room_account_data(room, room_id, part, data)?.into(),
            ..JoinedRoom::default()
        };
        joined.sticky = self.sticky_events(&view, &window, span)?.into();
        let (ephemeral, has_read) = self.ephemeral(room, room_id, part.since())?;
        joined.ephemeral = ephemeral.into();
        if window.has_rows || has_read || extent.full {
            self.add_unread(&mut joined, self.sources.unread.of_room(self.viewer(), room, self.until())?)?;
        }
        Ok(joined)
    }

    /// The sticky events of a span that the window does not show, whatever the filter says.
    fn sticky_events(
        &self,
        view: &RoomView<'_>,
        window: &Window,
        span: Span,
    ) -> Result<Vec<EventJson>, SyncError> {
        let span = (span.since.unwrap_or_default(), span.until);
        let now_ms = self.sources.client_events.now_ms();
        let mut events = Vec::new();
        for (_, short) in sticky_events(&self.sources.storage, view.room(), span, now_ms)? {
            if window.events.iter().any(|shown| shown.short() == short) {
                continue;
            }
            let Some(event) = view.sticky_event(short)? else { continue };
            if !self.ignored.contains(event.event().sender()) {
                events.push(self.presenter.write(view, &event, EventForm::SYNC_TIMELINE)?);
            }
        }
        Ok(events)
    }

    /// The newest events of a span that the filter wants, without those of ignored users.
    pub(super) fn window(
        &self,
        view: &RoomView<'_>,
        room_id: &RoomId,
        span: Span,
    ) -> Result<Window, SyncError> {
        let filter = self.filter();
        let takes_room = filter.timeline.allows_room(room_id);
        let is_wanted = |event: &Event| {
            takes_room
                && filter.timeline.allows(event)
                && (event.is_state() || !self.ignored.contains(event.sender()))
        };
        let limit = filter.timeline_limit();
        Ok(self.inner.windows.read(view, span, limit, is_wanted)?)
    }

    /// State entries as the filter wants them.
    pub(super) fn state_events(
        &self,
        view: &RoomView<'_>,
        room_id: &RoomId,
        entries: &StateEntries,
    ) -> Result<Vec<EventJson>, SyncError> {
        let filter = &self.filter().state;
        if !filter.allows_room(room_id) {
            return Ok(Vec::new());
        }
        let mut events = Vec::with_capacity(entries.len());
        for short in entries.values() {
            let Some(event) = view.state_event(*short)? else { continue };
            if filter.allows(event.event()) {
                events.push(self.presenter.write(view, &event, EventForm::SYNC_STATE)?);
            }
        }
        Ok(events)
    }

    /// The room's summary, if it may have changed.
    fn summary(
        &self,
        room: ShortRoomId,
        window: &Window,
        changes: &StateChanges,
        extent: Extent,
    ) -> Result<Option<MemberSummary>, SyncError> {
        let summaries = &self.inner.summaries;
        let may_have_changed = extent.full
            || changes.changes_members()
            || (!changes.changed.is_empty()
                && summaries.name_keys()?.iter().any(|key| changes.changed.contains(key)));
        if !may_have_changed {
            return Ok(None);
        }
        Ok(Some(summaries.read(room, window.state_end, self.viewer().user)?))
    }

    /// Adds the members that a client which loads them lazily needs: of senders in the timeline, of heroes,
    /// and the user's own if the client does not know the room.
    pub(super) fn add_lazy_members(
        &self,
        entries: &mut StateEntries,
        room: ShortRoomId,
        window: &Window,
        extent: Extent,
        heroes: &[(ShortUserId, ruma::OwnedUserId)],
    ) -> Result<(), SyncError> {
        let senders = window.events.iter().map(|event| event.meta().sender);
        let own = extent.full.then_some(self.viewer().user);
        let wanted: std::collections::BTreeSet<_> = senders
            .chain(heroes.iter().map(|(user, _)| *user))
            .chain(own)
            .map(ShortStateKeyId::member)
            .collect();
        let wanted: Vec<_> = wanted.into_iter().filter(|key| !entries.contains_key(key)).collect();
        let state = if extent.at_end { window.state_end } else { window.state_before };
        let events = self.sources.states.get_many(state, &wanted)?;
        let redundant = self.filter().members == LazyLoading::Redundant || extent.full;
        for (key, event) in wanted.into_iter().zip(events) {
            let (Some(user), Some(event)) = (key.as_member(), event) else { continue };
            if redundant || !self.members.knows(room, user, event) {
                entries.insert(key, event);
            }
        }
        self.remember_members(room, window, entries);
        Ok(())
    }

    fn remember_members(&self, room: ShortRoomId, window: &Window, entries: &StateEntries) {
        let tell = |key: ShortStateKeyId, event: ShortEventId| {
            if let Some(user) = key.as_member() {
                self.members.tell(room, user, event);
            }
        };
        entries.range(ShortStateKeyId::FIRST_MEMBER..).for_each(|(key, event)| tell(*key, *event));
        for event in window.events.iter().filter(|event| event.event().event_type() == "m.room.member") {
            let member = event.event().state_key().and_then(|key| <&ruma::UserId>::try_from(key).ok());
            // A user without a short id has no member event; one whose id can't be read is told again.
            if let Some(Ok(Some(user))) = member.map(|user| self.sources.storage.short_user_id(user)) {
                self.members.tell(room, user, event.short());
            }
        }
    }

    fn room_account_data(
        &self,
        room: ShortRoomId,
        room_id: &RoomId,
        part: Part,
        changed: Vec<AccountDataEntry>,
    ) -> Result<Vec<EventJson>, SyncError> {
        let filter = &self.filter().room_account_data;
        if !filter.allows_room(room_id) {
            return Ok(Vec::new());
        }
        let data = match part {
            Part::Whole => AccountData::in_room(&self.sources.storage, self.viewer().user, room)?,
            Part::News(_) | Part::NewsAndFullState(_) => changed,
        };
        Ok(account_data_events(&data, filter)?)
    }

    fn add_unread(&self, joined: &mut JoinedRoom, unread: RoomUnread) -> Result<(), SyncError> {
        if !self.filter().thread_counts {
            joined.unread_notifications = Some(shown_counts(unread.total()));
            return Ok(());
        }
        joined.unread_notifications = Some(shown_counts(unread.main));
        for (root, counts) in unread.threads {
            let root = self.sources.storage.event_id(root)?;
            joined.unread_thread_notifications.insert(root, shown_counts(counts));
        }
        Ok(())
    }
}

fn shown_counts(counts: crate::push::Counts) -> UnreadCounts {
    UnreadCounts { notification_count: counts.notify, highlight_count: counts.highlight }
}

fn shown_summary(summary: MemberSummary) -> Summary {
    Summary {
        heroes: summary.heroes.map(|heroes| heroes.into_iter().map(|(_, user_id)| user_id).collect()),
        joined_member_count: Some(summary.joined),
        invited_member_count: Some(summary.invited),
    }
}
