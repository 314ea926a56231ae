//! Sync v3 over whole rooms, by subject.

mod left_rooms;
mod model;
mod news;
mod states;
mod sticky;
mod unread;
mod waiting;
