//! Hands what happens out to the application services that it concerns.
//!
//! It follows the stream of changes with one cursor: the rooms that changed since, then their new events in the
//! order of positions. Cost: what changed; an event is matched against all namespaces in one pass. The cursor and
//! what is queued are one transaction.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use ruma::{OwnedUserId, UserId, events::receipt::ReceiptEventContent};
use serde_json::{json, value::RawValue};

use super::{
    AppserviceQueues, DeliveryError,
    devices::DeviceNews,
    interest::{Interested, RoomInterest, member_of},
    limits,
    presence::PresenceNews,
};
use crate::{
    rooms::{EventStore, Receipts, Typing},
    storage::{
        Direction, Read, ShortEventId, ShortRoomId, Storage, StreamPosition,
        records::{EventStatus, QueuedForAppservice, ReceiptKind, ReceiptRow},
        tables::{ACCOUNTS, APPSERVICE_DEVICE_NEWS, APPSERVICES_ROUTED, RECEIPTS, ROOM_CHANGES, TIMELINE},
    },
    users::{
        Appservices,
        appservices::{Appservice, Registered},
        presence::Presence,
    },
};

/// What the router reads.
#[derive(Debug, Clone)]
pub struct RouterSources {
    /// The store.
    pub storage: Storage,
    /// Events by id.
    pub events: EventStore,
    /// Who is typing.
    pub typing: Typing,
    /// Who is there.
    pub presence: Presence,
    /// The application services.
    pub appservices: Appservices,
    /// Where to.
    pub queues: AppserviceQueues,
}

/// The router. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AppserviceRouter {
    sources: RouterSources,
    state: Arc<Mutex<State>>,
    typing: Arc<Mutex<BTreeSet<ShortRoomId>>>,
    presence: PresenceNews,
}

#[derive(Debug, Default)]
struct State {
    /// The set that `interest` and `numbers` are for.
    registered: Option<Arc<Registered>>,
    interest: RoomInterest,
    /// The number of each application service, by its place.
    numbers: Vec<u64>,
}

/// What routing has found.
#[derive(Debug, Default)]
pub(super) struct News {
    /// The places of those that have something new.
    pub(super) told: BTreeSet<usize>,
    /// Users of theirs without an account, which they may make when asked.
    pub(super) unknown_users: BTreeSet<OwnedUserId>,
}

/// What goes to one queue, in order.
pub(super) enum Routed {
    Event(ShortEventId, StreamPosition),
    Ephemeral(Box<RawValue>),
    Device(QueuedForAppservice),
}

/// What has been found for each queue, by the application services' places.
pub(super) type Queues = BTreeMap<usize, Vec<Routed>>;

impl AppserviceRouter {
    /// Over the store.
    pub fn new(sources: RouterSources) -> Self {
        let typing: Arc<Mutex<BTreeSet<ShortRoomId>>> = Arc::default();
        let noted = typing.clone();
        sources.typing.on_change(move |room| {
            let mut rooms = noted.lock().unwrap_or_else(PoisonError::into_inner);
            if rooms.len() < limits::TYPING_ROOMS_MAX {
                rooms.insert(room);
            }
        });
        let presence = PresenceNews::new(sources.presence.clone(), sources.appservices.clone());
        Self { sources, state: Arc::default(), typing, presence }
    }

    /// The numbers of those registered now, by their places.
    pub(super) fn numbers(&self) -> Result<Vec<u64>, DeliveryError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.refresh(&mut state)?;
        Ok(state.numbers.clone())
    }

    /// Takes over a set that was registered anew.
    fn refresh(&self, state: &mut State) -> Result<Arc<Registered>, DeliveryError> {
        let registered = self.sources.appservices.current();
        if let Some(known) = state.registered.as_ref().filter(|known| Arc::ptr_eq(known, &registered)) {
            return Ok(known.clone());
        }
        let numbers =
            registered.all().iter().map(|service| self.sources.queues.number(&service.registration.id));
        state.numbers = numbers.collect::<Result<_, _>>()?;
        state.interest.clear();
        state.registered = Some(registered.clone());
        Ok(registered)
    }

    /// Queues everything that has become durable since the last call. Reads and writes the store: call it off the runtime's threads.
    pub(super) fn route(&self) -> Result<News, DeliveryError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let registered = self.refresh(&mut state)?;
        let typing = std::mem::take(&mut *self.typing.lock().unwrap_or_else(PoisonError::into_inner));
        if registered.is_empty() {
            self.sources.queues.stop_routing()?;
            return Ok(News::default());
        }
        let since = self.sources.queues.routed()?;
        let until = self.sources.storage.position();
        let (mut routed, mut handed_out) = (Queues::new(), Vec::new());
        if until > since {
            self.route_changes(&registered, &mut state.interest, (since, until), &mut routed)?;
            let of_devices = DeviceNews { storage: &self.sources.storage, registered: &registered };
            handed_out = of_devices.route((since, until), &mut state.interest, &mut routed)?;
        }
        for room in typing {
            self.route_typing(&registered, &mut state.interest, room, &mut routed)?;
        }
        for (user, shown) in self.presence.take() {
            let of_devices = DeviceNews { storage: &self.sources.storage, registered: &registered };
            let interested =
                of_devices.interested_in(user, &mut state.interest, limits::PRESENCE_ROOMS_EXAMINED_MAX)?;
            for service in wanting_ephemeral(&registered, interested) {
                let data = self.presence.event(&shown)?;
                routed.entry(service.place()).or_default().push(Routed::Ephemeral(data));
            }
        }
        let told = routed.keys().copied().collect();
        let unknown_users = self.unknown_users(&registered, &routed)?;
        self.write(&state.numbers, routed, (until > since).then_some(until), &handed_out)?;
        Ok(News { told, unknown_users })
    }

    /// Users in the namespaces who are spoken to (invited, mostly) and have no account yet.
    fn unknown_users(
        &self,
        registered: &Registered,
        routed: &Queues,
    ) -> Result<BTreeSet<OwnedUserId>, DeliveryError> {
        let storage = &self.sources.storage;
        let mut unknown = BTreeSet::new();
        for item in routed.values().flatten() {
            let Routed::Event(short, _) = item else { continue };
            let Some(stored) = self.sources.events.get(*short)? else { continue };
            let Some(member) = member_of(&stored.event) else { continue };
            if registered.of_user(member).next().is_none() {
                continue;
            }
            let has_account = match storage.short_user_id(member)? {
                Some(user) => storage.contains(&ACCOUNTS, &user)?,
                None => false,
            };
            if !has_account {
                unknown.insert(member.to_owned());
            }
        }
        Ok(unknown)
    }

    fn route_changes(
        &self,
        registered: &Registered,
        interest: &mut RoomInterest,
        span: (StreamPosition, StreamPosition),
        routed: &mut Queues,
    ) -> Result<(), DeliveryError> {
        let storage = &self.sources.storage;
        let mut events = BTreeMap::new();
        let mut rooms = HashMap::new();
        let range = ROOM_CHANGES.from(&StreamPosition(span.0.0.saturating_add(1)));
        for row in storage.scan(&ROOM_CHANGES, &range, Direction::Forward) {
            let (_, room) = row?;
            rooms.insert(room, interest.of_room(storage, registered, room)?);
            self.events_between(room, span, &mut events)?;
        }
        for (position, (room, short)) in events {
            let Some(stored) = self.sources.events.get(short)? else { continue };
            if stored.meta.status != EventStatus::Accepted {
                continue;
            }
            let mut interested = rooms.get(&room).copied().unwrap_or_default();
            interested.join(RoomInterest::of_event(registered, &stored.event));
            for place in places(registered, interested) {
                routed.entry(place).or_default().push(Routed::Event(short, position));
            }
            if stored.event.event_type() == "m.room.member" {
                interest.follow(registered, room, &stored.event);
                let of_devices = DeviceNews { storage, registered };
                of_devices.route_member(interested, &stored.event, interest, routed)?;
                rooms.insert(room, interest.of_room(storage, registered, room)?);
            }
        }
        for (room, interested) in rooms {
            self.route_receipts(registered, interested, room, span, routed)?;
        }
        Ok(())
    }

    /// The events of a room that became visible within a span, by position.
    fn events_between(
        &self,
        room: ShortRoomId,
        (since, until): (StreamPosition, StreamPosition),
        events: &mut BTreeMap<StreamPosition, (ShortRoomId, ShortEventId)>,
    ) -> Result<(), DeliveryError> {
        let storage = &self.sources.storage;
        for row in storage.scan(&TIMELINE, &TIMELINE.prefix(&(room,)), Direction::Backward) {
            let (_, (short, position)) = row?;
            if position <= since {
                break;
            }
            if position <= until {
                events.insert(position, (room, short));
            }
        }
        Ok(())
    }

    fn route_receipts(
        &self,
        registered: &Registered,
        interested: Interested,
        room: ShortRoomId,
        (since, until): (StreamPosition, StreamPosition),
        routed: &mut Queues,
    ) -> Result<(), DeliveryError> {
        let wanting: Vec<_> = wanting_ephemeral(registered, interested).collect();
        if wanting.is_empty() {
            return Ok(());
        }
        let storage = &self.sources.storage;
        let after = |position: StreamPosition| (room, StreamPosition(position.0.saturating_add(1)));
        let range = RECEIPTS.between(&after(since), &after(until));
        let rows =
            storage.scan(&RECEIPTS, &range, Direction::Forward).map(|row| row.map(|(_, receipt)| receipt));
        let receipts = rows.collect::<Result<Vec<_>, _>>()?;
        if receipts.is_empty() {
            return Ok(());
        }
        let room_id = storage.room_id(room)?;
        for service in wanting {
            let mut visible = Vec::new();
            for receipt in &receipts {
                if is_visible(storage, registered, service, receipt)? {
                    visible.push(receipt.clone());
                }
            }
            for content in Receipts::contents(storage, &visible)? {
                let data = ephemeral("m.receipt", room_id.as_str(), &ReceiptContent(&content))?;
                routed.entry(service.place()).or_default().push(Routed::Ephemeral(data));
            }
        }
        Ok(())
    }

    fn route_typing(
        &self,
        registered: &Registered,
        interest: &mut RoomInterest,
        room: ShortRoomId,
        routed: &mut Queues,
    ) -> Result<(), DeliveryError> {
        let storage = &self.sources.storage;
        let interested = interest.of_room(storage, registered, room)?;
        let wanting: Vec<_> = wanting_ephemeral(registered, interested).collect();
        if wanting.is_empty() {
            return Ok(());
        }
        let typists = self.sources.typing.typists(room);
        let user_ids =
            typists.into_iter().map(|user| storage.user_id(user)).collect::<Result<Vec<_>, _>>()?;
        let room_id = storage.room_id(room)?;
        for service in wanting {
            let data = ephemeral("m.typing", room_id.as_str(), &json!({ "user_ids": user_ids }))?;
            routed.entry(service.place()).or_default().push(Routed::Ephemeral(data));
        }
        Ok(())
    }

    fn write(
        &self,
        numbers: &[u64],
        routed: Queues,
        until: Option<StreamPosition>,
        handed_out: &[StreamPosition],
    ) -> Result<(), DeliveryError> {
        if routed.is_empty() && until.is_none() {
            return Ok(());
        }
        self.sources.storage.write(|tx| {
            for (place, items) in routed {
                let Some(number) = numbers.get(place).copied() else { continue };
                for item in items {
                    match item {
                        Routed::Event(event, position) => {
                            AppserviceQueues::push_event(tx, number, event, position)?;
                        }
                        Routed::Ephemeral(data) => AppserviceQueues::push_ephemeral(tx, number, data)?,
                        Routed::Device(item) => AppserviceQueues::push_lasting(tx, number, item)?,
                    }
                }
            }
            for position in handed_out {
                tx.delete(&APPSERVICE_DEVICE_NEWS, position);
            }
            if let Some(until) = until {
                tx.put(&APPSERVICES_ROUTED, &(), &until);
            }
            Ok(())
        })
    }
}

/// Private receipts are for their users, so for the application service whose user it is.
fn is_visible(
    storage: &Storage,
    registered: &Registered,
    service: &Appservice,
    receipt: &ReceiptRow,
) -> Result<bool, DeliveryError> {
    if receipt.kind == ReceiptKind::Read {
        return Ok(true);
    }
    let user: ruma::OwnedUserId = storage.user_id(receipt.user)?;
    let user: &UserId = &user;
    Ok(service.may_act_as(registered, user))
}

fn places(registered: &Registered, interested: Interested) -> impl Iterator<Item = usize> {
    let has_url = |service: &Arc<Appservice>| service.registration.url.is_some();
    let wanting = registered.all().iter().filter(move |service| has_url(service));
    wanting.map(|service| service.place()).filter(move |place| interested.contains(*place))
}

fn wanting_ephemeral(
    registered: &Registered,
    interested: Interested,
) -> impl Iterator<Item = &Arc<Appservice>> {
    registered
        .all()
        .iter()
        .filter(move |service| service.registration.wants_ephemeral() && interested.contains(service.place()))
}

#[derive(serde::Serialize)]
#[serde(transparent)]
struct ReceiptContent<'a>(&'a ReceiptEventContent);

/// As in sync, with the room's id beside (application service API, "Pushing ephemeral data").
fn ephemeral(
    event_type: &str,
    room_id: &str,
    content: &impl serde::Serialize,
) -> Result<Box<RawValue>, serde_json::Error> {
    let content = serde_json::to_value(content)?;
    serde_json::value::to_raw_value(&json!({ "type": event_type, "room_id": room_id, "content": content }))
}
