//! What can go wrong with media.

use std::io;

use crate::storage::StorageError;

/// An error of media.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MediaError {
    /// There is no such media, or it is in quarantine.
    #[error("There is no such media")]
    NotFound,
    /// Its media id was made, and nothing has been uploaded yet.
    #[error("The media has not been uploaded yet")]
    NotYetUploaded,
    /// The media id has been uploaded to.
    #[error("The media has already been uploaded")]
    CannotOverwrite,
    /// The media id was made for another user.
    #[error("This media id was made for another user")]
    NotYours,
    /// The file is larger than allowed.
    #[error("The file is larger than the {bytes_max} bytes that this server accepts")]
    TooLarge {
        /// What is allowed.
        bytes_max: u64,
    },
    /// A file of another server is larger than allowed.
    #[error("The file is larger than the {bytes_max} bytes that this server fetches")]
    RemoteTooLarge {
        /// What is allowed.
        bytes_max: u64,
    },
    /// Another server's file could not be fetched.
    #[error("The media could not be fetched from its server: {0}")]
    Unreachable(String),
    /// The user has uploaded as much as a user may.
    #[error("You have uploaded as much as a user of this server may")]
    QuotaExceeded,
    /// The user has too many media ids that wait for their upload.
    #[error("Too many uploads are pending; finish some first")]
    TooManyPending,
    /// Too many uploads or thumbnails at a time.
    #[error("The server is busy; try again")]
    Busy,
    /// The upload took too long.
    #[error("The upload was not received in time")]
    TooSlow,
    /// The upload broke off.
    #[error("The upload could not be read to its end")]
    BrokenOff,
    /// No thumbnail can be made of this media.
    #[error("No thumbnail can be made of this: {0}")]
    NoThumbnail(String),
    /// The image is too large for a thumbnail.
    #[error("The image is too large to be thumbnailed")]
    ImageTooLarge,
    /// The disk is nearly full.
    #[error("The server's disk is full; the file was not stored")]
    DiskFull,
    /// The disk failed.
    #[error("a media file could not be read or written: {0}")]
    Io(String),
    /// No randomness from the system.
    #[error("the system has no randomness")]
    NoRandomness,
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<io::Error> for MediaError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            _ => Self::Io(error.to_string()),
        }
    }
}
