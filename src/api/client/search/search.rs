//! `POST /search`: messages, room names and topics by their words.

use axum::extract::{RawQuery, State};
use ruma::{
    api::client::{
        filter::RoomEventFilter,
        search::search_events::v3::{EventContext, GroupingKey, Groupings, OrderBy, SearchKeys},
    },
    exports::serde_html_form,
};
use serde::Deserialize;

use super::answer::{Answer, Answerer};
use crate::{
    api::{
        ApiError, Requester, blocking,
        json::{JsonBody, JsonResponse},
    },
    rooms::{
        ClientEvents, EventFilter, RoomStates, Timelines, Viewer, Visibility,
        search::{EventSearch, SearchKey, SearchOrder, SearchRequest},
    },
};

/// Where to go on.
#[derive(Debug, Deserialize)]
struct From {
    next_batch: Option<String>,
}

/// The body. Not ruma's type: that doesn't tell whether surroundings were asked for.
#[derive(Debug, Deserialize)]
pub struct Body {
    search_categories: Categories,
}

#[derive(Debug, Deserialize)]
struct Categories {
    room_events: Option<Criteria>,
}

/// What is searched among events.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Criteria {
    search_term: String,
    keys: Option<Vec<SearchKeys>>,
    #[serde(default)]
    filter: RoomEventFilter,
    order_by: Option<OrderBy>,
    pub(super) event_context: Option<EventContext>,
    #[serde(default)]
    pub(super) include_state: bool,
    #[serde(default)]
    groupings: Groupings,
}

/// The handler.
pub async fn search(
    State(events): State<EventSearch>,
    State(visibility): State<Visibility>,
    State(states): State<RoomStates>,
    State(timelines): State<Timelines>,
    State(client_events): State<ClientEvents>,
    requester: Requester,
    RawQuery(query): RawQuery,
    JsonBody(body): JsonBody<Body>,
) -> Result<JsonResponse<Answer>, ApiError> {
    let from: From = serde_html_form::from_str(query.as_deref().unwrap_or_default())
        .map_err(|e| ApiError::invalid_param(format!("The query is not valid: {e}")))?;
    let Some(criteria) = body.search_categories.room_events else {
        return Ok(JsonResponse(Answer::default()));
    };
    let request = criteria.request(from.next_batch.as_deref())?;
    let groups = criteria.groups()?;
    let viewer = Viewer::from(requester);
    blocking::run(move || {
        let page = events.search(&viewer, &request)?;
        let answerer = Answerer { visibility, states, timelines, client_events, filter: request.filter };
        answerer.answer(&viewer, page, &criteria, groups).map(JsonResponse)
    })
    .await
}

/// By what results are grouped.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Groups {
    pub(super) by_room: bool,
    pub(super) by_sender: bool,
}

impl Criteria {
    fn request(&self, from: Option<&str>) -> Result<SearchRequest, ApiError> {
        let order = match &self.order_by {
            None | Some(OrderBy::Rank) => SearchOrder::Rank,
            Some(OrderBy::Recent) => SearchOrder::Recent,
            Some(other) => {
                return Err(ApiError::invalid_param(format!("`{other}` is not an order of results")));
            }
        };
        let all = [SearchKeys::ContentBody, SearchKeys::ContentName, SearchKeys::ContentTopic];
        let keys = self.keys.as_deref().unwrap_or(&all).iter().map(|key| match key {
            SearchKeys::ContentBody => Ok(SearchKey::Body),
            SearchKeys::ContentName => Ok(SearchKey::Name),
            SearchKeys::ContentTopic => Ok(SearchKey::Topic),
            other => Err(ApiError::invalid_param(format!("`{other}` is not a key that can be searched"))),
        });
        Ok(SearchRequest {
            term: self.search_term.clone(),
            keys: keys.collect::<Result<_, _>>()?,
            filter: EventFilter::from(self.filter.clone()),
            order,
            from: from.map(str::parse).transpose()?,
        })
    }

    fn groups(&self) -> Result<Groups, ApiError> {
        let mut groups = Groups::default();
        for key in self.groupings.group_by.iter().filter_map(|group| group.key.as_ref()) {
            match key {
                GroupingKey::RoomId => groups.by_room = true,
                GroupingKey::Sender => groups.by_sender = true,
                other => {
                    return Err(ApiError::invalid_param(format!(
                        "`{other}` is not a key to group results by"
                    )));
                }
            }
        }
        Ok(groups)
    }
}
