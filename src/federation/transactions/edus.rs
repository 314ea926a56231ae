//! What other servers tell beside events: who types, who has read what, who is there, what devices need.
//!
//! Each is believed only of the sending server's own users, and of a room only of its members and where the room's
//! server access control list lets the server in. What is not believed or not understood is dropped: the other
//! server is told nothing of it (specification, "EDUs"). Main type: [`IncomingEdus`].

use std::collections::BTreeMap;

use ruma::{
    EventId, OwnedRoomId, RoomId, ServerName, UserId,
    api::federation::transactions::edu::{
        DirectDeviceContent, Edu, PresenceContent, ReceiptContent, ReceiptData, ReceiptMap, TypingContent,
    },
    presence::PresenceState,
    serde::Raw,
};

use super::limits;
use crate::{
    rooms::{Receipts, RoomError, RoomIndex, ServerAcls, Typing},
    storage::{
        Read, ShortRoomId, ShortUserId, Storage,
        records::{Membership, ReceiptKind, ReceiptRow},
        tables::EVENT_META,
    },
    users::{
        Clock, Presence, RemoteDevices, ToDevice, UserError, limits::STATUS_MESSAGE_BYTES_MAX,
        presence::UserPresence, to_device::Messages,
    },
};

/// What EDUs are given to.
#[derive(Debug, Clone)]
pub struct IncomingEduSources {
    /// The store.
    pub storage: Storage,
    /// Rooms and their members.
    pub index: RoomIndex,
    /// Which servers rooms let in.
    pub acls: ServerAcls,
    /// Who types.
    pub typing: Typing,
    /// Who is there; switched off where other servers are not listened to.
    pub presence: Presence,
    /// Messages for devices.
    pub to_device: ToDevice,
    /// Devices of other servers' users.
    pub remote_devices: RemoteDevices,
    /// The time.
    pub clock: Clock,
}

/// Takes EDUs of other servers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct IncomingEdus(IncomingEduSources);

/// How much of one transaction has been looked at.
#[derive(Default)]
struct Work {
    receipts: usize,
    presence: usize,
}

impl IncomingEdus {
    /// Gives EDUs to `sources`.
    pub fn new(sources: IncomingEduSources) -> Self {
        Self(sources)
    }

    /// Takes the EDUs of one transaction, in their order. One that fails does not keep the others out.
    pub fn take(&self, origin: &ServerName, edus: &[Raw<Edu>]) {
        let mut work = Work::default();
        for edu in edus {
            let edu = match edu.deserialize() {
                Ok(edu) => edu,
                Err(error) => {
                    tracing::debug!(%origin, %error, "an EDU can't be read");
                    continue;
                }
            };
            if let Err(error) = self.take_one(origin, edu, &mut work) {
                tracing::warn!(%origin, %error, "an EDU could not be taken");
            }
        }
    }

    fn take_one(&self, origin: &ServerName, edu: Edu, work: &mut Work) -> Result<(), RoomError> {
        match edu {
            Edu::Typing(content) => self.take_typing(origin, &content),
            Edu::Receipt(content) => self.take_receipts(origin, content, work),
            Edu::DirectToDevice(content) => {
                self.take_messages(origin, content);
                Ok(())
            }
            Edu::Presence(content) => self.take_presence(origin, content, work),
            Edu::DeviceListUpdate(content) => {
                taken(origin, &self.0.remote_devices.device_changed(origin, &content));
                Ok(())
            }
            Edu::SigningKeyUpdate(content) => {
                taken(origin, &self.0.remote_devices.signing_keys_changed(origin, &content));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The member of a room whom `origin` may speak for there: one of its users who is joined, in a room that lets
    /// the server take part.
    fn member(
        &self,
        origin: &ServerName,
        room: ShortRoomId,
        user: &UserId,
    ) -> Result<Option<ShortUserId>, RoomError> {
        if user.server_name() != origin {
            return Ok(None);
        }
        let Some(user) = self.0.storage.short_user_id(user)? else { return Ok(None) };
        let row = self.0.index.membership(user, room)?;
        Ok(row.filter(|row| row.membership == Membership::Join).map(|_| user))
    }

    /// A room that this server knows and that lets `origin` take part.
    fn room(&self, origin: &ServerName, room_id: &RoomId) -> Result<Option<ShortRoomId>, RoomError> {
        let Some(room) = self.0.index.room(room_id)? else { return Ok(None) };
        Ok(self.0.acls.allows(origin, room)?.then_some(room))
    }

    /// Messages for devices of this server's users. Whose they are is checked by who takes them.
    fn take_messages(&self, origin: &ServerName, content: DirectDeviceContent) {
        let contents = content.messages.into_iter().map(|(user_id, of_devices)| {
            let raw = of_devices.into_iter().map(|(device, content)| (device, content.into_json()));
            (user_id, raw.collect())
        });
        let messages = Messages { event_type: content.ev_type.to_string(), contents: contents.collect() };
        taken(
            origin,
            &self.0.to_device.receive(origin, &content.sender, content.message_id.as_str(), &messages),
        );
    }

    /// The presence of users whom this server knows.
    fn take_presence(
        &self,
        origin: &ServerName,
        content: PresenceContent,
        work: &mut Work,
    ) -> Result<(), RoomError> {
        if !self.0.presence.is_on() {
            return Ok(());
        }
        let now_ms = self.0.clock.now_ms();
        for update in content.push {
            work.presence += 1;
            if work.presence > limits::PRESENCE_UPDATES_MAX {
                return Ok(());
            }
            if update.user_id.server_name() != origin {
                continue;
            }
            let Some(user) = self.0.storage.short_user_id(&update.user_id)? else { continue };
            let message = update.status_msg.filter(|message| message.len() <= STATUS_MESSAGE_BYTES_MAX);
            let state = match update.presence {
                state @ (PresenceState::Online | PresenceState::Offline) => state,
                // States that the specification does not have are some kind of being there.
                _ => PresenceState::Unavailable,
            };
            let shown = UserPresence {
                is_currently_active: update.currently_active && state == PresenceState::Online,
                user_id: update.user_id,
                state,
                status_msg: message.filter(|message| !message.is_empty()),
                last_active_ms: now_ms.saturating_sub(update.last_active_ago.into()),
            };
            self.0.presence.received(user, shown);
        }
        Ok(())
    }

    fn take_typing(&self, origin: &ServerName, content: &TypingContent) -> Result<(), RoomError> {
        let Some(room) = self.room(origin, &content.room_id)? else { return Ok(()) };
        let Some(user) = self.member(origin, room, &content.user_id)? else { return Ok(()) };
        if content.typing {
            self.0.typing.start(room, user, limits::TYPING_TIME);
        } else {
            self.0.typing.stop(room, user);
        }
        Ok(())
    }

    fn take_receipts(
        &self,
        origin: &ServerName,
        content: ReceiptContent,
        work: &mut Work,
    ) -> Result<(), RoomError> {
        let rooms: BTreeMap<OwnedRoomId, ReceiptMap> = content.receipts;
        for (room_id, receipts) in rooms {
            work.receipts += 1;
            if work.receipts > limits::RECEIPTS_MAX {
                return Ok(());
            }
            let Some(room) = self.room(origin, &room_id)? else { continue };
            for (user_id, receipt) in receipts.read {
                work.receipts += 1;
                if work.receipts > limits::RECEIPTS_MAX {
                    return Ok(());
                }
                if let Some(user) = self.member(origin, room, &user_id)? {
                    self.take_receipt(room, user, &receipt)?;
                }
            }
        }
        Ok(())
    }

    fn take_receipt(
        &self,
        room: ShortRoomId,
        user: ShortUserId,
        receipt: &ReceiptData,
    ) -> Result<(), RoomError> {
        let Some(event_id) = receipt.event_ids.last() else { return Ok(()) };
        // What a user has read that this server does not have, nobody here can be shown as read.
        let Some(event) = self.0.storage.short_event_id(event_id)? else { return Ok(()) };
        let Some(meta) = self.0.storage.get(&EVENT_META, &event)? else { return Ok(()) };
        let Some(key) = meta.timeline.filter(|_| meta.room == room) else { return Ok(()) };
        let now_ms = self.0.clock.now_ms();
        let at_ms = receipt.data.ts.map_or(now_ms, |ts| u64::from(ts.get())).min(now_ms);
        let thread = receipt.data.thread.as_str().unwrap_or_default();
        if thread.len() > limits::ID_BYTES_MAX || !self.is_thread(room, thread)? {
            return Ok(());
        }
        let row = ReceiptRow { user, kind: ReceiptKind::Read, event, key, at_ms, thread: thread.to_owned() };
        self.0.storage.write(|rows| Receipts::put(rows, room, &row))?;
        Ok(())
    }

    /// Whether a room has a thread of this name: its root is known. Made-up ones would have a row each.
    fn is_thread(&self, room: ShortRoomId, thread: &str) -> Result<bool, RoomError> {
        if thread.is_empty() || thread == "main" {
            return Ok(true);
        }
        let Ok(event_id) = <&EventId>::try_from(thread) else { return Ok(false) };
        let Some(event) = self.0.storage.short_event_id(event_id)? else { return Ok(false) };
        Ok(self.0.storage.get(&EVENT_META, &event)?.is_some_and(|meta| meta.room == room))
    }
}

/// Notes that what an EDU tells of users was not taken: most likely it speaks for another server's users.
fn taken(origin: &ServerName, outcome: &Result<(), UserError>) {
    if let Err(error) = outcome {
        tracing::debug!(%origin, %error, "an EDU about users is not taken");
    }
}
