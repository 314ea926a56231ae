//! Files that users share: the store, thumbnails, and previews of links.
//!
//! Bytes lie in files on the local disk, named by their SHA-256 ([`files`]), so equal uploads are stored once;
//! rows say what each `mxc://` address stands for ([`MediaStore`]) and how many rows refer to each file. An
//! upload is on disk, with its row, before it is answered. Nothing here holds a whole file in memory, and
//! nothing here fetches media of other servers: `federation` does, and puts it here. The main type is
//! [`MediaStore`].

mod address;
mod cleanup;
pub mod content_type;
mod error;
mod files;
pub mod limits;
pub mod multipart;
mod previews;
pub mod range;
mod removal;
mod store;
mod thumbnails;
mod uploads;

pub use self::{
    address::MediaAddress,
    cleanup::MediaCleanup,
    error::MediaError,
    files::{ContentFiles, IncomingFile, WholeFile},
    previews::{Domains, UrlPreviewError, UrlPreviewSettings, UrlPreviews},
    removal::{MediaEntry, Removed, Usage},
    store::{Media, MediaSettings, MediaStore},
    thumbnails::{Method, Thumbnail, ThumbnailRequest, Thumbnails},
    uploads::{NewMedia, PendingUpload},
};
