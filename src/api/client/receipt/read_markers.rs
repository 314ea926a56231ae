//! `POST /rooms/{roomId}/read_markers`: moves the fully read marker, and receipts with it.

use axum::extract::State;
use ruma::{
    api::client::read_marker::set_read_marker::v3::{Request, Response},
    events::receipt::ReceiptThread::Unthreaded,
};

use crate::{
    api::{ApiResult, Ruma, RumaResponse, authentication::Requester, blocking},
    rooms::{Mark, Receipts, Viewer},
    storage::records::ReceiptKind,
};

/// The handler.
pub async fn read_markers(
    State(receipts): State<Receipts>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let receipt = |kind| move |event_id| Mark::Receipt { kind, thread: Unthreaded, event_id };
    let marks = [
        request.fully_read.map(Mark::FullyRead),
        request.read_receipt.map(receipt(ReceiptKind::Read)),
        request.private_read_receipt.map(receipt(ReceiptKind::ReadPrivate)),
    ];
    let marks: Vec<_> = marks.into_iter().flatten().collect();
    let viewer = Viewer::from(requester);
    blocking::run(move || receipts.mark(&viewer, &request.room_id, &marks)).await?;
    Ok(RumaResponse(Response::new()))
}
