//! Links from a space to the rooms in it (`m.space.child`).

use ruma::{OwnedRoomId, OwnedServerName, RoomId};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::matrix::event::Event;

/// A link to a room that a space contains.
#[derive(Debug, Clone)]
pub struct SpaceLink {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Servers that are said to be in it.
    pub via: Vec<OwnedServerName>,
    /// Whether the space suggests the room.
    pub is_suggested: bool,
    /// The event, stripped but for its time.
    pub json: Box<RawValue>,
    order: Option<String>,
    sent_at: u64,
}

/// A link as another server tells it.
#[derive(Deserialize)]
struct ToldLink {
    #[serde(rename = "type")]
    event_type: String,
    state_key: OwnedRoomId,
    origin_server_ts: u64,
    content: Value,
}

impl SpaceLink {
    /// The link that an event makes, if it is a valid one: what names no server is a link that was removed.
    pub fn of_event(event: &Event) -> Result<Option<Self>, serde_json::Error> {
        let Some(room_id) = event.state_key().and_then(|key| OwnedRoomId::try_from(key).ok()) else {
            return Ok(None);
        };
        let content = event.content::<Value>()?;
        let json = serde_json::value::to_raw_value(&json!({
            "type": event.event_type(),
            "state_key": room_id,
            "content": content,
            "sender": event.sender(),
            "origin_server_ts": event.origin_server_ts(),
        }))?;
        Ok(Self::of(room_id, &content, event.origin_server_ts(), json))
    }

    /// A link that another server tells of; `None` if it is not valid.
    pub fn of_stripped(json: Box<RawValue>) -> Option<Self> {
        let told: ToldLink = serde_json::from_str(json.get()).ok()?;
        if told.event_type != "m.space.child" {
            return None;
        }
        Self::of(told.state_key, &told.content, told.origin_server_ts, json)
    }

    fn of(room_id: OwnedRoomId, content: &Value, sent_at: u64, json: Box<RawValue>) -> Option<Self> {
        let named = content.get("via").and_then(Value::as_array).filter(|via| !via.is_empty())?;
        let via = named.iter().filter_map(|server| OwnedServerName::try_from(server.as_str()?).ok());
        let order = content.get("order").and_then(Value::as_str).filter(|order| is_valid_order(order));
        Some(Self {
            via: via.collect(),
            is_suggested: content.get("suggested").and_then(Value::as_bool) == Some(true),
            order: order.map(str::to_owned),
            room_id,
            sent_at,
            json,
        })
    }

    /// Links come with a valid `order` first, then by their time and the room's id.
    pub(super) fn place(&self) -> (bool, &str, u64, &RoomId) {
        (self.order.is_none(), self.order.as_deref().unwrap_or_default(), self.sent_at, &self.room_id)
    }
}

/// Up to 50 characters of printable ASCII (`m.space.child`).
fn is_valid_order(order: &str) -> bool {
    order.len() <= 50 && order.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
}
