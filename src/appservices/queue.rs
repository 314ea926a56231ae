//! Queues on disk, one for each application service ([pushing events]).
//!
//! What is queued together with how far the router has come is one transaction; so is what an acknowledgement
//! removes. So whenever the process ends, nothing is lost, and nothing but the one transaction that was under
//! way is sent again, with the number that it had.
//!
//! [pushing events]: https://spec.matrix.org/v1.19/application-service-api/#pushing-events

use serde_json::value::RawValue;

use super::{DeliveryError, limits};
use crate::storage::{
    Direction, Json, Read, ShortEventId, Storage, StorageError, StreamPosition, Transaction,
    records::{AppserviceDelivery, QueuedForAppservice},
    tables::{APPSERVICE_DELIVERIES, APPSERVICE_NUMBERS, APPSERVICE_QUEUE, APPSERVICES_ROUTED},
};

/// The queues. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AppserviceQueues {
    storage: Storage,
}

/// One transaction, to be sent until it is acknowledged.
#[derive(Debug)]
pub(super) struct Batch {
    /// The transaction's number, which an application service sees as its id.
    pub(super) transaction: u64,
    /// The last sequence number in it.
    pub(super) until: u64,
    /// What is in it, in order.
    pub(super) items: Vec<QueuedForAppservice>,
}

impl AppserviceQueues {
    /// In the store.
    pub fn new(storage: Storage) -> Self {
        Self { storage }
    }

    /// The store.
    pub(super) fn storage(&self) -> &Storage {
        &self.storage
    }

    /// The number of an application service; one that is seen for the first time gets what happens from now on.
    pub(super) fn number(&self, id: &str) -> Result<u64, StorageError> {
        let id = id.to_owned();
        if let Some(number) = self.storage.get(&APPSERVICE_NUMBERS, &id)? {
            return Ok(number);
        }
        let since = self.storage.position();
        self.storage.write(|tx| {
            if let Some(number) = tx.get(&APPSERVICE_NUMBERS, &id)? {
                return Ok(number);
            }
            let count = tx.scan(&APPSERVICE_NUMBERS, &APPSERVICE_NUMBERS.all(), Direction::Forward).count();
            let number = u64::try_from(count).unwrap_or(u64::MAX).saturating_add(1);
            tx.put(&APPSERVICE_NUMBERS, &id, &number);
            let delivery = AppserviceDelivery { since: since.0, ..AppserviceDelivery::default() };
            tx.put(&APPSERVICE_DELIVERIES, &number, &Json(delivery));
            Ok(number)
        })
    }

    /// From where on changes are to be handed out to those registered. If none was before, from now on.
    pub(super) fn routed(&self) -> Result<StreamPosition, StorageError> {
        if let Some(routed) = self.storage.get(&APPSERVICES_ROUTED, &())? {
            return Ok(routed);
        }
        let now = self.storage.position();
        self.storage.write(|tx| {
            tx.put(&APPSERVICES_ROUTED, &(), &now);
            Ok::<_, StorageError>(now)
        })
    }

    /// Nobody is registered any more: what happens until somebody is again is of no interest.
    pub(super) fn stop_routing(&self) -> Result<(), StorageError> {
        if !self.storage.contains(&APPSERVICES_ROUTED, &())? {
            return Ok(());
        }
        self.storage.write(|tx| {
            tx.delete(&APPSERVICES_ROUTED, &());
            Ok(())
        })
    }

    /// How far one queue has come.
    pub(super) fn delivery(reader: &impl Read, number: u64) -> Result<AppserviceDelivery, StorageError> {
        Ok(reader.get(&APPSERVICE_DELIVERIES, &number)?.map(|Json(delivery)| delivery).unwrap_or_default())
    }

    /// Queues an event, in the router's transaction.
    pub(super) fn push_event(
        tx: &mut Transaction<'_>,
        number: u64,
        event: ShortEventId,
        position: StreamPosition,
    ) -> Result<(), StorageError> {
        let delivery = Self::delivery(tx, number)?;
        if position.0 <= delivery.since {
            return Ok(());
        }
        Self::push(tx, number, delivery, QueuedForAppservice::Event(event.0));
        Ok(())
    }

    /// Queues something of the moment, unless the application service has fallen behind.
    pub(super) fn push_ephemeral(
        tx: &mut Transaction<'_>,
        number: u64,
        data: Box<RawValue>,
    ) -> Result<(), StorageError> {
        let delivery = Self::delivery(tx, number)?;
        let first =
            tx.scan(&APPSERVICE_QUEUE, &APPSERVICE_QUEUE.prefix(&(number,)), Direction::Forward).next();
        let first = first.transpose()?.map_or(delivery.last_sequence, |((_, sequence), _)| sequence);
        if delivery.last_sequence.saturating_sub(first) < limits::EPHEMERAL_QUEUED_MAX {
            Self::push(tx, number, delivery, QueuedForAppservice::Ephemeral(data));
        }
        Ok(())
    }

    /// Queues what must arrive.
    pub(super) fn push_lasting(
        tx: &mut Transaction<'_>,
        number: u64,
        item: QueuedForAppservice,
    ) -> Result<(), StorageError> {
        let delivery = Self::delivery(tx, number)?;
        Self::push(tx, number, delivery, item);
        Ok(())
    }

    fn push(
        tx: &mut Transaction<'_>,
        number: u64,
        mut delivery: AppserviceDelivery,
        item: QueuedForAppservice,
    ) {
        delivery.last_sequence = delivery.last_sequence.saturating_add(1);
        tx.put(&APPSERVICE_QUEUE, &(number, delivery.last_sequence), &Json(item));
        tx.put(&APPSERVICE_DELIVERIES, &number, &Json(delivery));
    }

    /// The transaction to send now: the one under way, or the next; `None` when nothing waits. It must be durable
    /// before it is sent, so that what is sent again after a crash is the same.
    pub(super) fn next(&self, number: u64) -> Result<Option<Batch>, DeliveryError> {
        let delivery = Self::delivery(&self.storage, number)?;
        if let Some(until) = delivery.in_flight_until {
            let items = self.items(number, Some(until))?;
            let items = items.into_iter().map(|(_, item)| item).collect();
            return Ok(Some(Batch { transaction: delivery.last_transaction, until, items }));
        }
        let items = self.items(number, None)?;
        let Some((until, _)) = items.last() else { return Ok(None) };
        let until = *until;
        let transaction = self.storage.write(|tx| {
            // The router may have queued more since.
            let mut delivery = Self::delivery(tx, number)?;
            delivery.last_transaction = delivery.last_transaction.saturating_add(1);
            delivery.in_flight_until = Some(until);
            let transaction = delivery.last_transaction;
            tx.put(&APPSERVICE_DELIVERIES, &number, &Json(delivery));
            Ok::<_, StorageError>(transaction)
        })?;
        let items = items.into_iter().map(|(_, item)| item).collect();
        Ok(Some(Batch { transaction, until, items }))
    }

    fn items(
        &self,
        number: u64,
        until: Option<u64>,
    ) -> Result<Vec<(u64, QueuedForAppservice)>, StorageError> {
        let rows =
            self.storage.scan(&APPSERVICE_QUEUE, &APPSERVICE_QUEUE.prefix(&(number,)), Direction::Forward);
        rows.map(|row| row.map(|((_, sequence), Json(item))| (sequence, item)))
            .take(limits::TRANSACTION_ITEMS_MAX)
            .take_while(|row| {
                row.as_ref().map_or(true, |(sequence, _)| until.is_none_or(|until| *sequence <= until))
            })
            .collect()
    }

    /// Removes what was acknowledged.
    pub(super) fn acknowledge(&self, number: u64, until: u64) -> Result<(), StorageError> {
        self.storage.write(|tx| {
            let range = APPSERVICE_QUEUE.prefix(&(number,));
            let rows = tx.scan(&APPSERVICE_QUEUE, &range, Direction::Forward);
            let sent: Vec<_> = rows
                .map(|row| row.map(|(key, _)| key))
                .take_while(|row| row.as_ref().map_or(true, |(_, sequence)| *sequence <= until))
                .collect::<Result<_, _>>()?;
            for key in sent {
                tx.delete(&APPSERVICE_QUEUE, &key);
            }
            let mut delivery = Self::delivery(tx, number)?;
            delivery.in_flight_until = None;
            tx.put(&APPSERVICE_DELIVERIES, &number, &Json(delivery));
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queued(queues: &AppserviceQueues, number: u64, events: std::ops::RangeInclusive<u64>) {
        for event in events {
            queues
                .storage
                .write(|tx| {
                    let position = tx.next_position();
                    AppserviceQueues::push_event(tx, number, ShortEventId(event), position)
                })
                .unwrap();
        }
    }

    fn events(batch: &Batch) -> Vec<u64> {
        let event = |item: &QueuedForAppservice| match item {
            QueuedForAppservice::Event(event) => *event,
            _ => 0,
        };
        batch.items.iter().map(event).collect()
    }

    #[test]
    fn a_transaction_is_the_same_until_it_is_acknowledged() {
        let queues = AppserviceQueues::new(Storage::in_memory().unwrap());
        let irc = queues.number("irc").unwrap();
        assert_eq!(queues.number("irc").unwrap(), irc);
        assert!(queues.next(irc).unwrap().is_none());
        queued(&queues, irc, 1..=3);
        let first = queues.next(irc).unwrap().unwrap();
        assert_eq!((first.transaction, events(&first)), (1, vec![1, 2, 3]));
        queued(&queues, irc, 4..=5);
        let again = queues.next(irc).unwrap().unwrap();
        assert_eq!((again.transaction, events(&again)), (1, vec![1, 2, 3]), "nothing is added to it");
        queues.acknowledge(irc, again.until).unwrap();
        let second = queues.next(irc).unwrap().unwrap();
        assert_eq!((second.transaction, events(&second)), (2, vec![4, 5]));
        queues.acknowledge(irc, second.until).unwrap();
        assert!(queues.next(irc).unwrap().is_none());
    }

    #[test]
    fn queues_are_apart_and_transactions_bounded() {
        let queues = AppserviceQueues::new(Storage::in_memory().unwrap());
        let (irc, log) = (queues.number("irc").unwrap(), queues.number("log").unwrap());
        assert_ne!(irc, log);
        queued(&queues, irc, 1..=250);
        queued(&queues, log, 7..=7);
        assert_eq!(events(&queues.next(log).unwrap().unwrap()), [7]);
        let first = queues.next(irc).unwrap().unwrap();
        assert_eq!(events(&first), (1..=100).collect::<Vec<_>>());
        queues.acknowledge(irc, first.until).unwrap();
        assert_eq!(events(&queues.next(irc).unwrap().unwrap())[0], 101);
    }

    #[test]
    fn what_is_of_the_moment_is_left_out_of_a_long_queue() {
        let queues = AppserviceQueues::new(Storage::in_memory().unwrap());
        let irc = queues.number("irc").unwrap();
        let push = || {
            let data = RawValue::from_string("{}".to_owned()).unwrap();
            queues.storage.write(|tx| AppserviceQueues::push_ephemeral(tx, irc, data)).unwrap();
        };
        push();
        queued(&queues, irc, 1..=limits::EPHEMERAL_QUEUED_MAX);
        push();
        let delivery = AppserviceQueues::delivery(&queues.storage, irc).unwrap();
        assert_eq!(delivery.last_sequence, limits::EPHEMERAL_QUEUED_MAX + 1);
    }
}
