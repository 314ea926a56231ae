//! How much memory the caches may use when the operator does not say: a share of what this process can
//! have, which is the smallest of the machine's RAM and the limits of its control groups (v1 and v2).
//!
//! The number of cores never plays a part: more cores are no reason for larger caches. The main type is
//! [`MemoryLimits`].

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Bytes in one KiB.
const KIB: u64 = 1024;

/// Bytes in one MiB.
const MIB: u64 = 1024 * KIB;

/// The share of the memory that caches get: one part in this many. Small, as the page cache of the
/// operating system serves the database too, and bridges or a proxy run beside us on such machines.
const SHARE: u64 = 16;

/// The least budget: below it the database's write buffers would be flushed all the time.
const BUDGET_MIN_BYTES: u64 = 24 * MIB;

/// The greatest budget that is taken without being asked for.
const BUDGET_MAX_BYTES: u64 = 256 * MIB;

/// What is assumed where nothing can be read: a Raspberry Pi with 1 GiB.
const RAM_UNKNOWN_BYTES: u64 = 1024 * MIB;

/// How many control groups lie above ours at most; each can have a limit.
const CGROUP_DEPTH_MAX: usize = 32;

/// The memory that this process can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// The machine's RAM in bytes, if it is known.
    pub ram_bytes: Option<u64>,
    /// The smallest limit of the control groups that the process is in, in bytes.
    pub cgroup_bytes: Option<u64>,
}

impl MemoryLimits {
    /// Reads the limits of this process.
    pub fn of_this_process() -> Self {
        Self::read(Path::new("/"))
    }

    /// Reads the limits from the `proc` and `sys` folders below `root`.
    pub fn read(root: &Path) -> Self {
        Self { ram_bytes: ram_bytes(root), cgroup_bytes: cgroup_bytes(root) }
    }

    /// The memory that the process can have, in bytes.
    pub fn available_bytes(&self) -> u64 {
        let smallest = [self.ram_bytes, self.cgroup_bytes].into_iter().flatten().min();
        smallest.unwrap_or(RAM_UNKNOWN_BYTES)
    }

    /// The budget for all caches and write buffers together, in bytes.
    pub fn budget_bytes(&self) -> u64 {
        (self.available_bytes() / SHARE).clamp(BUDGET_MIN_BYTES, BUDGET_MAX_BYTES)
    }
}

/// `MemTotal` of `/proc/meminfo`. Not `MemAvailable`: the budget should not depend on what else happened
/// to run at the moment of the start.
fn ram_bytes(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(KIB)
}

/// The smallest memory limit of the groups that `/proc/self/cgroup` names and of those above them.
fn cgroup_bytes(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    text.lines().filter_map(|line| group_limit(root, line)).min()
}

/// The limit of one line `hierarchy:controllers:path` of `/proc/self/cgroup`.
fn group_limit(root: &Path, line: &str) -> Option<u64> {
    let mut parts = line.splitn(3, ':');
    let (_hierarchy, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
    if controllers.is_empty() {
        smallest_on_the_way_up(&root.join("sys/fs/cgroup"), path, "memory.max")
    } else if controllers.split(',').any(|controller| controller == "memory") {
        smallest_on_the_way_up(&root.join("sys/fs/cgroup/memory"), path, "memory.limit_in_bytes")
    } else {
        None
    }
}

/// The smallest number in the files `name` of the group `path` and of all groups above it. In a
/// container the path may lead outside of what is mounted; then only the folders that exist count.
fn smallest_on_the_way_up(mount: &Path, path: &str, name: &str) -> Option<u64> {
    let relative = PathBuf::from(path.trim_start_matches('/'));
    let groups = relative.ancestors().take(CGROUP_DEPTH_MAX);
    groups
        .filter(|group| !group.components().any(|part| part.as_os_str() == ".."))
        .filter_map(|group| fs::read_to_string(mount.join(group).join(name)).ok())
        // "max" and v1's huge number both mean that there is no limit; RAM is smaller than the latter.
        .filter_map(|text| text.trim().parse().ok())
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with fake `proc` and `sys` files.
    fn fake_root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a temporary folder");
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("files lie in folders")).expect("folder is made");
            fs::write(path, text).expect("file is written");
        }
        root
    }

    fn read(files: &[(&str, &str)]) -> MemoryLimits {
        MemoryLimits::read(fake_root(files).path())
    }

    const PI_WITH_4_GIB: (&str, &str) = ("proc/meminfo", "MemTotal:        4194304 kB\nMemFree: 9 kB\n");

    #[test]
    fn without_a_control_group_it_is_a_share_of_ram() {
        let limits = read(&[PI_WITH_4_GIB]);
        assert_eq!(limits.available_bytes(), 4096 * MIB);
        assert_eq!(limits.budget_bytes(), 256 * MIB);
    }

    #[test]
    fn small_and_large_machines_are_clamped() {
        let small = read(&[("proc/meminfo", "MemTotal: 262144 kB\n")]);
        assert_eq!(small.budget_bytes(), 24 * MIB);
        let large = read(&[("proc/meminfo", "MemTotal: 67108864 kB\n")]);
        assert_eq!(large.budget_bytes(), 256 * MIB);
    }

    #[test]
    fn the_limit_of_a_v2_group_above_counts() {
        let limits = read(&[
            PI_WITH_4_GIB,
            ("proc/self/cgroup", "0::/system.slice/conduit.service\n"),
            ("sys/fs/cgroup/system.slice/conduit.service/memory.max", "max\n"),
            ("sys/fs/cgroup/system.slice/memory.max", "1073741824\n"),
        ]);
        assert_eq!(limits.cgroup_bytes, Some(1024 * MIB));
        assert_eq!(limits.budget_bytes(), 64 * MIB);
    }

    #[test]
    fn the_limit_of_a_container_stands_at_the_mount() {
        let limits = read(&[
            PI_WITH_4_GIB,
            ("proc/self/cgroup", "0::/../../elsewhere\n"),
            ("sys/fs/cgroup/memory.max", "805306368\n"),
        ]);
        assert_eq!(limits.budget_bytes(), 48 * MIB);
    }

    #[test]
    fn the_limit_of_a_v1_group_counts() {
        let limits = read(&[
            PI_WITH_4_GIB,
            ("proc/self/cgroup", "5:cpu,cpuacct:/docker/a\n4:memory:/docker/a\n"),
            ("sys/fs/cgroup/memory/docker/a/memory.limit_in_bytes", "536870912\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ]);
        assert_eq!(limits.available_bytes(), 512 * MIB);
        assert_eq!(limits.budget_bytes(), 32 * MIB);
    }

    #[test]
    fn an_unlimited_v1_group_leaves_ram() {
        let limits = read(&[
            PI_WITH_4_GIB,
            ("proc/self/cgroup", "4:memory:/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ]);
        assert_eq!(limits.available_bytes(), 4096 * MIB);
    }

    #[test]
    fn unreadable_or_broken_files_leave_a_small_machine() {
        let limits = read(&[("proc/meminfo", "MemTotal: a lot\n"), ("proc/self/cgroup", "nonsense")]);
        assert_eq!(limits, MemoryLimits { ram_bytes: None, cgroup_bytes: None });
        assert_eq!(limits.budget_bytes(), 64 * MIB);
    }
}
