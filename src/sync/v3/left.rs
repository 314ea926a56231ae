//! Rooms that the user has left: what was to be seen until then.

use ruma::RoomId;

use super::{
    Session, SyncError,
    ephemeral::account_data_events,
    response::{LeftRoom, State, StateUpTo, Timeline},
};
use crate::{
    rooms::{EventForm, RoomView},
    storage::{ShortEventId, ShortRoomId, StreamPosition, records::Membership},
    sync::{
        changed_rooms::OwnChange,
        state_changes::{Extent, state_changes},
        window::{Span, Window},
    },
    users::AccountData,
};

impl Session<'_> {
    /// A room whose last change in the span was that the user left it, was removed or banned, or that an
    /// invite or knock came to nothing.
    pub(super) fn left(
        &self,
        room: ShortRoomId,
        room_id: &RoomId,
        since: StreamPosition,
        changes: &[OwnChange],
    ) -> Result<Option<LeftRoom>, SyncError> {
        let view = self.sources.visibility.view(self.viewer(), room)?;
        let mut left =
            LeftRoom { state: State::new(self.request.state_up_to, Vec::new()), ..LeftRoom::default() };
        let end_of_stay = changes.iter().rposition(|change| change.before == Some(Membership::Join));
        if let Some((at, end)) = end_of_stay.and_then(|at| Some((at, changes.get(at)?))) {
            // Who was in the room all the time until then knows what came before.
            let since = Some(since).filter(|_| at == 0);
            let span = Span { since, until: end.position };
            self.add_stay(&mut left, &view, room_id, span)?;
        }
        self.add_own_event(&mut left, &view, changes)?;
        Ok(Some(left))
    }

    /// A room that the user left before the first answer; `None` if nothing of it may be seen.
    pub(super) fn left_long_ago(
        &self,
        room: ShortRoomId,
        room_id: &RoomId,
    ) -> Result<Option<LeftRoom>, SyncError> {
        let view = self.sources.visibility.view(self.viewer(), room)?;
        let Some(row) = view.membership() else { return Ok(None) };
        let mut left = LeftRoom::default();
        self.add_stay(&mut left, &view, room_id, Span { since: None, until: row.position })?;
        // The filter may want no events: the state tells how the room was left.
        if !view.was_joined() && left.timeline.events.is_empty() {
            return Ok(None);
        }
        if self.filter().room_account_data.allows_room(room_id) {
            let data = AccountData::in_room(&self.sources.storage, self.viewer().user, room)?;
            left.account_data = account_data_events(&data, &self.filter().room_account_data)?.into();
        }
        Ok(Some(left))
    }

    fn add_stay(
        &self,
        left: &mut LeftRoom,
        view: &RoomView<'_>,
        room_id: &RoomId,
        span: Span,
    ) -> Result<(), SyncError> {
        let window = self.window(view, room_id, span)?;
        let extent = Extent {
            full: span.since.is_none() || self.request.full_state,
            members: !self.filter().members.is_on(),
            at_end: self.request.state_up_to != StateUpTo::TimelineStart,
        };
        let mut changes = state_changes(&self.sources.states, &window, extent)?;
        if self.filter().members.is_on() {
            self.add_lazy_members(&mut changes.entries, view.room(), &window, extent, &[])?;
        }
        let state = self.state_events(view, room_id, &changes.entries)?;
        left.state = State::new(self.request.state_up_to, state);
        left.timeline = self.timeline(view, &window)?;
        Ok(())
    }

    /// The member event that ended it, if the timeline does not hold it already: the user must learn of it
    /// even where nothing else of the room may be seen.
    fn add_own_event(
        &self,
        left: &mut LeftRoom,
        view: &RoomView<'_>,
        changes: &[OwnChange],
    ) -> Result<(), SyncError> {
        let Some(last) = changes.last() else { return Ok(()) };
        // One that is known out of band is no event of a timeline; it is looked for while it is the newest only.
        let is_last = |event: ShortEventId| last.event.is_none_or(|last| last == event);
        let Some(own) = view.own_member_event()?.filter(|own| is_last(own.short())) else {
            return Ok(());
        };
        let text = self.presenter.write(view, &own, EventForm::SYNC_TIMELINE)?;
        let is_there = left.timeline.events.last().is_some_and(|newest| newest.get() == text.get());
        if !is_there && self.filter().timeline.allows(own.event()) {
            left.timeline.events.push(text);
        }
        Ok(())
    }

    /// A window's events as the filter wants them.
    pub(super) fn timeline(&self, view: &RoomView<'_>, window: &Window) -> Result<Timeline, SyncError> {
        Ok(Timeline {
            events: self.presenter.write_all(view, &window.events, EventForm::SYNC_TIMELINE)?,
            limited: window.limited,
            prev_batch: window.before.map(|token| token.to_string()),
        })
    }
}
