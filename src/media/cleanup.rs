//! The clean-up: what was left behind, and what has been kept for long enough.

use super::{MediaError, MediaStore, limits, store::blocking};
use crate::storage::{Direction, Json, Read, StorageError, tables::URL_PREVIEWS};

/// Removes, once a day: media ids whose upload never came, files that no row refers to, media of other servers
/// that nobody asks for, old previews.
#[derive(Debug, Clone)]
pub struct MediaCleanup {
    store: MediaStore,
}

impl MediaCleanup {
    /// Of this store.
    pub fn new(store: MediaStore) -> Self {
        Self { store }
    }

    /// Runs until it is dropped: first some time after the start.
    pub async fn run(self) {
        tokio::time::sleep(limits::CLEANUP_DELAY).await;
        loop {
            let cleanup = self.clone();
            if let Err(e) = blocking(move || cleanup.run_once()).await {
                tracing::warn!("the clean-up of media could not be finished: {e}");
            }
            tokio::time::sleep(limits::CLEANUP_INTERVAL).await;
        }
    }

    /// Cleans up once. Blocks.
    pub fn run_once(&self) -> Result<(), MediaError> {
        let store = &self.store;
        let now_ms = store.clock.now_ms();
        store.forget_expired_uploads()?;
        if let Some(keep_ms) = store.settings.remote_keep_ms {
            let removed = store.remove_remote_before(now_ms.saturating_sub(keep_ms))?;
            if !removed.addresses.is_empty() {
                tracing::info!(
                    files = removed.addresses.len(),
                    bytes = removed.bytes,
                    "removed media of other servers that nobody has asked for"
                );
            }
        }
        let previews_before = now_ms.saturating_sub(limits::PREVIEW_IMAGE_LIFETIME_MS);
        self.forget_previews(previews_before)?;
        store.remove_previews_before(previews_before)?;
        store.remove_doomed_files()?;
        self.remove_orphans()
    }

    /// Forgets previews of links that were fetched before a time.
    fn forget_previews(&self, before_ms: u64) -> Result<(), StorageError> {
        let storage = &self.store.storage;
        let rows = storage.scan(&URL_PREVIEWS, &URL_PREVIEWS.all(), Direction::Forward);
        let mut old = Vec::new();
        for row in rows {
            let (key, Json(preview)) = row?;
            if preview.fetched_ms < before_ms {
                old.push(key);
            }
        }
        for keys in old.chunks(limits::REMOVED_AT_ONCE_MAX) {
            storage.write(|tx| {
                for key in keys {
                    tx.delete(&URL_PREVIEWS, key);
                }
                Ok::<_, StorageError>(())
            })?;
        }
        Ok(())
    }

    /// Removes files that no row refers to: a crash can leave one between the moment when it was put in place
    /// and that when its row was durable.
    fn remove_orphans(&self) -> Result<(), MediaError> {
        let store = &self.store;
        let mut count = 0_u64;
        for first in 0..=u8::MAX {
            for file in store.files.with_first_byte(first)? {
                if store.is_unused(&file)? {
                    store.files.remove(&file, || store.is_unused(&file))?;
                    count += 1;
                }
            }
        }
        if count > 0 {
            tracing::info!(count, "removed media files that nothing refers to");
        }
        Ok(())
    }
}
