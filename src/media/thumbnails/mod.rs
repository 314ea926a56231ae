//! Thumbnails (client-server API, "Thumbnails"): made when somebody asks for one, and kept.
//!
//! Few sizes are made: the specification's, and for other forms the same lengths; a request gets the next
//! larger one. Images come from strangers, so decoding is bounded in pixels, bytes and time, one at a time, on
//! a thread that may block; see [`render`]. The main type is [`Thumbnails`].

mod render;
mod size;

use std::sync::Arc;

use tokio::sync::Semaphore;

pub(super) use self::render::{ImageFacts, image_facts};
pub use self::size::{Method, ThumbnailRequest};
use self::{
    render::{Rendered, Source},
    size::Target,
};
use super::{
    Media, MediaError, MediaStore, content_type, limits,
    store::{blocking, refer},
};
use crate::storage::{
    Direction, Json, Read,
    records::{FileHash, ThumbnailRecord},
    tables::{MEDIA_FILES, THUMBNAILS},
};

/// What to show for a piece of media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbnail {
    /// The file.
    pub file: FileHash,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its content type.
    pub content_type: String,
}

/// Makes and keeps thumbnails; cheap to clone.
#[derive(Debug, Clone)]
pub struct Thumbnails {
    store: MediaStore,
    turns: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Thumbnails {
    /// Of the store's media.
    pub fn new(store: MediaStore) -> Self {
        let turns = Arc::new(Semaphore::new(limits::THUMBNAILS_CONCURRENT_MAX));
        let waiting = Arc::new(Semaphore::new(limits::THUMBNAILS_WAITING_MAX));
        Self { store, turns, waiting }
    }

    /// The thumbnail that fits a request: one that is kept, the media itself if it is small, or a new one.
    pub async fn of(&self, media: &Media, request: ThumbnailRequest) -> Result<Thumbnail, MediaError> {
        let (thumbnails, source) = (self.clone(), media.record.file);
        let found = blocking(move || thumbnails.look_up(source, request.target())).await?;
        match found {
            Found::Kept(kept) => Ok(kept),
            Found::ToMake(target) => self.make(media, target).await,
        }
    }

    /// The thumbnail of a size, or which size to make: the usual one where the file has enough of others, since
    /// what isn't kept would be made again at each request.
    fn look_up(&self, source: FileHash, target: Target) -> Result<Found, MediaError> {
        if let Some(kept) = self.kept(source, target)? {
            return Ok(Found::Kept(kept));
        }
        if target == target.usual() || count(&self.store.storage, source) < limits::THUMBNAILS_PER_FILE_MAX {
            return Ok(Found::ToMake(target));
        }
        let usual = target.usual();
        Ok(self.kept(source, usual)?.map_or(Found::ToMake(usual), Found::Kept))
    }

    async fn make(&self, media: &Media, target: Target) -> Result<Thumbnail, MediaError> {
        if media.record.bytes > limits::THUMBNAIL_SOURCE_BYTES_MAX {
            return Err(MediaError::ImageTooLarge);
        }
        let _waits = self.waiting.try_acquire().map_err(|_| MediaError::Busy)?;
        let turn = tokio::time::timeout(limits::THUMBNAIL_WAIT_TIME_MAX, self.turns.clone().acquire_owned());
        let turn = turn.await.map_err(|_| MediaError::Busy)?.map_err(|_| MediaError::Busy)?;
        let (thumbnails, file, bytes) = (self.clone(), media.record.file, media.record.bytes);
        // The turn goes with the work: who gives up waiting does not let another one begin beside it.
        let (rendered, turn) = blocking(move || {
            // Another request may have made it meanwhile.
            if let Some(kept) = thumbnails.kept(file, target)? {
                return Ok::<_, MediaError>((Made::Kept(kept), turn));
            }
            let path = thumbnails.store.files.path(&file);
            let pixels_max = thumbnails.store.settings.thumbnail_pixels_max;
            let source = Source { path: &path, pixels_max };
            Ok((Made::New(render::render(&source, target)?), turn))
        })
        .await?;
        drop(turn);
        match rendered {
            Made::Kept(kept) => Ok(kept),
            Made::New(Rendered::AsItIs { content_type }) => {
                Ok(Thumbnail { file, bytes, content_type: content_type.to_owned() })
            }
            Made::New(Rendered::Image { bytes, content_type }) => {
                self.keep(file, target, &bytes, content_type).await
            }
        }
    }

    fn kept(&self, source: FileHash, target: Target) -> Result<Option<Thumbnail>, MediaError> {
        let row = self.store.storage.get(&THUMBNAILS, &target.key(source))?;
        Ok(row.map(|Json(ThumbnailRecord { file, bytes, content_type })| Thumbnail {
            file,
            bytes,
            content_type,
        }))
    }

    async fn keep(
        &self,
        source: FileHash,
        target: Target,
        image: &[u8],
        content_type: &'static str,
    ) -> Result<Thumbnail, MediaError> {
        let mut file = self.store.files.begin(u64::MAX).await?;
        file.write(image).await?;
        let file = file.finish().await?;
        let store = self.store.clone();
        blocking(move || {
            let (hash, bytes) = (file.hash(), file.bytes());
            let record = ThumbnailRecord { file: hash, bytes, content_type: content_type.to_owned() };
            store.files.keep(&file, || {
                store.storage.write(|tx| {
                    // Removed while it was made: its rows would refer to nothing.
                    if !tx.contains(&MEDIA_FILES, &source)? {
                        return Err(MediaError::NotFound);
                    }
                    let key = target.key(source);
                    let has_place =
                        target == target.usual() || count(tx, source) < limits::THUMBNAILS_PER_FILE_MAX;
                    if has_place && !tx.contains(&THUMBNAILS, &key)? {
                        tx.put(&THUMBNAILS, &key, &Json(record.clone()));
                        refer(tx, &hash, bytes)?;
                    }
                    Ok(())
                })
            })?;
            Ok(Thumbnail { file: hash, bytes, content_type: record.content_type })
        })
        .await
    }
}

/// How many thumbnails are kept of a file.
fn count(read: &impl Read, source: FileHash) -> usize {
    read.scan(&THUMBNAILS, &THUMBNAILS.prefix(&(source,)), Direction::Forward).count()
}

enum Found {
    Kept(Thumbnail),
    ToMake(Target),
}

enum Made {
    Kept(Thumbnail),
    New(Rendered),
}

impl Thumbnail {
    /// The header `Content-Disposition` with a name that says what it is.
    pub fn disposition(&self) -> String {
        let extension = match self.content_type.as_str() {
            "image/jpeg" => "jpg",
            "image/gif" => "gif",
            "image/webp" => "webp",
            _ => "png",
        };
        content_type::disposition(&self.content_type, Some(format!("thumbnail.{extension}"))).to_string()
    }
}
