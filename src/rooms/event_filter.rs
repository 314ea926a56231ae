//! Filters that clients ask for ([filtering]): which events of a room pass.
//!
//! [filtering]: https://spec.matrix.org/v1.19/client-server-api/#filtering

use ruma::{
    RoomId,
    api::client::filter::{LazyLoadOptions, RoomEventFilter, UrlFilter},
};

use crate::matrix::event::Event;

/// A `RoomEventFilter`, ready to be asked.
#[derive(Debug, Clone, Default)]
pub struct EventFilter(RoomEventFilter);

impl From<RoomEventFilter> for EventFilter {
    fn from(filter: RoomEventFilter) -> Self {
        Self(filter)
    }
}

impl EventFilter {
    /// The most events that the filter wants, if it says.
    pub fn limit(&self) -> Option<usize> {
        self.0.limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX))
    }

    /// True when member events are wanted only for senders of shown events.
    pub fn lazy_loads_members(&self) -> bool {
        matches!(self.0.lazy_load_options, LazyLoadOptions::Enabled { .. })
    }

    /// True when events of this room may pass.
    pub fn allows_room(&self, room_id: &RoomId) -> bool {
        self.0.rooms.as_ref().is_none_or(|rooms| rooms.iter().any(|room| room == room_id))
            && !self.0.not_rooms.iter().any(|room| room == room_id)
    }

    /// True when the event passes; its room is not looked at.
    pub fn allows(&self, event: &Event) -> bool {
        let RoomEventFilter { types, not_types, senders, not_senders, url_filter, .. } = &self.0;
        let sender = event.sender();
        senders.as_ref().is_none_or(|senders| senders.iter().any(|user| user == sender))
            && !not_senders.iter().any(|user| user == sender)
            && allows_type(types.as_deref(), not_types, event.event_type())
            && url_filter.as_ref().is_none_or(|wanted| {
                let has_url = event.content_field::<serde::de::IgnoredAny>("url").is_some();
                has_url == matches!(wanted, UrlFilter::EventsWithUrl)
            })
    }
}

/// The `types` and `not_types` of any filter, in which `*` stands for any characters.
pub fn allows_type(types: Option<&[String]>, not_types: &[String], event_type: &str) -> bool {
    types.is_none_or(|types| types.iter().any(|pattern| matches_pattern(pattern, event_type)))
        && !not_types.iter().any(|pattern| matches_pattern(pattern, event_type))
}

/// Matches without backtracking further than the last `*`, so a pattern of many stars stays quadratic.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where the last star stands, and where the text that it does not take begins.
    let mut star: Option<(usize, usize)> = None;
    while let Some(&byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&wanted) if wanted == byte => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((star_at, rest)) = star else { return false };
                star = Some((star_at, rest + 1));
                p = star_at + 1;
                t = rest + 1;
            }
        }
    }
    pattern.iter().skip(p).all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::{allows_type, matches_pattern};

    #[test]
    fn stars_stand_for_any_characters() {
        assert!(matches_pattern("m.room.*", "m.room.message"));
        assert!(matches_pattern("*", ""));
        assert!(matches_pattern("m.*.mess*e", "m.room.message"));
        assert!(matches_pattern("*a*b", "aab"));
        assert!(!matches_pattern("m.room.*", "m.roommessage"));
        assert!(!matches_pattern("m.room", "m.room.message"));
        assert!(!matches_pattern("", "m"));
        assert!(!matches_pattern("a*", ""));
    }

    #[test]
    fn excluded_types_win() {
        let types = ["m.*".to_owned()];
        let not = ["m.room.member".to_owned()];
        assert!(allows_type(Some(&types), &not, "m.room.name"));
        assert!(!allows_type(Some(&types), &not, "m.room.member"));
        assert!(!allows_type(Some(&types), &[], "org.example"));
        assert!(!allows_type(Some(&[]), &[], "m.room.name"));
        assert!(allows_type(None, &[], "m.room.name"));
    }
}
