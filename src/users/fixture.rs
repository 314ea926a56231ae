//! A server's user services over a store in memory, for tests.

use ruma::{OwnedDeviceId, OwnedUserId, UserId, server_name};

use super::{
    AccountData, Accounts, Clock, Devices, EncryptionKeys, Filters, ManualClock, NewAccount, NewDevice,
    Passwords, Profiles, Sessions, ToDevice,
};
use crate::storage::{Read, ShortUserId, Storage};

/// The services.
pub(crate) struct Fixture {
    pub(crate) storage: Storage,
    pub(crate) clock: Clock,
    pub(crate) time: ManualClock,
    pub(crate) sessions: Sessions,
    pub(crate) accounts: Accounts,
    pub(crate) devices: Devices,
    pub(crate) profiles: Profiles,
    pub(crate) account_data: AccountData,
    pub(crate) filters: Filters,
    pub(crate) to_device: ToDevice,
    pub(crate) keys: EncryptionKeys,
}

/// A registered user with one session.
pub(crate) struct TestUser {
    pub(crate) user_id: OwnedUserId,
    pub(crate) user: ShortUserId,
    pub(crate) device_id: OwnedDeviceId,
    pub(crate) access_token: String,
}

/// The password of all test users.
pub(crate) const PASSWORD: &str = "correct horse";

impl Fixture {
    /// An empty server called `example.org`, on 2023-11-14.
    pub(crate) fn new() -> Self {
        let storage = Storage::in_memory().unwrap();
        let (clock, time) = Clock::manual(1_700_000_000_000);
        let sessions = Sessions::new(storage.clone(), clock.clone());
        let accounts = Accounts::new(
            storage.clone(),
            sessions.clone(),
            Passwords::with_cost(8, 64, 1),
            server_name!("example.org").to_owned(),
            clock.clone(),
        );
        let devices = Devices::new(storage.clone(), sessions.last_seen().clone());
        let profiles = Profiles::new(storage.clone(), accounts.clone());
        let account_data = AccountData::new(storage.clone());
        let filters = Filters::new(storage.clone());
        let server_name = server_name!("example.org").to_owned();
        let to_device = ToDevice::new(storage.clone(), server_name.clone(), clock.clone());
        let keys = EncryptionKeys::new(storage.clone(), server_name);
        Self {
            storage,
            clock,
            time,
            sessions,
            accounts,
            devices,
            profiles,
            account_data,
            filters,
            to_device,
            keys,
        }
    }

    /// Registers a user with [`PASSWORD`].
    pub(crate) fn user(&self, localpart: &str) -> TestUser {
        let user_id = UserId::parse(format!("@{localpart}:example.org")).unwrap();
        let account = NewAccount {
            password: Some(PASSWORD.to_owned()),
            device: Some(NewDevice::default()),
            ..NewAccount::default()
        };
        let session = self.accounts.register(&user_id, account).unwrap().unwrap();
        let user = self.storage.short_user_id(&user_id).unwrap().unwrap();
        TestUser { user_id, user, device_id: session.device_id, access_token: session.access_token }
    }
}
