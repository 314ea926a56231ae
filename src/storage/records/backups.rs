//! Key backups' rows.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// One version of a user's key backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BackupRecord {
    /// How keys are encrypted.
    pub algorithm: String,
    /// What belongs to the algorithm, such as the public key: an object.
    pub auth_data: Box<RawValue>,
    /// Counts the changes of the keys.
    pub etag: u64,
    /// How many keys there are.
    pub count: u64,
    /// True when the user has deleted it: the row stays so that its number is never given again.
    pub is_deleted: bool,
}
