use ruma::{
    OwnedUserId,
    api::federation::transactions::edu::{DeviceListUpdateContent, SigningKeyUpdateContent},
    device_id, server_name, user_id,
};
use serde_json::value::to_raw_value;

use super::*;
use crate::storage::{ShortEventId, ShortRoomId, records::MembershipRow};

const ROOM: ShortRoomId = ShortRoomId(1);

struct World {
    storage: Storage,
    devices: RemoteDevices,
    carol: OwnedUserId,
}

impl World {
    fn new() -> Self {
        let storage = Storage::in_memory().unwrap();
        let devices = RemoteDevices::new(storage.clone(), server_name!("example.org").to_owned());
        let world = Self { storage, devices, carol: user_id!("@carol:elsewhere.org").to_owned() };
        world.set_membership(Membership::Join);
        world
    }

    /// Carol's membership of the room that this server is in.
    fn set_membership(&self, membership: Membership) {
        self.storage
            .write(|tx| {
                let user = tx.intern_user(&self.carol)?;
                let own = tx.intern_server(server_name!("example.org"))?;
                let position = tx.next_position();
                let row = MembershipRow { membership, event: ShortEventId(1), position, forgotten: false };
                tx.put(&MEMBERSHIPS, &(user, ROOM), &row);
                if tx.get(&ROOM_SERVERS, &(ROOM, own))?.is_none() {
                    tx.put(&ROOM_SERVERS, &(ROOM, own), &(1, position));
                }
                Ok::<_, StorageError>(())
            })
            .unwrap();
        self.storage.durable_blocking().unwrap();
    }

    fn cached(&self) -> Result<Vec<String>, FetchTicket> {
        let cached = self.devices.cached(&self.carol).unwrap();
        cached.map(|keys| keys.devices.keys().map(ToString::to_string).collect())
    }

    fn fetch(&self, stream_id: Option<u64>, ids: &[&str]) {
        let ticket = self.cached().unwrap_err();
        self.fetched(ticket, stream_id, ids);
    }

    fn fetched(&self, ticket: FetchTicket, stream_id: Option<u64>, ids: &[&str]) {
        let device = |id: &&str| (OwnedDeviceId::from(*id), (self.keys(id), None));
        let fetched = FetchedDevices {
            stream_id,
            devices: ids.iter().map(device).collect(),
            ..FetchedDevices::default()
        };
        self.devices.fetched(&self.carol, fetched, ticket).unwrap();
    }

    fn keys(&self, id: &str) -> Box<RawValue> {
        let keys =
            json!({ "user_id": self.carol, "device_id": id, "algorithms": [], "keys": {}, "signatures": {} });
        to_raw_value(&keys).unwrap()
    }

    fn update(&self, id: &str, stream_id: u32, prev_id: &[u32]) -> DeviceListUpdateContent {
        let mut update = DeviceListUpdateContent::new(self.carol.clone(), id.into(), stream_id.into());
        update.prev_id = prev_id.iter().map(|id| (*id).into()).collect();
        update.keys = Some(ruma::serde::Raw::from_json(self.keys(id)));
        update
    }

    fn told(&self, update: &DeviceListUpdateContent) {
        self.devices.device_changed(server_name!("elsewhere.org"), update).unwrap();
    }

    fn changes(&self) -> usize {
        device_list::changed_since(&self.storage, StreamPosition(0)).count()
    }
}

#[test]
fn updates_that_follow_each_other_keep_the_list_good() {
    let world = World::new();
    world.fetch(Some(5), &["A"]);
    assert_eq!(world.cached().unwrap(), ["A"]);
    world.told(&world.update("B", 6, &[5]));
    assert_eq!(world.cached().unwrap(), ["A", "B"]);
    let mut gone = world.update("A", 7, &[6]);
    gone.deleted = Some(true);
    world.told(&gone);
    world.told(&world.update("C", 6, &[5]));
    assert_eq!(world.cached().unwrap(), ["B"], "an old update changes nothing");
    assert_eq!(world.changes(), 1);
}

#[test]
fn a_gap_makes_the_list_be_asked_for_again() {
    let world = World::new();
    world.fetch(Some(5), &["A"]);
    world.told(&world.update("B", 9, &[8]));
    assert!(world.cached().is_err());
    world.told(&world.update("C", 10, &[9]));
    assert!(world.cached().is_err(), "also after one that follows");
    world.fetch(Some(10), &["A", "B", "C"]);
    world.told(&world.update("D", 11, &[10]));
    assert_eq!(world.cached().unwrap().len(), 4);
    world.fetched(FetchTicket { position: StreamPosition(9), generation: 3, is_shared: true }, None, &["A"]);
    world.told(&world.update("E", 12, &[11]));
    assert!(world.cached().is_err(), "an answer that names no update is good until the next one");
}

#[test]
fn only_so_many_bytes_of_devices_are_kept_of_a_user() {
    let world = World::new();
    let padded = |id: &str| {
        let keys = json!({ "user_id": world.carol, "device_id": id, "algorithms": [], "keys": {}, "signatures": {},
            "padding": "x".repeat(30_000) });
        to_raw_value(&keys).unwrap()
    };
    let ids: Vec<String> = (0..40).map(|n| format!("D{n:02}")).collect();
    let fetched = FetchedDevices {
        stream_id: Some(5),
        devices: ids.iter().map(|id| (id.as_str().into(), (padded(id), None))).collect(),
        ..FetchedDevices::default()
    };
    world.devices.fetched(&world.carol, fetched, world.cached().unwrap_err()).unwrap();
    assert_eq!(world.cached().unwrap().len(), 34, "of 30 KB each");
    let mut update = world.update("E", 6, &[5]);
    update.keys = Some(ruma::serde::Raw::from_json(padded("E")));
    world.told(&update);
    assert!(world.cached().is_err(), "one more has no place");
}

#[test]
fn an_answer_that_an_update_overtook_is_not_kept_as_good() {
    let world = World::new();
    let ticket = world.cached().unwrap_err();
    world.told(&world.update("B", 6, &[5]));
    world.fetched(ticket, Some(5), &["A"]);
    assert!(world.cached().is_err());
}

#[test]
fn without_a_shared_room_nothing_is_kept_or_told() {
    let world = World::new();
    world.fetch(Some(5), &["A"]);
    world.set_membership(Membership::Leave);
    assert!(!world.cached().unwrap_err().is_shared);
    world.told(&world.update("B", 6, &[5]));
    assert_eq!(world.changes(), 0);
    world.set_membership(Membership::Join);
    assert!(world.cached().unwrap_err().is_shared, "changes may have been missed");
    let foreign = world.devices.device_changed(server_name!("third.org"), &world.update("B", 6, &[5]));
    assert!(matches!(foreign, Err(UserError::ForeignSender(_))));
}

#[test]
fn keys_of_others_are_left_out_and_cross_signing_keys_follow_updates() {
    let world = World::new();
    let ticket = world.cached().unwrap_err();
    let dans =
        json!({ "user_id": "@dan:x", "device_id": "A", "algorithms": [], "keys": {}, "signatures": {} });
    let devices = [(device_id!("A").to_owned(), (to_raw_value(&dans).unwrap(), None))].into();
    let public = "Q6cucUQBdi32a2jCbfvfJoKq7J8kdOykYT5CSg+6/Tw";
    let master = json!({ "user_id": world.carol, "usage": ["master"], "keys": { format!("ed25519:{public}"): public } });
    let master = to_raw_value(&master).unwrap();
    let fetched = FetchedDevices { devices, master: Some(master.clone()), ..FetchedDevices::default() };
    let shown = world.devices.fetched(&world.carol, fetched, ticket).unwrap();
    assert!(shown.devices.is_empty() && shown.master.is_some());
    let mut update = SigningKeyUpdateContent::new(world.carol.clone());
    update.master_key = Some(ruma::serde::Raw::from_json(to_raw_value(&json!({})).unwrap()));
    world.devices.signing_keys_changed(server_name!("elsewhere.org"), &update).unwrap();
    assert!(world.devices.cached(&world.carol).unwrap().unwrap().master.is_none(), "that is no key");
    update.master_key = Some(ruma::serde::Raw::from_json(master));
    world.devices.signing_keys_changed(server_name!("elsewhere.org"), &update).unwrap();
    assert!(world.devices.cached(&world.carol).unwrap().unwrap().master.is_some());
}
