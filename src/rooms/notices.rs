//! Notices of this server's administrators to single users (client-server API, "Server Notices").
//!
//! Each user gets them in one private room, made with the first one and marked with the tag `m.server_notice`; the
//! sender is a user of the server's own, as whom nobody can log in. The user may leave the room but not turn its
//! invite down. The main type is [`ServerNotices`].

use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde_json::json;

use super::{
    EventSender, Memberships, RoomCreator, RoomError, RoomIndex,
    appender::ClientTransaction,
    creation::{NewRoom, Preset},
    memberships::Moderation,
    sending::{Message, StateEvent},
};
use crate::{
    storage::{Json, Read, ShortUserId, Storage, records::Membership, tables::NOTICE_ROOMS},
    users::{AccountData, Accounts, Profiles, SERVER_USER_LOCALPART, UserError},
};

/// The tag of the rooms with notices.
const TAG: &str = "m.server_notice";

/// Who is invited to the room reads it.
const LEVEL_OF_READERS: i32 = -10;

/// What [`ServerNotices`] works with.
#[derive(Debug, Clone)]
pub struct NoticeSources {
    /// The store.
    pub storage: Storage,
    /// Who is in rooms.
    pub index: RoomIndex,
    /// Makes the rooms.
    pub creator: RoomCreator,
    /// Invites to them.
    pub memberships: Memberships,
    /// Sends the notices.
    pub sender: EventSender,
    /// Makes the sender.
    pub accounts: Accounts,
    /// The sender's name.
    pub profiles: Profiles,
    /// Marks the rooms.
    pub account_data: AccountData,
}

/// Sends notices. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ServerNotices {
    sources: NoticeSources,
}

impl ServerNotices {
    /// The service.
    pub fn new(sources: NoticeSources) -> Self {
        Self { sources }
    }

    /// Sends a notice to a user of this server, once for each transaction.
    pub fn send(
        &self,
        to: &UserId,
        event_type: String,
        state_key: Option<String>,
        content: CanonicalJsonObject,
        transaction: Option<String>,
    ) -> Result<OwnedEventId, RoomError> {
        let sources = &self.sources;
        let server_user = self.server_user()?;
        let room_id = self.room(&server_user, to)?;
        if let Some(state_key) = state_key {
            let event = StateEvent { event_type, state_key, content, at_ms: None, sticky_ms: None };
            return sources.sender.put_state(&room_id, &server_user, event);
        }
        let unknown = || RoomError::Forbidden("The user is not known".to_owned());
        let transaction = ClientTransaction {
            user: sources.storage.short_user_id(&server_user)?.ok_or_else(unknown)?,
            device: "NOTICES".into(),
            path: format!("notice/{to}"),
            transaction_id: match transaction {
                Some(transaction) => transaction,
                None => crate::users::secrets::random_secret().map_err(|_| RoomError::NoRandomness)?,
            },
        };
        let message = Message { event_type, content, at_ms: None, sticky_ms: None };
        sources.sender.send(&room_id, &server_user, message, &transaction)
    }

    /// The user as whom notices are sent, made if need be.
    fn server_user(&self) -> Result<OwnedUserId, RoomError> {
        let accounts = &self.sources.accounts;
        let user_id = UserId::parse_with_server_name(SERVER_USER_LOCALPART, accounts.server_name())
            .map_err(|error| RoomError::InvalidParameter(error.to_string()))?;
        if accounts.details(&user_id)?.is_none() {
            let user = accounts.create_server_user().map_err(refused)?;
            self.sources.profiles.set(user, "displayname", json!("Server notices")).map_err(refused)?;
        }
        Ok(user_id)
    }

    /// The room in which the user gets notices, with the user in it or invited.
    fn room(&self, server_user: &UserId, to: &UserId) -> Result<OwnedRoomId, RoomError> {
        let sources = &self.sources;
        let unknown = || RoomError::Forbidden("The user is not known".to_owned());
        let user = sources.storage.short_user_id(to)?.ok_or_else(unknown)?;
        if let Some(Json(room_id)) = sources.storage.get(&NOTICE_ROOMS, &user)?
            && let Some(room) = sources.index.room(&room_id)?
            && sources.index.is_joined(server_user, room)?
        {
            let membership = sources.index.membership(user, room)?.map(|row| row.membership);
            if !matches!(membership, Some(Membership::Join | Membership::Invite)) {
                let invite = Moderation { room_id: &room_id, sender: server_user, target: to, reason: None };
                sources.memberships.invite(invite)?;
                self.mark(user, &room_id)?;
            }
            return Ok(room_id);
        }
        let level = CanonicalJsonValue::Integer(LEVEL_OF_READERS.into());
        let room_id = sources.creator.create(&NewRoom {
            preset: Some(Preset::PrivateChat),
            name: Some("Server notices".to_owned()),
            invite: vec![to.to_owned()],
            power_level_override: CanonicalJsonObject::from([("users_default".to_owned(), level)]),
            ..NewRoom::by(server_user.to_owned())
        })?;
        sources.storage.write(|rows| {
            rows.put(&NOTICE_ROOMS, &user, &Json(room_id.clone()));
            Ok::<_, RoomError>(())
        })?;
        self.mark(user, &room_id)?;
        Ok(room_id)
    }

    fn mark(&self, user: ShortUserId, room_id: &RoomId) -> Result<(), RoomError> {
        self.sources.account_data.set_tag(user, room_id, TAG, json!({})).map_err(refused)
    }
}

/// Refuses turning down the invite to one's own room with notices.
pub fn check_leave(
    reader: &impl Read,
    index: &RoomIndex,
    user: &UserId,
    room_id: &RoomId,
) -> Result<(), RoomError> {
    let Some(user) = reader.short_user_id(user)? else { return Ok(()) };
    if reader.get(&NOTICE_ROOMS, &user)?.is_none_or(|Json(notices)| notices != room_id) {
        return Ok(());
    }
    let Some(room) = index.room(room_id)? else { return Ok(()) };
    match index.membership(user, room)?.map(|row| row.membership) {
        Some(Membership::Invite) => Err(RoomError::NoticeInvite),
        _ => Ok(()),
    }
}

fn refused(error: UserError) -> RoomError {
    match error {
        UserError::Storage(error) => error.into(),
        error => RoomError::Forbidden(error.to_string()),
    }
}
