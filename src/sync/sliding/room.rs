//! What is told of one room.

use std::collections::BTreeSet;

use super::{
    connection::{RoomTold, Told},
    look::{Look, Visit},
    required_state::Resolved,
    response::{Hero, RoomResult, SlidingResponse},
    stripped,
};
use crate::{
    matrix::Event,
    rooms::{EventForm, Receipts, RoomView, VisibleEvent},
    state::tree::StateRoot,
    storage::{
        Read, ShortRoomId, ShortStateKeyId, ShortUserId, StreamPosition,
        records::{Membership, ReceiptRow},
        tables::ROOM_ACTIVITY,
    },
    sync::{
        SyncError, limits,
        state_changes::StateEntries,
        v3::response::EventJson,
        window::{Span, Window},
    },
};

/// What a client gets to know of a joined or left room's history.
struct Part {
    /// The events that are new to the client.
    window: Window,
    /// With older ones, where the limit has grown.
    expanded: Option<Window>,
    /// What was told before of the same stay in the room.
    since: Option<StreamPosition>,
    /// The keys of the state that have changed.
    changed: BTreeSet<ShortStateKeyId>,
    /// State events to send.
    entries: StateEntries,
    /// Lazily loaded members that the client knows now.
    members: Vec<ShortUserId>,
}

impl Part {
    fn shown(&self) -> &Window {
        self.expanded.as_ref().unwrap_or(&self.window)
    }

    fn is_initial(&self) -> bool {
        self.since.is_none()
    }

    fn changes_members(&self) -> bool {
        self.changed.range(ShortStateKeyId::FIRST_MEMBER..).next().is_some()
    }

    /// How many of the newest events the client knows now.
    fn timeline_known(&self, before: Option<&RoomTold>) -> usize {
        let shown = self.shown();
        if shown.limited {
            return shown.events.len();
        }
        match before.filter(|_| self.expanded.is_none() && !self.is_initial()) {
            Some(before) => before.timeline_known.saturating_add(shown.events.len()),
            // All there is to see.
            None => usize::MAX,
        }
    }
}

impl Look<'_> {
    /// Looks at a room, adds what there is to tell of it, and answers with what has been told then; `None` for a
    /// room to be forgotten.
    pub(super) fn visit(
        &self,
        visit: &Visit,
        response: &mut SlidingResponse,
    ) -> Result<Option<RoomTold>, SyncError> {
        let before = self.told.rooms.get(&visit.room);
        let mut told = RoomTold {
            events: Told::Live,
            account_data: self.told_after(visit, before.map(|before| before.account_data)),
            receipts: self.told_after(visit, before.map(|before| before.receipts)),
            membership: visit.row.membership,
            is_dm: visit.is_direct,
            timeline_limit: visit.rule.timeline_limit,
            timeline_known: before.map_or(0, |before| before.timeline_known),
            required: visit.rule.required.clone(),
            members: Vec::new(),
        };
        let result = match visit.row.membership {
            Membership::Join => self.joined(visit, before, &mut told, response)?,
            Membership::Invite | Membership::Knock => self.not_yet_joined(visit, before)?,
            Membership::Leave | Membership::Ban => self.left(visit, before, &mut told)?,
        };
        self.room_account_data(visit, before, &mut told, response)?;
        if let Some(result) = result {
            response.rooms.insert(self.sources().storage.room_id(visit.room)?, result);
        }
        Ok(Some(told).filter(|_| visit.stays))
    }

    /// How far an extension has told of a room that it does not take now.
    fn told_after(&self, visit: &Visit, before: Option<Told>) -> Told {
        let before = before.unwrap_or_default();
        let of_user = &self.changes.of_user;
        let changed = of_user.rooms.contains(&visit.room)
            || of_user.account_data.iter().any(|entry| entry.room == Some(visit.room));
        if changed { before.fallen_behind(self.last()) } else { before }
    }

    /// A room that the user is in.
    fn joined(
        &self,
        visit: &Visit,
        before: Option<&RoomTold>,
        told: &mut RoomTold,
        response: &mut SlidingResponse,
    ) -> Result<Option<RoomResult>, SyncError> {
        let view = self.sources().visibility.view(self.viewer(), visit.room)?;
        let known = before.filter(|before| before.membership == Membership::Join);
        // Who came back gets the room anew.
        let since = known.and_then(|known| known.events.position(self.last()));
        let since = since.filter(|since| visit.row.position <= *since);
        let part = self.part(&view, visit, known, Span { since, until: self.until.position })?;
        let receipts = self.new_receipts(visit.room, since)?;
        let has_read = receipts.iter().any(|receipt| receipt.user == self.viewer().user);
        let mut result = self.common(&view, visit, known, &part)?;
        if part.is_initial() || part.changes_members() {
            self.add_summary(&view, visit.room, &part, &mut result)?;
        } else if self.changes_name(&part)? {
            self.add_summary(&view, visit.room, &part, &mut result)?;
            (result.joined_count, result.invited_count) = (None, None);
        }
        let is_empty = is_empty(&result);
        told.timeline_known = part.timeline_known(known);
        told.members.clone_from(&part.members);
        self.room_extensions(
            visit,
            before,
            told,
            &part.shown().events,
            &receipts,
            part.is_initial(),
            response,
        )?;
        if is_empty && !part.window.has_rows && !has_read {
            return Ok(None);
        }
        let unread = self.sources().unread.of_room(self.viewer(), visit.room, self.until.position)?.total();
        result.notification_count = Some(unread.notify);
        result.highlight_count = Some(unread.highlight);
        let activity = self.sources().storage.get(&ROOM_ACTIVITY, &visit.room)?.unwrap_or_default();
        let bumped = Some(activity.bumped).filter(|bumped| *bumped != StreamPosition::default());
        result.bump_stamp = Some(bumped.unwrap_or(visit.row.position).0);
        Ok(Some(result))
    }

    /// An invite or a knock: the stripped state, once.
    fn not_yet_joined(
        &self,
        visit: &Visit,
        before: Option<&RoomTold>,
    ) -> Result<Option<RoomResult>, SyncError> {
        let known = before.filter(|before| before.membership == visit.row.membership);
        let since = known.and_then(|known| known.events.position(self.last()));
        let is_known = since.is_some_and(|since| visit.row.position <= since);
        if is_known && known.is_some_and(|known| known.is_dm == visit.is_direct) {
            return Ok(None);
        }
        Ok(Some(RoomResult {
            initial: true,
            is_dm: visit.is_direct.then_some(true),
            invite_state: Some(stripped::events(self.sources(), self.viewer().user, visit.room)?),
            bump_stamp: Some(visit.row.position.0),
            ..RoomResult::default()
        }))
    }

    /// A room that the user has left, was removed or banned from: what was to be seen until then, once.
    fn left(
        &self,
        visit: &Visit,
        before: Option<&RoomTold>,
        told: &mut RoomTold,
    ) -> Result<Option<RoomResult>, SyncError> {
        let view = self.sources().visibility.view(self.viewer(), visit.room)?;
        let end = visit.row.position;
        let last = before.and_then(|before| before.events.position(self.last()));
        let was_told = before.is_some_and(|before| !is_in_or_near(before.membership));
        if was_told && last.is_some_and(|last| end <= last) {
            told.timeline_known = before.map_or(0, |before| before.timeline_known);
            return Ok(None);
        }
        let mut result = if view.was_joined() {
            let known = before.filter(|before| before.membership == Membership::Join);
            let since = known.and(last);
            let part = self.part(&view, visit, known, Span { since, until: end })?;
            told.timeline_known = part.timeline_known(known);
            self.common(&view, visit, known, &part)?
        } else if before.is_some() {
            // An invite or a knock that came to nothing.
            RoomResult { initial: true, ..RoomResult::default() }
        } else {
            return Ok(None);
        };
        // By this event clients know that the user is no longer there; it is the user's to see in any case.
        let Some(own) = view.last_own_member_event()? else { return Ok(None) };
        let own = self.write(&view, &own, EventForm::SYNC_STATE)?;
        if result.required_state.iter().all(|event| event.get() != own.get()) {
            result.required_state.push(own);
        }
        result.bump_stamp = Some(end.0);
        Ok(Some(result))
    }

    /// The part of a room's history that the client does not know.
    fn part(
        &self,
        view: &RoomView<'_>,
        visit: &Visit,
        known: Option<&RoomTold>,
        span: Span,
    ) -> Result<Part, SyncError> {
        let limit = visit.rule.timeline_limit;
        let window = self.window(view, span, limit)?;
        let grown = known.filter(|known| {
            span.since.is_some() && limit > known.timeline_limit && limit > known.timeline_known
        });
        let expanded = match grown {
            Some(_) => Some(self.window(view, Span { since: None, ..span }, limit)?)
                .filter(|whole| whole.events.len() > window.events.len()),
            None => None,
        };
        let mut part = Part {
            window,
            expanded,
            since: span.since,
            changed: BTreeSet::new(),
            entries: StateEntries::new(),
            members: Vec::new(),
        };
        let required = visit.rule.required.resolve(&self.sources().storage)?;
        match known.filter(|_| !part.is_initial()) {
            None => {
                part.entries = self.state_of(&required, part.window.state_end)?;
            }
            Some(known) => self.add_state_changes(&mut part, &required, known)?,
        }
        if required.required().lazy_members() {
            self.add_lazy_members(&mut part, known)?;
        }
        Ok(part)
    }

    fn window(&self, view: &RoomView<'_>, span: Span, limit: usize) -> Result<Window, SyncError> {
        let is_wanted = |event: &Event| event.is_state() || !self.ignored.contains(event.sender());
        Ok(self.sync.windows().read(view, span, limit, is_wanted)?)
    }

    fn state_of(&self, required: &Resolved<'_>, root: StateRoot) -> Result<StateEntries, SyncError> {
        Ok(required.of_state(&self.sources().storage, &self.sources().states, root)?)
    }

    fn add_state_changes(
        &self,
        part: &mut Part,
        required: &Resolved<'_>,
        known: &RoomTold,
    ) -> Result<(), SyncError> {
        let storage = &self.sources().storage;
        let end = part.window.state_end;
        let since = part.window.state_since.unwrap_or(end);
        let lazy = required.required().lazy_members() && !part.window.limited;
        for difference in self.sources().states.diff(since, end)? {
            part.changed.insert(difference.key);
            let Some(event) = difference.after else { continue };
            let is_wanted =
                (lazy && difference.key.as_member().is_some()) || required.wants(storage, difference.key)?;
            if is_wanted {
                part.entries.insert(difference.key, event);
            }
        }
        if required.required().exceeds(&known.required) {
            let old = known.required.resolve(storage)?;
            for (key, event) in self.state_of(required, end)? {
                if !old.wants(storage, key)? {
                    part.entries.insert(key, event);
                }
            }
        }
        Ok(())
    }

    /// Adds the members whom the timeline names, by sending or as a member event's target, unless the client
    /// knows them.
    fn add_lazy_members(&self, part: &mut Part, known: Option<&RoomTold>) -> Result<(), SyncError> {
        let storage = &self.sources().storage;
        let mut named = BTreeSet::new();
        for event in &part.shown().events {
            named.insert(event.meta().sender);
            let member = event.event().is_state().then(|| event.event().state_key()).flatten();
            if let Some(member) = member.filter(|_| event.event().event_type() == "m.room.member")
                && let Ok(member) = <&ruma::UserId>::try_from(member)
            {
                named.extend(storage.short_user_id(member)?);
            }
        }
        // After a gap the client has dropped whom it knew.
        let known = known.filter(|_| !part.is_initial() && !part.window.limited);
        let known = known.map(|known| known.members.as_slice()).unwrap_or_default();
        let unknown: Vec<_> = named
            .iter()
            .filter(|user| !known.contains(user))
            .map(|user| ShortStateKeyId::member(*user))
            .filter(|key| !part.entries.contains_key(key))
            .collect();
        let events = self.sources().states.get_many(part.window.state_end, &unknown)?;
        for (key, event) in unknown.into_iter().zip(events) {
            part.entries.extend(event.map(|event| (key, event)));
        }
        let told = part.entries.range(ShortStateKeyId::FIRST_MEMBER..).filter_map(|(key, _)| key.as_member());
        let mut members: Vec<ShortUserId> = told.chain(named).collect();
        members.extend(known);
        let mut seen = std::collections::HashSet::new();
        members.retain(|user| seen.insert(*user));
        members.truncate(limits::SLIDING_MEMBERS_KNOWN_MAX);
        members.shrink_to_fit();
        part.members = members;
        Ok(())
    }

    /// What is told alike of rooms that the user is in or was in.
    fn common(
        &self,
        view: &RoomView<'_>,
        visit: &Visit,
        known: Option<&RoomTold>,
        part: &Part,
    ) -> Result<RoomResult, SyncError> {
        let shown = part.shown();
        let timeline = shown.events.iter().map(|event| self.write(view, event, EventForm::SYNC_TIMELINE));
        let mut result = RoomResult {
            initial: part.is_initial(),
            timeline: timeline.collect::<Result<_, _>>()?,
            limited: shown.limited,
            expanded_timeline: part.expanded.is_some(),
            prev_batch: shown.before.map(|token| token.to_string()),
            required_state: self.state_events(view, &part.entries)?,
            ..RoomResult::default()
        };
        if part.is_initial() || !result.timeline.is_empty() {
            let is_live = |event: &&VisibleEvent| self.since.is_some() && event.meta().position > self.last();
            result.num_live = Some(shown.events.iter().filter(is_live).count());
        }
        if part.is_initial() || known.is_some_and(|known| known.is_dm != visit.is_direct) {
            result.is_dm = Some(visit.is_direct);
        }
        let root = part.window.state_end;
        result.name = self.field(view, part, root, "m.room.name", "name")?;
        result.avatar = self.field(view, part, root, "m.room.avatar", "url")?;
        Ok(result)
    }

    /// A field of a state event, if it is new: `Some(None)` when it was taken away.
    #[allow(clippy::option_option, reason = "as the answer tells what is unset from what has not changed")]
    fn field(
        &self,
        view: &RoomView<'_>,
        part: &Part,
        root: StateRoot,
        event_type: &str,
        field: &str,
    ) -> Result<Option<Option<String>>, SyncError> {
        let Some(key) = self.sources().storage.short_state_key_id(event_type, "")? else { return Ok(None) };
        if !part.is_initial() && !part.changed.contains(&key) {
            return Ok(None);
        }
        let event = self.sources().states.get_short(root, key)?;
        let event = event.map_or(Ok(None), |event| view.state_event(event))?;
        let value = event.and_then(|event| event.event().content_field::<String>(field));
        let value = value.filter(|value| !value.is_empty());
        Ok(if part.is_initial() && value.is_none() { None } else { Some(value) })
    }

    fn changes_name(&self, part: &Part) -> Result<bool, SyncError> {
        Ok(!part.changed.is_empty()
            && self.sync.summaries().name_keys()?.iter().any(|key| part.changed.contains(key)))
    }

    fn add_summary(
        &self,
        view: &RoomView<'_>,
        room: ShortRoomId,
        part: &Part,
        result: &mut RoomResult,
    ) -> Result<(), SyncError> {
        let state = part.window.state_end;
        let summary = self.sync.summaries().read(room, state, self.viewer().user)?;
        result.joined_count = Some(summary.joined);
        result.invited_count = Some(summary.invited);
        let Some(heroes) = summary.heroes else { return Ok(()) };
        let keys: Vec<_> = heroes.iter().map(|(user, _)| ShortStateKeyId::member(*user)).collect();
        let events = self.sources().states.get_many(state, &keys)?;
        let mut shown = Vec::with_capacity(heroes.len());
        for ((_, user_id), event) in heroes.into_iter().zip(events) {
            let member = event.map_or(Ok(None), |event| view.state_event(event))?;
            let field = |name: &str| member.as_ref().and_then(|member| member.event().content_field(name));
            shown.push(Hero { displayname: field("displayname"), avatar_url: field("avatar_url"), user_id });
        }
        result.heroes = Some(shown);
        Ok(())
    }

    fn new_receipts(
        &self,
        room: ShortRoomId,
        since: Option<StreamPosition>,
    ) -> Result<Vec<ReceiptRow>, SyncError> {
        let Some(since) = since.filter(|since| *since < self.until.position) else { return Ok(Vec::new()) };
        let storage = &self.sources().storage;
        Ok(Receipts::since(storage, room, since, self.until.position, self.viewer().user)?)
    }

    fn state_events(&self, view: &RoomView<'_>, entries: &StateEntries) -> Result<Vec<EventJson>, SyncError> {
        let mut events = Vec::with_capacity(entries.len());
        for short in entries.values() {
            let Some(event) = view.state_event(*short)? else { continue };
            events.push(self.write(view, &event, EventForm::SYNC_STATE)?);
        }
        Ok(events)
    }

    fn write(
        &self,
        view: &RoomView<'_>,
        event: &VisibleEvent,
        form: EventForm,
    ) -> Result<EventJson, SyncError> {
        Ok(self.sources().client_events.write::<()>(view, event, form)?.into_json())
    }
}

/// True for who is in the room, or may come.
fn is_in_or_near(membership: Membership) -> bool {
    !matches!(membership, Membership::Leave | Membership::Ban)
}

/// True when there is nothing to tell but what every result holds.
fn is_empty(result: &RoomResult) -> bool {
    !result.initial
        && !result.limited
        && result.timeline.is_empty()
        && result.required_state.is_empty()
        && result.name.is_none()
        && result.avatar.is_none()
        && result.heroes.is_none()
        && result.is_dm.is_none()
        && result.joined_count.is_none()
}
