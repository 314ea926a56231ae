//! What the rules see of a room: its state, read entry by entry.

use std::{convert::Infallible, sync::Arc};

use ruma::{OwnedUserId, UserId, room_version_rules::RoomVersionRules};
use serde::Deserialize;

use super::{AuthError, AuthRefusal};
use crate::matrix::{
    event::Event,
    power_levels::{LevelField, PowerLevel, PowerLevels, RoomCreators, RoomPowerLevels},
};

/// A room state that the rules check an event against. Each check reads at most seven entries.
pub trait AuthState {
    /// Why the state can't be read.
    type Error;

    /// The state event of this type and state key, if the state has one.
    fn state_event(&self, event_type: &str, state_key: &str) -> Result<Option<Arc<Event>>, Self::Error>;

    /// The room's create event. In room version 12 it is not among an event's auth events, so a state
    /// made of those must know it by other means.
    fn create_event(&self) -> Result<Option<Arc<Event>>, Self::Error> {
        self.state_event("m.room.create", "")
    }

    /// The power levels, parsed. A caller that checks many events of one room does well to parse them
    /// once: in large rooms this is the most costly part of a check.
    fn power_levels(&self, rules: &RoomVersionRules) -> Result<Option<Arc<PowerLevels>>, Self::Error> {
        let event = self.state_event("m.room.power_levels", "")?;
        Ok(event.map(|event| Arc::new(PowerLevels::parse(event.content_json(), &rules.authorization))))
    }
}

impl<S: AuthState + ?Sized> AuthState for &S {
    type Error = S::Error;

    fn state_event(&self, event_type: &str, state_key: &str) -> Result<Option<Arc<Event>>, Self::Error> {
        (**self).state_event(event_type, state_key)
    }

    fn create_event(&self) -> Result<Option<Arc<Event>>, Self::Error> {
        (**self).create_event()
    }

    fn power_levels(&self, rules: &RoomVersionRules) -> Result<Option<Arc<PowerLevels>>, Self::Error> {
        (**self).power_levels(rules)
    }
}

/// The state that a list of events makes, such as an event's own `auth_events` (check 4 on receipt).
#[derive(Debug, Clone, Default)]
pub struct EventListState {
    events: Vec<Arc<Event>>,
}

impl EventListState {
    /// From state events, at most one for each type and state key; in room version 12, the create
    /// event must be among them even when they are some event's `auth_events`.
    pub fn new(events: impl IntoIterator<Item = Arc<Event>>) -> Self {
        Self { events: events.into_iter().collect() }
    }
}

impl AuthState for EventListState {
    type Error = Infallible;

    fn state_event(&self, event_type: &str, state_key: &str) -> Result<Option<Arc<Event>>, Infallible> {
        Ok(self.events.iter().find(|event| event.is_state_of(event_type, state_key)).cloned())
    }
}

/// A user's relation to a room, as the rules know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Membership {
    Join,
    Invite,
    Leave,
    Ban,
    Knock,
}

impl Membership {
    /// The membership of a member event; `None` if it is none that any room version knows.
    pub(super) fn of(event: &Event) -> Option<Self> {
        Some(match event.membership()?.as_str() {
            "join" => Self::Join,
            "invite" => Self::Invite,
            "leave" => Self::Leave,
            "ban" => Self::Ban,
            "knock" => Self::Knock,
            _ => return None,
        })
    }
}

/// One state-dependent check: the event, the rules and the state, with the look-ups that rules share.
pub(super) struct Check<'a, S: AuthState> {
    pub(super) event: &'a Event,
    pub(super) rules: &'a RoomVersionRules,
    pub(super) create: Arc<Event>,
    pub(super) creators: RoomCreators,
    state: &'a S,
}

/// What a clause returns.
pub(super) type Outcome<S, T = ()> = Result<T, AuthError<<S as AuthState>::Error>>;

impl<'a, S: AuthState> Check<'a, S> {
    pub(super) fn new(event: &'a Event, rules: &'a RoomVersionRules, state: &'a S) -> Outcome<S, Self> {
        let create = state.create_event().map_err(AuthError::State)?.ok_or(AuthRefusal::NoCreateEvent)?;
        let creators = RoomCreators::of(&create, &rules.authorization);
        Ok(Self { event, rules, create, creators, state })
    }

    pub(super) fn state_event(&self, event_type: &str, state_key: &str) -> Outcome<S, Option<Arc<Event>>> {
        self.state.state_event(event_type, state_key).map_err(AuthError::State)
    }

    /// A user's current membership state; `leave` for whoever has none.
    pub(super) fn membership(&self, user: &UserId) -> Outcome<S, Membership> {
        let event = self.state_event("m.room.member", user.as_str())?;
        Ok(event.and_then(|event| Membership::of(&event)).unwrap_or(Membership::Leave))
    }

    /// The join rule; `invite` where the room has none, as with servers that check it this way since
    /// the beginning.
    pub(super) fn join_rule(&self) -> Outcome<S, String> {
        #[derive(Deserialize)]
        struct JoinRulesContent {
            join_rule: String,
        }
        let event = self.state_event("m.room.join_rules", "")?;
        let join_rule = event.and_then(|event| event.content::<JoinRulesContent>().ok());
        Ok(join_rule.map_or_else(|| "invite".to_owned(), |content| content.join_rule))
    }

    pub(super) fn power_levels(&self) -> Outcome<S, RoomPowerLevels> {
        let levels = self.state.power_levels(self.rules).map_err(AuthError::State)?;
        Ok(RoomPowerLevels::new(levels, self.creators.clone()))
    }

    /// Refuses unless the sender's current membership state is `join`.
    pub(super) fn require_sender_joined(&self) -> Outcome<S> {
        match self.membership(self.event.sender())? {
            Membership::Join => Ok(()),
            _ => Err(AuthRefusal::SenderNotJoined(self.event.sender().to_owned()).into()),
        }
    }
}

/// Refuses unless the user's power level is at least that of the field.
pub(super) fn require_level(
    levels: &RoomPowerLevels,
    user: &UserId,
    field: LevelField,
    action: &str,
) -> Result<(), AuthRefusal> {
    require_power(levels.user_level(user)?, user, levels.level(field)?, action)
}

/// Refuses unless `level` is at least `required`.
pub(super) fn require_power(
    level: PowerLevel,
    user: &UserId,
    required: i64,
    action: &str,
) -> Result<(), AuthRefusal> {
    if level >= required {
        return Ok(());
    }
    let user: OwnedUserId = user.to_owned();
    Err(AuthRefusal::InsufficientPower { user, level, action: action.to_owned(), required })
}
