//! Rule 5, for `m.room.member` (rule 4 of room versions 6 to 11, rule 5 of versions 1 to 5); its
//! clauses for joining and inviting have files of their own.

mod invite;
mod join;

use ruma::{OwnedUserId, UserId};

use super::{
    AuthRefusal, AuthState,
    state::{Check, Membership, Outcome, require_level},
};
use crate::matrix::power_levels::{LevelField, RoomPowerLevels};

pub(super) fn check<S: AuthState>(check: &Check<'_, S>) -> Outcome<S> {
    // 5.1. If there is no state_key property, or no membership property in content, reject.
    let target = check
        .event
        .state_key()
        .and_then(|state_key| OwnedUserId::try_from(state_key).ok())
        .ok_or(AuthRefusal::MemberWithoutUser)?;
    let membership = Membership::of(check.event).ok_or(AuthRefusal::UnknownMembership)?;
    // 5.2. If content has a join_authorised_via_users_server key, and the event is not validly signed
    //      by the homeserver of that user, reject: checked with the signatures (since v8).
    match membership {
        // 5.3. If membership is join:
        Membership::Join => join::check(check, &target),
        // 5.4. If membership is invite:
        Membership::Invite => invite::check(check, &target),
        // 5.5. If membership is leave:
        Membership::Leave => check_leave(check, &target),
        // 5.6. If membership is ban:
        Membership::Ban => check_ban(check, &target),
        // 5.7. If membership is knock (since v7):
        Membership::Knock if check.rules.authorization.knocking => check_knock(check, &target),
        // 5.8. Otherwise, the membership is unknown. Reject.
        Membership::Knock => Err(AuthRefusal::UnknownMembership.into()),
    }
}

fn check_leave<S: AuthState>(check: &Check<'_, S>, target: &UserId) -> Outcome<S> {
    let sender = check.event.sender();
    let target_membership = check.membership(target)?;
    // 5.5.1. If the sender matches state_key, allow if and only if that user's current membership state
    //        is invite, join, or (since v7) knock.
    if sender == target {
        return match target_membership {
            Membership::Invite | Membership::Join => Ok(()),
            Membership::Knock if check.rules.authorization.knocking => Ok(()),
            _ => Err(AuthRefusal::NothingToLeave(target.to_owned()).into()),
        };
    }
    // 5.5.2. If the sender's current membership state is not join, reject.
    check.require_sender_joined()?;
    let levels = check.power_levels()?;
    // 5.5.3. If the target user's current membership state is ban, and the sender's power level is less
    //        than the ban level, reject.
    if target_membership == Membership::Ban {
        require_level(&levels, sender, LevelField::Ban, "to lift a ban")?;
    }
    // 5.5.4. If the sender's power level is greater than or equal to the kick level, and the target
    //        user's power level is less than the sender's power level, allow.
    // 5.5.5. Otherwise, reject.
    require_level(&levels, sender, LevelField::Kick, "to remove a user")?;
    Ok(require_target_below(&levels, sender, target)?)
}

fn check_ban<S: AuthState>(check: &Check<'_, S>, target: &UserId) -> Outcome<S> {
    let sender = check.event.sender();
    // 5.6.1. If the sender's current membership state is not join, reject.
    check.require_sender_joined()?;
    // 5.6.2. If the sender's power level is greater than or equal to the ban level, and the target
    //        user's power level is less than the sender's power level, allow.
    // 5.6.3. Otherwise, reject.
    let levels = check.power_levels()?;
    require_level(&levels, sender, LevelField::Ban, "to ban")?;
    Ok(require_target_below(&levels, sender, target)?)
}

fn check_knock<S: AuthState>(check: &Check<'_, S>, target: &UserId) -> Outcome<S> {
    // 5.7.1. If the join_rule is anything other than knock or (since v10) knock_restricted, reject.
    let may_knock = match check.join_rule()?.as_str() {
        "knock" => true,
        "knock_restricted" => check.rules.authorization.knock_restricted_join_rule,
        _ => false,
    };
    if !may_knock {
        return Err(AuthRefusal::KnockingNotAllowed.into());
    }
    // 5.7.2. If sender does not match state_key, reject.
    let sender = check.event.sender();
    if sender != target {
        return Err(AuthRefusal::MembershipOfAnother(sender.to_owned()).into());
    }
    // 5.7.3. If the sender's current membership is not ban, invite, or join, allow.
    // 5.7.4. Otherwise, reject.
    match check.membership(sender)? {
        Membership::Ban | Membership::Invite | Membership::Join => {
            Err(AuthRefusal::KnockByMember(sender.to_owned()).into())
        }
        Membership::Leave | Membership::Knock => Ok(()),
    }
}

/// Refuses unless the target's power level is less than the sender's.
fn require_target_below(
    levels: &RoomPowerLevels,
    sender: &UserId,
    target: &UserId,
) -> Result<(), AuthRefusal> {
    let (sender_level, target_level) = (levels.user_level(sender)?, levels.user_level(target)?);
    if target_level < sender_level {
        return Ok(());
    }
    Err(AuthRefusal::TargetNotBelowSender {
        sender: sender.to_owned(),
        sender_level,
        target: target.to_owned(),
        target_level,
    })
}
