//! A device: a client of its own with its own keys, which syncs by sliding sync.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use matrix_sdk::{
    Client, RoomMemberships, RoomState,
    deserialized_responses::{TimelineEvent, TimelineEventKind, UnableToDecryptReason},
    event_cache::{EventCacheDropHandles, RoomEventCache, RoomEventCacheSubscriber},
    ruma::{
        DeviceId, OwnedDeviceId, OwnedEventId, OwnedRoomId, OwnedTransactionId, RoomId, UserId,
        api::client::room::create_room::v3::{Request as CreateRoom, RoomPreset},
        events::{
            InitialStateEvent, room::encryption::RoomEncryptionEventContent,
            room::message::RoomMessageEventContent,
        },
    },
};
use matrix_sdk_ui::sync_service::SyncService;
use tokio::sync::Mutex;

use crate::{
    Failure,
    account::{Account, PASSWORD, client, short_name},
    waiting::{found, until},
};

/// Events asked for at once when a device looks for what came before.
const PAGE: u16 = 50;

/// A device.
pub struct Device {
    pub account: Arc<Account>,
    name: String,
    client: Client,
    id: OwnedDeviceId,
    sync: SyncService,
    /// Held by who sends, so that nobody logs out in between.
    sending: Mutex<()>,
    room: OnceLock<Cache>,
}

/// The events of the room, as they come.
struct Cache {
    cache: RoomEventCache,
    _kept: (Arc<EventCacheDropHandles>, RoomEventCacheSubscriber),
}

impl Device {
    /// A new session that syncs.
    pub async fn log_in(account: Arc<Account>, name: &str) -> Result<Arc<Self>, Failure> {
        let client = client(&account.url).await?;
        let login = client.matrix_auth().login_username(&account.user_id, PASSWORD);
        let session = login.initial_device_display_name(name).send().await?;
        client.encryption().wait_for_e2ee_initialization_tasks().await;
        client.event_cache().subscribe()?;
        let sync = SyncService::builder(client.clone()).with_offline_mode().build().await?;
        sync.start().await;
        let name = format!("{}'s {name}", short_name(&account.user_id));
        let (sending, room) = (Mutex::default(), OnceLock::new());
        Ok(Arc::new(Self { account, name, client, id: session.device_id, sync, sending, room }))
    }

    /// Its client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Whose it is.
    pub fn user_id(&self) -> &UserId {
        &self.account.user_id
    }

    /// Its id.
    pub fn id(&self) -> &DeviceId {
        &self.id
    }

    /// Its owner and its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// An encrypted room, with others invited.
    pub async fn create_room(&self, guests: &[Arc<Self>]) -> Result<OwnedRoomId, Failure> {
        let mut request = CreateRoom::new();
        request.preset = Some(RoomPreset::PrivateChat);
        request.invite = guests.iter().map(|guest| guest.user_id().to_owned()).collect();
        let encryption = RoomEncryptionEventContent::with_recommended_defaults();
        request.initial_state = vec![InitialStateEvent::with_empty_state_key(encryption).to_raw_any()];
        Ok(self.client.create_room(request).await?.room_id().to_owned())
    }

    /// Accepts an invite.
    pub async fn join(&self, room: &RoomId) -> Result<(), Failure> {
        let invited =
            || async { Ok(self.client.get_room(room).filter(|room| room.state() == RoomState::Invited)) };
        found(format!("{}'s invite", self.name), invited).await?.join().await?;
        Ok(())
    }

    /// Whether it knows that a user is in a room.
    pub async fn sees_joined(&self, room: &RoomId, user: &UserId) -> Result<bool, Failure> {
        let Some(room) = self.client.get_room(room) else { return Ok(false) };
        // Sliding sync brings members as they speak: somebody who looks at the list asks for all of them.
        let members = room.members(RoomMemberships::JOIN).await?;
        Ok(members.iter().any(|member| member.user_id() == user))
    }

    /// Opens the room as somebody does who wants to read it.
    pub async fn open(&self, room_id: &RoomId) -> Result<(), Failure> {
        let joined = || async {
            Ok(self.client.get_room(room_id).is_some_and(|room| room.state() == RoomState::Joined))
        };
        until(format!("the room on {}", self.name), joined).await?;
        self.sync.room_list_service().subscribe_to_rooms(&[room_id]).await;
        let room = self.client.get_room(room_id).ok_or("the room has gone")?;
        let (cache, handles) = room.event_cache().await?;
        let (_, subscriber) = cache.subscribe().await?;
        let opened = self.room.set(Cache { cache, _kept: (handles, subscriber) });
        opened.map_err(|_| "the room is open already".into())
    }

    /// Sends a message; a request whose answer a crash has swallowed is made again.
    pub async fn say(
        &self,
        room: &RoomId,
        body: &str,
        id: &OwnedTransactionId,
    ) -> Result<OwnedEventId, Failure> {
        let _sending = self.sending.lock().await;
        let room = self.client.get_room(room).ok_or("the room has gone")?;
        let sent = || async {
            let content = RoomMessageEventContent::text_plain(body);
            let answer = room.send(content).with_transaction_id(id.clone()).await;
            match answer {
                Ok(answer) => Ok(Some(answer.response.event_id)),
                // Whatever a request met: what counts is that the next ones bring it through.
                Err(error)
                    if error.as_client_api_error().is_none_or(|it| it.status_code.is_server_error()) =>
                {
                    Ok(None)
                }
                Err(error) => Err(format!("{} cannot send: {error}", self.name).into()),
            }
        };
        found(format!("the answer to {body}"), sent).await
    }

    /// The text messages that it has decrypted, and the ids of those that it could not.
    pub async fn reads(&self) -> Result<HashMap<OwnedEventId, Option<String>>, Failure> {
        let cache = &self.room.get().ok_or("the room is not open")?.cache;
        Ok(cache.events().await?.iter().filter_map(text_of).collect())
    }

    /// Gets keys from the backup for those of these events of which only a later key of their session has come.
    ///
    /// matrix-sdk-crypto keeps the later one of two keys of a session that come in one answer, as to a client that was
    /// away. The other one is in the backup, where clients look when they are opened anew.
    pub async fn fetch_earlier_keys(&self, room: &RoomId, lacking: &[OwnedEventId]) -> Result<(), Failure> {
        let cache = &self.room.get().ok_or("the room is not open")?.cache;
        for event in cache.events().await? {
            let TimelineEventKind::UnableToDecrypt { utd_info, .. } = &event.kind else { continue };
            let is_late = matches!(utd_info.reason, UnableToDecryptReason::UnknownMegolmMessageIndex);
            let is_lacking = event.event_id().is_some_and(|id| lacking.contains(&id));
            if let Some(session) = utd_info.session_id.as_ref().filter(|_| is_late && is_lacking) {
                // It may not be there yet, or the server is away.
                let _ = self.client.encryption().backups().download_room_key(room, session).await;
            }
        }
        Ok(())
    }

    /// Looks for earlier events; whether there are none.
    pub async fn look_back(&self) -> Result<bool, Failure> {
        let cache = &self.room.get().ok_or("the room is not open")?.cache;
        match cache.pagination().run_backwards_once(PAGE).await {
            Ok(outcome) => Ok(outcome.reached_start),
            // The server is away, or another look is under way.
            Err(_) => Ok(false),
        }
    }

    /// Whether it knows of another device.
    pub async fn knows(&self, other: &Self) -> Result<bool, Failure> {
        Ok(self.client.encryption().get_device(other.user_id(), other.id()).await?.is_some())
    }

    /// Whether it sees another device signed by its owner's keys.
    pub async fn sees_verified(&self, other: &Self) -> Result<bool, Failure> {
        let device = self.client.encryption().get_device(other.user_id(), other.id()).await?;
        Ok(device.is_some_and(|device| device.is_cross_signed_by_owner()))
    }

    /// Logs out, once what is being sent has been sent.
    pub async fn log_out(&self) -> Result<(), Failure> {
        let _sending = self.sending.lock().await;
        self.sync.stop().await;
        self.client.logout().await?;
        Ok(())
    }
}

/// The text of an encrypted message; none if it could not be decrypted.
fn text_of(event: &TimelineEvent) -> Option<(OwnedEventId, Option<String>)> {
    let id = event.event_id()?;
    match &event.kind {
        TimelineEventKind::Decrypted(decrypted) => {
            let content = decrypted.event.get_field::<serde_json::Value>("content").ok()??;
            Some((id, content["body"].as_str().map(ToOwned::to_owned)))
        }
        TimelineEventKind::UnableToDecrypt { .. } => Some((id, None)),
        TimelineEventKind::PlainText { .. } => None,
    }
}
