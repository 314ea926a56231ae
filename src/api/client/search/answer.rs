//! What a search found, as clients get it. Not ruma's type, which leaves out the list of results where it is empty.

use std::collections::{BTreeMap, BTreeSet};

use ruma::{
    OwnedEventId, OwnedRoomId, OwnedUserId,
    events::{AnyStateEvent, AnyTimelineEvent},
    serde::Raw,
};
use serde::Serialize;

use super::search::{Criteria, Groups};
use crate::{
    api::ApiError,
    rooms::{
        ClientEvents, EventFilter, EventForm, RoomStates, RoomView, Timelines, Viewer, Visibility,
        VisibleEvent, limits,
        search::{FoundEvent, FoundGroup, SearchPage},
    },
    storage::{ShortRoomId, ShortStateKeyId},
};

/// The answer.
#[derive(Debug, Default, Serialize)]
pub struct Answer {
    search_categories: Categories,
}

#[derive(Debug, Default, Serialize)]
struct Categories {
    #[serde(skip_serializing_if = "Option::is_none")]
    room_events: Option<RoomEvents>,
}

#[derive(Debug, Default, Serialize)]
struct RoomEvents {
    count: usize,
    results: Vec<FoundResult>,
    highlights: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    groups: BTreeMap<&'static str, BTreeMap<String, Group>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<BTreeMap<OwnedRoomId, Vec<Raw<AnyStateEvent>>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_batch: Option<String>,
}

#[derive(Debug, Serialize)]
struct FoundResult {
    rank: f64,
    result: Raw<AnyTimelineEvent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Context>,
}

#[derive(Debug, Serialize)]
struct Context {
    start: String,
    end: String,
    events_before: Vec<Raw<AnyTimelineEvent>>,
    events_after: Vec<Raw<AnyTimelineEvent>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile_info: Option<BTreeMap<OwnedUserId, Profile>>,
}

#[derive(Debug, Serialize)]
struct Profile {
    #[serde(skip_serializing_if = "Option::is_none")]
    displayname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url: Option<String>,
}

#[derive(Debug, Serialize)]
struct Group {
    order: usize,
    results: Vec<OwnedEventId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_batch: Option<String>,
}

/// Writes answers.
pub(super) struct Answerer {
    pub(super) visibility: Visibility,
    pub(super) states: RoomStates,
    pub(super) timelines: Timelines,
    pub(super) client_events: ClientEvents,
    pub(super) filter: EventFilter,
}

impl Answerer {
    pub(super) fn answer(
        &self,
        viewer: &Viewer,
        page: SearchPage,
        criteria: &Criteria,
        groups: Groups,
    ) -> Result<Answer, ApiError> {
        let mut views: BTreeMap<ShortRoomId, RoomView<'_>> = BTreeMap::new();
        let mut answer = RoomEvents { count: page.count, ..RoomEvents::default() };
        for found in &page.results {
            let view = match views.entry(found.room) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(self.visibility.view(viewer, found.room)?)
                }
            };
            answer.results.push(self.result(view, found, criteria)?);
        }
        if groups.by_room {
            let written =
                page.rooms.iter().map(|(room, group)| (room.to_string(), write_group(group, &page.results)));
            answer.groups.insert("room_id", written.collect());
        }
        if groups.by_sender {
            let written = page
                .senders
                .iter()
                .map(|(user, group)| (user.to_string(), write_group(group, &page.results)));
            answer.groups.insert("sender", written.collect());
        }
        if criteria.include_state {
            let states = views.values().map(|view| self.state(view, &page.results));
            answer.state = Some(states.collect::<Result<_, _>>()?);
        }
        answer.highlights = page.highlights;
        answer.next_batch = page.next.map(|token| token.to_string());
        Ok(Answer { search_categories: Categories { room_events: Some(answer) } })
    }

    fn result(
        &self,
        view: &RoomView<'_>,
        found: &FoundEvent,
        criteria: &Criteria,
    ) -> Result<FoundResult, ApiError> {
        let result = self.client_events.write(view, &found.event, EventForm::TIMELINE)?;
        let Some(wanted) = &criteria.event_context else {
            return Ok(FoundResult { rank: found.rank, result, context: None });
        };
        let bounded =
            |limit: ruma::UInt| usize::try_from(limit).unwrap_or(usize::MAX).min(limits::SEARCH_CONTEXT_MAX);
        let sizes = (bounded(wanted.before_limit), bounded(wanted.after_limit));
        let around = self.timelines.surroundings(view, &found.event, sizes)?;
        let write = |events: &[VisibleEvent]| self.client_events.write_all(view, events, EventForm::TIMELINE);
        let profile_info = if wanted.include_profile {
            let shown = around.before.iter().rev().chain([&found.event]).chain(&around.after);
            Some(self.profiles(view, shown)?)
        } else {
            None
        };
        let context = Context {
            start: around.start.to_string(),
            end: around.end.to_string(),
            events_before: write(&around.before)?,
            events_after: write(&around.after)?,
            profile_info,
        };
        Ok(FoundResult { rank: found.rank, result, context: Some(context) })
    }

    /// What the senders of events were called and looked like then.
    fn profiles<'e>(
        &self,
        view: &RoomView<'_>,
        events: impl Iterator<Item = &'e VisibleEvent>,
    ) -> Result<BTreeMap<OwnedUserId, Profile>, ApiError> {
        let members = self.timelines.senders(view, events)?;
        let profiles = members.iter().filter_map(|member| {
            let event = member.event();
            let user_id = OwnedUserId::try_from(event.state_key()?).ok()?;
            let profile = Profile {
                displayname: event.content_field("displayname"),
                avatar_url: event.content_field("avatar_url"),
            };
            Some((user_id, profile))
        });
        Ok(profiles.collect())
    }

    /// The newest state of a room that the viewer may read. In rooms of very many members, and where the filter says
    /// so, the members are those alone who sent what was found.
    fn state(
        &self,
        view: &RoomView<'_>,
        results: &[FoundEvent],
    ) -> Result<(OwnedRoomId, Vec<Raw<AnyStateEvent>>), ApiError> {
        let found = results.iter().filter(|found| found.room == view.room());
        let room_id = found.clone().map(|found| found.event.event().room_id().to_owned()).next();
        let room_id = room_id.ok_or_else(|| ApiError::internal("a room of results has none"))?;
        let Some(root) = view.state()? else { return Ok((room_id, Vec::new())) };
        let mut entries: Vec<_> =
            self.states.without_members(root)?.into_iter().map(|(_, event)| event).collect();
        let members = if self.filter.lazy_loads_members() {
            Vec::new()
        } else {
            self.states.first_members(root, limits::SEARCH_MEMBERS_MAX)?
        };
        if members.is_empty() || members.len() == limits::SEARCH_MEMBERS_MAX {
            let senders: BTreeSet<_> =
                found.map(|found| ShortStateKeyId::member(found.event.meta().sender)).collect();
            let senders: Vec<_> = senders.into_iter().collect();
            entries.extend(self.states.get_many(root, &senders)?.into_iter().flatten());
        } else {
            entries.extend(members.into_iter().map(|(_, event)| event));
        }
        let events = view.state_events(entries)?;
        Ok((room_id, self.client_events.write_all(view, &events, EventForm::STATE)?))
    }
}

fn write_group(group: &FoundGroup, results: &[FoundEvent]) -> Group {
    let found = group.results.iter().filter_map(|at| results.get(*at));
    Group {
        order: group.results.first().map_or(1, |first| first + 1),
        results: found.map(|found| found.event.event().event_id().to_owned()).collect(),
        next_batch: group.next.as_ref().map(ToString::to_string),
    }
}
