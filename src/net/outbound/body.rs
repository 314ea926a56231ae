//! The body of an answer, read within bounds.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{OutboundError, limits::ANSWER_STALLED_TIME_MAX, pool::Lease};

/// The body of an answer: it ends with an error when it is longer, slower or later than allowed.
#[derive(Debug)]
pub struct ResponseBody {
    incoming: Incoming,
    bytes_max: u64,
    bytes_left: u64,
    time_max: Duration,
    deadline: Instant,
    /// Runs to the deadline, or to the end of a pause before it.
    patience: Pin<Box<Sleep>>,
    lease: Option<Lease>,
}

impl ResponseBody {
    /// Reads `incoming`: at most `bytes_max` bytes until `deadline`, which lies `time_max` after the start.
    pub(super) fn new(
        incoming: Incoming,
        bytes_max: u64,
        time_max: Duration,
        deadline: Instant,
        lease: Lease,
    ) -> Self {
        let patience = Box::pin(sleep_until(deadline.min(Instant::now() + ANSWER_STALLED_TIME_MAX)));
        Self { incoming, bytes_max, bytes_left: bytes_max, time_max, deadline, patience, lease: Some(lease) }
    }

    /// The whole body.
    pub async fn read_all(mut self) -> Result<Bytes, OutboundError> {
        let Some(first) = self.data().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.data().await? else { return Ok(first) };
        let mut all = BytesMut::from(first);
        all.extend_from_slice(&second);
        while let Some(more) = self.data().await? {
            all.extend_from_slice(&more);
        }
        Ok(all.freeze())
    }

    /// The next piece; `None` at the end.
    pub async fn data(&mut self) -> Result<Option<Bytes>, OutboundError> {
        while let Some(frame) = self.frame().await {
            if let Ok(data) = frame?.into_data()
                && !data.is_empty()
            {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    fn take(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, OutboundError> {
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        match self.bytes_left.checked_sub(length) {
            Some(left) => self.bytes_left = left,
            None => return Err(OutboundError::TooLarge(self.bytes_max)),
        }
        let until = self.deadline.min(Instant::now() + ANSWER_STALLED_TIME_MAX);
        self.patience.as_mut().reset(until);
        Ok(frame)
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = OutboundError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, OutboundError>>> {
        match Pin::new(&mut self.incoming).poll_frame(context) {
            Poll::Ready(None) => {
                if let Some(lease) = self.lease.take() {
                    lease.give_back();
                }
                Poll::Ready(None)
            }
            Poll::Ready(Some(Ok(frame))) => {
                let taken = self.take(frame);
                if taken.is_err() {
                    self.lease = None;
                } else if self.incoming.is_end_stream()
                    && let Some(lease) = self.lease.take()
                {
                    lease.give_back();
                }
                Poll::Ready(Some(taken))
            }
            Poll::Ready(Some(Err(error))) => {
                self.lease = None;
                Poll::Ready(Some(Err(OutboundError::Http(error.to_string()))))
            }
            Poll::Pending => {
                if self.patience.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                self.lease = None;
                let is_late = Instant::now() >= self.deadline;
                let error =
                    if is_late { OutboundError::Timeout(self.time_max) } else { OutboundError::Stalled };
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
