//! The state that comes with an invite or an answered knock, which tells a user what room it is.

use ruma::{RoomId, api::federation::membership::RawStrippedState, room_version_rules::RoomVersionRules};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::RemoteRooms;
use crate::{federation::limits, matrix::client_format};

/// What of it is shown to the user.
#[derive(Debug, Default)]
pub(super) struct ShownState {
    /// As clients get it.
    pub(super) stripped: Vec<Box<RawValue>>,
    /// Whether the create event is there, whole and signed.
    pub(super) has_create_event: bool,
}

/// The form that servers sent before whole events were wanted.
#[derive(Serialize, Deserialize)]
struct Stripped {
    #[serde(rename = "type")]
    event_type: String,
    state_key: String,
    sender: ruma::OwnedUserId,
    content: Box<RawValue>,
}

impl RemoteRooms {
    /// The entries of such a state, without those that are not of the room or not signed as they must be. The
    /// older form, which nobody has signed, is taken as it is.
    #[allow(deprecated, reason = "servers of some years ago send stripped events")]
    pub(super) async fn shown_state(
        &self,
        state: Vec<RawStrippedState>,
        room_id: &RoomId,
        rules: &RoomVersionRules,
    ) -> ShownState {
        let mut shown = ShownState::default();
        let mut whole = Vec::new();
        for entry in state.into_iter().take(limits::SHOWN_STATE_EVENTS_MAX) {
            match entry {
                RawStrippedState::Pdu(pdu) => whole.push(pdu),
                RawStrippedState::Stripped(event) => {
                    let event = serde_json::from_str::<Stripped>(event.json().get());
                    shown
                        .stripped
                        .extend(event.ok().and_then(|event| serde_json::value::to_raw_value(&event).ok()));
                }
                _ => {}
            }
        }
        for verified in self.0.keys.verify_events(whole, rules).await {
            match verified {
                Ok(event) if event.room_id() == room_id && event.is_state() => {
                    shown.has_create_event |= event.is_state_of("m.room.create", "");
                    shown.stripped.extend(client_format::stripped_state(&event).ok());
                }
                Ok(_) => tracing::debug!(%room_id, "state of another room came with an invite or knock"),
                Err(error) => tracing::debug!(%room_id, "state that came with an invite or knock: {error}"),
            }
        }
        shown
    }
}
