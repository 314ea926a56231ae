//! What waits for each server, in memory.
//!
//! A server that nothing waits for has no entry; one that is not there has an entry without contents and a timer.
//! At most one transaction is under way to a server. Nothing here does I/O but the first look at a server's row.
//! Main type: [`Queues`].

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::{
    limits,
    volatile::{News, Subject, VolatileEdus},
};
use crate::storage::{
    Direction, Json, Read, ShortEventId, ShortServerId, Storage, StorageError,
    tables::{DESTINATIONS, OUTGOING_EDUS},
};

/// All servers that something waits for.
pub(super) struct Queues {
    storage: Storage,
    inner: Mutex<Inner>,
    /// Woken when a server may be ready to be sent to, or a timer was set.
    pub(super) work: Notify,
}

#[derive(Default)]
struct Inner {
    servers: HashMap<ShortServerId, Destination>,
    ready: VecDeque<ShortServerId>,
    ready_to_retry: VecDeque<ShortServerId>,
    sending: usize,
    retrying: usize,
    /// Milliseconds since 1970.
    timers: BTreeSet<(u64, ShortServerId)>,
    events_waiting: usize,
}

/// What waits for one server.
#[derive(Default)]
#[allow(clippy::struct_excessive_bools, reason = "each says whether one kind of work waits")]
struct Destination {
    delivered: u64,
    is_behind: bool,
    /// While it is being caught up: new events are kept again, for after that.
    is_collecting: bool,
    /// Whether a transaction begun before is to be repeated.
    has_begun: bool,
    /// Numbers in the outbox, rising.
    events: VecDeque<(u64, ShortEventId)>,
    has_edus: bool,
    news: VolatileEdus,
    phase: Phase,
    /// Since when it has failed, in milliseconds since 1970.
    failing_since: Option<u64>,
    refusals: u32,
    /// It has shown that it is there while a transaction was under way: if that fails, it is tried again at once.
    is_there: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Idle,
    Ready,
    Sending {
        is_retry: bool,
    },
    /// A timer runs: after a failure, or until more has gathered.
    Waiting {
        until_ms: u64,
    },
}

/// What becomes of a server after a transaction failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterFailure {
    /// What waits for it stays in memory.
    Keep,
    /// It has failed for too long: it is to be marked as behind.
    FallBehind,
}

/// What an operator may want to know of the queues.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueTotals {
    /// Servers that something waits for, or that are left alone for a while.
    pub servers: usize,
    /// Transactions under way.
    pub sending: usize,
    /// Servers that get the newest event of each room when they are back.
    pub behind: usize,
    /// Events that wait, counted for each server.
    pub events: usize,
}

impl Destination {
    fn has_work(&self) -> bool {
        self.has_begun || self.is_behind || !self.events.is_empty() || self.has_edus || !self.news.is_empty()
    }
}

impl Inner {
    fn set_timer(&mut self, server: ShortServerId, until_ms: u64) {
        if let Some(destination) = self.servers.get_mut(&server) {
            if let Phase::Waiting { until_ms } = destination.phase {
                self.timers.remove(&(until_ms, server));
            }
            destination.phase = Phase::Waiting { until_ms };
            self.timers.insert((until_ms, server));
        }
    }

    /// Puts a server into line, unless it is in line, being sent to, or left alone after a failure.
    fn make_ready(&mut self, server: ShortServerId, even_if_failing: bool) {
        let Some(destination) = self.servers.get_mut(&server) else { return };
        let is_failing = destination.failing_since.is_some();
        match destination.phase {
            Phase::Idle => {}
            Phase::Waiting { until_ms } if even_if_failing || !is_failing => {
                self.timers.remove(&(until_ms, server));
            }
            _ => return,
        }
        destination.phase = Phase::Ready;
        let line = if is_failing { &mut self.ready_to_retry } else { &mut self.ready };
        line.push_back(server);
    }

    fn forget_if_idle(&mut self, server: ShortServerId) {
        let is_idle = self.servers.get(&server).is_some_and(|it| it.phase == Phase::Idle && !it.has_work());
        if is_idle {
            self.servers.remove(&server);
        }
    }
}

impl Queues {
    pub(super) fn new(storage: Storage) -> Self {
        Self { storage, inner: Mutex::default(), work: Notify::new() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Each change is complete before anything else is called.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A server's entry, made from its row if need be.
    #[allow(clippy::map_entry, reason = "what is inserted takes reads that may fail")]
    fn entry<'a>(
        &self,
        inner: &'a mut Inner,
        server: ShortServerId,
    ) -> Result<&'a mut Destination, StorageError> {
        if !inner.servers.contains_key(&server) {
            let row = self.storage.get(&DESTINATIONS, &server)?.map(|Json(row)| row).unwrap_or_default();
            let destination = Destination {
                delivered: row.delivered,
                is_behind: row.is_behind,
                has_begun: row.in_flight.is_some(),
                has_edus: self.has_edus(server)?,
                ..Destination::default()
            };
            inner.servers.insert(server, destination);
        }
        Ok(inner.servers.entry(server).or_default())
    }

    /// Looks at a server's rows and puts it into line if there is something for it: at the start, and when an EDU
    /// was written for it.
    pub(super) fn look_at(&self, server: ShortServerId) -> Result<(), StorageError> {
        let mut inner = self.inner();
        let destination = self.entry(&mut inner, server)?;
        destination.has_edus = self.has_edus(server)?;
        if destination.has_work() {
            inner.make_ready(server, false);
        }
        inner.forget_if_idle(server);
        drop(inner);
        self.work.notify_one();
        Ok(())
    }

    /// Gives an event of the outbox to a server that it is for.
    pub(super) fn offer_event(
        &self,
        server: ShortServerId,
        number: u64,
        event: ShortEventId,
    ) -> Result<Offered, StorageError> {
        let mut inner = self.inner();
        let has_room = inner.events_waiting < limits::EVENTS_WAITING_TOTAL_MAX;
        let destination = self.entry(&mut inner, server)?;
        if number <= destination.delivered {
            inner.forget_if_idle(server);
            return Ok(Offered::Taken);
        }
        if destination.is_behind && !destination.is_collecting {
            return Ok(Offered::IsBehind);
        }
        if destination.events.back().is_some_and(|(last, _)| *last >= number) {
            return Ok(Offered::Taken);
        }
        if !has_room || destination.events.len() >= limits::EVENTS_WAITING_MAX {
            return Ok(Offered::TooMuch);
        }
        destination.events.push_back((number, event));
        inner.events_waiting += 1;
        inner.make_ready(server, false);
        drop(inner);
        self.work.notify_one();
        Ok(Offered::Taken)
    }

    /// Gives news to a server, which may wait until `not_before_ms` if nothing else is sent before. A server that
    /// is not there gets none.
    pub(super) fn offer_news(
        &self,
        server: ShortServerId,
        subject: Subject,
        news: News,
        not_before_ms: Option<u64>,
    ) -> Result<(), StorageError> {
        let mut inner = self.inner();
        let destination = self.entry(&mut inner, server)?;
        if destination.is_behind || destination.failing_since.is_some() {
            return Ok(());
        }
        destination.news.put(subject, news);
        match (not_before_ms, destination.phase) {
            (Some(until_ms), Phase::Idle) => inner.set_timer(server, until_ms),
            (Some(_), _) => {}
            (None, _) => inner.make_ready(server, false),
        }
        drop(inner);
        self.work.notify_one();
        Ok(())
    }

    /// A server that had failed has shown that it is there.
    pub(super) fn is_alive(&self, server: ShortServerId) {
        let mut inner = self.inner();
        match inner.servers.get_mut(&server) {
            Some(destination) if matches!(destination.phase, Phase::Sending { .. }) => {
                destination.is_there = true;
            }
            _ => inner.make_ready(server, true),
        }
        drop(inner);
        self.work.notify_one();
    }

    /// Puts those in line whose timers have run out. Answers when the next one will.
    pub(super) fn run_timers(&self, now_ms: u64) -> Option<u64> {
        let mut inner = self.inner();
        while let Some((until_ms, server)) = inner.timers.first().copied() {
            if until_ms > now_ms {
                return Some(until_ms);
            }
            inner.timers.pop_first();
            if let Some(destination) = inner.servers.get_mut(&server) {
                destination.phase = Phase::Idle;
                if destination.has_work() {
                    inner.make_ready(server, true);
                } else {
                    destination.failing_since = None;
                    inner.forget_if_idle(server);
                }
            }
        }
        None
    }

    /// The next server in line, if there is a place for a transaction.
    pub(super) fn begin_next(&self) -> Option<ShortServerId> {
        let mut inner = self.inner();
        let is_retry = if inner.sending < limits::TRANSACTIONS_MAX && !inner.ready.is_empty() {
            false
        } else if inner.retrying < limits::RETRIES_MAX && !inner.ready_to_retry.is_empty() {
            true
        } else {
            return None;
        };
        let server = if is_retry {
            inner.retrying += 1;
            inner.ready_to_retry.pop_front()?
        } else {
            inner.sending += 1;
            inner.ready.pop_front()?
        };
        if let Some(destination) = inner.servers.get_mut(&server) {
            destination.phase = Phase::Sending { is_retry };
            destination.is_there = false;
        }
        Some(server)
    }

    /// The place of a transaction is free again; the server goes to the end of the line if there is more for it.
    pub(super) fn end(&self, server: ShortServerId) {
        let mut inner = self.inner();
        let Some(destination) = inner.servers.get_mut(&server) else { return };
        let Phase::Sending { is_retry } = destination.phase else { return };
        destination.phase = Phase::Idle;
        let has_work = destination.has_work();
        inner.free_place(is_retry);
        if has_work {
            inner.make_ready(server, false);
        } else {
            inner.forget_if_idle(server);
        }
        drop(inner);
        self.work.notify_one();
    }

    /// As [`end`](Self::end), after a failure: the server is left alone until then.
    pub(super) fn end_failed(&self, server: ShortServerId, now_ms: u64, until_ms: u64) -> AfterFailure {
        let mut inner = self.inner();
        let Some(destination) = inner.servers.get_mut(&server) else { return AfterFailure::Keep };
        let Phase::Sending { is_retry } = destination.phase else { return AfterFailure::Keep };
        let since = *destination.failing_since.get_or_insert(now_ms);
        let longest = u64::try_from(limits::FAILING_TIME_MAX.as_millis()).unwrap_or(u64::MAX);
        let too_long = !destination.is_behind && until_ms.saturating_sub(since) > longest;
        destination.is_collecting = false;
        let is_there = std::mem::take(&mut destination.is_there);
        if is_there {
            destination.phase = Phase::Idle;
        }
        inner.free_place(is_retry);
        if is_there {
            inner.make_ready(server, true);
        } else {
            inner.set_timer(server, until_ms);
        }
        drop(inner);
        self.work.notify_one();
        if too_long { AfterFailure::FallBehind } else { AfterFailure::Keep }
    }

    /// How often in a row the server has refused, with this time.
    pub(super) fn refused(&self, server: ShortServerId) -> u32 {
        let mut inner = self.inner();
        inner.servers.get_mut(&server).map_or(1, |destination| {
            destination.refusals = destination.refusals.saturating_add(1);
            destination.refusals
        })
    }

    /// The events at the front of a server's line.
    pub(super) fn front(&self, server: ShortServerId) -> Vec<(u64, ShortEventId)> {
        let inner = self.inner();
        let destination = inner.servers.get(&server);
        destination.map_or_else(Vec::new, |it| it.events.iter().take(limits::PDUS_MAX).copied().collect())
    }

    /// Takes news for a server.
    pub(super) fn take_news(
        &self,
        server: ShortServerId,
        edus_max: usize,
        now_ms: u64,
    ) -> (Vec<ruma::api::federation::transactions::edu::Edu>, Vec<(Subject, News)>) {
        let mut inner = self.inner();
        let destination = inner.servers.get_mut(&server);
        destination.map(|destination| destination.news.take(edus_max, now_ms)).unwrap_or_default()
    }

    /// Puts news back that did not arrive.
    pub(super) fn put_back(&self, server: ShortServerId, taken: Vec<(Subject, News)>) {
        let mut inner = self.inner();
        if let Some(destination) = inner.servers.get_mut(&server)
            && !destination.is_behind
        {
            destination.news.put_back(taken);
        }
    }

    /// A transaction has arrived, or there was none to send: everything up to `delivered` is done.
    pub(super) fn arrived(&self, server: ShortServerId, delivered: u64) -> Result<(), StorageError> {
        let mut inner = self.inner();
        let Some(destination) = inner.servers.get_mut(&server) else { return Ok(()) };
        // Looked up while nobody else can note that there is a new one.
        let has_edus = self.has_edus(server)?;
        destination.failing_since = None;
        destination.refusals = 0;
        destination.has_begun = false;
        destination.has_edus = has_edus;
        destination.delivered = destination.delivered.max(delivered);
        let before = destination.events.len();
        while destination.events.front().is_some_and(|(number, _)| *number <= delivered) {
            destination.events.pop_front();
        }
        let done = before - destination.events.len();
        inner.events_waiting = inner.events_waiting.saturating_sub(done);
        Ok(())
    }

    fn has_edus(&self, server: ShortServerId) -> Result<bool, StorageError> {
        let range = OUTGOING_EDUS.prefix(&(server,));
        Ok(self.storage.scan(&OUTGOING_EDUS, &range, Direction::Forward).next().transpose()?.is_some())
    }

    /// From now on, new events are kept for a server that is behind: what the rooms have now is about to be read.
    /// Answers with those that were kept before, which are forgotten here.
    pub(super) fn collect(&self, server: ShortServerId) -> Vec<(u64, ShortEventId)> {
        let mut inner = self.inner();
        let Some(destination) = inner.servers.get_mut(&server) else { return Vec::new() };
        destination.is_collecting = true;
        let events = Vec::from(std::mem::take(&mut destination.events));
        inner.events_waiting = inner.events_waiting.saturating_sub(events.len());
        events
    }

    /// Whether new events have been kept without a gap since [`collect`](Self::collect). If so, the server is
    /// behind no more.
    pub(super) fn is_caught_up(&self, server: ShortServerId) -> bool {
        let mut inner = self.inner();
        let Some(destination) = inner.servers.get_mut(&server) else { return false };
        if destination.is_collecting {
            destination.is_collecting = false;
            destination.is_behind = false;
        }
        !destination.is_behind
    }

    /// Marks a server as behind; answers with the events that waited for it.
    pub(super) fn fall_behind(&self, server: ShortServerId) -> Vec<(u64, ShortEventId)> {
        let mut inner = self.inner();
        let Some(destination) = inner.servers.get_mut(&server) else { return Vec::new() };
        destination.is_behind = true;
        destination.is_collecting = false;
        destination.news.clear();
        let events = Vec::from(std::mem::take(&mut destination.events));
        inner.events_waiting = inner.events_waiting.saturating_sub(events.len());
        events
    }

    /// The smallest number that waits for any server, and the servers it waits for are those that lag most.
    pub(super) fn oldest(&self) -> Option<(u64, Vec<ShortServerId>)> {
        let inner = self.inner();
        let front = |destination: &Destination| destination.events.front().map(|(number, _)| *number);
        let oldest = inner.servers.values().filter_map(front).min()?;
        let lagging = inner
            .servers
            .iter()
            .filter(|(_, it)| front(it) == Some(oldest))
            .map(|(server, _)| *server)
            .collect();
        Some((oldest, lagging))
    }

    /// Figures for the operator.
    pub(super) fn totals(&self) -> QueueTotals {
        let inner = self.inner();
        QueueTotals {
            servers: inner.servers.len(),
            sending: inner.sending + inner.retrying,
            behind: inner.servers.values().filter(|it| it.is_behind).count(),
            events: inner.events_waiting,
        }
    }
}

impl Inner {
    fn free_place(&mut self, is_retry: bool) {
        let places = if is_retry { &mut self.retrying } else { &mut self.sending };
        *places = places.saturating_sub(1);
    }
}

/// What a server did with an event that was offered to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offered {
    /// It waits for the server, or the server has it.
    Taken,
    /// The server is behind and gets the newest event of the room.
    IsBehind,
    /// Too much waits for the server already: it has to be marked as behind.
    TooMuch,
}
