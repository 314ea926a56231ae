//! The bounds of media, each with its reason.

use std::time::Duration;

/// Bytes of a file that are in memory at a time while it is read or written.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// The longest file name that is kept, in bytes; longer ones are cut. File systems allow 255.
pub const FILENAME_BYTES_MAX: usize = 255;

/// The longest content type that is kept, in bytes; a longer one counts as none.
pub const CONTENT_TYPE_BYTES_MAX: usize = 255;

/// The longest media id of another server that is looked for, in bytes.
pub const MEDIA_ID_BYTES_MAX: usize = 255;

/// Random bytes in a media id: nobody guesses one.
pub const MEDIA_ID_RANDOM_BYTES: usize = 18;

/// Uploads received at the same time; each takes a connection and a file.
pub const UPLOADS_CONCURRENT_MAX: usize = 32;

/// Uploads received at the same time from one user, so that one user does not take all places.
pub const UPLOADS_CONCURRENT_PER_USER_MAX: usize = 8;

/// How long an upload may send nothing.
pub const UPLOAD_STALLED_TIME_MAX: Duration = Duration::from_secs(60);

/// How long an upload may take in all: 50 MiB at 15 KiB a second.
pub const UPLOAD_TIME_MAX: Duration = Duration::from_secs(3_600);

/// How long the rest of an upload that is refused is read on, so that its client sees the answer.
pub const REFUSED_UPLOAD_READ_TIME_MAX: Duration = Duration::from_secs(10);

/// Free bytes that uploads leave on the disk, above what the database keeps for itself: a full media folder
/// must not stop messages.
pub const FREE_SPACE_RESERVE_BYTES: u64 = 128 << 20;

/// On small file systems uploads leave this part of the whole (1/8).
pub const FREE_SPACE_RESERVE_DIVISOR: u64 = 8;

/// Bytes written between two looks at the free space.
pub const FREE_SPACE_CHECK_BYTES: u64 = 8 << 20;

/// Media ids that one user may have waiting for their upload (client-server API, `POST /media/v1/create`).
pub const PENDING_UPLOADS_PER_USER_MAX: usize = 64;

/// How long a media id waits for its upload, in milliseconds (the specification's recommendation).
pub const PENDING_UPLOAD_LIFETIME_MS: u64 = 24 * 3_600 * 1_000;

/// The longest that a download waits for an upload that has not come yet.
pub const UPLOAD_WAIT_TIME_MAX: Duration = Duration::from_secs(60);

/// Locks for files: as many files can be put in place or removed at a time.
pub const FILE_LOCKS: usize = 16;

/// Thumbnails made at the same time: decoding takes a core and, for a moment, a few bytes per pixel.
pub const THUMBNAILS_CONCURRENT_MAX: usize = 1;

/// Requests that may wait for their turn to have a thumbnail made; further ones come again.
pub const THUMBNAILS_WAITING_MAX: usize = 64;

/// How long a request waits for its turn.
pub const THUMBNAIL_WAIT_TIME_MAX: Duration = Duration::from_secs(30);

/// How long reading an image for a thumbnail may take.
pub const THUMBNAIL_TIME_MAX: Duration = Duration::from_secs(20);

/// Bytes of memory that decoding may take per pixel allowed: four channels of one byte, and as much for the
/// decoder itself.
pub const DECODE_BYTES_PER_PIXEL: u64 = 8;

/// Bytes of memory for what an image file holds beside the image: colour profiles and texts are compressed, a
/// thousandfold by who means harm, and unpacked while the head of the file is read. Real ones have some KiB.
pub const IMAGE_METADATA_BYTES_MAX: u64 = 4 << 20;

/// The longest side of an image of which a thumbnail is made, in pixels.
pub const IMAGE_SIDE_MAX: u32 = 32_768;

/// The largest file that is read for a thumbnail, in bytes: compressed images that are longer have more
/// pixels than allowed.
pub const THUMBNAIL_SOURCE_BYTES_MAX: u64 = 64 << 20;

/// Frames of an animated thumbnail; longer animations get a still one.
pub const ANIMATION_FRAMES_MAX: usize = 120;

/// Thumbnails kept of one file; who asks for still other sizes gets the next larger usual one, of which there are a
/// dozen.
pub const THUMBNAILS_PER_FILE_MAX: usize = 24;

/// Quality of JPEG thumbnails, of 100: below this they begin to look bad.
pub const JPEG_QUALITY: u8 = 82;

/// Files of one user that one request of an administrator lists.
pub const USER_MEDIA_LISTED_MAX: usize = 1_000;

/// Rows that one transaction of a clean-up or removal changes: others write in between.
pub const REMOVED_AT_ONCE_MAX: usize = 100;

/// Between two clean-ups.
pub const CLEANUP_INTERVAL: Duration = Duration::from_secs(24 * 3_600);

/// Between the start of the server and the first clean-up: starting is work enough.
pub const CLEANUP_DELAY: Duration = Duration::from_secs(60);

/// That remote media was used is noted again after this time, in milliseconds.
pub const USE_NOTED_INTERVAL_MS: u64 = 24 * 3_600 * 1_000;

/// How long the image of a preview is kept, in milliseconds: clients show it as long as a room is open.
pub const PREVIEW_IMAGE_LIFETIME_MS: u64 = 7 * 24 * 3_600 * 1_000;

/// Previews made at the same time, each for all who ask for it.
pub const PREVIEWS_CONCURRENT_MAX: usize = 16;

/// The longest link, in bytes.
pub const PREVIEW_URL_BYTES_MAX: usize = 4_096;

/// How long a preview is served as it is, in milliseconds: pages change.
pub const PREVIEW_LIFETIME_MS: u64 = 3_600 * 1_000;

/// Bytes of a page that are read: its head is at the beginning.
pub const PREVIEW_PAGE_BYTES_MAX: usize = 1 << 20;

/// The largest image in a preview, in bytes.
pub const PREVIEW_IMAGE_BYTES_MAX: u64 = 8 << 20;

/// The longest answer that is begun to be read, in bytes; of pages only the beginning is.
pub const PREVIEW_RESPONSE_BYTES_MAX: u64 = 32 << 20;

/// How long fetching a page, or its image, may take.
pub const PREVIEW_TIME_MAX: Duration = Duration::from_secs(15);

/// Redirects followed.
pub const PREVIEW_REDIRECTS_MAX: usize = 5;

/// The longest text in a preview, in bytes.
pub const PREVIEW_TEXT_BYTES_MAX: usize = 1_000;

/// Facts of a page that are kept.
pub const PREVIEW_PROPERTIES_MAX: usize = 40;
