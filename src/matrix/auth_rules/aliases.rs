//! The rule for `m.room.aliases`, rule 4 of room versions 1 to 5.

use super::AuthRefusal;
use crate::matrix::event::Event;

pub(super) fn check(event: &Event) -> Result<(), AuthRefusal> {
    // 4.1. If event has no state_key, reject.
    // 4.2. If sender's domain doesn't match state_key, reject.
    if event.state_key() != Some(event.sender().server_name().as_str()) {
        return Err(AuthRefusal::AliasesOfOtherServer);
    }
    // 4.3. Otherwise, allow.
    Ok(())
}
