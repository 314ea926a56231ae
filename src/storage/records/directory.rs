//! The user directory's rows.

use serde::{Deserialize, Serialize};

/// A user whom the directory knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryEntry {
    /// The display name of the profile, as far as it is known.
    pub display_name: Option<String>,
    /// The avatar's URL.
    pub avatar_url: Option<String>,
    /// Whether another server's user has been seen with another name or avatar since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_stale: bool,
}
