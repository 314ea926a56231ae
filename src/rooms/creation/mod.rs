//! Making rooms (client-server API, `POST /createRoom`).
//!
//! A room comes into being whole: all its first events, its alias and its place in the directory are one
//! transaction. [`RoomCreator`] is the service; which events there are, and their order, is in `drafts`.

mod create_content;
mod drafts;
mod power_levels;

#[cfg(test)]
mod tests;

use ring::rand::{SecureRandom, SystemRandom};
use ruma::{
    CanonicalJsonObject, OwnedRoomAliasId, OwnedRoomId, OwnedUserId, RoomVersionId,
    room_version_rules::RoomVersionRules,
};

use self::drafts::Drafts;
use super::{
    AliasError, Aliases, Appender, DirectoryError, MemberProfiles, ReadError, RoomDirectory, RoomError,
    limits, sending::checks,
};
use crate::{
    matrix::{ids, room_versions},
    storage::{Read, tables::ALIASES},
};

/// A named set of defaults for a new room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Join by invite only.
    PrivateChat,
    /// Join by invite only, and the invited have the creator's power.
    TrustedPrivateChat,
    /// Anyone may join.
    PublicChat,
}

/// A state event asked for at creation.
#[derive(Debug, Clone)]
pub struct InitialState {
    /// The `type`.
    pub event_type: String,
    /// The state key, empty if not given.
    pub state_key: String,
    /// The content.
    pub content: CanonicalJsonObject,
}

/// What a new room shall be.
#[derive(Debug, Clone)]
pub struct NewRoom {
    /// Who makes it, a user of this server.
    pub creator: OwnedUserId,
    /// The version; `None` for the server's default.
    pub version: Option<RoomVersionId>,
    /// The defaults; `None` for those that fit `listed`.
    pub preset: Option<Preset>,
    /// Whether the room stands in the public directory.
    pub listed: bool,
    /// The local part of an alias to make.
    pub alias_localpart: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// The topic.
    pub topic: Option<String>,
    /// Whom to invite.
    pub invite: Vec<OwnedUserId>,
    /// Marks the invites as those to a direct chat.
    pub is_direct: bool,
    /// State beyond what the preset gives, or instead of it.
    pub initial_state: Vec<InitialState>,
    /// More keys for the create event's content.
    pub creation_content: CanonicalJsonObject,
    /// Keys that replace those of the default power levels.
    pub power_level_override: CanonicalJsonObject,
}

impl NewRoom {
    /// A private room with nothing but the defaults.
    pub fn by(creator: OwnedUserId) -> Self {
        Self {
            creator,
            version: None,
            preset: None,
            listed: false,
            alias_localpart: None,
            name: None,
            topic: None,
            invite: Vec::new(),
            is_direct: false,
            initial_state: Vec::new(),
            creation_content: CanonicalJsonObject::new(),
            power_level_override: CanonicalJsonObject::new(),
        }
    }

    fn preset(&self) -> Preset {
        let by_visibility = if self.listed { Preset::PublicChat } else { Preset::PrivateChat };
        self.preset.unwrap_or(by_visibility)
    }
}

/// Makes rooms. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RoomCreator {
    appender: Appender,
    profiles: MemberProfiles,
    default_version: RoomVersionId,
    is_for_all: bool,
}

impl RoomCreator {
    /// A service that makes rooms of `default_version` where none is asked for.
    pub fn new(appender: Appender, profiles: MemberProfiles, default_version: RoomVersionId) -> Self {
        Self { appender, profiles, default_version, is_for_all: true }
    }

    /// The same service, for administrators only unless `is_for_all`.
    #[must_use]
    pub fn for_all(self, is_for_all: bool) -> Self {
        Self { is_for_all, ..self }
    }

    /// Whether a user may have rooms made.
    pub fn is_for(&self, is_admin: bool) -> bool {
        self.is_for_all || is_admin
    }

    /// Makes a room, whole or not at all.
    pub fn create(&self, new: &NewRoom) -> Result<OwnedRoomId, RoomError> {
        let version = new.version.as_ref().unwrap_or(&self.default_version);
        let rules =
            room_versions::rules(version).ok_or_else(|| RoomError::UnsupportedVersion(version.clone()))?;
        let alias = self.alias(new)?;
        let drafts = Drafts { new, version, rules: &rules, alias: alias.as_ref(), profiles: &self.profiles };
        let mut earliest_ms = 0;
        for tried in 1..limits::ROOM_ID_TRIES_MAX {
            match self.try_create(&drafts, earliest_ms) {
                // Room ids of version 12 follow from the create event, and so from its time.
                Err(RoomError::RoomIdTaken(_)) => earliest_ms = self.appender.now_ms() + tried,
                outcome => return outcome,
            }
        }
        self.try_create(&drafts, earliest_ms)
    }

    fn try_create(&self, drafts: &Drafts<'_>, earliest_ms: u64) -> Result<OwnedRoomId, RoomError> {
        let room_id = self.random_room_id(drafts.rules)?;
        let mut batch = self.appender.begin_new(drafts.version, room_id, earliest_ms)?;
        for draft in drafts.all()? {
            let event = batch.push(draft).map_err(as_initial_state)?;
            if event.is_state_of("m.room.canonical_alias", "") {
                checks::check_first_aliases(&event, drafts.alias)?;
            }
        }
        let room_id = batch.room_id().ok_or(RoomError::NoRandomness)?.to_owned();
        batch.commit_with(None, |rows, room| {
            if drafts.new.listed {
                RoomDirectory::put(rows, room, true).map_err(directory_error)?;
            }
            if let Some(alias) = drafts.alias {
                let creator = rows.intern_user(&drafts.new.creator)?;
                Aliases::put(rows, alias, room, creator).map_err(alias_error)?;
            }
            Ok(())
        })?;
        Ok(room_id)
    }

    /// The id of a room whose version has random ones.
    fn random_room_id(&self, rules: &RoomVersionRules) -> Result<Option<OwnedRoomId>, RoomError> {
        if !rules.event_format.require_room_create_room_id {
            return Ok(None);
        }
        let mut random = [0; ids::ROOM_ID_RANDOM_BYTES];
        SystemRandom::new().fill(&mut random).map_err(|_| RoomError::NoRandomness)?;
        let too_long =
            || RoomError::InvalidParameter("this server's name is too long for a room id".to_owned());
        ids::new_room_id(random, self.appender.server_name()).ok_or_else(too_long).map(Some)
    }

    fn alias(&self, new: &NewRoom) -> Result<Option<OwnedRoomAliasId>, RoomError> {
        let Some(localpart) = &new.alias_localpart else { return Ok(None) };
        let invalid = || RoomError::InvalidParameter(format!("{localpart:?} can't be an alias's local part"));
        if localpart.is_empty()
            || localpart.contains([':', '#', '\0'])
            || localpart.contains(char::is_whitespace)
        {
            return Err(invalid());
        }
        let alias = OwnedRoomAliasId::try_from(format!("#{localpart}:{}", self.appender.server_name()))
            .map_err(|_| invalid())?;
        // Asked again in the transaction; here, before the work of building the room.
        if self.appender.storage().contains(&ALIASES, &alias)? {
            return Err(RoomError::AliasTaken(alias));
        }
        Ok(Some(alias))
    }
}

fn alias_error(error: AliasError) -> RoomError {
    match error {
        AliasError::Taken(alias) => RoomError::AliasTaken(alias),
        AliasError::Read(ReadError::Room(error)) => error,
        other => RoomError::InvalidParameter(other.to_string()),
    }
}

fn directory_error(error: DirectoryError) -> RoomError {
    match error {
        DirectoryError::Room(error) => error,
        other => RoomError::Forbidden(other.to_string()),
    }
}

/// A refusal of an event of the new room is a fault of what was asked for, not a lack of permission.
fn as_initial_state(error: RoomError) -> RoomError {
    match error {
        RoomError::Refused(_) | RoomError::Forbidden(_) | RoomError::BadContent(_) => {
            RoomError::InvalidInitialState(Box::new(error))
        }
        other => other,
    }
}
