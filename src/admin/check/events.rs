//! Events: each has its JSON, its id follows from it, and our own signatures hold.

use std::collections::BTreeMap;

use super::{Checker, Report};
use crate::{
    matrix::{
        event::Event,
        signing::{ServerKeys, SignatureError, SigningKey, Verified, servers_that_must_sign, verify_event},
    },
    rooms::RoomError,
    storage::{
        Direction, Read, ShortEventId, StorageError,
        records::EventMeta,
        tables::{EVENT_JSON, EVENT_META, SIGNING_KEYS},
    },
};

impl Checker<'_> {
    /// Verifies every event, and that no JSON is left without its row.
    pub(super) fn check_events(&self, report: &mut Report) -> Result<(), RoomError> {
        let keys = self.own_keys(report)?;
        for row in self.storage.scan(&EVENT_META, &EVENT_META.all(), Direction::Forward) {
            let (short, meta) = row?;
            report.events += 1;
            if let Err(why) = self.check_event(short, &meta, &keys)? {
                report.problem(format!("event {}: {why}", self.name_event(short)));
            }
        }
        for row in self.storage.scan(&EVENT_JSON, &EVENT_JSON.all(), Direction::Forward) {
            let (short, _) = row?;
            let known = self.storage.contains(&EVENT_META, &short)?;
            report.expect(known, || format!("event {}: it has JSON and no row", self.name_event(short)));
        }
        Ok(())
    }

    /// `Ok(Err(why))` when the event is not whole.
    fn check_event(
        &self,
        short: ShortEventId,
        meta: &EventMeta,
        keys: &ServerKeys,
    ) -> Result<Result<(), String>, RoomError> {
        let Some(record) = self.index.record(meta.room)? else {
            return Ok(Err(format!("its room {:?} has no record", meta.room)));
        };
        let Some(rules) = record.version.rules() else {
            return Ok(Err(format!("its room has the unknown version {}", record.version)));
        };
        let Some(json) = self.storage.get(&EVENT_JSON, &short)? else {
            return Ok(Err("its JSON is missing".to_owned()));
        };
        let event = match Event::from_pdu(&json, &rules) {
            Ok(event) => event,
            Err(e) => return Ok(Err(format!("its JSON is not an event: {e}"))),
        };
        let event_id = self.storage.event_id(short)?;
        if event.event_id() != event_id {
            return Ok(Err(format!("its content has the id {}", event.event_id())));
        }
        if event.room_id() != self.storage.room_id(meta.room)? {
            return Ok(Err(format!("it says that it is in {}", event.room_id())));
        }
        if self.storage.short_user_id(event.sender())? != Some(meta.sender) {
            return Ok(Err(format!("its row names another sender than {}", event.sender())));
        }
        // Others' keys are not at hand: events that another server signed too were checked on receipt.
        let signers = servers_that_must_sign(&event, &rules);
        if !signers.is_ok_and(|signers| signers.iter().all(|server| server == self.server_name)) {
            return Ok(Ok(()));
        }
        Ok(match verify_event(&event, &rules, keys) {
            // Of a third party's invite, which its sender's server need not sign, redaction leaves one that looks
            // like any other.
            Err(SignatureError::Unsigned(_))
                if meta.redacted_by.is_some() && event.membership().as_deref() == Some("invite") =>
            {
                Ok(())
            }
            Err(e) => Err(e.to_string()),
            Ok(Verified::RedactedOnly) if meta.redacted_by.is_none() => {
                Err("its content differs from its hash, and it is not redacted".to_owned())
            }
            Ok(_) => Ok(()),
        })
    }

    fn own_keys(&self, report: &mut Report) -> Result<ServerKeys, StorageError> {
        let mut keys = BTreeMap::new();
        for row in self.storage.scan(&SIGNING_KEYS, &SIGNING_KEYS.all(), Direction::Forward) {
            let (number, bytes) = row?;
            match SigningKey::from_bytes(&bytes) {
                Ok(key) => {
                    keys.insert(key.key_id().to_owned(), key.verify_key());
                }
                Err(e) => report.problem(format!("signing key {number} is not usable: {e}")),
            }
        }
        Ok(ServerKeys::from([(self.server_name.to_owned(), keys)]))
    }

    /// An event's id for people, even when its short id stands for nothing.
    pub(super) fn name_event(&self, short: ShortEventId) -> String {
        self.storage.event_id(short).map_or_else(|_| format!("{short:?}"), |id| id.to_string())
    }
}
