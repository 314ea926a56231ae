//! Profiles.

mod delete_field;
mod get_field;
mod get_profile;
mod set_field;

use std::sync::Arc;

use axum::extract::FromRef;
use ruma::{OwnedUserId, UserId, api::client::profile as api};

use crate::{
    api::{ApiError, blocking, routes::Routes},
    federation::{FederationError, RemoteProfiles},
    net::{Action, RateLimiter},
    rooms::Memberships,
    users::{Profile, ProfileChange, Profiles, Sessions},
};

/// Adds the endpoints of this folder.
pub fn routes<S>(routes: Routes<S>) -> Routes<S>
where
    S: Clone + Send + Sync + 'static,
    Memberships: FromRef<S>,
    Profiles: FromRef<S>,
    RemoteProfiles: FromRef<S>,
    Sessions: FromRef<S>,
    Arc<RateLimiter>: FromRef<S>,
{
    routes
        .add::<api::get_profile::v3::Request, _, _>(get_profile::get_profile)
        .add::<api::get_profile_field::v3::Request, _, _>(get_field::get_field)
        // Each is an event in each of the user's rooms.
        .add_limited::<api::set_profile_field::v3::Request, _, _>(Action::Message, set_field::set_field)
        .add_limited::<api::delete_profile_field::v3::Request, _, _>(
            Action::Message,
            delete_field::delete_field,
        )
}

/// The profile of a user, of this server or another.
async fn read(profiles: Profiles, remote: RemoteProfiles, user_id: OwnedUserId) -> Result<Profile, ApiError> {
    if !remote.is_remote(&user_id) {
        return blocking::run(move || profiles.get(&user_id)).await;
    }
    match remote.get(&user_id).await {
        // Of servers that this one does not talk to, nothing is known.
        Err(FederationError::NotAllowed) => Err(ApiError::not_found("The user is not known")),
        profile => Ok(profile?),
    }
}

/// Lets a user's member events say what the profile says now, where it matters to them.
pub fn follow(memberships: &Memberships, user: &UserId, change: &ProfileChange) -> Result<(), ApiError> {
    if change.concerns_members {
        memberships.refresh_profile(user)?;
    }
    Ok(())
}
