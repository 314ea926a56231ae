//! Events on their way into a room, each checked against the state with those before it.

use std::{collections::HashMap, sync::Arc};

use ruma::{
    OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, RoomVersionId, ServerName, UserId,
    room_version_rules::RoomVersionRules,
};

use super::{
    Appender, ClientTransaction, Draft, commit::PendingEvent, redaction::RedactionTarget, stripped_state,
    transaction_ids::TransactionIds,
};
use crate::{
    matrix::{
        auth_rules::{AuthEvent, AuthRefusal, AuthState, check_state_dependent, check_state_independent},
        builder::{EventDraft, EventReference},
        event::Event,
        power_levels::{PowerLevels, RoomCreators, RoomPowerLevels},
    },
    rooms::{RoomError, limits, writer::RoomGuard},
    state::tree::StateRoot,
    storage::{Read, ShortEventId, ShortRoomId, records::Membership},
    users::{InviteFilter, InviteVerdict},
};

/// Events that will be written together or not at all. While it lives, nobody else writes the room.
#[derive(Debug)]
pub struct RoomBatch {
    pub(super) appender: Appender,
    /// The room's turn; `None` for a room that is being made, which nobody else knows.
    pub(super) guard: Option<RoomGuard>,
    pub(super) version: RoomVersionId,
    pub(super) rules: RoomVersionRules,
    /// Known from the start, or from the create event on.
    pub(super) room_id: Option<OwnedRoomId>,
    pub(super) create: Option<Arc<Event>>,
    /// The stored state that the batch starts from.
    pub(super) base: StateRoot,
    pub(super) depth: u64,
    pub(super) prev_events: Vec<EventReference>,
    /// Ends of a forked room that its events don't follow, with the states after them: more than an event may
    /// name.
    pub(super) other_ends: Vec<(ShortEventId, StateRoot)>,
    pub(super) pending: Vec<PendingEvent>,
    /// The batch's own state events by type and state key: where in `pending` the newest is.
    pub(super) state: HashMap<(String, String), usize>,
    /// The least `origin_server_ts` that its events get.
    pub(super) earliest_ms: u64,
    /// The `origin_server_ts` of its events, where it is not the time of sending.
    pub(super) dated_ms: Option<u64>,
}

impl RoomBatch {
    /// The room, once it has an id: always, but for a new room before its create event.
    pub fn room_id(&self) -> Option<&RoomId> {
        self.room_id.as_deref()
    }

    /// The room's short id; `None` for a new room.
    pub fn room(&self) -> Option<ShortRoomId> {
        self.guard.as_ref().map(RoomGuard::room)
    }

    /// The rules of the room's version.
    pub fn rules(&self) -> &RoomVersionRules {
        &self.rules
    }

    /// The state event of this type and state key, with the batch's own events.
    pub fn state_event(&self, event_type: &str, state_key: &str) -> Result<Option<Arc<Event>>, RoomError> {
        match self.own_state_event(event_type, state_key) {
            Some(event) => Ok(Some(event)),
            None => Ok(self.stored_state_event(event_type, state_key)?.map(|(_, event)| event)),
        }
    }

    fn own_state_event(&self, event_type: &str, state_key: &str) -> Option<Arc<Event>> {
        let key = (event_type.to_owned(), state_key.to_owned());
        let pending = self.state.get(&key).and_then(|at| self.pending.get(*at))?;
        Some(pending.event.clone())
    }

    fn stored_state_event(
        &self,
        event_type: &str,
        state_key: &str,
    ) -> Result<Option<(ShortEventId, Arc<Event>)>, RoomError> {
        if self.base == StateRoot::EMPTY {
            return Ok(None);
        }
        let inner = &self.appender.inner;
        let Some(short) = inner.states.get(self.base, event_type, state_key)? else { return Ok(None) };
        let stored =
            inner.events.get(short)?.ok_or_else(|| self.damaged("an event of its state is missing"))?;
        Ok(Some((short, stored.event)))
    }

    /// Gives the events that follow this time in place of the time of sending, if there is one (application
    /// service API, "Timestamp massaging").
    #[must_use]
    pub fn dated(mut self, at_ms: Option<u64>) -> Self {
        self.dated_ms = at_ms;
        self
    }

    /// A user's membership, with the batch's own events; `None` for who never had one.
    pub fn membership(&self, user: &UserId) -> Result<Option<Membership>, RoomError> {
        let event = self.state_event("m.room.member", user.as_str())?;
        let membership = event.and_then(|event| event.membership());
        Ok(membership.and_then(|membership| Membership::of(&membership.as_str().into())))
    }

    /// The power levels in force.
    pub fn power_levels(&self) -> Result<RoomPowerLevels, RoomError> {
        let create = self.create.as_ref().ok_or_else(|| self.damaged("it has no create event"))?;
        let creators = RoomCreators::of(create, &self.rules.authorization);
        Ok(RoomPowerLevels::new(AuthState::power_levels(self, &self.rules)?, creators))
    }

    /// The state that tells what room this is to those outside (client-server API, "Stripped state").
    pub fn identifying_state(&self) -> Result<Vec<Arc<Event>>, RoomError> {
        stripped_state::identifying(|event_type, state_key| self.state_event(event_type, state_key))
    }

    /// The event that this very request has sent before, if it has.
    pub fn sent_before(&self, transaction: &ClientTransaction) -> Result<Option<OwnedEventId>, RoomError> {
        let inner = &self.appender.inner;
        match TransactionIds::sent_before(&inner.storage, transaction)? {
            Some(short) => Ok(Some(inner.storage.event_id(short)?)),
            None => Ok(None),
        }
    }

    /// Adds an event, if the rules allow it after those before it. Answers with the finished event, which is
    /// part of the room once the batch is committed.
    pub fn push(&mut self, draft: Draft) -> Result<Arc<Event>, RoomError> {
        if self.pending.len() >= limits::BATCH_EVENTS_MAX {
            return Err(RoomError::TooManyEvents(limits::BATCH_EVENTS_MAX));
        }
        if self.create.is_some() && draft.event_type == "m.room.create" {
            // Rule 1.1. Asked here, since such an event can't even be built in room version 12.
            return Err(AuthRefusal::CreateHasPrevEvents.into());
        }
        self.check_target(&draft)?;
        let target = self.redaction_target(&draft)?;
        let (event, auth_events) = self.build(draft)?;
        self.authorise(&event, &auth_events)?;
        let (redaction, idle) = match target {
            Some(RedactionTarget::Known(target)) => (Some(self.redact(&target, &event)?), None),
            Some(RedactionTarget::Elsewhere(target)) => (None, Some(target)),
            None => (None, None),
        };
        self.accept(PendingEvent { event, redaction, idle_redaction_of: idle, stripped_state: None })
    }

    /// Checks what an event would come to, of whatever server its sender is, and answers with what its server
    /// needs to make it. Adds nothing to the batch.
    pub fn check(&self, draft: Draft) -> Result<EventDraft, RoomError> {
        let (draft, auth_events) = self.place(draft)?;
        // The rules look at finished events; who signed this one they don't ask.
        let inner = &self.appender.inner;
        let event = draft.clone().build(&self.rules, &inner.server_name, inner.keys.active())?;
        self.authorise(&event, &auth_events)?;
        Ok(draft)
    }

    /// Makes an event that the rules allow, without adding it to the batch: one that another server must see
    /// first.
    pub fn make(&self, draft: Draft) -> Result<Event, RoomError> {
        let (event, auth_events) = self.build(draft)?;
        self.authorise(&event, &auth_events)?;
        Ok(Arc::unwrap_or_clone(event))
    }

    fn build(&self, draft: Draft) -> Result<(Arc<Event>, Vec<Arc<Event>>), RoomError> {
        let inner = &self.appender.inner;
        let (draft, auth_events) = self.place(draft)?;
        let event = draft.build(&self.rules, &inner.server_name, inner.keys.active())?;
        Ok((Arc::new(event), auth_events))
    }

    /// Gives an event its place in the graph, and the events that allow it.
    fn place(&self, draft: Draft) -> Result<(EventDraft, Vec<Arc<Event>>), RoomError> {
        let inner = &self.appender.inner;
        let mut draft = EventDraft {
            sticky_ms: draft.sticky_ms,
            room_id: self.room_id.clone(),
            sender: draft.sender,
            event_type: draft.event_type,
            state_key: draft.state_key,
            content: draft.content,
            redacts: draft.redacts,
            origin_server_ts: self.dated_ms.unwrap_or_else(|| inner.clock.now_ms().max(self.earliest_ms)),
            prev_events: self.prev_events.clone(),
            auth_events: Vec::new(),
            depth: self.depth.saturating_add(1),
        };
        let mut auth_events = Vec::new();
        for (event_type, state_key) in draft.auth_types(&self.rules)? {
            if let Some(event) = self.state_event(event_type, &state_key)? {
                draft.auth_events.push(self.reference(&event)?);
                auth_events.push(event);
            }
        }
        Ok((draft, auth_events))
    }

    pub(super) fn reference(&self, event: &Event) -> Result<EventReference, RoomError> {
        EventReference::of(event, &self.rules)
            .map_err(|source| RoomError::CorruptEvent { event_id: event.event_id().to_owned(), source })
    }

    /// Checks the rules, those that depend on no state and those against the current one.
    fn authorise(&self, event: &Event, auth_events: &[Arc<Event>]) -> Result<(), RoomError> {
        let accepted = |event: &Arc<Event>| AuthEvent { event: event.clone(), rejected: false };
        let auth_events: Vec<_> = auth_events.iter().map(accepted).collect();
        let create = self.create.as_ref().map(accepted);
        check_state_independent(event, &self.rules, &auth_events, create.as_ref())?;
        check_state_dependent(event, &self.rules, self)?;
        Ok(())
    }

    /// Makes the event part of the batch: the next one follows it and sees its state.
    fn accept(&mut self, pending: PendingEvent) -> Result<Arc<Event>, RoomError> {
        let event = pending.event.clone();
        self.prev_events = vec![self.reference(&event)?];
        self.depth = event.depth();
        if let Some(state_key) = event.state_key() {
            let key = (event.event_type().to_owned(), state_key.to_owned());
            self.state.insert(key, self.pending.len());
        }
        if event.is_state_of("m.room.create", "") {
            self.room_id = Some(event.room_id().to_owned());
            self.create = Some(event.clone());
        }
        self.pending.push(pending);
        let server = &self.appender.inner.server_name;
        let state_event = |event_type: &str, state_key: &str| self.state_event(event_type, state_key);
        let stripped_state = stripped_state::shown_to_target(server, &event, state_event)?;
        if let Some(pending) = self.pending.last_mut() {
            pending.stripped_state = stripped_state;
        }
        Ok(event)
    }

    /// Refuses invites of users of other servers, which have to be asked first, and of those who don't take them.
    fn check_target(&self, draft: &Draft) -> Result<(), RoomError> {
        if !draft.is_state_of("m.room.member") || draft.content.get("membership") != Some(&"invite".into()) {
            return Ok(());
        }
        match draft.state_key.as_deref().map(OwnedUserId::try_from) {
            Some(Ok(target)) if !self.is_local(target.server_name()) => Err(RoomError::RemoteUser(target)),
            Some(Ok(target)) => {
                let storage = &self.appender.inner.storage;
                let Some(user) = storage.short_user_id(&target)? else { return Ok(()) };
                match InviteFilter::of(storage, user, &target)?.verdict(&draft.sender) {
                    InviteVerdict::Block => Err(RoomError::InviteBlocked(target)),
                    InviteVerdict::Allow | InviteVerdict::Ignore => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    pub(super) fn is_local(&self, server: &ServerName) -> bool {
        *server == *self.appender.inner.server_name
    }

    pub(super) fn damaged(&self, what: &'static str) -> RoomError {
        match &self.room_id {
            Some(room_id) => RoomError::DamagedRoom { room_id: room_id.clone(), what },
            None => RoomError::InvalidParameter("a room starts with its create event".to_owned()),
        }
    }
}

impl AuthState for RoomBatch {
    type Error = RoomError;

    fn state_event(&self, event_type: &str, state_key: &str) -> Result<Option<Arc<Event>>, RoomError> {
        Self::state_event(self, event_type, state_key)
    }

    fn create_event(&self) -> Result<Option<Arc<Event>>, RoomError> {
        Ok(self.create.clone())
    }

    fn power_levels(&self, rules: &RoomVersionRules) -> Result<Option<Arc<PowerLevels>>, RoomError> {
        let parse = |event: &Event| Arc::new(PowerLevels::parse(event.content_json(), &rules.authorization));
        if let Some(event) = self.own_state_event("m.room.power_levels", "") {
            return Ok(Some(parse(&event)));
        }
        let Some((short, event)) = self.stored_state_event("m.room.power_levels", "")? else {
            return Ok(None);
        };
        let cache = &self.appender.inner.power_levels;
        if let Some(levels) = cache.get(&short) {
            return Ok(Some(levels));
        }
        let levels = parse(&event);
        cache.insert(short, levels.clone());
        Ok(Some(levels))
    }
}
