//! The rule for `m.room.redaction`, rule 11 of room versions 1 and 2.
//!
//! Later versions let every redaction pass and decide on its effect apart from the rules: see
//! [`RoomPowerLevels::may_redact`](crate::matrix::power_levels::RoomPowerLevels::may_redact).

use super::AuthRefusal;
use crate::matrix::{
    event::Event,
    power_levels::{LevelField, RoomPowerLevels},
};

pub(super) fn check(event: &Event, levels: &RoomPowerLevels) -> Result<(), AuthRefusal> {
    // 11.1. If the sender's power level is greater than or equal to the redact level, allow.
    if levels.user_level(event.sender())? >= levels.level(LevelField::Redact)? {
        return Ok(());
    }
    // 11.2. If the domain of the event_id of the event being redacted is the same as the domain of the
    //       event_id of the m.room.redaction, allow.
    let server = event.event_id().server_name();
    if server.is_some() && event.redacts().and_then(|redacted| redacted.server_name()) == server {
        return Ok(());
    }
    // 11.3. Otherwise, reject.
    Err(AuthRefusal::RedactionNotAllowed(event.sender().to_owned()))
}
