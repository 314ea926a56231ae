//! What can go wrong with users.

use ruma::{OwnedDeviceId, OwnedUserId};

use crate::storage::StorageError;

use super::limits;

/// An error of the services for users.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
    /// Hashing failed, for example as there is no memory for it.
    #[error("a password could not be hashed: {0}")]
    PasswordHash(String),
    /// Too many requests of this kind are under way.
    #[error("The server is busy; try again in a moment")]
    Busy,

    /// The name can't be one of a new user.
    #[error("A user name may contain only a-z, 0-9 and ._=-/+, and must not be empty or too long")]
    InvalidUsername,
    /// The name belongs to an account, perhaps a deactivated one.
    #[error("The user name {0} is taken")]
    UserInUse(OwnedUserId),
    /// The password is too short.
    #[error("The password is too short: it must have at least {0} characters")]
    PasswordTooShort(usize),
    /// The password is too long.
    #[error("The password is too long: it may have at most {} bytes", limits::PASSWORD_BYTES_MAX)]
    PasswordTooLong,
    /// A token for registration can't be made or changed so.
    #[error("{0}")]
    InvalidToken(&'static str),
    /// Nobody may register.
    #[error("Registration is disabled on this server")]
    RegistrationDisabled,

    /// User name and password don't fit together, or there is no such account.
    #[error("Wrong user name or password")]
    WrongCredentials,
    /// The password is said to be another user's than the one who asks.
    #[error("You may do this only with your own password")]
    OtherUser,
    /// The account was deactivated.
    #[error("This account has been deactivated")]
    Deactivated,
    /// An administrator has locked the account.
    #[error("This account has been locked")]
    Locked,
    /// An administrator has suspended the account.
    #[error("This account has been suspended")]
    Suspended,
    /// The access token has expired: it is to be refreshed, or the user logs in again.
    #[error("The access token has expired")]
    AccessTokenExpired,
    /// A refresh token is unknown or was replaced.
    #[error("The refresh token is not valid (any more)")]
    UnknownRefreshToken,
    /// A login token is unknown, used or expired.
    #[error("The login token is not valid (any more)")]
    InvalidLoginToken,
    /// There is no such account here.
    #[error("There is no account {0}")]
    UnknownUser(OwnedUserId),

    /// An application service has the name for itself, or an application service asks for one that it has not.
    #[error("The user name {0} is reserved for an application service")]
    ExclusiveUser(OwnedUserId),
    /// An application service acts for a user who is none of its own.
    #[error("The application service may not act for {0}: it is in none of its namespaces")]
    NotInNamespace(OwnedUserId),
    /// An application service acts for a user who has no account yet.
    #[error("The application service has not registered {0}")]
    NotRegistered(OwnedUserId),
    /// An application service acts with a device that its user does not have.
    #[error("{user_id} has no device {device_id}")]
    NotADeviceOf {
        /// The user.
        user_id: OwnedUserId,
        /// The device.
        device_id: OwnedDeviceId,
    },

    /// The device id is too long.
    #[error("A device id may have at most {} bytes", limits::DEVICE_ID_BYTES_MAX)]
    DeviceIdTooLong,
    /// The user has no such device.
    #[error("There is no device {0}")]
    UnknownDevice(OwnedDeviceId),

    /// The name of the profile field does not follow the grammar.
    #[error("This is not a valid name of a profile field")]
    InvalidProfileField,
    /// The name of the profile field is too long.
    #[error("The name of a profile field may have at most {} bytes", limits::PROFILE_FIELD_NAME_BYTES_MAX)]
    ProfileFieldNameTooLong,
    /// The value of a profile field is not what the field takes.
    #[error("Not a valid value: {0}")]
    InvalidProfileValue(&'static str),
    /// The profile would become too large.
    #[error("A profile may have at most {} bytes", limits::PROFILE_BYTES_MAX)]
    ProfileTooLarge,

    /// The server alone sets this type of account data.
    #[error("{0} cannot be set through this API")]
    ServerManagedAccountData(String),
    /// Account data must be an object.
    #[error("The content must be a JSON object")]
    AccountDataNotAnObject,
    /// A name or content is larger than its bound.
    #[error("{what} may have at most {max}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The bound, with its unit.
        max: String,
    },
    /// The room is not known here.
    #[error("This server does not know the room")]
    UnknownRoom,

    /// The nonce is unknown, used or expired.
    #[error("The nonce is not valid (any more)")]
    InvalidNonce,
    /// The signature was not made with the shared secret.
    #[error("The HMAC is not right")]
    WrongMac,

    /// A device that is logged in cannot become the dehydrated one.
    #[error("The device {0} is logged in")]
    DeviceInUse(OwnedDeviceId),
    /// The user has no dehydrated device.
    #[error("There is no dehydrated device")]
    NoDehydratedDevice,
    /// The user's dehydrated device is another one.
    #[error("{0} is not the dehydrated device")]
    NotDehydrated(OwnedDeviceId),

    /// The content of a to-device message must be an object.
    #[error("The content of a message must be a JSON object")]
    ToDeviceContentNotAnObject,
    /// A server speaks for a user that is not its own.
    #[error("{0} is not a user of the server that sends this")]
    ForeignSender(OwnedUserId),
    /// What is uploaded is no key.
    #[error("Not a valid key: {0}")]
    BadKeys(String),
    /// The keys name another user or device.
    #[error("These are the keys of another user or device")]
    KeysOfAnother,
    /// Another one-time key has the id. (Clients look for these words.)
    #[error("One time key {0} already exists")]
    OneTimeKeyExists(String),
    /// A signature is wrong or missing.
    #[error("Invalid signature")]
    InvalidSignature,
    /// There is no master key to sign with.
    #[error("There is no master signing key")]
    NoMasterKey,
    /// A cross-signing key has the id of a device.
    #[error("The key's id is that of a device")]
    KeyIdInUse,
    /// The user has to prove who they are first.
    #[error("This needs authentication")]
    AuthenticationNeeded,

    /// There is no such key backup, or none at all.
    #[error("There is no such key backup")]
    NoBackup,
    /// The backup has no key for the session.
    #[error("The key backup has no such key")]
    NoBackedUpKey,
    /// Keys are written to another version of the backup, this one.
    #[error("The key backup's current version is {0}")]
    WrongBackupVersion(u64),
    /// What is said of a backup does not fit it.
    #[error("This is not the backup: {0}")]
    OtherBackup(&'static str),
}
