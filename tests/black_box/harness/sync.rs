//! `/sync` as the tests use it.

use serde_json::Value;

use super::{Client, path_segment};

/// One answer of `/sync`.
#[derive(Debug)]
pub struct SyncResult {
    /// The whole answer.
    pub body: Value,
}

impl Client {
    /// A sync that does not wait: initial without `since`. `query` is what else stands in the query.
    #[track_caller]
    pub fn sync(&self, since: Option<&str>, query: &str) -> SyncResult {
        self.sync_waiting(since, query, 0)
    }

    /// A sync that waits at most that many milliseconds.
    #[track_caller]
    pub fn sync_waiting(&self, since: Option<&str>, query: &str, timeout_ms: u64) -> SyncResult {
        let mut path = format!("/_matrix/client/v3/sync?timeout={timeout_ms}");
        if let Some(since) = since {
            path.push_str("&since=");
            path.push_str(&path_segment(since));
        }
        if !query.is_empty() {
            path.push('&');
            path.push_str(query);
        }
        let body = self.get(&path).ok();
        assert!(body["next_batch"].is_string(), "a sync has a next_batch: {body}");
        SyncResult { body }
    }

    /// The query part for an inline filter.
    pub fn filter_query(filter: &Value) -> String {
        format!("filter={}", path_segment(&filter.to_string()))
    }

    /// Syncs on from `since` until `wanted` says yes; that answer.
    #[track_caller]
    pub fn sync_until(&self, since: &str, wanted: impl Fn(&SyncResult) -> bool) -> SyncResult {
        const TRIES_MAX: usize = 20;
        let mut since = since.to_owned();
        for _ in 0..TRIES_MAX {
            let result = self.sync_waiting(Some(&since), "", 10_000);
            if wanted(&result) {
                return result;
            }
            result.next_batch().clone_into(&mut since);
        }
        panic!("what was waited for did not come in {TRIES_MAX} syncs");
    }
}

impl SyncResult {
    /// The token of the next sync.
    pub fn next_batch(&self) -> &str {
        self.body["next_batch"].as_str().expect("next_batch")
    }

    /// A joined room's part; `Null` when the room is not there.
    pub fn joined(&self, room_id: &str) -> &Value {
        &self.body["rooms"]["join"][room_id]
    }

    /// The timeline events of a joined room, empty when the room is not there.
    pub fn timeline(&self, room_id: &str) -> Vec<Value> {
        self.joined(room_id)["timeline"]["events"].as_array().cloned().unwrap_or_default()
    }

    /// The state before the timeline of a joined room, empty when there is none.
    pub fn state(&self, room_id: &str) -> Vec<Value> {
        self.joined(room_id)["state"]["events"].as_array().cloned().unwrap_or_default()
    }

    /// The content of the ephemeral event of that type in a joined room.
    pub fn ephemeral(&self, room_id: &str, event_type: &str) -> Option<Value> {
        let events = self.joined(room_id)["ephemeral"]["events"].as_array()?;
        let event = events.iter().find(|event| event["type"] == event_type)?;
        Some(event["content"].clone())
    }

    /// `(notification_count, highlight_count)` of a joined room.
    pub fn unread(&self, room_id: &str) -> (u64, u64) {
        let counts = &self.joined(room_id)["unread_notifications"];
        let count = |name: &str| counts[name].as_u64().unwrap_or(0);
        (count("notification_count"), count("highlight_count"))
    }
}

/// The ids of events, in their order.
pub fn event_ids(events: &[Value]) -> Vec<String> {
    events.iter().map(|event| event["event_id"].as_str().expect("event_id").to_owned()).collect()
}

/// The state event of that type and key among `events`.
pub fn find_state<'a>(events: &'a [Value], event_type: &str, state_key: &str) -> Option<&'a Value> {
    events.iter().find(|event| event["type"] == event_type && event["state_key"] == state_key)
}
