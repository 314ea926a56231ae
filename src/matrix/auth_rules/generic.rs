//! Rules 8 and 9, for every type without a rule of its own before them.

use super::{AuthRefusal, state::require_power};
use crate::matrix::{event::Event, power_levels::RoomPowerLevels};

pub(super) fn check(event: &Event, levels: &RoomPowerLevels) -> Result<(), AuthRefusal> {
    // 8. If the event type's required power level is greater than the sender's power level, reject.
    let required = levels.required_for_event(event.event_type(), event.is_state())?;
    let level = levels.user_level(event.sender())?;
    if level < required {
        let action = format!("to send {}", event.event_type());
        require_power(level, event.sender(), required, &action)?;
    }
    // 9. If the event has a state_key that starts with an @ and does not match the sender, reject.
    match event.state_key() {
        Some(key) if key.starts_with('@') && key != event.sender().as_str() => {
            Err(AuthRefusal::StateKeyOfAnotherUser)
        }
        _ => Ok(()),
    }
}
