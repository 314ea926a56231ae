//! Files by the hash of their bytes.
//!
//! A file is written to `incoming/`, hashed while it is written, and moved to its place when it is whole and
//! on disk; its place is named by its hash, so equal files are one. A file that is whole never changes. What
//! refers to a file is counted in rows, by the caller: the file is in place before its row is written
//! ([`ContentFiles::keep`]), and its row is gone for good before the file is removed
//! ([`ContentFiles::remove`]). What a crash leaves in between is found by the clean-up.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use ring::digest::{Context, SHA256};
use tokio::io::AsyncWriteExt;

use super::{MediaError, limits};
use crate::storage::records::FileHash;

/// The folder of files that are being written.
const INCOMING: &str = "incoming";

/// The media folder; cheap to clone.
#[derive(Debug, Clone)]
pub struct ContentFiles {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    /// Whether a file must be on disk, and not just with the system, before it counts.
    power_loss: bool,
    number: AtomicU64,
    locks: [Mutex<()>; limits::FILE_LOCKS],
}

impl ContentFiles {
    /// Opens the folder, or makes it, and removes what was being written when the server last ended. Only one
    /// process may use the folder: the database's lock sees to that. With `power_loss`, files survive a power
    /// cut once they are kept.
    pub fn open(root: &Path, power_loss: bool) -> io::Result<Self> {
        let incoming = root.join(INCOMING);
        make_private_folder(root)?;
        make_private_folder(&incoming)?;
        for entry in fs::read_dir(&incoming)? {
            fs::remove_file(entry?.path())?;
        }
        let locks = std::array::from_fn(|_| Mutex::new(()));
        let inner = Inner { root: root.to_owned(), power_loss, number: AtomicU64::new(0), locks };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Begins a new file of at most `bytes_max` bytes.
    pub async fn begin(&self, bytes_max: u64) -> Result<IncomingFile, MediaError> {
        self.check_free_space(0)?;
        let number = self.inner.number.fetch_add(1, Ordering::Relaxed);
        let path = self.inner.root.join(INCOMING).join(number.to_string());
        let file = tokio::fs::OpenOptions::new().write(true).create_new(true).open(&path).await?;
        Ok(IncomingFile {
            files: self.clone(),
            file,
            path: RemovedOnDrop(path),
            hash: Context::new(&SHA256),
            bytes: 0,
            checked_bytes: 0,
            bytes_max,
        })
    }

    /// Puts a whole file in its place and calls `record`, which writes the row that refers to it. Blocks.
    pub fn keep<T, E: From<MediaError>>(
        &self,
        file: &WholeFile,
        record: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let _lock = self.lock(&file.hash);
        self.put_in_place(file).map_err(|e| E::from(MediaError::from(e)))?;
        record()
    }

    fn put_in_place(&self, file: &WholeFile) -> io::Result<()> {
        let place = self.path(&file.hash);
        let Some(folder) = place.parent() else { return Err(ErrorKind::InvalidInput.into()) };
        if !folder.exists() {
            make_private_folder(folder)?;
            self.sync_folder(&self.inner.root)?;
        }
        fs::rename(&file.path.0, &place)?;
        self.sync_folder(folder)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        if self.inner.power_loss { fs::File::open(folder)?.sync_all() } else { Ok(()) }
    }

    /// Removes a file if `is_unused` says, while nobody can put the same file in place, that no row refers to
    /// it. Blocks.
    pub fn remove<E: From<MediaError>>(
        &self,
        hash: &FileHash,
        is_unused: impl FnOnce() -> Result<bool, E>,
    ) -> Result<(), E> {
        let _lock = self.lock(hash);
        if !is_unused()? {
            return Ok(());
        }
        match fs::remove_file(self.path(hash)) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(E::from(MediaError::from(e))),
            _ => Ok(()),
        }
    }

    /// Where a file lies.
    pub fn path(&self, hash: &FileHash) -> PathBuf {
        let hex = hash.to_hex();
        let (folder, name) = hex.split_at(2);
        self.inner.root.join(folder).join(name)
    }

    /// The files whose hash starts with `first`.
    pub fn with_first_byte(&self, first: u8) -> io::Result<Vec<FileHash>> {
        let folder = format!("{first:02x}");
        let entries = match fs::read_dir(self.inner.root.join(&folder)) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            found.extend(name.to_str().and_then(|name| FileHash::from_hex(&format!("{folder}{name}"))));
        }
        Ok(found)
    }

    fn lock(&self, hash: &FileHash) -> MutexGuard<'_, ()> {
        let [first, ..] = hash.0;
        let [any, ..] = &self.inner.locks;
        let lock = self.inner.locks.get(usize::from(first) % limits::FILE_LOCKS).unwrap_or(any);
        lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses when `bytes` more would leave the disk without its reserve.
    fn check_free_space(&self, bytes: u64) -> Result<(), MediaError> {
        let stat = rustix::fs::statvfs(&self.inner.root).map_err(io::Error::from)?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        let total = stat.f_blocks.saturating_mul(stat.f_frsize);
        let reserve = limits::FREE_SPACE_RESERVE_BYTES.min(total / limits::FREE_SPACE_RESERVE_DIVISOR);
        if free < reserve.saturating_add(bytes) { Err(MediaError::DiskFull) } else { Ok(()) }
    }
}

/// Makes a folder that only this user may enter, and its parents.
fn make_private_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// A path that is removed when nobody needs it any more; a file that was moved away is not there any more.
#[derive(Debug)]
struct RemovedOnDrop(PathBuf);

impl Drop for RemovedOnDrop {
    fn drop(&mut self) {
        // Not there, mostly; otherwise the next start removes it.
        let _ = fs::remove_file(&self.0);
    }
}

/// A file that is being written. Dropping it removes it.
pub struct IncomingFile {
    files: ContentFiles,
    file: tokio::fs::File,
    path: RemovedOnDrop,
    hash: Context,
    bytes: u64,
    checked_bytes: u64,
    bytes_max: u64,
}

impl std::fmt::Debug for IncomingFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IncomingFile").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl IncomingFile {
    /// Adds bytes, if the file then has no more than allowed and the disk is not full.
    pub async fn write(&mut self, chunk: &[u8]) -> Result<(), MediaError> {
        self.bytes = self.bytes.saturating_add(chunk.len() as u64);
        if self.bytes > self.bytes_max {
            return Err(MediaError::TooLarge { bytes_max: self.bytes_max });
        }
        if self.bytes - self.checked_bytes > limits::FREE_SPACE_CHECK_BYTES {
            self.files.check_free_space(0)?;
            self.checked_bytes = self.bytes;
        }
        self.hash.update(chunk);
        Ok(self.file.write_all(chunk).await?)
    }

    /// Refuses at once a file that is announced to be too long for the bound or the disk.
    pub fn announce(&self, bytes: u64) -> Result<(), MediaError> {
        if bytes > self.bytes_max {
            return Err(MediaError::TooLarge { bytes_max: self.bytes_max });
        }
        self.files.check_free_space(bytes)
    }

    /// How many bytes there are so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Ends the file: it is on disk then.
    pub async fn finish(mut self) -> Result<WholeFile, MediaError> {
        self.file.flush().await?;
        if self.files.inner.power_loss {
            self.file.sync_all().await?;
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(self.hash.finish().as_ref());
        Ok(WholeFile { path: self.path, hash: FileHash(hash), bytes: self.bytes })
    }
}

/// A file that is whole, but has no place yet. Dropping it removes it.
#[derive(Debug)]
pub struct WholeFile {
    path: RemovedOnDrop,
    hash: FileHash,
    bytes: u64,
}

impl WholeFile {
    /// The hash of its bytes.
    pub fn hash(&self) -> FileHash {
        self.hash
    }

    /// Its length.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where it lies for now.
    pub fn path(&self) -> &Path {
        &self.path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn whole(files: &ContentFiles, bytes: &[u8]) -> WholeFile {
        let mut file = files.begin(100).await.unwrap();
        file.write(bytes).await.unwrap();
        file.finish().await.unwrap()
    }

    fn count(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[tokio::test]
    async fn equal_files_are_one_and_dropped_ones_are_gone() {
        let folder = tempfile::tempdir().unwrap();
        let files = ContentFiles::open(folder.path(), true).unwrap();
        let (one, same) = (whole(&files, b"abc").await, whole(&files, b"abc").await);
        let hash = one.hash();
        assert_eq!(hash.to_hex()[..8], *"ba7816bf");
        files.keep(&one, || Ok::<_, MediaError>(())).unwrap();
        files.keep(&same, || Ok::<_, MediaError>(())).unwrap();
        assert_eq!(fs::read(files.path(&hash)).unwrap(), b"abc");
        drop(whole(&files, b"dropped").await);
        assert_eq!(count(&folder.path().join(INCOMING)), 0);
        assert_eq!(files.with_first_byte(0xba).unwrap(), [hash]);
        files.remove(&hash, || Ok::<_, MediaError>(false)).unwrap();
        assert!(files.path(&hash).exists(), "somebody refers to it");
        files.remove(&hash, || Ok::<_, MediaError>(true)).unwrap();
        assert!(!files.path(&hash).exists());
        files.remove(&hash, || Ok::<_, MediaError>(true)).unwrap();
    }

    #[tokio::test]
    async fn a_file_has_at_most_the_bytes_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let files = ContentFiles::open(folder.path(), false).unwrap();
        let mut file = files.begin(4).await.unwrap();
        assert!(matches!(file.announce(5), Err(MediaError::TooLarge { bytes_max: 4 })));
        file.write(b"1234").await.unwrap();
        assert!(matches!(file.write(b"5").await, Err(MediaError::TooLarge { .. })));
        drop(file);
        assert_eq!(count(&folder.path().join(INCOMING)), 0);
    }

    #[tokio::test]
    async fn what_was_being_written_is_removed_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        drop(ContentFiles::open(folder.path(), false).unwrap());
        fs::write(folder.path().join(INCOMING).join("7"), b"half").unwrap();
        ContentFiles::open(folder.path(), false).unwrap();
        assert_eq!(count(&folder.path().join(INCOMING)), 0);
    }
}
