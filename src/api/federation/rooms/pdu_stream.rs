//! Answers that hold a whole room: events are read while they are sent, a batch at a time, so that memory does
//! not grow with the room. Main type: [`PduStream`].

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use hyper::body::Frame;
use tokio::{sync::mpsc, time::timeout};

use crate::{
    api::limits,
    rooms::{Resident, resident::ResidentError},
    storage::ShortEventId,
};

/// A part of the answer's object.
#[derive(Debug)]
enum Part {
    /// Text as it is.
    Text(String),
    /// Events, separated by commas.
    Events(Vec<ShortEventId>),
}

/// A JSON object with lists of events, as an answer's body.
#[derive(Debug)]
pub struct PduStream {
    resident: Resident,
    parts: Vec<Part>,
    /// What encloses the object, for version 1 of some endpoints: `[200, {…}]`.
    is_enclosed: bool,
}

impl PduStream {
    /// An empty object.
    pub fn new(resident: Resident) -> Self {
        Self { resident, parts: Vec::new(), is_enclosed: false }
    }

    /// The answer in the form of older endpoints: a list of the status and the object.
    #[must_use]
    pub fn enclosed(mut self) -> Self {
        self.is_enclosed = true;
        self
    }

    /// Adds a member whose value is JSON text.
    #[must_use]
    pub fn field(mut self, key: &str, json: &str) -> Self {
        let comma = if self.parts.is_empty() { "" } else { "," };
        self.parts.push(Part::Text(format!("{comma}\"{key}\":{json}")));
        self
    }

    /// Adds a list of events.
    #[must_use]
    pub fn events(mut self, key: &str, events: Vec<ShortEventId>) -> Self {
        let comma = if self.parts.is_empty() { "" } else { "," };
        self.parts.push(Part::Text(format!("{comma}\"{key}\":[")));
        self.parts.push(Part::Events(events));
        self.parts.push(Part::Text("]".to_owned()));
        self
    }

    async fn write(self, body: Sender) -> Option<()> {
        body.send(Bytes::from_static(if self.is_enclosed { b"[200,{" } else { b"{" })).await?;
        for part in self.parts {
            match part {
                Part::Text(text) => body.send(text.into()).await?,
                Part::Events(events) => write_events(&self.resident, &events, &body).await?,
            }
        }
        body.send(Bytes::from_static(if self.is_enclosed { b"}]" } else { b"}" })).await
    }
}

async fn write_events(resident: &Resident, events: &[ShortEventId], body: &Sender) -> Option<()> {
    for (number, batch) in events.chunks(limits::STREAMED_EVENTS_READ_AT_ONCE).enumerate() {
        let (resident, batch) = (resident.clone(), batch.to_vec());
        let work = move || read(&resident, &batch, number == 0);
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(text)) => body.send(text).await?,
            Ok(Err(e)) => return body.fail(e.to_string()).await,
            Err(e) => return body.fail(e.to_string()).await,
        }
    }
    Some(())
}

fn read(resident: &Resident, events: &[ShortEventId], is_first: bool) -> Result<Bytes, ResidentError> {
    let mut text = Vec::new();
    for (place, event) in events.iter().enumerate() {
        // Every event told here is of a state or an auth chain that was walked, and so is there.
        let json = resident.pdu_json(*event)?.ok_or(ResidentError::UnknownEvent)?;
        if !(is_first && place == 0) {
            text.push(b',');
        }
        text.extend_from_slice(&json);
    }
    Ok(text.into())
}

/// The writing end of a body.
struct Sender(mpsc::Sender<Result<Bytes, std::io::Error>>);

impl Sender {
    /// Waits until there is room; `None` when nobody reads any more.
    async fn send(&self, text: Bytes) -> Option<()> {
        if text.is_empty() {
            return Some(());
        }
        timeout(limits::STREAM_READER_WAITED_FOR, self.0.send(Ok(text))).await.ok()?.ok()
    }

    /// Breaks the connection off, so that nobody takes a part for the whole.
    async fn fail(&self, why: String) -> Option<()> {
        tracing::error!("an answer to another server is broken off: {why}");
        let error = std::io::Error::other(why);
        let _nobody_reads = timeout(limits::STREAM_READER_WAITED_FOR, self.0.send(Err(error))).await;
        None
    }
}

/// The reading end.
struct Received(mpsc::Receiver<Result<Bytes, std::io::Error>>);

impl hyper::body::Body for Received {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let next = ready!(self.0.poll_recv(context));
        Poll::Ready(next.map(|text| text.map(Frame::data)))
    }
}

impl IntoResponse for PduStream {
    fn into_response(self) -> Response {
        let (sender, receiver) = mpsc::channel(limits::STREAM_BATCHES_WAITING_MAX);
        tokio::spawn(async move {
            let sender = Sender(sender);
            let failure = Sender(sender.0.clone());
            if self.write(sender).await.is_none() {
                // Ended without the closing brace: an error frame keeps it from looking like the end.
                let error = std::io::Error::other("the answer could not be sent whole");
                let _nobody_reads = failure.0.try_send(Err(error));
            }
        });
        let headers = [(http::header::CONTENT_TYPE, "application/json")];
        (headers, Body::new(Received(receiver))).into_response()
    }
}
