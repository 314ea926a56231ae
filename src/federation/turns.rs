//! One attempt a room: who comes second waits, and finds what the first has brought about.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use ruma::{OwnedRoomId, RoomId};

type Turn = Arc<tokio::sync::Mutex<()>>;

/// The rooms in which something is being done, one thing at a time: letting somebody in, fetching history. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct RoomTurns {
    rooms: Arc<Mutex<HashMap<OwnedRoomId, Turn>>>,
}

/// The turn for a room; dropping it passes the turn on. A room that nobody waits for is forgotten.
pub(super) struct RoomTurn {
    turns: RoomTurns,
    room_id: OwnedRoomId,
    guard: Option<tokio::sync::OwnedMutexGuard<()>>,
}

impl RoomTurns {
    /// Waits for the room's turn, first come, first served.
    pub(super) async fn enter(&self, room_id: &RoomId) -> RoomTurn {
        let turn = {
            let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
            rooms.entry(room_id.to_owned()).or_default().clone()
        };
        // Made first, so that a caller that is given up while it waits cleans up as well.
        let mut held = RoomTurn { turns: self.clone(), room_id: room_id.to_owned(), guard: None };
        held.guard = Some(turn.lock_owned().await);
        held
    }
}

impl Drop for RoomTurn {
    fn drop(&mut self) {
        self.guard = None;
        let mut rooms = self.turns.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        // One count is the map's own.
        if rooms.get(&self.room_id).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            rooms.remove(&self.room_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use ruma::room_id;

    use super::*;

    #[tokio::test]
    async fn the_second_waits_for_the_first_and_rooms_are_forgotten() {
        let turns = RoomTurns::default();
        let room = room_id!("!a:b.c");
        let first = turns.enter(room).await;
        let other_room = turns.enter(room_id!("!b:b.c")).await;
        let (ours, mut second) = (turns.clone(), Box::pin(async { turns.enter(room).await }));
        let waits = std::future::poll_fn(|context| {
            std::task::Poll::Ready(second.as_mut().poll(context).is_pending())
        });
        assert!(waits.await);
        drop(first);
        let second = second.await;
        drop((second, other_room));
        assert!(ours.rooms.lock().unwrap().is_empty());
    }
}
