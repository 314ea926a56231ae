//! The next transaction of a server: what was begun and not finished, what a server that was away has missed, or
//! what is at the front of its line. Runs on a thread that may block.

use ruma::serde::Raw;
use serde_json::value::RawValue;

use super::{
    OutgoingTransaction, Sender,
    deliver::DeliveryError,
    limits,
    queues::AfterFailure,
    volatile::{News, Subject},
};
use crate::{
    storage::{
        Direction, Json, Read, ShortEventId, ShortServerId, StorageError, StreamPosition,
        records::{DestinationRow, InFlight},
        tables::{DESTINATIONS, EVENT_JSON, OUTGOING_EDUS, ROOMS_LOST},
    },
    users::EduOutbox,
};

/// A transaction that is ready to go.
pub(super) struct Prepared {
    pub(super) transaction: OutgoingTransaction,
    /// What is on disk of it, if anything of it must arrive.
    kept: Option<InFlight>,
    taken: Vec<(Subject, News)>,
    /// Whether the server is behind no more once it has this.
    completes: bool,
}

/// Events for a transaction with their numbers in the outbox, and whether they are all that a server that is behind
/// lacks.
#[derive(Default)]
pub(super) struct Chosen {
    pub(super) events: Vec<(u64, ShortEventId)>,
    pub(super) completes: bool,
}

impl Sender {
    /// The next transaction for a server; `None` when nothing waits for it.
    pub(super) fn prepare(&self, server: ShortServerId) -> Result<Option<Prepared>, StorageError> {
        let mut row = self.destination_row(server)?;
        if let Some(begun) = row.in_flight.clone() {
            return self.repeat(server, begun).map(Some);
        }
        let mut chosen = Chosen::default();
        if row.is_behind {
            chosen = self.choose_missed(server, row.delivered)?;
            if chosen.events.is_empty() {
                row = self.note_caught_up(server)?;
            }
        }
        if !row.is_behind {
            chosen.events = self.queues.front(server);
        }
        let (pdus, is_cut) = self.load(&mut chosen.events)?;
        chosen.completes &= !is_cut;
        let (mut edus, last_edu) = self.kept_edus(server, None)?;
        let free = limits::EDUS_MAX.saturating_sub(edus.len());
        let now_ms = self.clock.now_ms();
        let (news, taken) = self.queues.take_news(server, free, now_ms);
        edus.extend(news.iter().filter_map(|edu| Raw::new(edu).ok()));
        if chosen.events.is_empty() && edus.is_empty() {
            return Ok(None);
        }
        let id = self.next_id();
        let mut kept = None;
        if !chosen.events.is_empty() || last_edu > 0 {
            let in_flight = InFlight {
                id: id.clone(),
                events: chosen.events.iter().map(|(_, event)| *event).collect(),
                delivers: chosen.events.last().map_or(row.delivered, |(number, _)| *number),
                edus: last_edu,
                refusals: 0,
            };
            row.in_flight = Some(in_flight.clone());
            self.storage.write(|rows| {
                rows.put(&DESTINATIONS, &server, &Json(row));
                Ok::<_, StorageError>(())
            })?;
            kept = Some(in_flight);
        }
        let transaction = OutgoingTransaction { id, pdus, edus };
        Ok(Some(Prepared { transaction, kept, taken, completes: chosen.completes }))
    }

    /// The transaction has arrived: nothing of it is sent again.
    pub(super) fn note_arrived(
        &self,
        server: ShortServerId,
        prepared: &Prepared,
    ) -> Result<(), StorageError> {
        let Some(kept) = &prepared.kept else {
            let row = self.destination_row(server)?;
            return self.queues.arrived(server, row.delivered);
        };
        let row = self.storage.write(|rows| {
            let mut row = rows.get(&DESTINATIONS, &server)?.map(|Json(row)| row).unwrap_or_default();
            row.delivered = row.delivered.max(kept.delivers);
            row.in_flight = None;
            rows.put(&DESTINATIONS, &server, &Json(row.clone()));
            if kept.edus > 0 {
                EduOutbox::delivered(rows, server, StreamPosition(kept.edus))?;
            }
            if row.is_behind {
                let lost = ROOMS_LOST.prefix(&(server,));
                let done: Vec<_> = rows
                    .scan(&ROOMS_LOST, &lost, Direction::Forward)
                    .filter_map(Result::ok)
                    .filter(|(_, (number, _))| number.0 <= row.delivered)
                    .map(|(key, _)| key)
                    .collect();
                for key in &done {
                    rows.delete(&ROOMS_LOST, key);
                }
            }
            Ok::<_, StorageError>(row)
        })?;
        self.queues.arrived(server, row.delivered)?;
        if prepared.completes {
            self.note_caught_up(server)?;
        }
        Ok(())
    }

    /// The transaction has not arrived. Answers until when the server is left alone.
    pub(super) fn note_failed(
        &self,
        server: ShortServerId,
        prepared: Prepared,
        error: &DeliveryError,
    ) -> Result<(), StorageError> {
        self.queues.put_back(server, prepared.taken);
        let now_ms = self.clock.now_ms();
        let until_ms = match error {
            DeliveryError::Later { until_ms } => (*until_ms).max(now_ms + 1),
            DeliveryError::Refused(_) | DeliveryError::Failed(_) => {
                let (least, most) = (limits::REFUSED_PAUSE_MIN, limits::REFUSED_PAUSE_MAX);
                let doublings = self.queues.refused(server).saturating_sub(1).min(16);
                let pause = least.saturating_mul(1 << doublings).min(most);
                now_ms.saturating_add(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX))
            }
        };
        if let (DeliveryError::Refused(why), Some(kept)) = (error, prepared.kept) {
            self.note_refused(server, kept, why)?;
        }
        if self.queues.end_failed(server, now_ms, until_ms) == AfterFailure::FallBehind {
            self.fall_behind(server)?;
        }
        Ok(())
    }

    /// Counts a refusal of a transaction's contents; after some, it counts as delivered.
    fn note_refused(&self, server: ShortServerId, kept: InFlight, why: &str) -> Result<(), StorageError> {
        let refusals = kept.refusals + 1;
        let gives_up = refusals >= limits::REFUSALS_MAX;
        if gives_up {
            let name = self.storage.server_name(server)?;
            tracing::warn!(server = %name, id = kept.id, "a transaction was refused again and is given up: {why}");
        }
        self.storage.write(|rows| {
            let mut row = rows.get(&DESTINATIONS, &server)?.map(|Json(row)| row).unwrap_or_default();
            if gives_up {
                row.delivered = row.delivered.max(kept.delivers);
                row.in_flight = None;
                if kept.edus > 0 {
                    EduOutbox::delivered(rows, server, StreamPosition(kept.edus))?;
                }
            } else {
                row.in_flight = Some(InFlight { refusals, ..kept });
            }
            rows.put(&DESTINATIONS, &server, &Json(row));
            Ok::<_, StorageError>(())
        })
    }

    pub(super) fn destination_row(&self, server: ShortServerId) -> Result<DestinationRow, StorageError> {
        Ok(self.storage.get(&DESTINATIONS, &server)?.map(|Json(row)| row).unwrap_or_default())
    }

    /// A server that was behind lacks nothing but what waits for it in memory.
    fn note_caught_up(&self, server: ShortServerId) -> Result<DestinationRow, StorageError> {
        // What is removed from the outbox depends on what waits in memory.
        let _housekeeping = self.housekeeping();
        if !self.queues.is_caught_up(server) {
            return self.destination_row(server);
        }
        self.storage.write(|rows| {
            let mut row = rows.get(&DESTINATIONS, &server)?.map(|Json(row)| row).unwrap_or_default();
            row.is_behind = false;
            rows.put(&DESTINATIONS, &server, &Json(row.clone()));
            Ok(row)
        })
    }

    /// The same transaction once more. Events that are gone meanwhile are left out.
    fn repeat(&self, server: ShortServerId, begun: InFlight) -> Result<Prepared, StorageError> {
        let mut events: Vec<_> = begun.events.iter().map(|event| (0, *event)).collect();
        let (pdus, _) = self.load(&mut events)?;
        let (edus, _) = if begun.edus > 0 {
            self.kept_edus(server, Some(StreamPosition(begun.edus)))?
        } else {
            Default::default()
        };
        let transaction = OutgoingTransaction { id: begun.id.clone(), pdus, edus };
        Ok(Prepared { transaction, kept: Some(begun), taken: Vec::new(), completes: false })
    }

    /// The JSON of events, and whether there were too many bytes for all of them: those are cut off.
    fn load(
        &self,
        events: &mut Vec<(u64, ShortEventId)>,
    ) -> Result<(Vec<Box<RawValue>>, bool), StorageError> {
        let mut pdus = Vec::with_capacity(events.len());
        let mut bytes = 0;
        for (at, (_, event)) in events.iter().enumerate() {
            let Some(json) = self.storage.get(&EVENT_JSON, event)? else { continue };
            bytes += json.len();
            if bytes > limits::TRANSACTION_BYTES_MAX && !pdus.is_empty() {
                events.truncate(at);
                return Ok((pdus, true));
            }
            if let Ok(Ok(json)) = String::from_utf8(json).map(RawValue::from_string) {
                pdus.push(json);
            } else {
                tracing::error!(?event, "an event that is to be sent is not JSON");
            }
        }
        Ok((pdus, false))
    }

    /// The EDUs on disk for a server, up to a number, as many as fit; and the number of the last one.
    fn kept_edus(
        &self,
        server: ShortServerId,
        until: Option<StreamPosition>,
    ) -> Result<(Vec<Raw<ruma::api::federation::transactions::edu::Edu>>, u64), StorageError> {
        let range = match until {
            Some(until) => {
                OUTGOING_EDUS.prefix_until(&(server,), &(server, StreamPosition(until.0.saturating_add(1))))
            }
            None => OUTGOING_EDUS.prefix(&(server,)),
        };
        let mut edus = Vec::new();
        let (mut last, mut bytes) = (0, 0);
        for row in self.storage.scan(&OUTGOING_EDUS, &range, Direction::Forward).take(limits::EDUS_MAX) {
            let ((_, number), json) = row?;
            bytes += json.len();
            if bytes > limits::TRANSACTION_BYTES_MAX && !edus.is_empty() {
                break;
            }
            last = number.0;
            if let Ok(Ok(json)) = String::from_utf8(json).map(RawValue::from_string) {
                edus.push(Raw::from_json(json));
            } else {
                tracing::error!("an EDU that is to be sent is not JSON");
            }
        }
        Ok((edus, last))
    }
}
