//! Filters that clients ask for ([filtering]): which events of a room pass.
//!
//! [filtering]: https://spec.matrix.org/v1.19/client-server-api/#filtering

use ruma::{
    RoomId,
    api::client::filter::{LazyLoadOptions, RoomEventFilter, UrlFilter},
};
use serde::Deserialize;

use super::relations::Relation;
use crate::matrix::{
    event::Event,
    glob::{self, Wildcards},
};

/// A `RoomEventFilter`, ready to be asked.
#[derive(Debug, Clone, Default)]
pub struct EventFilter(RoomEventFilter, RelationFilter);

/// Which relations events may have (MSC3874). Events without one pass unless some kinds are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct RelationFilter {
    /// Only events with a relation of these kinds.
    #[serde(rename = "org.matrix.msc3874.rel_types")]
    pub rel_types: Option<Vec<String>>,
    /// No events with a relation of these kinds.
    #[serde(rename = "org.matrix.msc3874.not_rel_types", default)]
    pub not_rel_types: Vec<String>,
}

impl RelationFilter {
    fn allows(&self, event: &Event) -> bool {
        if self.rel_types.is_none() && self.not_rel_types.is_empty() {
            return true;
        }
        let relation = Relation::of(event);
        let is_one_of =
            |kinds: &[String]| relation.as_ref().is_some_and(|relation| kinds.contains(&relation.rel_type));
        self.rel_types.as_deref().is_none_or(is_one_of) && !is_one_of(&self.not_rel_types)
    }
}

impl From<RoomEventFilter> for EventFilter {
    fn from(filter: RoomEventFilter) -> Self {
        Self(filter, RelationFilter::default())
    }
}

impl EventFilter {
    /// The filter, of which only events with such relations pass.
    #[must_use]
    pub fn with_relations(self, relations: RelationFilter) -> Self {
        Self(self.0, relations)
    }

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

    /// The rooms whose events alone may pass, if the filter names some.
    pub fn rooms(&self) -> Option<&[ruma::OwnedRoomId]> {
        self.0.rooms.as_deref()
    }

    /// True when the filter rules a room out by name.
    pub fn excludes_room(&self, room_id: &RoomId) -> bool {
        self.0.not_rooms.iter().any(|room| room == room_id)
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
            && self.1.allows(event)
    }
}

/// The `types` and `not_types` of any filter, in which `*` stands for any characters.
pub fn allows_type(types: Option<&[String]>, not_types: &[String], event_type: &str) -> bool {
    types.is_none_or(|types| types.iter().any(|pattern| matches_pattern(pattern, event_type)))
        && !not_types.iter().any(|pattern| matches_pattern(pattern, event_type))
}

fn matches_pattern(pattern: &str, text: &str) -> bool {
    glob::matches(pattern, text, Wildcards::Star)
}

#[cfg(test)]
mod tests {
    use super::allows_type;

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
