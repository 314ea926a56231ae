//! Server access control lists ([`m.room.server_acl`]): which servers may take part in a room.
//!
//! A list is compiled once for each event that sets one and kept, so that asking costs a look-up of the room's
//! state and of one name. Nothing here decides about events: lists act on requests. Main type: [`ServerAcls`].
//!
//! [`m.room.server_acl`]: https://spec.matrix.org/v1.19/client-server-api/#server-access-control-lists-acls-for-rooms

use std::{collections::HashSet, sync::Arc};

use quick_cache::{Weighter, sync::Cache};
use ruma::ServerName;
use serde_json::Value;

use super::{EventStore, RoomError, RoomIndex, RoomStates, limits};
use crate::{
    matrix::{
        event::Event,
        glob::{self, Wildcards},
    },
    storage::{ShortEventId, ShortRoomId},
};

/// One compiled list.
#[derive(Debug, Default)]
pub struct ServerAcl {
    denies_ip_literals: bool,
    allow: Patterns,
    deny: Patterns,
}

/// Names without wildcards by look-up, the others one after the other.
#[derive(Debug, Default)]
struct Patterns {
    names: HashSet<String>,
    globs: Vec<String>,
}

impl Patterns {
    fn of(list: Option<&Value>) -> Self {
        let mut patterns = Self::default();
        let texts = list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        for text in texts {
            let pattern = text.to_lowercase();
            if pattern.contains(['*', '?']) {
                patterns.globs.push(pattern);
            } else {
                patterns.names.insert(pattern);
            }
        }
        patterns
    }

    fn matches(&self, name: &str) -> bool {
        self.names.contains(name)
            || self.globs.iter().any(|glob| glob::matches(glob, name, Wildcards::StarAndOne))
    }
}

impl ServerAcl {
    /// The list that an event sets. Entries that are no strings are left out; a list that is no list is empty.
    pub fn of(event: &Event) -> Self {
        let content: Value = event.content().unwrap_or_default();
        Self {
            denies_ip_literals: content.get("allow_ip_literals") == Some(&Value::Bool(false)),
            allow: Patterns::of(content.get("allow")),
            deny: Patterns::of(content.get("deny")),
        }
    }

    /// Whether the server may take part; its port is not looked at.
    pub fn allows(&self, server: &ServerName) -> bool {
        let name = server.host().to_lowercase();
        if self.denies_ip_literals && server.is_ip_literal() {
            return false;
        }
        !self.deny.matches(&name) && self.allow.matches(&name)
    }
}

/// A compiled list with the event it was made of: a redaction leaves the same event with another text.
#[derive(Debug, Clone)]
struct Compiled {
    event: Arc<Event>,
    acl: Arc<ServerAcl>,
}

#[derive(Clone)]
struct CompiledWeight;

impl Weighter<ShortEventId, Compiled> for CompiledWeight {
    fn weight(&self, _short: &ShortEventId, compiled: &Compiled) -> u64 {
        // The event's text, and about as much again for the list.
        2 * compiled.event.json().len() as u64 + limits::EVENT_CACHE_ENTRY_BYTES
    }
}

/// Asks rooms' lists. Cheap to clone.
#[derive(Clone)]
pub struct ServerAcls {
    index: RoomIndex,
    events: EventStore,
    states: RoomStates,
    compiled: Arc<Cache<ShortEventId, Compiled, CompiledWeight>>,
}

impl std::fmt::Debug for ServerAcls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerAcls").finish_non_exhaustive()
    }
}

impl ServerAcls {
    /// Over the rooms' states.
    pub fn new(index: RoomIndex, events: EventStore, states: RoomStates) -> Self {
        let compiled = Cache::with_weighter(64, limits::SERVER_ACL_CACHE_BYTES, CompiledWeight);
        Self { index, events, states, compiled: Arc::new(compiled) }
    }

    /// Whether a room's list, as it is now, lets a server take part; a room without a list lets every server.
    pub fn allows(&self, server: &ServerName, room: ShortRoomId) -> Result<bool, RoomError> {
        let current = self.index.current_state(room)?;
        let Some(short) = self.states.get(current, "m.room.server_acl", "")? else { return Ok(true) };
        let Some(stored) = self.events.get(short)? else { return Ok(true) };
        let known = self.compiled.get(&short);
        let is_same = |known: &Compiled| known.event.content_json() == stored.event.content_json();
        if let Some(known) = known.filter(is_same) {
            return Ok(known.acl.allows(server));
        }
        let acl = Arc::new(ServerAcl::of(&stored.event));
        self.compiled.insert(short, Compiled { event: stored.event, acl: acl.clone() });
        Ok(acl.allows(server))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rooms::stored_room::StoredRoom;
    use proptest::prelude::*;
    use serde_json::json;

    fn server(name: &str) -> &ServerName {
        <&ServerName>::try_from(name).unwrap()
    }

    fn allowed(content: Value, names: &[&str]) -> Vec<bool> {
        let mut room = StoredRoom::new();
        room.set("m.room.server_acl", content);
        let acls = ServerAcls::new(room.index.clone(), room.events.clone(), room.states.clone());
        names.iter().map(|name| acls.allows(server(name), room.room).unwrap()).collect()
    }

    #[test]
    fn a_room_without_a_list_is_open() {
        let room = StoredRoom::new();
        let acls = ServerAcls::new(room.index.clone(), room.events.clone(), room.states.clone());
        assert!(acls.allows(server("evil.com"), room.room).unwrap());
    }

    #[test]
    fn deny_goes_before_allow_and_ports_and_case_do_not_count() {
        let content = json!({"allow": ["*"], "deny": ["evil.com", "*.EVIL.com", "b?d.org", 7]});
        let names = ["evil.com", "Evil.com:8448", "a.b.evil.com:1", "bad.org", "baad.org", "good.com"];
        assert_eq!(allowed(content, &names), [false, false, false, false, true, true]);
    }

    #[test]
    fn a_list_that_allows_nothing_lets_nobody_in() {
        for content in [json!({}), json!({"allow": "*"}), json!({"allow": []})] {
            assert_eq!(allowed(content, &["good.com"]), [false]);
        }
    }

    #[test]
    fn ip_literals_are_denied_on_demand_only() {
        let names = ["1.2.3.4", "[::1]:8448", "good.com"];
        let content = json!({"allow": ["*"], "allow_ip_literals": false});
        assert_eq!(allowed(content, &names), [false, false, true]);
        let content = json!({"allow": ["*"], "allow_ip_literals": "false"});
        assert_eq!(allowed(content, &names), [true, true, true]);
    }

    #[test]
    fn a_new_list_counts_at_once() {
        let mut room = StoredRoom::new();
        let acls = ServerAcls::new(room.index.clone(), room.events.clone(), room.states.clone());
        room.set("m.room.server_acl", json!({"allow": ["*"]}));
        assert!(acls.allows(server("evil.com"), room.room).unwrap());
        room.set("m.room.server_acl", json!({"allow": ["*"], "deny": ["evil.com"]}));
        assert!(!acls.allows(server("evil.com"), room.room).unwrap());
    }

    proptest! {
        #[test]
        fn globs_match_as_their_regular_expressions(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let expression = format!("^{}$", pattern.replace('*', ".*").replace('?', "."));
            let expected = regex::Regex::new(&expression).unwrap().is_match(&text);
            prop_assert_eq!(glob::matches(&pattern, &text, Wildcards::StarAndOne), expected);
        }
    }
}
