//! `PUT /_matrix/federation/v1/send/{txnId}`: takes a transaction of another server.

use axum::extract::{FromRef, State};
use http::StatusCode;
use ruma::api::{
    error::ErrorKind,
    federation::transactions::send_transaction_message::v1::{Request, Response},
};

use super::Signed;
use crate::{
    api::{ApiError, ApiResult, RumaResponse, routes::Routes},
    federation::{
        IncomingTransactions, ServerKeys,
        transactions::{IncomingTransaction, TransactionError},
    },
};

/// Adds the endpoint.
pub fn routes<S>(routes: Routes<S>) -> Routes<S>
where
    S: Clone + Send + Sync + 'static,
    ServerKeys: FromRef<S>,
    IncomingTransactions: FromRef<S>,
{
    routes.add::<Request, _, _>(send)
}

/// Who sends is told by the signature; the body's `origin` says the same or is wrong.
async fn send(
    State(transactions): State<IncomingTransactions>,
    Signed { origin, request }: Signed<Request>,
) -> ApiResult<Response> {
    if request.origin != origin {
        return Err(ApiError::forbidden(
            "The transaction's origin is not the server that signed the request",
        ));
    }
    let id = request.transaction_id.to_string();
    let transaction = IncomingTransaction { origin, id, pdus: request.pdus, edus: request.edus };
    Ok(RumaResponse(Response::new(transactions.receive(transaction).await?)))
}

impl From<TransactionError> for ApiError {
    fn from(error: TransactionError) -> Self {
        let text = error.to_string();
        match error {
            TransactionError::TooMany => Self::new(StatusCode::BAD_REQUEST, ErrorKind::BadJson, text),
            // Not 429: the other server would leave this one alone for longer than the transaction takes.
            TransactionError::Busy | TransactionError::Stopping => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorKind::Unknown, text)
            }
            TransactionError::Storage(error) => error.into(),
        }
    }
}
