//! `PUT /sendToDevice/{eventType}/{txnId}`: sends messages to devices.

use axum::extract::State;
use ruma::api::client::to_device::send_event_to_device::v3::{Request, Response};

use crate::{
    api::{ApiError, ApiResult, Requester, Ruma, RumaResponse, blocking},
    users::{
        EduOutbox, ToDevice,
        to_device::{Messages, SendingDevice},
    },
};

/// Sends them once, however often the request is repeated.
pub async fn send(
    State(to_device): State<ToDevice>,
    requester: Requester,
    Ruma(request): Ruma<Request>,
) -> ApiResult<Response> {
    let sender =
        SendingDevice { user_id: requester.user_id, user: requester.user, device_id: requester.device_id };
    let contents = request.messages.into_iter().map(|(user_id, of_devices)| {
        let raw = of_devices.into_iter().map(|(device, content)| (device, content.into_json())).collect();
        (user_id, raw)
    });
    let messages = Messages { event_type: request.event_type.to_string(), contents: contents.collect() };
    blocking::run(move || {
        to_device.send(&sender, request.txn_id.as_str(), &messages, |rows, elsewhere| {
            EduOutbox::add_messages(rows, &sender.user_id, &messages.event_type, elsewhere)
                .map_err(ApiError::from)
        })
    })
    .await?;
    Ok(RumaResponse(Response::new()))
}
