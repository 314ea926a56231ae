//! The authorisation rules of all room versions ([specification]): who may send what.
//!
//! Two entry points, as the checks on receipt of a PDU have it: [`check_state_independent`] once for an
//! event, and [`check_state_dependent`] against each state in question (its auth events', the state
//! before it, the current state). Each file holds the rule for one event type, clause by clause.
//!
//! Clauses are numbered as in **room version 12**; a comment names the versions where a clause differs.
//! Nothing here compares room versions: `RoomVersionRules` says what holds. One clause is checked
//! elsewhere: 5.2, the signature of the server that authorises a restricted join, by
//! [`verify_event`](super::signing::verify_event) together with the other signatures.
//!
//! [specification]: https://spec.matrix.org/v1.19/rooms/v12/#authorisation-rules

mod aliases;
mod auth_events;
mod create;
mod generic;
mod member;
mod power_levels;
mod redaction;
mod refusal;
mod selection;
mod state;
mod third_party_invite;

use ruma::room_version_rules::RoomVersionRules;

use self::state::{Check, Outcome};
use super::event::Event;

pub use self::{
    auth_events::{AuthEvent, check_state_independent},
    refusal::{AuthError, AuthRefusal},
    selection::auth_types,
    state::{AuthState, EventListState},
};

/// Checks the rules that depend on a state (rules 4 to 11).
///
/// The create event has none. Signatures must have been checked before.
pub fn check_state_dependent<S: AuthState>(event: &Event, rules: &RoomVersionRules, state: &S) -> Outcome<S> {
    if event.event_type() == "m.room.create" {
        return Ok(());
    }
    let check = Check::new(event, rules, state)?;
    // 4. A room that is not federated takes events from the create event's server only.
    create::check_federation(&check)?;
    // v1 to v5: rule 4 is the one for m.room.aliases.
    if rules.authorization.special_case_room_aliases && event.event_type() == "m.room.aliases" {
        return Ok(aliases::check(event)?);
    }
    // 5. If type is m.room.member:
    if event.event_type() == "m.room.member" {
        return member::check(&check);
    }
    // 6. If the sender's current membership state is not join, reject.
    check.require_sender_joined()?;
    let levels = check.power_levels()?;
    // 7. If type is m.room.third_party_invite:
    if event.event_type() == "m.room.third_party_invite" {
        return Ok(third_party_invite::check(event, &levels)?);
    }
    // 8. and 9.
    generic::check(event, &levels)?;
    // 10. If type is m.room.power_levels:
    if event.event_type() == "m.room.power_levels" {
        power_levels::check(event, rules, &levels)?;
    }
    // v1 and v2: rule 11 is the one for m.room.redaction.
    if rules.authorization.special_case_room_redaction && event.event_type() == "m.room.redaction" {
        redaction::check(event, &levels)?;
    }
    // 11. Otherwise, allow.
    Ok(())
}

#[cfg(test)]
mod tests;
