//! Application services that act for their users: who is meant, and making accounts without a password
//! ([identity assertion], [server admin style permissions]).
//!
//! [identity assertion]: https://spec.matrix.org/v1.19/application-service-api/#identity-assertion
//! [server admin style permissions]: https://spec.matrix.org/v1.19/application-service-api/#server-admin-style-permissions

use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};

use super::Appservice;
use crate::{
    storage::{
        Json, Read, ShortUserId,
        records::{AccountRecord, DeviceRecord},
        tables,
    },
    users::{Accounts, NewAccount, Sessions, StartedSession, UserError, limits, sessions::cut},
};

/// For whom an application service makes a request, as the request's query says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActingFor {
    /// The user; the application service's own if there is none.
    pub user_id: Option<OwnedUserId>,
    /// The device; without one the request is made by none.
    pub device_id: Option<OwnedDeviceId>,
}

/// A user for whom an application service may act.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The user.
    pub user_id: OwnedUserId,
    /// The user's short id.
    pub user: ShortUserId,
    /// The device; empty for none.
    pub device_id: OwnedDeviceId,
    /// Whether the user administers this server.
    pub is_admin: bool,
}

impl Sessions {
    /// The user and device that an application service acts for. The user must be in its namespaces and have
    /// an account, the device must be one of the user's.
    pub fn act(&self, appservice: &Appservice, acting: ActingFor) -> Result<Actor, UserError> {
        let user_id = acting.user_id.unwrap_or_else(|| appservice.sender.clone());
        if !appservice.may_act_as(&self.appservices().current(), &user_id) {
            return Err(UserError::NotInNamespace(user_id));
        }
        let storage = self.storage();
        let not_registered = || UserError::NotRegistered(user_id.clone());
        let user = storage.short_user_id(&user_id)?.ok_or_else(not_registered)?;
        let Json(account): Json<AccountRecord> =
            storage.get(&tables::ACCOUNTS, &user)?.ok_or_else(not_registered)?;
        if account.is_deactivated {
            return Err(UserError::Deactivated);
        }
        let device_id = match acting.device_id {
            Some(device_id) => {
                if !storage.contains(&tables::DEVICES, &(user, device_id.clone()))? {
                    return Err(UserError::NotADeviceOf { user_id, device_id });
                }
                device_id
            }
            None => OwnedDeviceId::from(""),
        };
        Ok(Actor { user_id, user, device_id, is_admin: account.is_admin })
    }

    /// Makes a device without a session, for a user of an application service, which needs no token for it
    /// (MSC4190). If there is such a device, it stays, but for the name, if one is given.
    pub fn make_device(
        &self,
        user: ShortUserId,
        device_id: &DeviceId,
        display_name: Option<String>,
    ) -> Result<(), UserError> {
        let length = device_id.as_bytes().len();
        if length == 0 || length > limits::DEVICE_ID_BYTES_MAX {
            return Err(UserError::DeviceIdTooLong);
        }
        let display_name = display_name.map(|name| cut(name, limits::DEVICE_DISPLAY_NAME_BYTES_MAX));
        let key = (user, device_id.to_owned());
        let now = self.clock().now();
        self.storage().write(|tx| {
            let known = tx.get(&tables::DEVICES, &key)?;
            let fresh = || Json(DeviceRecord { display_name: None, created_at: now });
            let Json(mut record) = known.clone().unwrap_or_else(fresh);
            record.display_name = display_name.or(record.display_name);
            if known.is_none_or(|Json(known)| known != record) {
                tx.put(&tables::DEVICES, &key, &Json(record));
            }
            Ok(())
        })
    }
}

impl Accounts {
    /// Makes an account for an application service, whose names it must be: capitals are kept, since bridges
    /// map names of other networks.
    pub fn register_for(
        &self,
        appservice: &Appservice,
        localpart: &str,
        account: NewAccount,
    ) -> Result<(OwnedUserId, Option<StartedSession>), UserError> {
        let user_id = UserId::parse(format!("@{localpart}:{}", self.server_name()))
            .map_err(|_| UserError::InvalidUsername)?;
        if !self.is_local(&user_id) || localpart.is_empty() {
            return Err(UserError::InvalidUsername);
        }
        if !self.appservices().current().may_have_user(&user_id, Some(appservice)) {
            return Err(UserError::ExclusiveUser(user_id));
        }
        let account = NewAccount { appservice: Some(appservice.registration.id.clone()), ..account };
        let session = self.create(&user_id, account)?;
        Ok((user_id, session))
    }

    /// Sees to it that each application service's own user has an account.
    pub fn ensure_senders(&self) -> Result<(), UserError> {
        for appservice in self.appservices().current().all() {
            let localpart = appservice.sender.localpart();
            match self.register_for(appservice, localpart, NewAccount::default()) {
                Ok(_) => tracing::info!(user_id = %appservice.sender, "made the application service's user"),
                Err(UserError::UserInUse(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::{NewDevice, fixture::Fixture, secrets};
    use ruma::{device_id, server_name, user_id};

    fn server() -> (Fixture, std::sync::Arc<Appservice>) {
        let server = Fixture::new();
        let folder = tempfile::tempdir().unwrap();
        let text = "id: irc\nurl: null\nas_token: as\nhs_token: hs\nsender_localpart: ircbot\n\
                    namespaces: {users: [{exclusive: true, regex: '@irc_.*'}]}\n";
        std::fs::write(folder.path().join("irc.yaml"), text).unwrap();
        server.sessions.appservices().load(folder.path(), server_name!("example.org")).unwrap();
        server.accounts.ensure_senders().unwrap();
        server.accounts.ensure_senders().unwrap();
        let irc = server.sessions.appservices().by_token(&secrets::hash("as")).unwrap();
        (server, irc)
    }

    fn acting(user: &UserId) -> ActingFor {
        ActingFor { user_id: Some(user.to_owned()), device_id: None }
    }

    #[test]
    fn it_acts_for_itself_and_for_users_that_it_made() {
        let (server, irc) = server();
        let own = server.sessions.act(&irc, ActingFor::default()).unwrap();
        assert_eq!((own.user_id.as_str(), own.device_id.as_str()), ("@ircbot:example.org", ""));
        assert!(!own.is_admin, "the first account of a server is its administrator's, not a bot's");
        let ghost = user_id!("@irc_Bob:example.org");
        let refused = server.sessions.act(&irc, acting(ghost)).unwrap_err();
        assert!(matches!(refused, UserError::NotRegistered(_)));
        let made = server.accounts.register_for(&irc, "irc_Bob", NewAccount::default()).unwrap();
        assert_eq!(made.0, ghost, "capitals stay");
        assert_eq!(server.sessions.act(&irc, acting(ghost)).unwrap().user_id, ghost);
        let first_person = server.user("alice");
        assert!(server.accounts.is_admin(&first_person.user_id).unwrap());
        let refused = server.sessions.act(&irc, acting(&first_person.user_id)).unwrap_err();
        assert!(matches!(refused, UserError::NotInNamespace(_)));
    }

    #[test]
    fn a_device_must_be_the_users() {
        let (server, irc) = server();
        let account = NewAccount {
            device: Some(NewDevice {
                device_id: Some("BRIDGE".into()),
                display_name: None,
                ..NewDevice::default()
            }),
            ..NewAccount::default()
        };
        let (ghost, session) = server.accounts.register_for(&irc, "irc_bob", account).unwrap();
        assert_eq!(session.unwrap().device_id, device_id!("BRIDGE"));
        let with = |device: &str| ActingFor { device_id: Some(device.into()), ..acting(&ghost) };
        assert_eq!(server.sessions.act(&irc, with("BRIDGE")).unwrap().device_id, device_id!("BRIDGE"));
        let refused = server.sessions.act(&irc, with("OTHER")).unwrap_err();
        assert!(matches!(refused, UserError::NotADeviceOf { .. }));
    }

    #[test]
    fn a_device_is_made_once_and_renamed() {
        let (server, irc) = server();
        let (_, _) = server.accounts.register_for(&irc, "irc_bob", NewAccount::default()).unwrap();
        let ghost = user_id!("@irc_bob:example.org");
        let user = server.sessions.act(&irc, acting(ghost)).unwrap().user;
        let make = |device: &str, name: Option<&str>| {
            server.sessions.make_device(user, device.into(), name.map(str::to_owned))
        };
        make("BRIDGE", Some("Bridge")).unwrap();
        make("BRIDGE", None).unwrap();
        let device = server.devices.get(user, device_id!("BRIDGE")).unwrap();
        assert_eq!(device.display_name.as_deref(), Some("Bridge"));
        assert!(matches!(make("", None), Err(UserError::DeviceIdTooLong)));
        let with = ActingFor { device_id: Some("BRIDGE".into()), ..acting(ghost) };
        assert_eq!(server.sessions.act(&irc, with).unwrap().device_id, device_id!("BRIDGE"));
    }

    #[test]
    fn names_are_kept_apart() {
        let (server, irc) = server();
        let outside = server.accounts.register_for(&irc, "alice", NewAccount::default()).unwrap_err();
        assert!(matches!(outside, UserError::ExclusiveUser(_)));
        for reserved in ["irc_bob", "ircbot"] {
            let refused = server.accounts.free_user_id(reserved).unwrap_err();
            assert!(matches!(refused, UserError::ExclusiveUser(_) | UserError::UserInUse(_)), "{reserved}");
        }
        let nonsense = server.accounts.register_for(&irc, "irc_:b", NewAccount::default()).unwrap_err();
        assert!(matches!(nonsense, UserError::InvalidUsername));
    }
}
