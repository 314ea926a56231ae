//! End-to-end encryption: keys and messages belong to devices, counts are those of the rows, the stream of device
//! lists agrees with its positions.

use std::collections::BTreeMap;

use ruma::OwnedDeviceId;

use super::{Checker, Report};
use crate::storage::{
    Direction, Json, Read, ShortUserId, StorageError,
    records::KeyStock,
    tables::{
        ACCOUNTS, APPSERVICE_DEVICE_NEWS, BACKED_UP_KEYS, BACKUP_VERSIONS, DEHYDRATED_DEVICES, DEVICE_KEYS,
        DEVICE_LIST_CHANGES, DEVICE_LIST_POSITIONS, DEVICES, GIVEN_KEYS, KEY_STOCKS, ONE_TIME_KEYS,
        TO_DEVICE,
    },
};

impl Checker<'_> {
    /// Checks all of it.
    pub(super) fn check_encryption(&self, report: &mut Report) -> Result<(), StorageError> {
        self.check_key_counts(report)?;
        self.check_owners(report)?;
        self.check_device_lists(report)?;
        self.check_backups(report)
    }

    fn check_key_counts(&self, report: &mut Report) -> Result<(), StorageError> {
        for row in self.storage.scan(&KEY_STOCKS, &KEY_STOCKS.all(), Direction::Forward) {
            let ((user, device_id), Json(KeyStock { mut one_time_keys, .. })) = row?;
            self.expect_device(report, "KEY_STOCKS", user, &device_id)?;
            one_time_keys.retain(|_, count| *count > 0);
            let mut found = BTreeMap::<String, u64>::new();
            let range = ONE_TIME_KEYS.prefix(&(user, device_id.clone()));
            for key in self.storage.scan(&ONE_TIME_KEYS, &range, Direction::Forward) {
                *found.entry(key?.0.2).or_default() += 1;
            }
            report.expect(found == one_time_keys, || {
                format!(
                    "{user:?}'s device {device_id} has {found:?} one-time keys and counts {one_time_keys:?}"
                )
            });
        }
        Ok(())
    }

    fn check_owners(&self, report: &mut Report) -> Result<(), StorageError> {
        for row in self.storage.scan(&DEVICE_KEYS, &DEVICE_KEYS.all(), Direction::Forward) {
            let ((user, device_id), _) = row?;
            self.expect_device(report, "DEVICE_KEYS", user, &device_id)?;
        }
        for row in self.storage.scan(&ONE_TIME_KEYS, &ONE_TIME_KEYS.all(), Direction::Forward) {
            let ((user, device_id, ..), _) = row?;
            let has_stock = self.storage.contains(&KEY_STOCKS, &(user, device_id.clone()))?;
            report.expect(has_stock, || format!("{user:?}'s device {device_id} has one-time keys uncounted"));
        }
        for row in self.storage.scan(&GIVEN_KEYS, &GIVEN_KEYS.all(), Direction::Forward) {
            let ((user, device_id, _), _) = row?;
            self.expect_device(report, "GIVEN_KEYS", user, &device_id)?;
        }
        for row in self.storage.scan(&TO_DEVICE, &TO_DEVICE.all(), Direction::Forward) {
            let ((user, device_id, _), _) = row?;
            self.expect_device(report, "TO_DEVICE", user, &device_id)?;
        }
        for row in self.storage.scan(&DEHYDRATED_DEVICES, &DEHYDRATED_DEVICES.all(), Direction::Forward) {
            let (user, Json(record)) = row?;
            self.expect_device(report, "DEHYDRATED_DEVICES", user, &record.device_id)?;
        }
        // The device may have been removed since.
        for row in
            self.storage.scan(&APPSERVICE_DEVICE_NEWS, &APPSERVICE_DEVICE_NEWS.all(), Direction::Forward)
        {
            let (position, (user, _)) = row?;
            let is_account = self.storage.contains(&ACCOUNTS, &user)?;
            report.expect(is_account && position <= self.storage.position(), || {
                format!("APPSERVICE_DEVICE_NEWS has a row of {user:?} at {position:?}, which cannot be")
            });
        }
        Ok(())
    }

    fn expect_device(
        &self,
        report: &mut Report,
        table: &str,
        user: ShortUserId,
        device_id: &OwnedDeviceId,
    ) -> Result<(), StorageError> {
        let exists = self.storage.contains(&DEVICES, &(user, device_id.clone()))?;
        report.expect(exists, || {
            format!("{table} has a row of {user:?}'s device {device_id}, which is not there")
        });
        Ok(())
    }

    fn check_backups(&self, report: &mut Report) -> Result<(), StorageError> {
        for row in self.storage.scan(&BACKUP_VERSIONS, &BACKUP_VERSIONS.all(), Direction::Forward) {
            let ((user, version), Json(record)) = row?;
            if record.is_deleted {
                continue;
            }
            let range = BACKED_UP_KEYS.prefix(&(user, version));
            let found = self.storage.scan(&BACKED_UP_KEYS, &range, Direction::Forward).count() as u64;
            report.expect(found == record.count, || {
                format!(
                    "version {version} of {user:?}'s key backup has {found} keys and counts {}",
                    record.count
                )
            });
        }
        Ok(())
    }

    fn check_device_lists(&self, report: &mut Report) -> Result<(), StorageError> {
        for row in self.storage.scan(&DEVICE_LIST_CHANGES, &DEVICE_LIST_CHANGES.all(), Direction::Forward) {
            let (position, user) = row?;
            let back = self.storage.get(&DEVICE_LIST_POSITIONS, &user)?;
            report.expect(back == Some(position), || {
                format!(
                    "the device list of {user:?} changed at {position:?} one way and at {back:?} the other"
                )
            });
        }
        for row in self.storage.scan(&DEVICE_LIST_POSITIONS, &DEVICE_LIST_POSITIONS.all(), Direction::Forward)
        {
            let (user, position) = row?;
            let there = self.storage.get(&DEVICE_LIST_CHANGES, &position)?;
            report.expect(there == Some(user), || format!("the change of {user:?}'s device list is missing"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        admin::check,
        storage::{StreamPosition, tables},
        users::{
            fixture::Fixture,
            keys::{KeyUpload, NamedKey},
        },
    };

    #[test]
    fn a_lost_key_a_lost_device_and_a_lost_change_are_told() {
        let server = Fixture::new();
        let alice = server.user("alice");
        let key = serde_json::value::to_raw_value("k").unwrap();
        let upload =
            KeyUpload { one_time_keys: vec![NamedKey::new("a:1", key).unwrap()], ..KeyUpload::default() };
        server.keys.upload(&alice.user_id, alice.user, &alice.device_id, &upload).unwrap();
        server.storage.write(|tx| crate::users::keys::device_list::mark_changed(tx, alice.user)).unwrap();
        let run = || check::run(&server.storage, ruma::server_name!("example.org"), false).unwrap();
        assert_eq!(run().problems.len(), 0);
        let at = (alice.user, alice.device_id.clone());
        let place = (at.0, at.1.clone(), "a".to_owned(), 1, "1".to_owned());
        server
            .storage
            .write(|tx| {
                tx.delete(&tables::ONE_TIME_KEYS, &place);
                tx.put(&tables::DEVICE_LIST_POSITIONS, &alice.user, &StreamPosition(99));
                tx.put(&tables::TO_DEVICE, &(alice.user, "GONE".into(), StreamPosition(1)), &b"{}".to_vec());
                Ok::<_, crate::storage::StorageError>(())
            })
            .unwrap();
        let report = run();
        assert_eq!(report.problems.len(), 4, "{:?}", report.problems);
    }
}
