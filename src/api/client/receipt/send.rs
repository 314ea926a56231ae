//! `POST /rooms/{roomId}/receipt/{receiptType}/{eventId}`: moves one receipt, or the fully read marker.

use axum::extract::State;
use ruma::{
    api::client::receipt::create_receipt::v3::{ReceiptType, Request, Response},
    events::receipt::ReceiptThread,
};

use crate::{
    api::{ApiError, ApiResult, Ruma, RumaResponse, authentication::Requester, blocking},
    rooms::{Mark, Receipts, Viewer},
    storage::records::ReceiptKind,
};

/// The handler.
pub async fn send(
    State(receipts): State<Receipts>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let (thread, event_id) = (request.thread, request.event_id);
    let mark = match request.receipt_type {
        ReceiptType::Read => Mark::Receipt { kind: ReceiptKind::Read, thread, event_id },
        ReceiptType::ReadPrivate => Mark::Receipt { kind: ReceiptKind::ReadPrivate, thread, event_id },
        ReceiptType::FullyRead if thread == ReceiptThread::Unthreaded => Mark::FullyRead(event_id),
        ReceiptType::FullyRead => {
            return Err(ApiError::invalid_param("The fully read marker has no thread_id"));
        }
        other => return Err(ApiError::invalid_param(format!("`{other}` is not a type of receipt"))),
    };
    let viewer = Viewer::from(requester);
    blocking::run(move || receipts.mark(&viewer, &request.room_id, &[mark])).await?;
    Ok(RumaResponse(Response::new()))
}
