//! Events in the form that a client's filter asks for.

use serde_json::value::RawValue;

use super::{SyncError, SyncFilter};
use crate::rooms::{ClientEvents, EventForm, RoomView, VisibleEvent};

/// Writes events for one filter.
#[derive(Debug, Clone, Copy)]
pub struct Presenter<'a> {
    client_events: &'a ClientEvents,
    filter: &'a SyncFilter,
}

impl<'a> Presenter<'a> {
    /// For a filter.
    pub fn new(client_events: &'a ClientEvents, filter: &'a SyncFilter) -> Self {
        Self { client_events, filter }
    }

    /// One event.
    pub fn write(
        &self,
        view: &RoomView<'_>,
        event: &VisibleEvent,
        form: EventForm,
    ) -> Result<Box<RawValue>, SyncError> {
        let whole = if self.filter.federation_format {
            event.event().to_raw_pdu()?
        } else {
            self.client_events.write::<()>(view, event, form)?.into_json()
        };
        match &self.filter.event_fields {
            Some(fields) => Ok(fields.reduce(&whole)?),
            None => Ok(whole),
        }
    }

    /// Several events, in their order.
    pub fn write_all(
        &self,
        view: &RoomView<'_>,
        events: &[VisibleEvent],
        form: EventForm,
    ) -> Result<Vec<Box<RawValue>>, SyncError> {
        events.iter().map(|event| self.write(view, event, form)).collect()
    }
}
