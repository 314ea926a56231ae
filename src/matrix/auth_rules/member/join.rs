//! Rule 5.3: joining.

use ruma::{OwnedUserId, UserId};

use super::super::{
    AuthRefusal, AuthState,
    state::{Check, Membership, Outcome, require_level},
};
use crate::matrix::power_levels::LevelField;

pub(super) fn check<S: AuthState>(check: &Check<'_, S>, target: &UserId) -> Outcome<S> {
    // 5.3.1. If the only previous event is an m.room.create and the state_key is the sender of the
    //        m.room.create (v1 to v10: its creator), allow.
    let follows_create = matches!(check.event.prev_events(), [only] if *only == check.create.event_id());
    if follows_create && check.creators.creator() == Some(target) {
        return Ok(());
    }
    // 5.3.2. If the sender does not match state_key, reject.
    let sender = check.event.sender();
    if sender != target {
        return Err(AuthRefusal::MembershipOfAnother(sender.to_owned()).into());
    }
    // 5.3.3. If the sender is banned, reject.
    let membership = check.membership(sender)?;
    if membership == Membership::Ban {
        return Err(AuthRefusal::Banned(sender.to_owned()).into());
    }
    let is_invited = matches!(membership, Membership::Invite | Membership::Join);
    let rules = &check.rules.authorization;
    match check.join_rule()?.as_str() {
        // 5.3.4. If the join_rule is invite or (since v7) knock then allow if membership state is invite
        //        or join.
        "invite" if is_invited => Ok(()),
        "knock" if rules.knocking && is_invited => Ok(()),
        // 5.3.5. If the join_rule is restricted (since v8) or knock_restricted (since v10):
        "restricted" if rules.restricted_join_rule => check_restricted(check, is_invited),
        "knock_restricted" if rules.knock_restricted_join_rule => check_restricted(check, is_invited),
        // 5.3.6. If the join_rule is public, allow.
        "public" => Ok(()),
        // 5.3.7. Otherwise, reject.
        _ => Err(AuthRefusal::NotInvited(sender.to_owned()).into()),
    }
}

/// Clause 5.3.5.
fn check_restricted<S: AuthState>(check: &Check<'_, S>, is_invited: bool) -> Outcome<S> {
    // 5.3.5.1. If membership state is join or invite, allow.
    if is_invited {
        return Ok(());
    }
    // 5.3.5.2. If the join_authorised_via_users_server key in content is not a user with sufficient
    //          permission to invite other users or is not a joined member of the room, reject.
    let authoriser: OwnedUserId = check
        .event
        .content_field("join_authorised_via_users_server")
        .ok_or(AuthRefusal::RestrictedJoinNotAuthorised)?;
    if check.membership(&authoriser)? != Membership::Join {
        return Err(AuthRefusal::AuthorisingUserNotJoined(authoriser).into());
    }
    // 5.3.5.3. Otherwise, allow.
    let levels = check.power_levels()?;
    Ok(require_level(&levels, &authoriser, LevelField::Invite, "to let a user in")?)
}
