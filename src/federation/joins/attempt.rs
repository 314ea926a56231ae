//! Trying servers one after the other, and not keeping a client waiting for longer than it waits.

use std::future::Future;

use ruma::OwnedServerName;
use tokio::time::timeout;

use super::{OwnChange, RemoteError, RemoteRooms};
use crate::{federation::limits, rooms::resident::TemplateKind};

/// Runs work to its end, whatever becomes of who waits for it: a client that goes away must not leave half a
/// join. Answers when it is done, or that it goes on.
pub(super) async fn carry_on(
    work: impl Future<Output = Result<(), RemoteError>> + Send + 'static,
) -> Result<(), RemoteError> {
    use tracing::Instrument;
    let work = tokio::spawn(work.in_current_span());
    match timeout(limits::JOIN_WAITED_FOR, work).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(failure)) => match failure.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_cancelled) => Err(RemoteError::Stopping),
        },
        Err(_elapsed) => Err(RemoteError::StillGoingOn),
    }
}

impl RemoteRooms {
    /// Asks the servers in turn until one does what is asked, or says what no other would say differently.
    pub(super) async fn through_any(
        &self,
        kind: TemplateKind,
        change: &OwnChange,
        servers: Vec<OwnedServerName>,
    ) -> Result<(), RemoteError> {
        let mut failure: Option<RemoteError> = None;
        for server in servers {
            let outcome = match kind {
                TemplateKind::Join => self.join_through(&server, change).await,
                TemplateKind::Leave => self.leave_through(&server, change).await,
                TemplateKind::Knock => self.knock_through(&server, change).await,
            };
            match outcome {
                Ok(()) => return Ok(()),
                Err(error) if error.is_final() => return Err(error),
                Err(error) => {
                    tracing::info!(room = %change.room_id, %server, "a server could not help us: {error}");
                    failure = Some(error.or(failure));
                }
            }
        }
        Err(failure.unwrap_or_else(|| RemoteError::NoServer(change.room_id.clone())))
    }
}
