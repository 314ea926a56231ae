//! `/_synapse/admin/v1/event_reports`, `user_reports` and `room_reports`: what users have reported.

use axum::extract::{FromRef, State};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Admin, FilterQuery, PageQuery};
use crate::{
    api::{ApiError, ApiState, PathArguments, blocking, json::JsonResponse, routes::Routes},
    rooms::{Reports, RoomAdministration, limits},
    storage::records::ReportRecord,
};

/// Adds the endpoints of this file.
pub fn routes(mut routes: Routes) -> Routes {
    for kind in ["event_reports", "user_reports", "room_reports"] {
        let one = format!("/_synapse/admin/v1/{kind}/{{report_id}}");
        routes = routes.add_at(Method::GET, &one, get).add_at(Method::DELETE, &one, remove);
    }
    routes
        .add_at(Method::GET, "/_synapse/admin/v1/event_reports", events)
        .add_at(Method::GET, "/_synapse/admin/v1/user_reports", users)
        .add_at(Method::GET, "/_synapse/admin/v1/room_reports", rooms)
}

type Answer = Result<JsonResponse<Value>, ApiError>;

/// What looks at reports.
#[derive(Clone)]
pub struct ReportReader {
    reports: Reports,
    rooms: RoomAdministration,
}

impl FromRef<ApiState> for ReportReader {
    fn from_ref(state: &ApiState) -> Self {
        Self { reports: state.rooms.reports.clone(), rooms: state.rooms.room_administration.clone() }
    }
}

/// Which reports are asked for.
#[derive(Debug, Deserialize)]
struct Filter {
    user_id: Option<String>,
    target_user_id: Option<String>,
    room_id: Option<String>,
}

impl Filter {
    fn takes(&self, report: &ReportRecord) -> bool {
        let contains = |part: &Option<String>, text: Option<&str>| {
            part.as_deref().is_none_or(|part| text.is_some_and(|text| text.contains(part)))
        };
        contains(&self.user_id, Some(report.reporter.as_str()))
            && contains(&self.target_user_id, report.user_id.as_ref().map(|user| user.as_str()))
            && contains(&self.room_id, report.room_id.as_ref().map(|room| room.as_str()))
    }
}

async fn events(
    State(reader): State<ReportReader>,
    _admin: Admin,
    page: PageQuery,
    FilterQuery(filter): FilterQuery<Filter>,
) -> Answer {
    let of_kind = |report: &ReportRecord| report.event_id.is_some();
    blocking::run(move || reader.page("event_reports", &page, &filter, of_kind)).await
}

async fn users(
    State(reader): State<ReportReader>,
    _admin: Admin,
    page: PageQuery,
    FilterQuery(filter): FilterQuery<Filter>,
) -> Answer {
    let of_kind = |report: &ReportRecord| report.user_id.is_some();
    blocking::run(move || reader.page("user_reports", &page, &filter, of_kind)).await
}

async fn rooms(
    State(reader): State<ReportReader>,
    _admin: Admin,
    page: PageQuery,
    FilterQuery(filter): FilterQuery<Filter>,
) -> Answer {
    let of_kind = |report: &ReportRecord| report.event_id.is_none() && report.user_id.is_none();
    blocking::run(move || reader.page("room_reports", &page, &filter, of_kind)).await
}

async fn get(
    State(reader): State<ReportReader>,
    _admin: Admin,
    PathArguments(number): PathArguments<u64>,
) -> Answer {
    blocking::run(move || {
        let found = reader.reports.list(Some(number), 1)?;
        let found = found.into_iter().find(|(found, _)| *found == number);
        let (number, report) = found.ok_or_else(unknown)?;
        let mut shown = reader.shown(number, &report);
        if let (Some(event_id), Value::Object(shown)) = (&report.event_id, &mut shown) {
            let event = reader.rooms.event(event_id).ok();
            shown.insert("event_json".to_owned(), json!(event));
        }
        Ok::<_, ApiError>(JsonResponse(shown))
    })
    .await
}

async fn remove(
    State(reader): State<ReportReader>,
    _admin: Admin,
    PathArguments(number): PathArguments<u64>,
) -> Answer {
    blocking::run(move || {
        if !reader.reports.remove(number)? {
            return Err(unknown());
        }
        Ok(JsonResponse(json!({})))
    })
    .await
}

fn unknown() -> ApiError {
    ApiError::not_found("Report not found")
}

impl ReportReader {
    fn page(
        &self,
        name: &str,
        page: &PageQuery,
        filter: &Filter,
        of_kind: impl Fn(&ReportRecord) -> bool,
    ) -> Answer {
        let all_max = usize::try_from(limits::REPORTS_KEPT_MAX).unwrap_or(usize::MAX);
        let mut all = self.reports.list(None, all_max)?;
        all.retain(|(_, report)| of_kind(report) && filter.takes(report));
        if page.is_backward == Some(false) {
            all.reverse();
        }
        let total = all.len();
        let shown: Vec<_> =
            page.cut(all).into_iter().map(|(number, report)| self.shown(number, &report)).collect();
        let mut answer = json!({ name: shown, "total": total });
        if let (Some(next), Value::Object(answer)) = (page.next(total), &mut answer) {
            answer.insert("next_token".to_owned(), json!(next));
        }
        Ok(JsonResponse(answer))
    }

    fn shown(&self, number: u64, report: &ReportRecord) -> Value {
        let room = report.room_id.as_ref().and_then(|room_id| self.rooms.details(room_id).ok());
        let event = report.event_id.as_ref().and_then(|event_id| self.rooms.event(event_id).ok());
        let sender = event.and_then(|event| {
            let event: Value = serde_json::from_str(event.get()).ok()?;
            event.get("sender").cloned()
        });
        json!({
            "id": number,
            "received_ts": report.at,
            "room_id": report.room_id,
            "event_id": report.event_id,
            "target_user_id": report.user_id,
            "user_id": report.reporter,
            "reason": report.reason,
            "score": null,
            "sender": sender,
            "canonical_alias": room.as_ref().and_then(|room| room.overview.canonical_alias.clone()),
            "name": room.and_then(|room| room.overview.name),
        })
    }
}
