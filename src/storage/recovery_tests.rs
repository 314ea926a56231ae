//! What is left after a crash: a copy of the folder taken while the database is open is what the disk holds
//! when the process or the power ends there.

use std::{
    fs::{self, OpenOptions},
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::{tables::STATE_NODES, *};

const WRITES: u8 = 50;

fn options(path: &Path) -> StorageOptions {
    StorageOptions { path: path.to_owned(), durability: Durability::PowerLoss, memory_bytes: 16 << 20 }
}

/// Writes rows 1 to `WRITES`, each its own transaction of two rows, and returns a copy of the folder as a
/// crash would leave it.
fn crashed_copy(into: &Path) -> PathBuf {
    let folder = into.join("live");
    let storage = Storage::open(&options(&folder)).unwrap();
    for number in 1..=WRITES {
        storage
            .write(|tx| {
                tx.next_position();
                tx.put(&STATE_NODES, &[number; 16], &vec![number; 100]);
                tx.put(&STATE_NODES, &[number + 100; 16], &vec![number; 100]);
                Ok::<_, StorageError>(())
            })
            .unwrap();
    }
    storage.durable_blocking().unwrap();
    let copy = into.join("copy");
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(&folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "LOCK" {
            fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
        }
    }
    copy
}

fn newest_log(folder: &Path) -> PathBuf {
    let logs = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    logs.filter(|path| path.extension().is_some_and(|it| it == "log")).max().unwrap()
}

/// How many of the transactions are there: a gapless run from the first, and each whole.
fn whole_writes(folder: &Path) -> u8 {
    let storage = Storage::open(&options(folder)).unwrap();
    let there = |key: u8| storage.contains(&STATE_NODES, &[key; 16]).unwrap();
    let kept = (1..=WRITES).take_while(|number| there(*number)).count();
    let kept = u8::try_from(kept).unwrap();
    for number in 1..=WRITES {
        assert_eq!(there(number), number <= kept, "row {number} of {kept} kept");
        assert_eq!(there(number + 100), number <= kept, "second row {number} of {kept} kept");
    }
    assert_eq!(storage.position(), StreamPosition(u64::from(kept)), "the position is that of the last write");
    kept
}

#[test]
fn everything_durable_is_there_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(whole_writes(&crashed_copy(folder.path())), WRITES);
}

#[test]
fn a_log_cut_off_anywhere_keeps_whole_writes_only() {
    let folder = tempfile::tempdir().unwrap();
    let copy = crashed_copy(folder.path());
    let log = newest_log(&copy);
    let file = OpenOptions::new().write(true).open(&log).unwrap();
    let cut = file.metadata().unwrap().len() - 75;
    file.set_len(cut).unwrap();
    assert_eq!(whole_writes(&copy), WRITES - 1);
}

#[test]
fn a_torn_tail_of_zeros_or_garbage_is_ignored() {
    for torn in [[0_u8; 4_096], [0xa5; 4_096]] {
        let folder = tempfile::tempdir().unwrap();
        let copy = crashed_copy(folder.path());
        let mut file = OpenOptions::new().append(true).open(newest_log(&copy)).unwrap();
        file.write_all(&torn).unwrap();
        drop(file);
        assert_eq!(whole_writes(&copy), WRITES);
    }
}

#[test]
fn a_hole_in_the_unsynced_part_ends_recovery_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let copy = crashed_copy(folder.path());
    let mut file = OpenOptions::new().write(true).open(newest_log(&copy)).unwrap();
    let middle = file.metadata().unwrap().len() / 2;
    file.seek(SeekFrom::Start(middle)).unwrap();
    file.write_all(&[0; 64]).unwrap();
    drop(file);
    let kept = whole_writes(&copy);
    assert!(kept > 10 && kept < WRITES, "{kept} kept");
}

#[test]
fn a_new_folder_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    drop(Storage::open(&options(&folder)).unwrap());
    let mode = fs::metadata(&folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "it holds the signing key, and what people wrote: {mode:o}");
}
