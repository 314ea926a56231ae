//! Writing keys while they are read: a backup may have hundreds of thousands, and the memory for an answer is that
//! of a few pages.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use hyper::body::{Body as HttpBody, Frame};
use ruma::OwnedRoomId;
use tokio::{sync::mpsc, time::timeout};

use crate::{
    api::{ApiError, blocking, limits},
    storage::ShortUserId,
    users::{KeyBackups, backups::BackedUpKey},
};

/// Which keys are wanted.
pub(super) struct Wanted {
    pub(super) user: ShortUserId,
    pub(super) version: u64,
    pub(super) room_id: Option<OwnedRoomId>,
}

type Chunk = std::io::Result<Bytes>;

/// A body whose parts come through a channel.
struct Chunks(mpsc::Receiver<Chunk>);

impl HttpBody for Chunks {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
    }
}

/// Answers with the keys: by room and session, or with those of one room, by session.
pub(super) async fn respond(backups: KeyBackups, wanted: Wanted) -> Result<Response, ApiError> {
    let reader = Reader { backups, wanted: Arc::new(wanted) };
    let first = reader.page(None).await?;
    let (sender, receiver) = mpsc::channel(limits::STREAM_BATCHES_WAITING_MAX);
    // Ends by itself: with the last page, or when nobody reads.
    tokio::spawn(async move {
        if let Err(e) = reader.write(first, &sender).await {
            let _nobody_reads = sender.try_send(Err(e));
        }
    });
    Ok(([(CONTENT_TYPE, "application/json")], Body::new(Chunks(receiver))).into_response())
}

/// Reads a backup page by page.
struct Reader {
    backups: KeyBackups,
    wanted: Arc<Wanted>,
}

impl Reader {
    /// The keys after the one named.
    async fn page(&self, after: Option<BackedUpKey>) -> Result<Vec<BackedUpKey>, ApiError> {
        let (backups, wanted) = (self.backups.clone(), self.wanted.clone());
        blocking::run(move || {
            let limit = limits::BACKUP_KEYS_PER_PAGE;
            let room_id = wanted.room_id.as_deref();
            backups.page(wanted.user, wanted.version, room_id, after.as_ref(), limit)
        })
        .await
    }

    async fn write(&self, first: Vec<BackedUpKey>, sender: &mpsc::Sender<Chunk>) -> std::io::Result<()> {
        let mut writer = Writer { by_room: self.wanted.room_id.is_none(), room: None, text: String::new() };
        writer.begin();
        let mut keys = first;
        while !keys.is_empty() {
            for key in &keys {
                writer.add(key);
            }
            send(sender, std::mem::take(&mut writer.text)).await?;
            keys = self.page(keys.pop()).await.map_err(|e| std::io::Error::other(format!("{e:?}")))?;
        }
        writer.end();
        send(sender, writer.text).await
    }
}

/// Waits until there is room, for as long as a reader is waited for.
async fn send(sender: &mpsc::Sender<Chunk>, text: String) -> std::io::Result<()> {
    let sent = timeout(limits::STREAM_READER_WAITED_FOR, sender.send(Ok(text.into()))).await;
    sent.map_err(std::io::Error::other)?.map_err(std::io::Error::other)
}

/// Writes the JSON around the keys.
struct Writer {
    by_room: bool,
    /// The room that is being written.
    room: Option<OwnedRoomId>,
    text: String,
}

impl Writer {
    fn begin(&mut self) {
        self.text.push_str(if self.by_room { r#"{"rooms":{"# } else { r#"{"sessions":{"# });
    }

    fn add(&mut self, key: &BackedUpKey) {
        let is_new_room = self.room.as_ref() != Some(&key.room_id);
        match (&self.room, self.by_room && is_new_room) {
            (None, false) => {}
            (None, true) => self.open_room(key),
            (Some(_), true) => {
                self.text.push_str("}},");
                self.open_room(key);
            }
            (Some(_), false) => self.text.push(','),
        }
        self.room = Some(key.room_id.clone());
        self.text.push_str(&quoted(&key.session_id));
        self.text.push(':');
        self.text.push_str(key.data.get());
    }

    fn open_room(&mut self, key: &BackedUpKey) {
        self.text.push_str(&quoted(key.room_id.as_str()));
        self.text.push_str(r#":{"sessions":{"#);
    }

    fn end(&mut self) {
        self.text.push_str(if self.by_room && self.room.is_some() { "}}}}" } else { "}}" });
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json, value::to_raw_value};

    use super::*;

    fn written(by_room: bool, keys: &[(&str, &str)]) -> Value {
        let mut writer = Writer { by_room, room: None, text: String::new() };
        writer.begin();
        for (room, session) in keys {
            writer.add(&BackedUpKey {
                room_id: (*room).try_into().unwrap(),
                session_id: (*session).to_owned(),
                data: to_raw_value(&1).unwrap(),
            });
        }
        writer.end();
        serde_json::from_str(&writer.text).unwrap()
    }

    #[test]
    fn what_is_written_is_json() {
        assert_eq!(written(true, &[]), json!({ "rooms": {} }));
        assert_eq!(written(false, &[]), json!({ "sessions": {} }));
        let keys = [("!a:x", "1"), ("!a:x", "2\""), ("!b:x", "1")];
        let rooms =
            json!({ "!a:x": { "sessions": { "1": 1, "2\"": 1 } }, "!b:x": { "sessions": { "1": 1 } } });
        assert_eq!(written(true, &keys), json!({ "rooms": rooms }));
        assert_eq!(written(false, &keys[..2]), json!({ "sessions": { "1": 1, "2\"": 1 } }));
    }
}
