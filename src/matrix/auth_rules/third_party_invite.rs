//! Rule 7, for `m.room.third_party_invite`.

use super::{AuthRefusal, state::require_level};
use crate::matrix::{
    event::Event,
    power_levels::{LevelField, RoomPowerLevels},
};

pub(super) fn check(event: &Event, levels: &RoomPowerLevels) -> Result<(), AuthRefusal> {
    // 7.1. Allow if and only if sender's current power level is greater than or equal to the invite
    //      level.
    require_level(levels, event.sender(), LevelField::Invite, "to invite by e-mail or phone")
}
