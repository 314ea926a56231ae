//! Accounts of this server: names, passwords, who administers.
//!
//! A name, once given, is never given again. The main type is [`Accounts`].

use std::sync::Arc;

use ruma::{OwnedServerName, OwnedUserId, ServerName, UserId};

use super::{
    Appservices, Clock, Passwords, UserError, keys,
    sessions::{self, NewDevice, Sessions, StartedSession},
    user_directory::{self, ShownProfile},
};
use crate::storage::{
    Direction, Json, Read, ShortUserId, Storage, StorageError, Transaction, records::AccountRecord, tables,
};

/// The local part of the user as whom the server itself speaks; nobody can register it.
pub const SERVER_USER_LOCALPART: &str = "_server";

/// A user who registers.
#[derive(Debug, Clone, Default)]
pub struct NewAccount {
    /// Makes an administrator of the user; the first user of a server always becomes one.
    pub is_admin: bool,
    /// The password; without one there is no logging in with a password.
    pub password: Option<String>,
    /// Logs the user in at once.
    pub device: Option<NewDevice>,
    /// The application service that makes the account, for one of its users.
    pub appservice: Option<String>,
}

/// The service for accounts; cheap to clone.
#[derive(Clone, Debug)]
pub struct Accounts {
    storage: Storage,
    sessions: Sessions,
    passwords: Passwords,
    server_name: Arc<OwnedServerName>,
    clock: Clock,
}

impl Accounts {
    /// The service for the accounts of `server_name`.
    pub fn new(
        storage: Storage,
        sessions: Sessions,
        passwords: Passwords,
        server_name: OwnedServerName,
        clock: Clock,
    ) -> Self {
        Self { storage, sessions, passwords, server_name: Arc::new(server_name), clock }
    }

    /// The application services, which have names for themselves.
    pub fn appservices(&self) -> &Appservices {
        self.sessions.appservices()
    }

    /// This server's name.
    pub fn server_name(&self) -> &ServerName {
        &self.server_name
    }

    /// Whether the id is of this server; there need not be such an account.
    pub fn is_local(&self, user: &UserId) -> bool {
        user.server_name() == self.server_name.as_str()
    }

    /// The short id of a user who has an account here that is not deactivated.
    pub fn local_user(&self, user: &UserId) -> Result<Option<ShortUserId>, StorageError> {
        let found = self.find(user)?;
        Ok(found.filter(|(_, account)| !account.is_deactivated).map(|(short, _)| short))
    }

    /// Whether the user administers this server.
    pub fn is_admin(&self, user: &UserId) -> Result<bool, StorageError> {
        let found = self.find(user)?;
        Ok(found.is_some_and(|(_, account)| account.is_admin && !account.is_deactivated))
    }

    /// The store.
    pub(super) fn storage(&self) -> &Storage {
        &self.storage
    }

    /// The rules for new passwords.
    pub fn passwords(&self) -> &Passwords {
        &self.passwords
    }

    /// The id of a new user by the wished name, whose capitals become small letters (appendices, "User
    /// identifiers"). Refuses a name that is taken.
    pub fn free_user_id(&self, username: &str) -> Result<OwnedUserId, UserError> {
        let user_id = self.new_user_id(username)?;
        if self.find(&user_id)?.is_some() {
            return Err(UserError::UserInUse(user_id));
        }
        if user_id.localpart() == SERVER_USER_LOCALPART {
            return Err(UserError::UserInUse(user_id));
        }
        if !self.appservices().current().may_have_user(&user_id, None) {
            return Err(UserError::ExclusiveUser(user_id));
        }
        Ok(user_id)
    }

    /// A new random user id.
    pub fn random_user_id(&self) -> OwnedUserId {
        UserId::new(&self.server_name)
    }

    fn new_user_id(&self, username: &str) -> Result<OwnedUserId, UserError> {
        let localpart = username.to_ascii_lowercase();
        let user_id = UserId::parse(format!("@{localpart}:{}", self.server_name))
            .map_err(|_| UserError::InvalidUsername)?;
        // A colon in the name would make another server's id of it.
        if !self.is_local(&user_id) || user_id.localpart().is_empty() || user_id.validate_strict().is_err() {
            return Err(UserError::InvalidUsername);
        }
        Ok(user_id)
    }

    /// Makes the account and, if asked for, its first session, as one. Refuses a name that is taken.
    pub fn register(
        &self,
        user_id: &UserId,
        account: NewAccount,
    ) -> Result<Option<StartedSession>, UserError> {
        let user_id = self.new_user_id(user_id.localpart())?;
        self.create(&user_id, account)
    }

    /// Makes an account whose name has been checked.
    pub(super) fn create(
        &self,
        user_id: &UserId,
        account: NewAccount,
    ) -> Result<Option<StartedSession>, UserError> {
        let password_hash =
            account.password.map(|password| self.passwords.hash_new(&password)).transpose()?;
        let session = account.device.map(|device| self.sessions.prepare(device, user_id)).transpose()?;
        let now = self.clock.now();
        self.storage.write(|tx| {
            let user = tx.intern_user(user_id)?;
            if tx.contains(&tables::ACCOUNTS, &user)? {
                return Err(UserError::UserInUse(user_id.to_owned()));
            }
            let is_admin = account.is_admin || (account.appservice.is_none() && is_first_person(tx)?);
            // Bots and bridged people are found where they came from (as in Synapse).
            if account.appservice.is_none() {
                user_directory::put(tx, user, user_id, ShownProfile::default())?;
            }
            let record = AccountRecord {
                password_hash,
                is_admin,
                is_deactivated: false,
                created_at: now,
                appservice: account.appservice,
                is_locked: false,
                is_suspended: false,
                is_guest: false,
                is_erased: false,
                user_type: None,
                message_rate: None,
            };
            tx.put(&tables::ACCOUNTS, &user, &Json(record));
            if let Some(session) = &session {
                sessions::begin(tx, user, session)?;
            }
            Ok(())
        })?;
        Ok(session.map(|session| session.started))
    }

    /// The id of this server that a client means by an id or a local part, in small letters; there need
    /// not be such an account.
    pub fn meant_by(&self, user: &str) -> Option<OwnedUserId> {
        let user_id = UserId::parse_with_server_name(user.to_ascii_lowercase(), &self.server_name).ok()?;
        self.is_local(&user_id).then_some(user_id)
    }

    /// The id of the user whom a client names by id or by local part, if password and account fit. Takes
    /// as long when there is no such account as when the password is wrong.
    pub fn check_password(&self, user: &str, password: &str) -> Result<OwnedUserId, UserError> {
        let user_id = UserId::parse_with_server_name(user, &self.server_name).ok();
        let user_id = user_id.filter(|user_id| self.is_local(user_id));
        let account = user_id.as_ref().map(|user_id| self.find_any_case(user_id)).transpose()?.flatten();
        let hash = account.as_ref().and_then(|(_, account)| account.password_hash.as_deref());
        let fits = self.passwords.verify(password, hash)?;
        match account {
            Some((user_id, account)) if fits && !account.is_deactivated => Ok(user_id),
            _ => Err(UserError::WrongCredentials),
        }
    }

    /// The account behind the id as typed or, as new names have no capitals, in small letters.
    fn find_any_case(&self, user: &UserId) -> Result<Option<(OwnedUserId, AccountRecord)>, StorageError> {
        if let Some((_, account)) = self.find(user)? {
            return Ok(Some((user.to_owned(), account)));
        }
        let Ok(lower) = self.new_user_id(user.localpart()) else { return Ok(None) };
        Ok(self.find(&lower)?.map(|(_, account)| (lower, account)))
    }

    /// Sets a new password, which must follow the rules; ends all other sessions if asked to.
    pub fn change_password(
        &self,
        user_id: &UserId,
        password: &str,
        end_sessions_but: Option<&ruma::DeviceId>,
    ) -> Result<(), UserError> {
        let hash = self.passwords.hash_new(password)?;
        let ended = self.change(user_id, |tx, user, account| {
            account.password_hash = Some(hash);
            match end_sessions_but {
                Some(kept) => sessions::end_all_but(tx, user, Some(kept)),
                None => Ok(Vec::new()),
            }
        })?;
        self.sessions.forget(&ended);
        Ok(())
    }

    /// Closes an account for good: no password, no device, no session; the name stays taken. With
    /// `erase` the profile goes as well. Rooms are left by the room service.
    pub fn deactivate(&self, user_id: &UserId, erase: bool) -> Result<(), UserError> {
        let ended = self.change(user_id, |tx, user, account| {
            account.password_hash = None;
            account.is_deactivated = true;
            account.is_admin = false;
            account.is_erased |= erase;
            if erase {
                tx.delete(&tables::PROFILES, &user);
            }
            user_directory::remove(tx, user, user_id)?;
            keys::forget_user(tx, user)?;
            sessions::end_all_but(tx, user, None)
        })?;
        self.sessions.forget(&ended);
        Ok(())
    }

    /// Makes a user an administrator, or no longer.
    pub fn set_admin(&self, user_id: &UserId, is_admin: bool) -> Result<(), UserError> {
        self.change(user_id, |_, _, account| {
            account.is_admin = is_admin;
            Ok(())
        })?;
        // Sessions know whether their user administers.
        self.sessions.forget_all();
        Ok(())
    }

    /// Changes an active account's record, and what belongs to it, in one transaction.
    fn change<T>(
        &self,
        user_id: &UserId,
        change: impl FnOnce(&mut Transaction<'_>, ShortUserId, &mut AccountRecord) -> Result<T, UserError>,
    ) -> Result<T, UserError> {
        self.storage.write(|tx| {
            let user = self.find_in(tx, user_id)?;
            let Some((user, mut account)) = user else {
                return Err(UserError::UnknownUser(user_id.to_owned()));
            };
            if account.is_deactivated {
                return Err(UserError::Deactivated);
            }
            let outcome = change(tx, user, &mut account)?;
            tx.put(&tables::ACCOUNTS, &user, &Json(account));
            Ok(outcome)
        })
    }

    fn find(&self, user: &UserId) -> Result<Option<(ShortUserId, AccountRecord)>, StorageError> {
        self.find_in(&self.storage, user)
    }

    fn find_in(
        &self,
        reader: &impl Read,
        user: &UserId,
    ) -> Result<Option<(ShortUserId, AccountRecord)>, StorageError> {
        if !self.is_local(user) {
            return Ok(None);
        }
        let Some(short) = reader.short_user_id(user)? else { return Ok(None) };
        Ok(reader.get(&tables::ACCOUNTS, &short)?.map(|Json(account)| (short, account)))
    }
}

/// Whether nobody has an account but application services' users, which are passed over one by one: there
/// may be many, but then only until the first person registers.
fn is_first_person(reader: &impl Read) -> Result<bool, StorageError> {
    for row in reader.scan(&tables::ACCOUNTS, &tables::ACCOUNTS.all(), Direction::Forward) {
        let (_, Json(account)) = row?;
        if account.appservice.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

mod administration;
#[cfg(test)]
mod tests;

pub use administration::AccountDetails;
