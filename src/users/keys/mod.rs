//! Keys for end-to-end encryption (client-server API, "End-to-End Encryption"): devices' identity keys,
//! one-time and fallback keys, cross-signing keys and signatures on all of them.
//!
//! This server keeps keys and hands them out; it trusts none of them. What it promises is exactness: a one-time
//! key is deleted in the transaction that hands it out, and a change of a user's identity keys moves the user to
//! the end of the stream of [`device_list`] changes in the transaction that makes it. Main type:
//! [`EncryptionKeys`].

mod claim;
mod cross_signing;
pub mod device_list;
mod given;
mod identity;
mod introductions;
mod publish;
mod query;
mod removal;
mod signatures;
mod upload;

#[cfg(test)]
mod tests;

use ruma::{OwnedDeviceId, OwnedServerName, UserId};

use super::Appservices;
use crate::storage::{ShortUserId, Storage, Transaction, tables};

pub use claim::{ClaimedKeys, KeyClaims, Stock};
pub(super) use cross_signing::checked_cross_signing_key;
pub use cross_signing::{CrossSigningUpload, KeyKind, NewKeys};
pub use introductions::DeviceIntroductions;
pub(super) use publish::device_renamed;
pub use query::{KeyQuery, UserKeys};
pub(super) use removal::{forget_device, forget_user};
pub use signatures::{SignatureFailure, SignedObjects, UploadedSignatures};
pub(super) use upload::CheckedUpload;
pub use upload::{KeyUpload, NamedKey};

/// The service; cheap to clone.
#[derive(Debug, Clone)]
pub struct EncryptionKeys {
    storage: Storage,
    server_name: OwnedServerName,
    appservices: Appservices,
}

impl EncryptionKeys {
    /// The service of server `server_name`.
    pub fn new(storage: Storage, server_name: OwnedServerName) -> Self {
        Self { storage, server_name, appservices: Appservices::default() }
    }

    /// With changes of the keys of `appservices`' users noted for those that want to be told (MSC3202).
    #[must_use]
    pub fn with_appservices(self, appservices: Appservices) -> Self {
        Self { appservices, ..self }
    }

    /// Notes that a device's stock of keys has changed, if an application service is to be told.
    fn stock_changed(
        &self,
        tx: &mut Transaction<'_>,
        user_id: &UserId,
        device: (ShortUserId, OwnedDeviceId),
    ) {
        if self.appservices.wants_device_changes(user_id) {
            let position = tx.next_position();
            tx.put(&tables::APPSERVICE_DEVICE_NEWS, &position, &device);
        }
    }

    /// Whether the user is one of this server.
    pub fn is_local(&self, user_id: &UserId) -> bool {
        user_id.server_name() == self.server_name
    }
}
