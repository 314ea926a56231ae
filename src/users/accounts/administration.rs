//! What administrators do with accounts: looking at them, locking, suspending, opening closed ones again.

use ruma::{OwnedUserId, UserId};

use super::{Accounts, NewAccount, SERVER_USER_LOCALPART};
use crate::{
    storage::{
        Direction, Json, Read, ShortUserId, StorageError,
        records::{AccountRecord, MessageRateOverride},
        tables,
    },
    users::{
        Profile, UserError, sessions,
        user_directory::{self, ShownProfile},
    },
};

/// An account as administrators see it.
#[derive(Debug, Clone)]
pub struct AccountDetails {
    /// The short id.
    pub user: ShortUserId,
    /// The user.
    pub user_id: OwnedUserId,
    /// What is kept of the account.
    pub record: AccountRecord,
}

impl Accounts {
    /// An account, be it closed or not.
    pub fn details(&self, user_id: &UserId) -> Result<Option<AccountDetails>, StorageError> {
        let found = self.find(user_id)?;
        Ok(found.map(|(user, record)| AccountDetails { user, user_id: user_id.to_owned(), record }))
    }

    /// Every account, in the order in which this server first saw the users. Walks all: for administrators.
    pub fn all(&self) -> impl Iterator<Item = Result<AccountDetails, StorageError>> + '_ {
        let rows = self.storage.scan(&tables::ACCOUNTS, &tables::ACCOUNTS.all(), Direction::Forward);
        rows.map(|row| {
            let (user, Json(record)) = row?;
            Ok(AccountDetails { user, user_id: self.storage.user_id(user)?, record })
        })
    }

    /// Sets a new password, which must follow the rules, without asking for the old one; logs all devices out if
    /// asked to.
    pub fn reset_password(
        &self,
        user_id: &UserId,
        password: &str,
        ends_sessions: bool,
    ) -> Result<(), UserError> {
        let hash = self.passwords.hash_new(password)?;
        let ended = self.change(user_id, |tx, user, account| {
            account.password_hash = Some(hash);
            if ends_sessions { sessions::end_all_but(tx, user, None) } else { Ok(Vec::new()) }
        })?;
        self.sessions.forget(&ended);
        Ok(())
    }

    /// Locks an account, or unlocks it: while it is locked, nothing can be done with it.
    pub fn set_locked(&self, user_id: &UserId, is_locked: bool) -> Result<(), UserError> {
        self.moderate(user_id, |account| account.is_locked = is_locked)
    }

    /// Suspends an account, or lifts that: while it is suspended, its user may read, and do little else.
    pub fn set_suspended(&self, user_id: &UserId, is_suspended: bool) -> Result<(), UserError> {
        self.moderate(user_id, |account| account.is_suspended = is_suspended)
    }

    /// Notes what kind of user it is, in the operator's words; `None` for a person.
    pub fn set_user_type(&self, user_id: &UserId, user_type: Option<String>) -> Result<(), UserError> {
        self.moderate(user_id, |account| account.user_type = user_type)
    }

    /// Gives the user another limit on how often they may send events; `None` for that of everybody.
    pub fn set_message_rate(
        &self,
        user_id: &UserId,
        rate: Option<MessageRateOverride>,
    ) -> Result<(), UserError> {
        self.moderate(user_id, |account| account.message_rate = rate)
    }

    fn moderate(&self, user_id: &UserId, change: impl FnOnce(&mut AccountRecord)) -> Result<(), UserError> {
        self.change(user_id, |_, _, account| {
            change(account);
            Ok(())
        })?;
        // Sessions know all of this of their user.
        self.sessions.forget_all();
        Ok(())
    }

    /// Makes the user as whom the server itself speaks: no password, no device, no administrator.
    pub fn create_server_user(&self) -> Result<ShortUserId, UserError> {
        let user_id = self.new_user_id(SERVER_USER_LOCALPART)?;
        self.create(&user_id, NewAccount::default())?;
        self.moderate(&user_id, |account| {
            account.is_admin = false;
            account.user_type = Some("server".to_owned());
        })?;
        self.find(&user_id)?.map(|(user, _)| user).ok_or(UserError::UnknownUser(user_id))
    }

    /// Opens an account again that was closed: with a password, or with none for those of application services
    /// and for a user who is given one later. Its devices and rooms are gone.
    pub fn reactivate(&self, user_id: &UserId, password: Option<&str>) -> Result<(), UserError> {
        let hash = password.map(|password| self.passwords.hash_new(password)).transpose()?;
        self.storage.write(|tx| {
            let Some((user, mut account)) = self.find_in(tx, user_id)? else {
                return Err(UserError::UnknownUser(user_id.to_owned()));
            };
            account.is_deactivated = false;
            account.is_erased = false;
            let profile = Profile::read(tx, user)?;
            user_directory::put(tx, user, user_id, ShownProfile::of(&profile))?;
            if hash.is_some() {
                account.password_hash = hash;
            }
            tx.put(&tables::ACCOUNTS, &user, &Json(account));
            Ok(())
        })
    }
}
