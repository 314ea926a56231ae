//! The threads of a room, the one with the newest event first (`GET /rooms/{roomId}/threads`).

use super::{PaginationToken, Relations, RelationsRequest, RoomError, RoomView, VisibleEvent, limits};
use crate::storage::{
    Direction, Read, TimelineKey,
    tables::{THREAD_PARTICIPANTS, THREADS},
};

/// A part of a room's threads.
#[derive(Debug)]
pub struct ThreadsPage {
    /// The roots.
    pub roots: Vec<VisibleEvent>,
    /// Where to go on; `None` when there is nothing more.
    pub next: Option<PaginationToken>,
}

impl Relations {
    /// A page of the room's threads; with `participated` only those that the viewer takes part in. `limit` is
    /// kept between 1 and [`limits::RELATIONS_PAGE_MAX`]. When few of the threads pass, the page ends early,
    /// with a token.
    pub fn threads(
        &self,
        view: &RoomView<'_>,
        from: Option<PaginationToken>,
        limit: usize,
        participated: bool,
    ) -> Result<ThreadsPage, RoomError> {
        let limit = limit.clamp(1, limits::RELATIONS_PAGE_MAX);
        let room = view.room();
        let end = view.timeline_end()?;
        let high = from.map_or(Ok(end), |from| self.timelines.gap(view, from))?.min(end);
        let range = THREADS.between(&(room, TimelineKey(i64::MIN)), &(room, high));
        let mut page = ThreadsPage { roots: Vec::new(), next: None };
        let mut reached = None;
        for (rows, row) in self.storage.scan(&THREADS, &range, Direction::Backward).enumerate() {
            let ((_, key), thread) = row?;
            if page.roots.len() >= limit || rows >= limits::PAGE_ROWS_READ_MAX {
                page.next = reached;
                break;
            }
            reached = Some(PaginationToken::Before(key));
            let Some(thread) = self.shown(view, thread)? else { continue };
            let viewer = view.viewer().user;
            let takes_part = !participated
                || thread.meta().sender == viewer
                || self.storage.contains(&THREAD_PARTICIPANTS, &(thread.short(), viewer))?;
            if takes_part {
                page.roots.push(thread);
            }
        }
        Ok(page)
    }
}

impl Default for RelationsRequest {
    fn default() -> Self {
        Self {
            from: None,
            to: None,
            order: ruma::api::Direction::Backward,
            limit: limits::RELATIONS_PAGE_DEFAULT,
            rel_type: None,
            event_type: None,
            recurse: false,
        }
    }
}
