//! Giving what is new to the servers that it is for.
//!
//! Whoever has news writes one row, or leaves one entry in memory; whom they are for is found out here, on one
//! background thread, in the order of the outbox. Main type: [`Intake`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError, atomic::Ordering},
};

use ruma::OwnedUserId;

use super::{
    Sender, limits,
    queues::Offered,
    volatile::{News, PresenceNews, Subject},
};
use crate::storage::{
    Change, ChangeScope, Direction, Read, ShortEventId, ShortRoomId, ShortServerId, StorageError,
    StreamPosition,
    records::Membership,
    tables::{EVENT_META, MEMBERSHIPS, OUTBOX, RECEIPTS, ROOM_SERVERS, SERVER_DEPARTURES},
};

/// What has happened and has not been given to the servers yet. Bounded by [`limits::NEWS_WAITING_MAX`] for each
/// kind; what is more is dropped, but for what is on disk.
#[derive(Default)]
pub(super) struct Intake(Mutex<Gathered>);

#[derive(Default)]
struct Gathered {
    outbox: bool,
    edus: BTreeSet<ShortServerId>,
    receipts: BTreeSet<(ShortRoomId, StreamPosition)>,
    typing: BTreeSet<ShortRoomId>,
    presence: BTreeMap<OwnedUserId, PresenceNews>,
}

impl Intake {
    fn with<T>(&self, work: impl FnOnce(&mut Gathered) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes over what has become durable; true when something of it is for other servers. Runs on the committing
    /// thread.
    pub(super) fn take_over(&self, changes: &[Change]) -> bool {
        let is_ours = |change: &&Change| {
            use ChangeScope::{Outbox, OutgoingEdu, OwnReceipt};
            matches!(change.scope, Outbox | OutgoingEdu(_) | OwnReceipt(_))
        };
        let mut ours = changes.iter().filter(is_ours).peekable();
        if ours.peek().is_none() {
            return false;
        }
        self.with(|gathered| {
            for change in ours {
                match change.scope {
                    ChangeScope::Outbox => gathered.outbox = true,
                    // At most one entry a server that this one knows; the rows would be found at a restart only.
                    ChangeScope::OutgoingEdu(server) => drop(gathered.edus.insert(server)),
                    ChangeScope::OwnReceipt(room) if gathered.receipts.len() < limits::NEWS_WAITING_MAX => {
                        gathered.receipts.insert((room, change.position));
                    }
                    _ => {}
                }
            }
        });
        true
    }

    pub(super) fn typing_changed(&self, room: ShortRoomId) {
        self.with(|gathered| {
            if gathered.typing.len() < limits::NEWS_WAITING_MAX {
                gathered.typing.insert(room);
            }
        });
    }

    pub(super) fn presence_changed(&self, user: OwnedUserId, news: PresenceNews) {
        self.with(|gathered| {
            if gathered.presence.len() < limits::NEWS_WAITING_MAX || gathered.presence.contains_key(&user) {
                gathered.presence.insert(user, news);
            }
        });
    }
}

impl Sender {
    /// Gives all that has been gathered to the servers it is for.
    pub(super) fn fan_out(&self) -> Result<(), StorageError> {
        let gathered = self.intake.with(std::mem::take);
        if gathered.outbox {
            while self.fan_out_events()? {}
        }
        for server in gathered.edus {
            if self.allows(server)? {
                self.queues.look_at(server)?;
            }
        }
        for (room, position) in gathered.receipts {
            self.fan_out_receipt(room, position)?;
        }
        for room in gathered.typing {
            self.fan_out_typing(room, false)?;
        }
        for (user, news) in gathered.presence {
            self.fan_out_presence(user, &news)?;
        }
        Ok(())
    }

    /// Works off some rows of the outbox that are durable; true when there may be more.
    pub(super) fn fan_out_events(&self) -> Result<bool, StorageError> {
        let from = StreamPosition(self.worked_off.load(Ordering::Acquire).saturating_add(1));
        let until = StreamPosition(self.storage.position().0.saturating_add(1));
        if from >= until {
            return Ok(false);
        }
        let range = OUTBOX.between(&from, &until);
        let rows = self.storage.scan(&OUTBOX, &range, Direction::Forward).take(limits::OUTBOX_ROWS_AT_ONCE);
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let is_full = rows.len() == limits::OUTBOX_ROWS_AT_ONCE;
        for (number, event) in &rows {
            self.fan_out_event(number.0, *event)?;
            self.worked_off.store(number.0, Ordering::Release);
        }
        if !is_full {
            self.worked_off.store(until.0.saturating_sub(1), Ordering::Release);
        }
        self.prune(rows.len() as u64)?;
        Ok(is_full)
    }

    fn fan_out_event(&self, number: u64, event: ShortEventId) -> Result<(), StorageError> {
        let Some(meta) = self.storage.get(&EVENT_META, &event)? else { return Ok(()) };
        let sender = self.storage.user_id(meta.sender)?;
        let sender = self.storage.short_server_id(sender.server_name())?;
        for server in self.servers_at(meta.room, meta.position)? {
            if Some(server) == sender || !self.allows(server)? {
                continue;
            }
            match self.queues.offer_event(server, number, event)? {
                Offered::Taken => continue,
                Offered::IsBehind => {}
                Offered::TooMuch => self.fall_behind(server)?,
            }
            self.storage.write(|rows| Self::note_lost_room(rows, server, number, event))?;
            self.queues.look_at(server)?;
        }
        Ok(())
    }

    /// The other servers that were in a room at an event: those that have been in it since, and those that left
    /// then or later.
    fn servers_at(
        &self,
        room: ShortRoomId,
        position: StreamPosition,
    ) -> Result<BTreeSet<ShortServerId>, StorageError> {
        let mut servers = BTreeSet::new();
        for row in self.storage.scan(&ROOM_SERVERS, &ROOM_SERVERS.prefix(&(room,)), Direction::Forward) {
            let ((_, server), (_, since)) = row?;
            if since <= position {
                servers.insert(server);
            }
        }
        let later = SERVER_DEPARTURES.from(&(position, ShortRoomId(0), ShortServerId(0)));
        for row in self.storage.scan(&SERVER_DEPARTURES, &later, Direction::Forward) {
            let ((_, of, server), since) = row?;
            if of == room && since <= position {
                servers.insert(server);
            }
        }
        servers.retain(|server| *server != self.own);
        Ok(servers)
    }

    /// The other servers in a room now.
    fn servers_now(&self, room: ShortRoomId) -> Result<Vec<ShortServerId>, StorageError> {
        let mut servers = Vec::new();
        for row in self.storage.scan(&ROOM_SERVERS, &ROOM_SERVERS.prefix(&(room,)), Direction::Forward) {
            let ((_, server), _) = row?;
            if server != self.own && self.allows(server)? {
                servers.push(server);
            }
        }
        Ok(servers)
    }

    fn allows(&self, server: ShortServerId) -> Result<bool, StorageError> {
        Ok(self.way.allows(&self.storage.server_name(server)?))
    }

    /// Removes from the outbox what all servers have that get it event by event.
    fn prune(&self, worked_off: u64) -> Result<(), StorageError> {
        let rows = self.rows_unpruned.fetch_add(worked_off, Ordering::AcqRel) + worked_off;
        if rows < limits::OUTBOX_PRUNE_EVERY {
            return Ok(());
        }
        let done = self.remove_delivered()?;
        let left = rows.saturating_sub(done);
        self.rows_unpruned.store(left, Ordering::Release);
        if left > limits::OUTBOX_ROWS_MAX {
            for server in self.queues.oldest().map(|(_, lagging)| lagging).unwrap_or_default() {
                self.fall_behind(server)?;
            }
        }
        Ok(())
    }

    fn remove_delivered(&self) -> Result<u64, StorageError> {
        // No server may fall behind or catch up between looking and removing.
        let _housekeeping = self.housekeeping();
        let worked_off = self.worked_off.load(Ordering::Acquire);
        let until = self.queues.oldest().map_or(worked_off + 1, |(oldest, _)| oldest.min(worked_off + 1));
        self.storage.write(|rows| {
            let range = OUTBOX.between(&StreamPosition(0), &StreamPosition(until));
            let done: Vec<_> = rows
                .scan(&OUTBOX, &range, Direction::Forward)
                .take(limits::OUTBOX_ROWS_AT_ONCE)
                .map(|row| row.map(|(number, _)| number))
                .collect::<Result<_, _>>()?;
            for number in &done {
                rows.delete(&OUTBOX, number);
            }
            let until = (
                StreamPosition(until.saturating_sub(limits::DEPARTURES_KEPT)),
                ShortRoomId(0),
                ShortServerId(0),
            );
            let first = (StreamPosition(0), ShortRoomId(0), ShortServerId(0));
            let old: Vec<_> = rows
                .scan(&SERVER_DEPARTURES, &SERVER_DEPARTURES.between(&first, &until), Direction::Forward)
                .take(limits::OUTBOX_ROWS_AT_ONCE)
                .map(|row| row.map(|(key, _)| key))
                .collect::<Result<_, _>>()?;
            for key in &old {
                rows.delete(&SERVER_DEPARTURES, key);
            }
            Ok::<_, StorageError>(done.len() as u64)
        })
    }

    fn fan_out_receipt(&self, room: ShortRoomId, position: StreamPosition) -> Result<(), StorageError> {
        // A receipt that has moved on meanwhile has another position, which comes later.
        let Some(receipt) = self.storage.get(&RECEIPTS, &(room, position))? else { return Ok(()) };
        let servers = self.servers_now(room)?;
        if servers.is_empty() {
            return Ok(());
        }
        let (room, user) = (self.storage.room_id(room)?, self.storage.user_id(receipt.user)?);
        let subject = Subject::Receipt(room, user, receipt.thread);
        let news = News::Receipt(self.storage.event_id(receipt.event)?, receipt.at_ms);
        let count = u32::try_from(servers.len()).unwrap_or(u32::MAX);
        let pause = limits::RECEIPT_PAUSE_PER_SERVER.saturating_mul(count).min(limits::RECEIPT_PAUSE_MAX);
        let not_before = self.clock.now_ms().saturating_add(u64::try_from(pause.as_millis()).unwrap_or(0));
        for server in servers {
            self.queues.offer_news(server, subject.clone(), news.clone(), Some(not_before))?;
        }
        Ok(())
    }

    /// Tells a room's servers which users of this one have begun or stopped typing since they were told last; with
    /// `repeat`, also who is still typing.
    fn fan_out_typing(&self, room: ShortRoomId, repeat: bool) -> Result<(), StorageError> {
        let mut typing = BTreeSet::new();
        for user in self.typing.typists(room) {
            let user = self.storage.user_id(user)?;
            if user.server_name() == self.own_name {
                typing.insert(user);
            }
        }
        let mut told = self.typing_told.lock().unwrap_or_else(PoisonError::into_inner);
        let before = told.remove(&room).unwrap_or_default();
        if before.is_empty() && typing.is_empty() {
            return Ok(());
        }
        if !typing.is_empty() {
            told.insert(room, typing.clone());
        }
        drop(told);
        let stopped = before.difference(&typing).map(|user| (user, false));
        let begun = typing.iter().filter(|user| repeat || !before.contains(*user)).map(|user| (user, true));
        let room_id = self.storage.room_id(room)?;
        let servers = self.servers_now(room)?;
        for (user, is_typing) in stopped.chain(begun) {
            for server in &servers {
                let subject = Subject::Typing(room_id.clone(), user.clone());
                self.queues.offer_news(*server, subject, News::Typing(is_typing), None)?;
            }
        }
        Ok(())
    }

    /// Tells again who is still typing; false when nobody is.
    pub(super) fn repeat_typing(&self) -> Result<(), StorageError> {
        let rooms: Vec<_> =
            self.typing_told.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect();
        rooms.into_iter().try_for_each(|room| self.fan_out_typing(room, true))
    }

    fn fan_out_presence(&self, user_id: OwnedUserId, news: &PresenceNews) -> Result<(), StorageError> {
        let Some(user) = self.storage.short_user_id(&user_id)? else { return Ok(()) };
        let mut servers = BTreeSet::new();
        let rooms = self.storage.scan(&MEMBERSHIPS, &MEMBERSHIPS.prefix(&(user,)), Direction::Forward);
        for row in rooms.take(limits::PRESENCE_ROOMS_MAX) {
            let ((_, room), row) = row?;
            if row.membership == Membership::Join {
                servers.extend(self.servers_now(room)?);
            }
        }
        for server in servers {
            let subject = Subject::Presence(user_id.clone());
            self.queues.offer_news(server, subject, News::Presence(news.clone()), None)?;
        }
        Ok(())
    }
}
