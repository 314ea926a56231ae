//! `POST /appservice/{appserviceId}/ping`: whether this server reaches the application service.

use axum::extract::State;
use http::StatusCode;
use ruma::api::{
    client::appservice::request_ping::v1::{Request, Response},
    error::{BadStatusErrorData, ErrorKind},
};

use crate::{
    api::{ApiError, ApiResult, AppserviceToken, Ruma, RumaResponse, blocking},
    appservices::{AppserviceError, AppserviceQueries, Deliveries},
    net::outbound::OutboundError,
};

/// Pings the application service that asks.
pub async fn ping(
    State(queries): State<AppserviceQueries>,
    State(deliveries): State<Deliveries>,
    AppserviceToken(appservice): AppserviceToken,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    if request.appservice_id != appservice.registration.id {
        return Err(ApiError::forbidden("The token is not that application service's"));
    }
    let transaction_id = request.transaction_id.as_ref().map(|id| id.as_str());
    let took = queries.ping(&appservice.registration, transaction_id).await.map_err(refusal)?;
    blocking::run(move || {
        deliveries.is_alive(&appservice);
        Ok::<_, ApiError>(())
    })
    .await?;
    Ok(RumaResponse(Response::new(took)))
}

fn refusal(error: AppserviceError) -> ApiError {
    let message = error.to_string();
    let (status, kind) = match error {
        AppserviceError::NoUrl => (StatusCode::BAD_REQUEST, ErrorKind::UrlNotSet),
        AppserviceError::Refused { status, body } => {
            let mut data = BadStatusErrorData::new();
            data.status = Some(status);
            data.body = Some(String::from_utf8_lossy(&body).into_owned());
            (StatusCode::BAD_GATEWAY, ErrorKind::BadStatus(data))
        }
        AppserviceError::Outbound(OutboundError::Timeout(_)) => {
            (StatusCode::GATEWAY_TIMEOUT, ErrorKind::ConnectionTimeout)
        }
        AppserviceError::Outbound(_) | AppserviceError::Request(_) => {
            (StatusCode::BAD_GATEWAY, ErrorKind::ConnectionFailed)
        }
    };
    ApiError::new(status, kind, message)
}
