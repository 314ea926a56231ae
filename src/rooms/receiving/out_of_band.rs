//! Memberships of rooms that this server is not in: invites, knocks, and what ends them. Nothing else is known
//! of such a room, so nothing of the event can be checked but what the caller has.

use ruma::{RoomVersionId, UserId};
use serde_json::value::RawValue;

use super::{ReceivedEvents, Reception, outliers::outlier_meta};
use crate::{
    matrix::{event::Event, room_versions},
    rooms::{RoomError, appender::MembershipChange},
    storage::{
        Direction, Json, Read, ShortEventId, ShortRoomId, StorageError,
        records::{EventStatus, Membership, RoomRecord},
        tables::{EVENT_JSON, EVENT_META, LOCAL_MEMBERS, ROOM_HEADS, ROOMS},
    },
};

impl ReceivedEvents {
    /// An invite of a user here by another server. In a room that this server is in, it is an event like any
    /// other and goes through all checks.
    pub fn remote_invite(
        &self,
        version: &RoomVersionId,
        event: Event,
        stripped_state: Vec<Box<RawValue>>,
    ) -> Result<(), RoomError> {
        self.out_of_band(version, event, Some(stripped_state))
    }

    /// A knock of a user here that another server has accepted.
    pub fn remote_knock(
        &self,
        version: &RoomVersionId,
        event: Event,
        stripped_state: Vec<Box<RawValue>>,
    ) -> Result<(), RoomError> {
        self.out_of_band(version, event, Some(stripped_state))
    }

    /// The end of an invite or a knock: the user's own leave that another server has accepted, or, where none
    /// can be reached, one that only this server knows.
    pub fn remote_leave(&self, version: &RoomVersionId, event: Event) -> Result<(), RoomError> {
        self.out_of_band(version, event, None)
    }

    /// Takes an invite back, or answers a knock with no: `event`, whose signatures have been checked, ends the
    /// invite or knock of a user here in a room that this server is not in. Only who sent the invite may, or
    /// for a knock a server other than this one; anything else changes nothing and answers false.
    pub fn rescind(&self, event: Event) -> Result<bool, RoomError> {
        let storage = self.appender.storage();
        let index = self.appender.index();
        let Some(room) = index.room(event.room_id())? else { return Ok(false) };
        let Some(record) = index.record(room)? else { return Ok(false) };
        let ends = matches!(event.membership().as_deref(), Some("leave" | "ban"));
        let target = event.state_key().and_then(|key| <&UserId>::try_from(key).ok());
        let Some(target) = target.filter(|_| ends) else { return Ok(false) };
        let Some(user) = storage.short_user_id(target)? else { return Ok(false) };
        let Some(row) = index.membership(user, room)? else { return Ok(false) };
        let Some(current) = self.stored(row.event)? else { return Ok(false) };
        let may = match row.membership {
            Membership::Invite => current.event.sender() == event.sender(),
            Membership::Knock => event.sender().server_name() != self.appender.server_name(),
            _ => false,
        };
        if may && current.meta.status == EventStatus::OutOfBand {
            self.out_of_band(&record.version, event, None)?;
            return Ok(true);
        }
        Ok(false)
    }

    fn out_of_band(
        &self,
        version: &RoomVersionId,
        event: Event,
        stripped_state: Option<Vec<Box<RawValue>>>,
    ) -> Result<(), RoomError> {
        if room_versions::rules(version).is_none() {
            return Err(RoomError::UnsupportedVersion(version.clone()));
        }
        let target = event.state_key().and_then(|key| <&UserId>::try_from(key).ok());
        if event.event_type() != "m.room.member"
            || target.is_none_or(|target| target.server_name() != self.appender.server_name())
        {
            return Err(RoomError::BadContent("it is no membership of a user of this server".to_owned()));
        }
        let storage = self.appender.storage();
        let room = storage.write(|rows| rows.intern_room(event.room_id()))?;
        let guard = self.appender.writers().enter(room);
        let range = LOCAL_MEMBERS.prefix(&(room,));
        if storage.scan(&LOCAL_MEMBERS, &range, Direction::Forward).next().is_some() {
            drop(guard);
            return self.in_known_room(event);
        }
        storage.write(|rows| {
            if !rows.contains(&ROOM_HEADS, &room)? && !has_create_event(rows, room)? {
                let record = RoomRecord {
                    version: version.clone(),
                    create_event: ShortEventId(0),
                    federate: true,
                    room_type: None,
                };
                rows.put(&ROOMS, &room, &Json(record));
            }
            let short = rows.intern_event(event.event_id())?;
            if !rows.contains(&EVENT_META, &short)? {
                let meta = outlier_meta(room, rows.intern_user(event.sender())?, EventStatus::OutOfBand);
                rows.put(&EVENT_META, &short, &meta);
                rows.put(&EVENT_JSON, &short, &event.json().as_bytes().to_vec());
            }
            let change = MembershipChange {
                server_name: self.appender.server_name(),
                room,
                event: &event,
                short,
                position: rows.next_position(),
                stripped_state: stripped_state.as_ref(),
            };
            change.write(rows)
        })?;
        self.appender.index().replaced(room);
        Ok(())
    }

    fn in_known_room(&self, event: Event) -> Result<(), RoomError> {
        match self.receive(event)? {
            Reception::Accepted(_) | Reception::AlreadyKnown => Ok(()),
            Reception::Rejected(reason) => Err(RoomError::Forbidden(reason)),
            Reception::SoftFailed => {
                Err(RoomError::Forbidden("the room's current state does not allow it".to_owned()))
            }
            Reception::Missing { .. } => {
                Err(RoomError::BadContent("events that it builds on are not known here".to_owned()))
            }
        }
    }
}

fn has_create_event(reader: &impl Read, room: ShortRoomId) -> Result<bool, StorageError> {
    let record = reader.get(&ROOMS, &room)?;
    Ok(record.is_some_and(|record| record.0.create_event != ShortEventId(0)))
}
