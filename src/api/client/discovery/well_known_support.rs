//! `GET /.well-known/matrix/support`: whom to ask about this server (client-server API, "Server Administration").

use axum::extract::State;
use serde_json::{Map, Value, json};

use super::Advertised;
use crate::api::{ApiError, json::JsonResponse};

/// Whom to ask, as the operator has set it.
#[derive(Debug, Clone, Default)]
pub struct Support {
    /// A page for users.
    pub page: Option<String>,
    /// The administrators' email address.
    pub email: Option<String>,
    /// An administrator's user id.
    pub user: Option<String>,
}

/// Answers what the operator has set, or 404 where that is nothing.
pub async fn well_known_support(
    State(advertised): State<Advertised>,
) -> Result<JsonResponse<Value>, ApiError> {
    let Support { page, email, user } = advertised.support;
    let mut answer = Map::new();
    if email.is_some() || user.is_some() {
        let mut contact = Map::from_iter([("role".to_owned(), json!("m.role.admin"))]);
        let ways = [("email_address", email), ("matrix_id", user)];
        contact.extend(ways.into_iter().filter_map(|(name, way)| Some((name.to_owned(), json!(way?)))));
        answer.insert("contacts".to_owned(), json!([contact]));
    }
    if let Some(page) = page {
        answer.insert("support_page".to_owned(), json!(page));
    }
    if answer.is_empty() {
        return Err(ApiError::not_found("This server tells nobody whom to ask"));
    }
    Ok(JsonResponse(Value::Object(answer)))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use super::Support;
    use crate::api::client::fixture::TestServer;

    const PATH: &str = "/.well-known/matrix/support";

    #[tokio::test]
    async fn what_the_operator_has_set_is_told() {
        let (status, answer) = TestServer::new().get(PATH, None).await;
        assert_eq!((status, &answer["errcode"]), (StatusCode::NOT_FOUND, &json!("M_NOT_FOUND")));
        let server = TestServer::customised(|state| {
            state.advertised.support = Support {
                page: Some("https://example.org/help".to_owned()),
                email: Some("admin@example.org".to_owned()),
                user: None,
            };
        });
        let contact = json!({ "role": "m.role.admin", "email_address": "admin@example.org" });
        let expected = json!({ "contacts": [contact], "support_page": "https://example.org/help" });
        assert_eq!(server.get(PATH, None).await, (StatusCode::OK, expected));
    }
}
