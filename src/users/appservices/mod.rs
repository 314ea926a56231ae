//! Application services as this server knows them: who they are, and which names are theirs
//! ([registration], [identity assertion]).
//!
//! For: telling an application service by its token, saying whose a user id, alias or room is, and refusing
//! names that are reserved. Never: sends anything; delivery is `appservices/`'s. The set is read from a
//! folder and replaced as a whole while the server runs. Main type: [`Appservices`].
//!
//! [registration]: https://spec.matrix.org/v1.19/application-service-api/#registration
//! [identity assertion]: https://spec.matrix.org/v1.19/application-service-api/#identity-assertion

mod acting;
pub mod folder;
mod limits;
mod namespaces;
mod registration;

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use ruma::{OwnedServerName, OwnedUserId, RoomAliasId, RoomId, ServerName, UserId};

use self::namespaces::{Namespaces, Owned, Pattern};
use super::secrets::SecretHash;

pub use self::{
    acting::{ActingFor, Actor},
    registration::{Registration, RegistrationError},
};

/// One application service.
#[derive(Debug)]
pub struct Appservice {
    /// Its registration.
    pub registration: Registration,
    /// Its own user.
    pub sender: OwnedUserId,
    /// Its place in the set that it belongs to.
    number: usize,
}

/// All application services; none by default. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Appservices {
    current: Arc<RwLock<Arc<Registered>>>,
}

/// One set of application services, whole.
#[derive(Debug, Default)]
pub struct Registered {
    server_name: Option<OwnedServerName>,
    services: Vec<Arc<Appservice>>,
    by_token: HashMap<SecretHash, usize>,
    users: Namespaces,
    aliases: Namespaces,
    rooms: Namespaces,
}

impl Appservices {
    /// Replaces the set with what the folder holds, for the users of `server_name`. If any registration is wrong,
    /// all stays as it was.
    pub fn load(
        &self,
        folder: &Path,
        server_name: &ServerName,
    ) -> Result<Arc<Registered>, RegistrationError> {
        let registrations = folder::read(folder)?;
        let registered =
            Registered::new(server_name, registrations).map_err(|error| RegistrationError::Malformed {
                path: folder.to_owned(),
                line: 1,
                message: format!("all namespaces together are too much: {error}"),
            })?;
        let registered = Arc::new(registered);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = registered.clone();
        Ok(registered)
    }

    /// The set in force. A caller that asks several questions asks one set.
    pub fn current(&self) -> Arc<Registered> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The application service with this token, by the token's hash.
    pub fn by_token(&self, token: &SecretHash) -> Option<Arc<Appservice>> {
        self.current().by_token(token)
    }

    /// Whether one that a local user belongs to is sent messages for the user's devices (MSC4203).
    pub fn wants_to_device(&self, user: &UserId) -> bool {
        self.current().of_user(user).any(|service| service.registration.wants_to_device())
    }

    /// Whether one that a local user belongs to is told of the devices' stocks of keys (MSC3202).
    pub fn wants_device_changes(&self, user: &UserId) -> bool {
        self.current().of_user(user).any(|service| service.registration.wants_device_changes())
    }
}

impl Registered {
    fn new(server_name: &ServerName, registrations: Vec<Registration>) -> Result<Self, regex::Error> {
        let mut registered = Self { server_name: Some(server_name.to_owned()), ..Self::default() };
        let mut senders = Vec::new();
        for registration in registrations {
            let number = registered.services.len();
            let sender = format!("@{}:{server_name}", registration.sender_localpart);
            // The registration's checks leave nothing that is no user id but one that is too long.
            let Ok(sender) = UserId::parse(sender) else { continue };
            senders.push((number, Pattern::exactly(sender.as_str())));
            registered.by_token.insert(registration.as_token_hash, number);
            registered.services.push(Arc::new(Appservice { registration, sender, number }));
        }
        let services = registered.services.clone();
        let compile = |of: fn(&Registration) -> &[Pattern], own: &[(usize, Pattern)]| {
            let listed = services.iter().flat_map(|service| {
                of(&service.registration).iter().map(|pattern| (service.number, pattern))
            });
            Namespaces::new(listed.chain(own.iter().map(|(number, pattern)| (*number, pattern))))
        };
        let users = compile(|registration| &registration.users, &senders)?;
        let aliases = compile(|registration| &registration.aliases, &[])?;
        let rooms = compile(|registration| &registration.rooms, &[])?;
        Ok(Self { users, aliases, rooms, ..registered })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    /// All of them, in the order of their files.
    pub fn all(&self) -> &[Arc<Appservice>] {
        &self.services
    }

    /// By id.
    pub fn by_id(&self, id: &str) -> Option<Arc<Appservice>> {
        self.services.iter().find(|service| service.registration.id == id).cloned()
    }

    fn by_token(&self, token: &SecretHash) -> Option<Arc<Appservice>> {
        self.services.get(*self.by_token.get(token)?).cloned()
    }

    fn of(&self, owned: Owned) -> Option<&Arc<Appservice>> {
        self.services.get(owned.owner)
    }

    /// Those that a local user id belongs to, their own users included.
    pub fn of_user(&self, user: &UserId) -> impl Iterator<Item = &Arc<Appservice>> {
        let id = if self.server_name.as_deref() == Some(user.server_name()) { user.as_str() } else { "" };
        self.users.owners(id).filter_map(|owned| self.of(owned))
    }

    /// Those that an alias belongs to.
    pub fn of_alias(&self, alias: &RoomAliasId) -> impl Iterator<Item = &Arc<Appservice>> {
        self.aliases.owners(alias.as_str()).filter_map(|owned| self.of(owned))
    }

    /// Those that look after a room by its id.
    pub fn of_room(&self, room: &RoomId) -> impl Iterator<Item = &Arc<Appservice>> {
        self.rooms.owners(room.as_str()).filter_map(|owned| self.of(owned))
    }

    /// Whether any has names of aliases.
    pub fn has_alias_namespaces(&self) -> bool {
        !self.aliases.is_empty()
    }

    /// Whether `user` may be taken: by anybody (`None`) or by an application service. A name that another one
    /// has for itself alone may not.
    pub fn may_have_user(&self, user: &UserId, who: Option<&Appservice>) -> bool {
        Self::may_have(self.users.owners(user.as_str()), who)
    }

    /// Whether `alias` may be made or removed; as [`may_have_user`](Self::may_have_user).
    pub fn may_have_alias(&self, alias: &RoomAliasId, who: Option<&Appservice>) -> bool {
        Self::may_have(self.aliases.owners(alias.as_str()), who)
    }

    fn may_have(owners: impl Iterator<Item = Owned>, who: Option<&Appservice>) -> bool {
        let mut is_own = false;
        let mut is_reserved = false;
        for owned in owners {
            let own = who.is_some_and(|who| who.number == owned.owner);
            is_own |= own;
            is_reserved |= owned.is_exclusive && !own;
        }
        // An application service stays within its names, even where nobody else claims the others.
        !is_reserved && (who.is_none() || is_own)
    }
}

impl Appservice {
    /// Its place in the set that it belongs to: below 256, and of use for that set only.
    pub fn place(&self) -> usize {
        self.number
    }

    /// Whether it may act as `user`: its own user, or a local one in its namespaces.
    pub fn may_act_as(&self, registered: &Registered, user: &UserId) -> bool {
        registered.of_user(user).any(|service| service.registration.id == self.registration.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::secrets;
    use ruma::{room_alias_id, room_id, server_name, user_id};

    fn loaded() -> (Appservices, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let write = |id: &str, namespaces: &str| {
            let text = format!(
                "id: {id}\nurl: null\nas_token: as-{id}\nhs_token: hs\nsender_localpart: {id}bot\nnamespaces:\n{namespaces}"
            );
            std::fs::write(folder.path().join(format!("{id}.yaml")), text).unwrap();
        };
        write(
            "irc",
            "  users: [{exclusive: true, regex: '@irc_.*'}]\n  aliases: [{exclusive: true, regex: '#irc_.*'}]\n",
        );
        write("log", "  users: [{exclusive: false, regex: '@.*'}]\n  rooms: [{regex: '!log'}]\n");
        let services = Appservices::default();
        services.load(folder.path(), server_name!("example.org")).unwrap();
        (services, folder)
    }

    fn ids<'a>(services: impl Iterator<Item = &'a Arc<Appservice>>) -> Vec<&'a str> {
        let mut ids: Vec<_> = services.map(|service| service.registration.id.as_str()).collect();
        ids.dedup();
        ids
    }

    #[test]
    fn a_token_tells_whose_it_is() {
        let (services, _folder) = loaded();
        let irc = services.by_token(&secrets::hash("as-irc")).unwrap();
        assert_eq!((irc.registration.id.as_str(), irc.sender.as_str()), ("irc", "@ircbot:example.org"));
        assert!(services.by_token(&secrets::hash("hs")).is_none());
    }

    #[test]
    fn names_belong_to_those_whose_patterns_match() {
        let (services, _folder) = loaded();
        let set = services.current();
        assert_eq!(ids(set.of_user(user_id!("@irc_bob:example.org"))), ["irc", "log"]);
        assert_eq!(ids(set.of_user(user_id!("@ircbot:example.org"))), ["log", "irc"]);
        assert!(ids(set.of_user(user_id!("@irc_bob:elsewhere.org"))).is_empty(), "only local users");
        assert_eq!(ids(set.of_alias(room_alias_id!("#irc_rust:example.org"))), ["irc"]);
        assert_eq!(ids(set.of_room(room_id!("!log:example.org"))), ["log"]);
    }

    #[test]
    fn exclusive_names_are_kept_for_their_owner() {
        let (services, _folder) = loaded();
        let set = services.current();
        let (irc, log) = (set.by_id("irc").unwrap(), set.by_id("log").unwrap());
        let ghost = user_id!("@irc_bob:example.org");
        assert!(!set.may_have_user(ghost, None));
        assert!(set.may_have_user(ghost, Some(&irc)));
        assert!(!set.may_have_user(ghost, Some(&log)), "it matches, but is another's alone");
        let alice = user_id!("@alice:example.org");
        assert!(set.may_have_user(alice, None) && set.may_have_user(alice, Some(&log)));
        assert!(!set.may_have_user(alice, Some(&irc)), "outside of its names");
        assert!(!set.may_have_user(user_id!("@ircbot:example.org"), None), "its own user is its own");
        assert!(!set.may_have_alias(room_alias_id!("#irc_rust:example.org"), None));
        assert!(set.may_have_alias(room_alias_id!("#tea:example.org"), None));
    }

    #[test]
    fn a_wrong_registration_leaves_the_set_as_it_was() {
        let (services, folder) = loaded();
        std::fs::write(folder.path().join("bad.yaml"), "id: x").unwrap();
        assert!(services.load(folder.path(), server_name!("example.org")).is_err());
        assert_eq!(services.current().all().len(), 2);
        std::fs::remove_file(folder.path().join("bad.yaml")).unwrap();
        std::fs::remove_file(folder.path().join("log.yaml")).unwrap();
        assert_eq!(services.load(folder.path(), server_name!("example.org")).unwrap().all().len(), 1);
    }
}
