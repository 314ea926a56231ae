//! What a person does in rooms, as one call each, on [`Client`].

use serde_json::{Value, json};

use super::{Answer, Client, path_segment, unique};

impl Client {
    /// The path of something in a room.
    pub fn room_path(room_id: &str, rest: &str) -> String {
        format!("/_matrix/client/v3/rooms/{}/{rest}", path_segment(room_id))
    }

    /// A room made with the given request body; its id.
    #[track_caller]
    pub fn create_room(&self, body: Value) -> String {
        let created = self.post("/_matrix/client/v3/createRoom", body).ok();
        created["room_id"].as_str().expect("room_id").to_owned()
    }

    /// A room that anyone can join, with `others` joined; its id.
    #[track_caller]
    pub fn create_room_with(&self, others: &[&Client]) -> String {
        let room_id = self.create_room(json!({ "preset": "public_chat" }));
        for other in others {
            other.join(&room_id).ok();
        }
        room_id
    }

    /// Joins a room by id.
    pub fn join(&self, room_id: &str) -> Answer {
        self.post(&Self::room_path(room_id, "join"), json!({}))
    }

    /// Leaves a room, or turns an invite down.
    pub fn leave(&self, room_id: &str) -> Answer {
        self.post(&Self::room_path(room_id, "leave"), json!({}))
    }

    /// Does `action` (`invite`, `kick`, `ban`, `unban`) to a user.
    pub fn moderate(&self, action: &str, room_id: &str, user_id: &str) -> Answer {
        self.post(&Self::room_path(room_id, action), json!({ "user_id": user_id }))
    }

    /// Sends a text message; its event id.
    #[track_caller]
    pub fn send_text(&self, room_id: &str, text: &str) -> String {
        let content = json!({ "msgtype": "m.text", "body": text });
        let sent = self.send(room_id, "m.room.message", &unique("txn"), content).ok();
        sent["event_id"].as_str().expect("event_id").to_owned()
    }

    /// Sends an event under a transaction id.
    pub fn send(&self, room_id: &str, event_type: &str, txn_id: &str, content: Value) -> Answer {
        let rest = format!("send/{}/{}", path_segment(event_type), path_segment(txn_id));
        self.put(&Self::room_path(room_id, &rest), content)
    }

    /// Sets a state event.
    pub fn set_state(&self, room_id: &str, event_type: &str, key: &str, content: Value) -> Answer {
        let rest = format!("state/{}/{}", path_segment(event_type), path_segment(key));
        self.put(&Self::room_path(room_id, &rest), content)
    }

    /// Reads the content of a state event.
    pub fn state(&self, room_id: &str, event_type: &str, key: &str) -> Answer {
        let rest = format!("state/{}/{}", path_segment(event_type), path_segment(key));
        self.get(&Self::room_path(room_id, &rest))
    }

    /// Reads one event.
    pub fn event(&self, room_id: &str, event_id: &str) -> Answer {
        self.get(&Self::room_path(room_id, &format!("event/{}", path_segment(event_id))))
    }

    /// Redacts an event; the id of the redaction.
    #[track_caller]
    pub fn redact(&self, room_id: &str, event_id: &str, reason: &str) -> String {
        let rest = format!("redact/{}/{}", path_segment(event_id), unique("txn"));
        let redacted = self.put(&Self::room_path(room_id, &rest), json!({ "reason": reason })).ok();
        redacted["event_id"].as_str().expect("event_id").to_owned()
    }

    /// One page of `/messages`, with the query as it stands after `?`.
    pub fn messages(&self, room_id: &str, query: &str) -> Answer {
        self.get(&Self::room_path(room_id, &format!("messages?{query}")))
    }

    /// All events of a room from its oldest (`dir=f`) or newest (`dir=b`) end, page by page.
    #[track_caller]
    pub fn all_messages(&self, room_id: &str, direction: char, page: usize) -> Vec<Value> {
        const PAGES_MAX: usize = 2_000;
        let mut events = Vec::new();
        let mut from = String::new();
        for _ in 0..PAGES_MAX {
            let answer = self.messages(room_id, &format!("dir={direction}&limit={page}{from}"));
            let body = answer.ok();
            let chunk = body["chunk"].as_array().expect("chunk").clone();
            assert!(chunk.len() <= page, "a page of at most {page} events: {answer}");
            events.extend(chunk);
            match body["end"].as_str() {
                Some(end) => from = format!("&from={}", path_segment(end)),
                None => return events,
            }
        }
        panic!("{room_id}: /messages did not end after {PAGES_MAX} pages");
    }

    /// The body texts of all messages of a room, oldest first.
    #[track_caller]
    pub fn all_texts(&self, room_id: &str) -> Vec<String> {
        let mut events = self.all_messages(room_id, 'b', 100);
        events.reverse();
        events.iter().filter_map(|event| event["content"]["body"].as_str()).map(str::to_owned).collect()
    }
}
