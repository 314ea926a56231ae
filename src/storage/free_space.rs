//! Refusing writes before the disk is full, so that reads, compaction and recovery go on.

use std::path::{Path, PathBuf};

use super::{engine::EngineError, limits};

/// Watches the free space of the database's file system.
#[derive(Debug)]
pub(super) struct FreeSpace {
    path: PathBuf,
}

impl FreeSpace {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// An error when less than the reserve is free. One system call of about a microsecond: asked at each
    /// write, so that the answer is never old.
    pub(super) fn check(&self) -> Result<(), EngineError> {
        let stat = rustix::fs::statvfs(&self.path)
            .map_err(|e| EngineError::Other(format!("can't ask for free space: {e}")))?;
        let free_bytes = stat.f_bavail.saturating_mul(stat.f_frsize);
        let total_bytes = stat.f_blocks.saturating_mul(stat.f_frsize);
        let reserve_bytes = reserve(total_bytes);
        if free_bytes < reserve_bytes {
            return Err(EngineError::Full { free_bytes, reserve_bytes });
        }
        Ok(())
    }
}

fn reserve(total_bytes: u64) -> u64 {
    limits::FREE_SPACE_RESERVE_BYTES.min(total_bytes / limits::FREE_SPACE_RESERVE_DIVISOR)
}

#[cfg(test)]
mod tests {
    use super::reserve;

    #[test]
    fn small_volumes_keep_a_part_and_large_ones_a_fixed_reserve() {
        assert_eq!(reserve(64 << 20), 4 << 20);
        assert_eq!(reserve(64 << 30), 32 << 20);
    }
}
