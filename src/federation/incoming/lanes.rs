//! Lanes: what one server sends of one room, worked off in order, one task a busy lane.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ruma::{OwnedRoomId, OwnedServerName};
use serde_json::value::RawValue;

use super::{IncomingError, IncomingPdus, Inner, ThisRoom, gaps::Filled, limits};
use crate::{matrix::event::Event, rooms::Reception, storage::records::InboundPduRow};

type Lane = (OwnedRoomId, OwnedServerName);

/// The busy lanes with the numbers of the PDUs that wait in each. A lane that has run empty is forgotten.
#[derive(Default)]
pub(super) struct Lanes(Mutex<HashMap<Lane, VecDeque<u64>>>);

impl Lanes {
    fn busy(&self) -> MutexGuard<'_, HashMap<Lane, VecDeque<u64>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds to a lane; true if nobody works on it.
    fn push(&self, lane: &Lane, number: u64) -> bool {
        let mut busy = self.busy();
        if let Some(waiting) = busy.get_mut(lane) {
            waiting.push_back(number);
            return false;
        }
        busy.insert(lane.clone(), VecDeque::from([number]));
        true
    }

    /// The next in a lane; `None` forgets the lane.
    fn next(&self, lane: &Lane) -> Option<u64> {
        let mut busy = self.busy();
        let next = busy.get_mut(lane).and_then(VecDeque::pop_front);
        if next.is_none() {
            busy.remove(lane);
        }
        next
    }
}

/// What became of a PDU that was worked on.
enum Worked {
    /// It is done with.
    Done,
    /// Other servers could not be asked: it may be worth trying again.
    Unreachable(String),
}

impl IncomingPdus {
    /// Has a queued PDU worked off when its turn in its lane comes.
    pub(super) fn enqueue(&self, room_id: OwnedRoomId, origin: OwnedServerName, number: u64) {
        let lane = (room_id, origin);
        if self.inner.lanes.push(&lane, number) {
            let inner = self.inner.clone();
            tokio::spawn(async move { inner.work_off(lane).await });
        }
    }
}

impl Inner {
    async fn work_off(self: Arc<Self>, lane: Lane) {
        while let Some(number) = self.lanes.next(&lane) {
            if let Err(error) = self.work_off_one(&lane, number).await {
                // The row stays, and is tried again after a restart.
                tracing::error!(room = %lane.0, origin = %lane.1, "a received event was not worked off: {error}");
            }
        }
    }

    async fn work_off_one(self: &Arc<Self>, lane: &Lane, number: u64) -> Result<(), IncomingError> {
        let (room_id, origin) = lane;
        let room = room_id.clone();
        let row = self.work(move |inner| Ok(inner.queue.get(&room, number)?)).await?;
        let Some(row) = row else { return Ok(()) };
        let age_max_ms = u64::try_from(limits::INBOUND_RETRY_AGE_MAX.as_millis()).unwrap_or(u64::MAX);
        for pause in limits::INBOUND_RETRY_PAUSES.iter().copied().map(Some).chain([None]) {
            let worked = self.work_on(lane, &row).await?;
            let is_old = self.clock.now_ms().saturating_sub(row.arrived_ms) > age_max_ms;
            match (worked, pause.filter(|_| !is_old)) {
                (Worked::Done, _) => break,
                (Worked::Unreachable(why), Some(pause)) => {
                    tracing::debug!(room = %room_id, %origin, "trying again in {pause:?}: {why}");
                    tokio::time::sleep(pause).await;
                }
                (Worked::Unreachable(why), None) => {
                    // What follows it later makes this server ask for it again.
                    tracing::info!(room = %room_id, %origin, "a received event is given up: {why}");
                    break;
                }
            }
        }
        let room = room_id.clone();
        self.work(move |inner| Ok(inner.queue.remove(&room, number)?)).await
    }

    async fn work_on(self: &Arc<Self>, lane: &Lane, row: &InboundPduRow) -> Result<Worked, IncomingError> {
        let (room_id, origin) = lane;
        let room = room_id.clone();
        let known = self.work(move |inner| inner.room(&room)).await?;
        let Some(ThisRoom { rules, is_here, is_coming, .. }) = known else { return Ok(Worked::Done) };
        if is_coming {
            return Ok(Worked::Unreachable("the room is being joined".to_owned()));
        }
        let pdu = String::from_utf8(row.pdu.clone()).ok().and_then(|text| RawValue::from_string(text).ok());
        let Some(pdu) = pdu else { return Ok(Worked::Done) };
        let verified = self.remote.verify(vec![pdu], &rules).await.pop();
        let event = match verified {
            Some(Ok(event)) => event,
            Some(Err(why)) => {
                tracing::info!(room = %room_id, %origin, "a received event is dropped: {why}");
                return Ok(Worked::Done);
            }
            None => return Ok(Worked::Done),
        };
        let received = event.clone();
        if !is_here {
            // Not in the room, or left meanwhile: all that is of interest is an invite that is taken back.
            self.work(move |inner| inner.received.rescind(received)).await?;
            return Ok(Worked::Done);
        }
        match self.work(move |inner| inner.received.receive(received)).await? {
            Reception::Missing { .. } => {}
            reception => {
                tell(&event, &reception);
                return Ok(Worked::Done);
            }
        }
        // Waited for before the time begins, which is for other servers.
        let _place = self.filling.enter(origin).await.ok_or(IncomingError::GivenUp)?;
        let filled = tokio::time::timeout(limits::INBOUND_FILL_TIME_MAX, self.fill(origin, event, &rules));
        match filled.await {
            Ok(Ok(Filled::Done)) => Ok(Worked::Done),
            Ok(Ok(Filled::Impossible(why))) => {
                tracing::info!(room = %room_id, %origin, "a received event is dropped: {why}");
                Ok(Worked::Done)
            }
            Ok(Ok(Filled::Unreachable(why))) => Ok(Worked::Unreachable(why)),
            Ok(Err(error)) => Err(error),
            Err(_) => Ok(Worked::Unreachable("fetching what it lacks took too long".to_owned())),
        }
    }
}

/// Tells the log what came of an event.
pub(super) fn tell(event: &Event, reception: &Reception) {
    let event_id = event.event_id();
    match reception {
        Reception::Rejected(why) => tracing::info!(%event_id, "a received event is rejected: {why}"),
        Reception::SoftFailed => tracing::info!(%event_id, "a received event is soft-failed"),
        Reception::Accepted(_) | Reception::AlreadyKnown | Reception::Missing { .. } => {
            tracing::debug!(%event_id, "received an event");
        }
    }
}
