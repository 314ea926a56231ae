//! A full disk: writes fail cleanly, reads go on, nothing acknowledged is lost, and the server recovers by
//! itself when space returns. The disk is a small tmpfs, which takes root to mount.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Client, Server, ServerSettings, event_ids};

/// Room for RocksDB's own files and some hundred events.
const DISK_MIB: usize = 96;
/// What is left when the test proper starts, so that a few hundred events fill the disk.
const LEFT_KIB: usize = 512;
/// More events than fit, by far.
const EVENTS_MAX: usize = 4_000;
/// How long the server may take to notice that there is space again.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(60);

/// A mounted tmpfs, unmounted on drop.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// `None` where mounting is not allowed, with a message that says so.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={DISK_MIB}m");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self { folder }),
            Ok(output) => {
                let reason = String::from_utf8_lossy(&output.stderr).into_owned();
                println!("SKIPPED disk_full: mounting a small tmpfs takes root: {}", reason.trim());
                None
            }
            Err(error) => {
                println!("SKIPPED disk_full: no `mount`: {error}");
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Fills all space but `left_kib` with a file, which is returned.
    fn fill(&self, left_kib: usize) -> PathBuf {
        let path = self.path().join("ballast");
        let mut file = File::create(&path).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        let full = file.metadata().unwrap().len();
        file.set_len(full.saturating_sub(u64::try_from(left_kib * 1024).unwrap())).unwrap();
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, since the server may still be ending after a failed test.
        let _ = Command::new("umount").arg("-l").arg(self.folder.path()).status();
    }
}

/// A message of about 8 KiB that no compression makes much smaller.
fn bulky(number: usize) -> Value {
    let mut state = u64::try_from(number).unwrap() + 1;
    let text: String = (0..8_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'0' + u8::try_from(state >> 58).unwrap())
        })
        .collect();
    json!({ "msgtype": "m.text", "body": text, "org.example.number": number })
}

/// Sends until the server refuses for want of space: the ids acknowledged, and the refused number.
fn send_until_refused(client: &Client, room: &str) -> (Vec<String>, usize) {
    let mut acknowledged = Vec::new();
    for number in 0..EVENTS_MAX {
        let answer = client.send(room, "m.room.message", &format!("bulk-{number}"), bulky(number));
        if answer.status == 200 {
            acknowledged.push(answer.ok()["event_id"].as_str().unwrap().to_owned());
            continue;
        }
        assert!((500..600).contains(&answer.status), "a full disk is the server's trouble: {answer}");
        assert!(answer.errcode().is_some(), "{answer}");
        return (acknowledged, number);
    }
    panic!("{EVENTS_MAX} bulky events fit into {LEFT_KIB} KiB");
}

/// Reads go on, and show each acknowledged event once and in order.
#[track_caller]
fn assert_readable(client: &Client, room: &str, acknowledged: &[String]) {
    let ids = event_ids(&client.all_messages(room, 'f', 100));
    let kept: Vec<&String> = ids.iter().filter(|id| acknowledged.contains(id)).collect();
    assert!(kept.into_iter().eq(acknowledged), "each acknowledged event once and in order");
    client.state(room, "m.room.create", "").ok();
    client.sync(None, "");
    client.get("/_matrix/client/v3/account/whoami").ok();
}

/// Repeats a refused request until it succeeds; the event's id.
#[track_caller]
fn retry_until_accepted(client: &Client, room: &str, number: usize) -> String {
    let start = Instant::now();
    loop {
        let answer = client.send(room, "m.room.message", &format!("bulk-{number}"), bulky(number));
        if answer.status == 200 {
            return answer.ok()["event_id"].as_str().unwrap().to_owned();
        }
        assert!((500..600).contains(&answer.status), "{answer}");
        assert!(start.elapsed() < RECOVERY_TIMEOUT, "no recovery in {RECOVERY_TIMEOUT:?}: {answer}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_full_disk_stops_writes_only_and_for_as_long_as_it_is_full() {
    let Some(disk) = SmallDisk::mount() else { return };
    let data_dir = Some(disk.path().join("data"));
    let mut server = Server::start_with(&ServerSettings { data_dir, ..ServerSettings::default() });
    let alice = server.register("alice");
    let room = alice.create_room(json!({}));
    let first = alice.send_text(&room, "while there is space");

    // Twice, since a recovery that works once may leave something behind.
    for room in [room.clone(), alice.create_room(json!({}))] {
        let ballast = disk.fill(LEFT_KIB);
        let (mut acknowledged, refused) = send_until_refused(&alice, &room);
        assert_readable(&alice, &room, &acknowledged);
        std::fs::remove_file(ballast).unwrap();
        acknowledged.push(retry_until_accepted(&alice, &room, refused));
        assert_readable(&alice, &room, &acknowledged);
        alice.send_text(&room, "after space came back");
    }

    let before = event_ids(&alice.all_messages(&room, 'f', 100));
    assert!(before.contains(&first));
    assert!(server.stop().success());
    server.assert_check_finds_nothing();
    server.restart();
    let alice = alice.moved_to(server.base_url());
    assert_eq!(event_ids(&alice.all_messages(&room, 'f', 100)), before);
    assert!(server.stop().success());
}
