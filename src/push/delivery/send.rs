//! Sends one pusher's queue to its gateway (push gateway API, `POST /_matrix/push/v1/notify`).

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, header::CONTENT_TYPE};
use ruma::events::room::member::MembershipState;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Inner, lock};
use crate::{
    net::outbound::{OutboundError, ResponseLimits},
    push::{Pusher, limits},
    rooms::{Receipts, RoomError, StoredEvent},
    storage::{
        Direction, Json, Read, ShortEventId, ShortStateKeyId, StorageError, StreamPosition,
        records::QueuedPush,
        tables::{PUSH_QUEUE, PUSHERS},
    },
};

/// What the task of a pusher does next.
enum Next {
    /// Send this; with the position of its row in the queue, if it is an event's.
    Send(Box<Pusher>, Option<StreamPosition>, Value),
    /// Nothing is left.
    Done,
}

/// What became of an attempt.
enum Outcome {
    /// The gateway has it.
    Taken,
    /// The gateway knows the push key no more.
    Rejected,
    /// The gateway will never take it.
    Refused(String),
    /// Later, perhaps.
    Failed(String),
}

#[derive(Deserialize)]
struct GatewayAnswer {
    #[serde(default)]
    rejected: Vec<String>,
}

impl Inner {
    /// Sends all that a pusher has, the oldest first, with pauses after failures.
    pub(super) async fn send_all(self: Arc<Self>, pusher: Pusher) {
        let mut pause = limits::RETRY_PAUSE_FIRST;
        loop {
            let (inner, wanted) = (self.clone(), pusher.clone());
            let next = match tokio::task::spawn_blocking(move || inner.next(&wanted)).await {
                Ok(Ok(next)) => next,
                Ok(Err(e)) => return self.give_up(&pusher, &e.to_string()),
                Err(e) => return self.give_up(&pusher, &e.to_string()),
            };
            // As it is set now: it may have got another gateway since its task began.
            let Next::Send(pusher, position, body) = next else { return };
            match self.attempt(&pusher, &body).await {
                Outcome::Taken => {
                    pause = limits::RETRY_PAUSE_FIRST;
                    self.done(&pusher, position).await;
                }
                Outcome::Rejected => {
                    tracing::info!(
                        app_id = pusher.app_id,
                        "a push gateway has rejected a push key; its pusher is removed"
                    );
                    self.remove(&pusher).await;
                }
                Outcome::Refused(why) => {
                    tracing::warn!(
                        app_id = pusher.app_id,
                        "a push gateway refuses a notification, which is dropped: {why}"
                    );
                    self.done(&pusher, position).await;
                }
                Outcome::Failed(why) => {
                    tracing::warn!(
                        app_id = pusher.app_id,
                        retry_in_s = pause.as_secs(),
                        "a notification could not be sent: {why}"
                    );
                    tokio::time::sleep(pause).await;
                    pause = pause.saturating_mul(2).min(limits::RETRY_PAUSE_MAX);
                }
            }
        }
    }

    fn give_up(&self, pusher: &Pusher, why: &str) {
        tracing::error!(app_id = pusher.app_id, "the queue of a pusher could not be read: {why}");
        lock(&self.at_work).sending.remove(&pusher.record.number);
    }

    /// The oldest thing to send. Drops what is too old, too much, or has been read meanwhile.
    fn next(&self, pusher: &Pusher) -> Result<Next, RoomError> {
        let storage = &self.sources.storage;
        let number = pusher.record.number;
        let key = (pusher.user, pusher.app_id.clone(), pusher.pushkey.clone());
        let current = storage.get(&PUSHERS, &key)?.map(|Json(record)| record);
        let current = current.filter(|record| record.number == number && record.enabled);
        let Some(record) = current else {
            self.drop_all(number)?;
            lock(&self.at_work).sending.remove(&number);
            return Ok(Next::Done);
        };
        let pusher = Pusher { record, ..pusher.clone() };
        loop {
            let range = PUSH_QUEUE.prefix(&(number,));
            let row = storage.scan(&PUSH_QUEUE, &range, Direction::Forward).next().transpose()?;
            let Some(((_, position), Json(push))) = row else {
                let mut at_work = lock(&self.at_work);
                if at_work.badge_due.remove(&number) {
                    drop(at_work);
                    let body = self.count_only(&pusher)?;
                    return Ok(Next::Send(Box::new(pusher), None, body));
                }
                // While this is locked no task is begun for the pusher; who queues something from now on
                // begins one.
                if storage.scan(&PUSH_QUEUE, &range, Direction::Forward).next().is_none() {
                    at_work.sending.remove(&number);
                    return Ok(Next::Done);
                }
                continue;
            };
            if let Some(body) = self.body(&pusher, &push)?
                && !self.is_superfluous(number, &push)
            {
                lock(&self.at_work).badge_due.remove(&number);
                return Ok(Next::Send(Box::new(pusher), Some(position), body));
            }
            self.forget(number, position)?;
        }
    }

    fn is_superfluous(&self, number: u64, push: &QueuedPush) -> bool {
        let age_ms = self.sources.clock.now_ms().saturating_sub(push.queued_ms);
        let range = PUSH_QUEUE.prefix(&(number,));
        let queued = self.sources.storage.scan(&PUSH_QUEUE, &range, Direction::Forward);
        let is_dropped = age_ms > limits::PUSH_AGE_MS_MAX
            || queued.take(limits::PUSHES_QUEUED_MAX + 1).count() > limits::PUSHES_QUEUED_MAX;
        if is_dropped {
            tracing::warn!("a notification that could not be sent for too long is dropped");
        }
        is_dropped
    }

    fn forget(&self, number: u64, position: StreamPosition) -> Result<(), StorageError> {
        self.sources.storage.write(|tx| {
            tx.delete(&PUSH_QUEUE, &(number, position));
            Ok(())
        })
    }

    fn drop_all(&self, number: u64) -> Result<(), StorageError> {
        self.sources.storage.write(|tx| {
            let rows = tx.scan(&PUSH_QUEUE, &PUSH_QUEUE.prefix(&(number,)), Direction::Forward);
            let keys = rows.map(|row| row.map(|(key, _)| key)).collect::<Result<Vec<_>, _>>()?;
            for key in keys {
                tx.delete(&PUSH_QUEUE, &key);
            }
            Ok(())
        })
    }

    /// Takes an event that the gateway has from the queue.
    async fn done(self: &Arc<Self>, pusher: &Pusher, position: Option<StreamPosition>) {
        let (Some(position), inner, number) = (position, self.clone(), pusher.record.number) else { return };
        let forgotten = tokio::task::spawn_blocking(move || inner.forget(number, position)).await;
        if let Ok(Err(e)) = forgotten {
            // It will be sent again, which is better than not at all.
            tracing::error!("a notification that was sent stays in its queue: {e}");
            tokio::time::sleep(limits::RETRY_PAUSE_FIRST).await;
        }
    }

    async fn remove(self: &Arc<Self>, pusher: &Pusher) {
        let (inner, gone) = (self.clone(), pusher.clone());
        let removed = tokio::task::spawn_blocking(move || {
            inner.sources.pushers.remove(gone.user, &gone.app_id, &gone.pushkey)
        });
        if let Ok(Err(e)) = removed.await {
            tracing::error!("a rejected pusher could not be removed: {e}");
            tokio::time::sleep(limits::RETRY_PAUSE_FIRST).await;
        }
    }

    /// Sends one notification.
    async fn attempt(&self, pusher: &Pusher, body: &Value) -> Outcome {
        let Ok(_place) = self.places.acquire().await else {
            return Outcome::Failed("the server is stopping".to_owned());
        };
        let url = pusher.record.data.get("url").and_then(Value::as_str).unwrap_or_default();
        let request =
            Request::post(url).header(CONTENT_TYPE, "application/json").body(Bytes::from(body.to_string()));
        let Ok(request) = request else { return Outcome::Refused("its URL can't be asked".to_owned()) };
        let limits = ResponseLimits {
            bytes_max: limits::GATEWAY_ANSWER_BYTES_MAX,
            time_max: limits::GATEWAY_TIME_MAX,
            redirects_max: 0,
        };
        match self.sources.gateways.request(request, limits).await {
            Ok(answer) if answer.status().is_success() => {
                let answer: Option<GatewayAnswer> = serde_json::from_slice(answer.body()).ok();
                let rejected = answer.is_some_and(|answer| answer.rejected.contains(&pusher.pushkey));
                if rejected { Outcome::Rejected } else { Outcome::Taken }
            }
            Ok(answer) => {
                let why = format!("{url} answers {}", answer.status());
                match answer.status() {
                    StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => Outcome::Refused(why),
                    _ => Outcome::Failed(why),
                }
            }
            Err(OutboundError::NotAllowed(host)) => Outcome::Failed(format!(
                "the push gateway {host} is at a private address, which outbound.allowed_ranges does not allow"
            )),
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }

    /// A notification that only tells how much is left to read.
    fn count_only(&self, pusher: &Pusher) -> Result<Value, RoomError> {
        let mut notification = self.common(pusher, &Map::new())?;
        notification.insert("prio".to_owned(), json!("low"));
        Ok(json!({ "notification": notification }))
    }

    /// What all notifications have: the device and the count.
    fn common(&self, pusher: &Pusher, tweaks: &Map<String, Value>) -> Result<Map<String, Value>, RoomError> {
        let mut data = pusher.record.data.clone();
        data.remove("url");
        let device = json!({
            "app_id": pusher.app_id,
            "pushkey": pusher.pushkey,
            "pushkey_ts": Duration::from_millis(pusher.record.set_ms).as_secs(),
            "data": data,
            "tweaks": tweaks,
        });
        let unread = self.badges.count(pusher.user)?;
        Ok(Map::from_iter([
            ("counts".to_owned(), json!({ "unread": unread })),
            ("devices".to_owned(), json!([device])),
        ]))
    }

    /// The notification of an event; `None` when there is nothing to tell any more.
    fn body(&self, pusher: &Pusher, push: &QueuedPush) -> Result<Option<Value>, RoomError> {
        let sources = &self.sources;
        if let Some(key) = push.key
            && Receipts::read_up_to(&sources.storage, pusher.user, push.room)?.is_some_and(|read| read >= key)
        {
            return Ok(None);
        }
        let Some(stored) = sources.events.get(push.event)? else { return Ok(None) };
        if stored.meta.redacted_by.is_some() {
            return Ok(None);
        }
        let mut notification = self.common(pusher, &push.tweaks)?;
        let event = &stored.event;
        let is_urgent = event.event_type() == "m.room.encrypted"
            || push.tweaks.get("highlight") == Some(&Value::Bool(true))
            || push.tweaks.contains_key("sound");
        notification.insert("prio".to_owned(), json!(if is_urgent { "high" } else { "low" }));
        notification.insert("event_id".to_owned(), json!(event.event_id()));
        notification.insert("room_id".to_owned(), json!(event.room_id()));
        if pusher.record.data.get("format").and_then(Value::as_str) != Some("event_id_only") {
            notification.append(&mut self.details(pusher, push, &stored)?);
        }
        Ok(Some(json!({ "notification": notification })))
    }

    /// What a notification says of its event.
    fn details(
        &self,
        pusher: &Pusher,
        push: &QueuedPush,
        stored: &StoredEvent,
    ) -> Result<Map<String, Value>, RoomError> {
        let sources = &self.sources;
        let event = &stored.event;
        let state = sources.index.current_state(push.room)?;
        let field = |short: Option<ShortEventId>, field: &str| -> Result<Option<String>, RoomError> {
            let Some(short) = short else { return Ok(None) };
            Ok(sources.events.get(short)?.and_then(|stored| stored.event.content_field(field)))
        };
        let sender = sources.states.get_short(state, ShortStateKeyId::member(stored.meta.sender))?;
        let name = sources.states.get(state, "m.room.name", "")?;
        let alias = sources.states.get(state, "m.room.canonical_alias", "")?;
        let user_id = sources.storage.user_id(pusher.user)?;
        let mut details = Map::from_iter([
            ("type".to_owned(), json!(event.event_type())),
            ("sender".to_owned(), json!(event.sender())),
        ]);
        let optional = [
            ("sender_display_name", field(sender, "displayname")?),
            ("room_name", field(name, "name")?),
            ("room_alias", field(alias, "alias")?),
        ];
        let optional = optional.into_iter().filter_map(|(name, text)| text.map(|text| (name, json!(text))));
        details.extend(optional.map(|(name, text)| (name.to_owned(), text)));
        if let Ok(content) = event.content() {
            details.insert("content".to_owned(), content);
        }
        if event.event_type() == "m.room.member" {
            let is_target = event.state_key() == Some(user_id.as_str());
            details.insert("user_is_target".to_owned(), json!(is_target));
            let membership: Option<MembershipState> = event.content_field("membership");
            details.insert("membership".to_owned(), json!(membership));
        }
        Ok(details)
    }
}
