//! `GET /_matrix/client/v3/sync` (client-server API, "Syncing").

mod encryption;
mod ephemeral;
mod incremental;
mod initial;
mod invited;
mod joined;
mod left;
mod presence;
pub mod response;

use std::{collections::HashSet, sync::Arc};

use ruma::{OwnedUserId, api::client::sync::sync_events::v3::Filter};

use self::response::{StateUpTo, SyncResponse};
use super::{
    DeviceLists, DeviceMembers, LazyMembers, Presenter, SyncError, SyncFilter, changed_rooms::ChangedRooms,
    summary::Summaries, window::Windows,
};
use crate::{
    push::{PushRules, UnreadCounts},
    rooms::{
        ClientEvents, EventStore, RoomIndex, RoomStates, SyncToken, Timelines, Typing, Viewer, Visibility,
    },
    storage::{Storage, StreamPosition},
    users::{EncryptionKeys, Filters, Presence, ToDevice, ignored_users},
};

/// What sync v3 reads from.
#[derive(Debug, Clone)]
pub struct SyncSources {
    /// The store.
    pub storage: Storage,
    /// Rooms' records, heads and members.
    pub index: RoomIndex,
    /// Events by id.
    pub events: EventStore,
    /// States by root.
    pub states: RoomStates,
    /// Rooms' histories.
    pub timelines: Timelines,
    /// Who may see what.
    pub visibility: Visibility,
    /// Events as clients get them.
    pub client_events: ClientEvents,
    /// Who is typing.
    pub typing: Typing,
    /// Who is there.
    pub presence: Presence,
    /// Filters that clients have stored.
    pub filters: Filters,
    /// Push rules, which clients expect among the account data.
    pub push_rules: PushRules,
    /// How much is unread.
    pub unread: UnreadCounts,
    /// Messages for devices.
    pub to_device: ToDevice,
    /// What devices have left to be claimed.
    pub keys: EncryptionKeys,
}

/// The service. Cheap to clone.
#[derive(Clone)]
pub struct SyncV3 {
    inner: Arc<Inner>,
}

struct Inner {
    sources: SyncSources,
    windows: Windows,
    summaries: Summaries,
    changed: ChangedRooms,
    device_lists: DeviceLists,
    lazy_members: LazyMembers,
}

impl std::fmt::Debug for SyncV3 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SyncV3").finish_non_exhaustive()
    }
}

/// A request.
#[derive(Debug, Clone)]
pub struct SyncRequest {
    /// Who asks.
    pub viewer: Viewer,
    /// What the client has seen; `None` if it starts afresh.
    pub since: Option<SyncToken>,
    /// What the client wants to see.
    pub filter: Arc<SyncFilter>,
    /// True when the whole state of all rooms is wanted, not only what changed.
    pub full_state: bool,
    /// Up to which point of the timeline the state is told.
    pub state_up_to: StateUpTo,
}

/// An answer with the token that it ends at.
#[derive(Debug)]
pub struct Answer {
    /// The answer.
    pub response: SyncResponse,
    /// The token in it.
    pub token: SyncToken,
}

impl SyncV3 {
    /// Over the sources.
    pub fn new(sources: SyncSources) -> Self {
        let SyncSources { storage, index, events, states, timelines, .. } = &sources;
        let windows = Windows::new(storage.clone(), index.clone(), events.clone(), timelines.clone());
        let summaries = Summaries::new(storage.clone(), index.clone(), events.clone(), states.clone());
        let changed = ChangedRooms::new(
            storage.clone(),
            index.clone(),
            events.clone(),
            states.clone(),
            timelines.clone(),
        );
        let device_lists = DeviceLists::new(
            storage.clone(),
            index.clone(),
            events.clone(),
            states.clone(),
            timelines.clone(),
        );
        let lazy_members = LazyMembers::default();
        let inner = Inner { sources, windows, summaries, changed, device_lists, lazy_members };
        Self { inner: Arc::new(inner) }
    }

    /// Whose devices changed for whom.
    pub fn device_lists(&self) -> &DeviceLists {
        &self.inner.device_lists
    }

    /// The filter that a request names or holds.
    pub fn filter(&self, viewer: &Viewer, filter: Option<&Filter>) -> Result<SyncFilter, SyncError> {
        match filter {
            None => Ok(SyncFilter::default()),
            Some(Filter::FilterDefinition(definition)) => Ok(SyncFilter::new(definition)),
            Some(Filter::FilterId(id)) => self
                .inner
                .sources
                .filters
                .get(viewer.user, id)?
                .map(|definition| SyncFilter::new(&definition))
                .ok_or_else(|| SyncError::UnknownFilter(id.clone())),
            Some(_) => Err(SyncError::UnknownFilter("of an unknown kind".to_owned())),
        }
    }

    /// What it reads from.
    pub(crate) fn sources(&self) -> &SyncSources {
        &self.inner.sources
    }

    /// Which rooms changed for whom.
    pub(crate) fn changed_rooms(&self) -> &ChangedRooms {
        &self.inner.changed
    }

    /// Parts of timelines.
    pub(crate) fn windows(&self) -> &Windows {
        &self.inner.windows
    }

    /// Rooms in short.
    pub(crate) fn summaries(&self) -> &Summaries {
        &self.inner.summaries
    }

    /// What happened since the request's token, up to now. Never waits.
    pub fn answer(&self, request: &SyncRequest) -> Result<Answer, SyncError> {
        let sources = &self.inner.sources;
        // Before anything is read: what comes later is told next time.
        let token = SyncToken {
            presence: sources.presence.serial(),
            ..SyncToken::new(sources.storage.position(), sources.typing.serial())
        };
        // A token from before a restored backup may lie ahead; nothing can have been told from there.
        let since = request.since.map(|since| SyncToken {
            position: since.position.min(token.position),
            to_device: since.to_device.min(token.position),
            presence: since.presence.min(token.presence),
            ..since
        });
        let mut session = Session::new(&self.inner, request, since, token)?;
        let mut response = match since {
            None => session.initial()?,
            Some(since) => session.incremental(since)?,
        };
        session.add_encryption(&mut response)?;
        session.add_presence(&mut response)?;
        response.next_batch = session.token.to_string();
        Ok(Answer { response, token: session.token })
    }
}

/// One answer in the making.
struct Session<'a> {
    inner: &'a Inner,
    sources: &'a SyncSources,
    request: &'a SyncRequest,
    since: Option<SyncToken>,
    token: SyncToken,
    presenter: Presenter<'a>,
    members: DeviceMembers,
    ignored: HashSet<OwnedUserId>,
}

impl<'a> Session<'a> {
    fn new(
        inner: &'a Inner,
        request: &'a SyncRequest,
        since: Option<SyncToken>,
        token: SyncToken,
    ) -> Result<Self, SyncError> {
        let sources = &inner.sources;
        let viewer = &request.viewer;
        let device = viewer.device_id.as_deref().unwrap_or_else(|| "".into());
        let known = since.map(|since| since.position);
        Ok(Self {
            inner,
            sources,
            request,
            since,
            token,
            presenter: Presenter::new(&sources.client_events, &request.filter),
            members: inner.lazy_members.of_device(viewer.user, device, known, token.position),
            ignored: ignored_users(&sources.storage, viewer.user, &viewer.user_id)?,
        })
    }

    fn filter(&self) -> &'a SyncFilter {
        &self.request.filter
    }

    fn viewer(&self) -> &'a Viewer {
        &self.request.viewer
    }

    fn until(&self) -> StreamPosition {
        self.token.position
    }
}

#[cfg(test)]
mod tests;
