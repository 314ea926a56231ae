//! One writer a room: who wants to change a room's graph waits for its turn, first come, first served.
//!
//! A [`RoomGuard`] is held from reading a room's head until the event built on it has been applied. Rules
//! that keep this free of deadlocks: a thread holds at most one guard, and takes no lock but the store's own
//! while it holds one. The queue of a room is as long as there are threads that wait, so its bound is the
//! number of threads that may run service code; a room that nobody waits for is forgotten.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, Thread},
};

use crate::storage::ShortRoomId;

/// The rooms that are being written. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct RoomWriters {
    rooms: Arc<Mutex<HashMap<ShortRoomId, VecDeque<Arc<Waiter>>>>>,
}

/// A thread that waits for a room.
#[derive(Debug)]
struct Waiter {
    thread: Thread,
    has_turn: AtomicBool,
}

impl RoomWriters {
    /// Waits until nobody who came before is writing the room, and keeps others out until the guard is
    /// dropped.
    pub fn enter(&self, room: ShortRoomId) -> RoomGuard {
        let guard = RoomGuard { writers: self.clone(), room };
        let waiter = {
            let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(queue) = rooms.get_mut(&room) else {
                rooms.insert(room, VecDeque::new());
                return guard;
            };
            let waiter = Arc::new(Waiter { thread: thread::current(), has_turn: AtomicBool::new(false) });
            queue.push_back(waiter.clone());
            waiter
        };
        while !waiter.has_turn.load(Ordering::Acquire) {
            thread::park();
        }
        guard
    }

    fn leave(&self, room: ShortRoomId) {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let next = rooms.get_mut(&room).and_then(VecDeque::pop_front);
        match next {
            // The room's entry stays: the turn passes on without a moment in which it is free.
            Some(waiter) => {
                waiter.has_turn.store(true, Ordering::Release);
                waiter.thread.unpark();
            }
            None => {
                rooms.remove(&room);
            }
        }
    }

    /// How many rooms are being written now.
    #[cfg(test)]
    fn busy(&self) -> usize {
        self.rooms.lock().unwrap().len()
    }
}

/// The turn to write a room; dropping it passes the turn on.
#[derive(Debug)]
#[must_use]
pub struct RoomGuard {
    writers: RoomWriters,
    room: ShortRoomId,
}

impl RoomGuard {
    /// The room.
    pub fn room(&self) -> ShortRoomId {
        self.room
    }
}

impl Drop for RoomGuard {
    fn drop(&mut self) {
        self.writers.leave(self.room);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn one_thread_at_a_time_writes_a_room() {
        let writers = RoomWriters::default();
        let (inside, entered) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let _guard = writers.enter(ShortRoomId(1));
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        entered.fetch_add(1, Ordering::SeqCst);
                        assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1);
                    }
                });
            }
        });
        assert_eq!(entered.into_inner(), 1_600);
        assert_eq!(writers.busy(), 0, "rooms that nobody writes are forgotten");
    }

    #[test]
    fn a_busy_room_does_not_hold_up_another() {
        let writers = RoomWriters::default();
        let _busy = writers.enter(ShortRoomId(1));
        let other =
            thread::scope(|scope| scope.spawn(|| writers.enter(ShortRoomId(2)).room()).join().unwrap());
        assert_eq!(other, ShortRoomId(2));
    }

    #[test]
    fn turns_are_given_in_the_order_of_arrival() {
        let writers = RoomWriters::default();
        let order = Mutex::new(Vec::new());
        let first = writers.enter(ShortRoomId(1));
        thread::scope(|scope| {
            for number in 0..4 {
                let (writers, order) = (&writers, &order);
                let waiting = || writers.rooms.lock().unwrap().get(&ShortRoomId(1)).map_or(0, VecDeque::len);
                scope.spawn(move || {
                    let _guard = writers.enter(ShortRoomId(1));
                    order.lock().unwrap().push(number);
                });
                while waiting() <= number {
                    thread::yield_now();
                }
            }
            drop(first);
        });
        assert_eq!(order.into_inner().unwrap(), [0, 1, 2, 3]);
    }

    #[test]
    fn a_panic_passes_the_turn_on() {
        let writers = RoomWriters::default();
        let panicked = thread::scope(|scope| {
            scope
                .spawn(|| {
                    let _guard = writers.enter(ShortRoomId(1));
                    panic!("a failing request");
                })
                .join()
        });
        assert!(panicked.is_err());
        let _guard = writers.enter(ShortRoomId(1));
    }
}
