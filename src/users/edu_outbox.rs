//! EDUs that must reach other servers: kept on disk for each of them until they have.
//!
//! For what may not get lost and whose order matters: device lists, cross-signing keys, messages to devices.
//! Rows are written in the transaction of what they tell of and worked off by `federation/sending`. Main type:
//! [`EduOutbox`].

use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedTransactionId, ServerName, UserId,
    api::federation::transactions::edu::{DirectDeviceContent, Edu},
    serde::Raw,
};

use super::{limits, to_device::RemoteMessages};
use crate::storage::{
    ChangeScope, Direction, Read, ShortServerId, StorageError, StreamPosition, Transaction,
    tables::{OUTGOING_EDU_COUNTS, OUTGOING_EDUS},
};

/// Writes EDUs for other servers.
#[derive(Debug)]
pub struct EduOutbox;

impl EduOutbox {
    /// Adds an EDU for each of `destinations`, after those that wait already. If [`limits::OUTGOING_EDUS_MAX`]
    /// wait for a server, which then has not been there for long, the oldest one is dropped for it.
    pub fn add<'a>(
        rows: &mut Transaction<'_>,
        destinations: impl IntoIterator<Item = &'a ServerName>,
        edu: &Edu,
    ) -> Result<(), StorageError> {
        let Ok(json) = serde_json::to_vec(edu) else {
            // An EDU of ours has only string keys and no failing serializers.
            tracing::error!("an EDU could not be written as JSON");
            return Ok(());
        };
        for destination in destinations {
            let server = rows.intern_server(destination)?;
            let number = rows.next_position();
            let waiting = rows.get(&OUTGOING_EDU_COUNTS, &server)?.unwrap_or(0);
            let dropped = waiting >= limits::OUTGOING_EDUS_MAX;
            if dropped {
                let range = OUTGOING_EDUS.prefix(&(server,));
                let oldest = rows.scan(&OUTGOING_EDUS, &range, Direction::Forward).next().transpose()?;
                if let Some((key, _)) = oldest {
                    tracing::debug!(%destination, "too much waits for a server: its oldest EDU is dropped");
                    rows.delete(&OUTGOING_EDUS, &key);
                }
            } else {
                rows.put(&OUTGOING_EDU_COUNTS, &server, &(waiting + 1));
            }
            rows.put(&OUTGOING_EDUS, &(server, number), &json);
            rows.announce(ChangeScope::OutgoingEdu(server), number);
        }
        Ok(())
    }

    /// Adds messages for devices of other servers' users, one EDU a server (`m.direct_to_device`).
    pub fn add_messages(
        rows: &mut Transaction<'_>,
        sender: &UserId,
        event_type: &str,
        messages: RemoteMessages,
    ) -> Result<(), StorageError> {
        for (server, of_users) in messages {
            // Unique, so that the other server can tell a repetition.
            let id = OwnedTransactionId::from(format!(
                "{}-{}",
                rows.next_position().0,
                MilliSecondsSinceUnixEpoch::now().get()
            ));
            let mut content = DirectDeviceContent::new(sender.to_owned(), event_type.into(), id);
            content.messages = of_users
                .into_iter()
                .map(|(user, of_devices)| {
                    let raw = of_devices.into_iter().map(|(device, json)| (device, Raw::from_json(json)));
                    (user, raw.collect())
                })
                .collect();
            Self::add(rows, [&*server], &Edu::DirectToDevice(content))?;
        }
        Ok(())
    }

    /// Removes those of a server up to a number: they have been delivered.
    pub fn delivered(
        rows: &mut Transaction<'_>,
        server: ShortServerId,
        until: StreamPosition,
    ) -> Result<(), StorageError> {
        let end = (server, StreamPosition(until.0.saturating_add(1)));
        let range = OUTGOING_EDUS.prefix_until(&(server,), &end);
        let keys = rows
            .scan(&OUTGOING_EDUS, &range, Direction::Forward)
            .map(|row| row.map(|(key, _)| key))
            .collect::<Result<Vec<_>, _>>()?;
        for key in &keys {
            rows.delete(&OUTGOING_EDUS, key);
        }
        let counts = &OUTGOING_EDU_COUNTS;
        let left = rows.get(counts, &server)?.unwrap_or(0).saturating_sub(keys.len() as u64);
        match left {
            0 => rows.delete(counts, &server),
            left => rows.put(counts, &server, &left),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ruma::{
        api::federation::transactions::edu::{DeviceListUpdateContent, Edu},
        server_name, user_id,
    };

    use super::*;
    use crate::storage::{Storage, tables::OUTGOING_EDU_COUNTS};

    #[test]
    fn a_server_that_is_never_there_costs_a_bounded_number_of_rows() {
        let storage = Storage::in_memory().unwrap();
        let (dead, other) = (server_name!("dead.test"), server_name!("other.test"));
        let edu = |number: u64| {
            let user = user_id!("@a:example.org").to_owned();
            Edu::DeviceListUpdate(DeviceListUpdateContent::new(user, "D".into(), number.try_into().unwrap()))
        };
        for number in 0..limits::OUTGOING_EDUS_MAX + 5 {
            storage.write(|rows| EduOutbox::add(rows, [dead], &edu(number))).unwrap();
        }
        storage.write(|rows| EduOutbox::add(rows, [dead, other], &edu(99))).unwrap();
        let rows = |server: &ServerName| {
            let server = storage.short_server_id(server).unwrap().unwrap();
            let range = OUTGOING_EDUS.prefix(&(server,));
            storage
                .scan(&OUTGOING_EDUS, &range, Direction::Forward)
                .map(|row| row.unwrap().0)
                .collect::<Vec<_>>()
        };
        assert_eq!(rows(dead).len() as u64, limits::OUTGOING_EDUS_MAX);
        assert_eq!(rows(other).len(), 1);
        let half = rows(dead).get(rows(dead).len() / 2).unwrap().1;
        let server = storage.short_server_id(dead).unwrap().unwrap();
        storage.write(|tx| EduOutbox::delivered(tx, server, half)).unwrap();
        let left = rows(dead).len() as u64;
        assert_eq!(storage.get(&OUTGOING_EDU_COUNTS, &server).unwrap(), Some(left));
        storage.write(|tx| EduOutbox::delivered(tx, server, StreamPosition(u64::MAX - 1))).unwrap();
        assert_eq!(storage.get(&OUTGOING_EDU_COUNTS, &server).unwrap(), None);
    }
}
