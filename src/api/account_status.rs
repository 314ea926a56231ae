//! What users may still do whose account an administrator has locked or suspended ([account moderation]).
//!
//! It is asked where a request's user is found out, so that no handler can forget it. One thing shows only in a
//! handler: a suspended user may redact their own events.
//!
//! [account moderation]: https://spec.matrix.org/v1.19/client-server-api/#account-moderation

use http::{Method, request::Parts};

/// Whether a locked account may make the request: it may log out, and that is all.
pub fn is_allowed_while_locked(parts: &Parts) -> bool {
    matches!(segments(parts.uri.path()).as_slice(), ["logout"] | ["logout", "all"])
}

/// Whether a suspended account may make the request: it may read, leave, log out, and keep its keys, and it may not
/// say anything to others.
pub fn is_allowed_while_suspended(parts: &Parts) -> bool {
    if parts.method == Method::GET || parts.method == Method::HEAD {
        return true;
    }
    let segments = segments(parts.uri.path());
    match segments.as_slice() {
        // Invites, joins, messages, state, moderation, upgrades: all that others in the room would see.
        ["rooms", _, what, ..] => {
            matches!(
                *what,
                "leave" | "forget" | "redact" | "receipt" | "read_markers" | "report" | "initialSync"
            )
        }
        ["join" | "knock" | "createRoom" | "profile" | "presence" | "directory" | "delayed_events", ..]
        | ["org.matrix.msc4140", "delayed_events" | "rooms", ..] => false,
        // Where there is no segment it is another API: files are uploaded for others to see.
        [] => !parts.uri.path().starts_with("/_matrix/media/"),
        _ => true,
    }
}

/// The parts of a path behind the API and its version; none for another API than that of clients.
fn segments(path: &str) -> Vec<&str> {
    let Some(rest) = path.strip_prefix("/_matrix/client/") else { return Vec::new() };
    // `unstable` is followed by the name of the feature, which matters to none of the above but delayed events.
    rest.split('/').skip(1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(method: Method, path: &str) -> Parts {
        http::Request::builder().method(method).uri(path).body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_locked_account_may_log_out_only() {
        for (path, allowed) in [
            ("/_matrix/client/v3/logout", true),
            ("/_matrix/client/r0/logout/all", true),
            ("/_matrix/client/v3/sync", false),
            ("/_matrix/client/v3/rooms/logout", false),
            ("/_synapse/admin/v1/logout", false),
        ] {
            assert_eq!(is_allowed_while_locked(&parts(Method::POST, path)), allowed, "{path}");
        }
    }

    #[test]
    fn a_suspended_account_may_not_speak() {
        for (path, allowed) in [
            ("/_matrix/client/v3/rooms/!a:b/send/m.room.message/1", false),
            ("/_matrix/client/v3/rooms/!a:b/state/m.room.topic", false),
            ("/_matrix/client/v3/rooms/!a:b/invite", false),
            ("/_matrix/client/v3/rooms/!a:b/join", false),
            ("/_matrix/client/v3/rooms/!a:b/leave", true),
            ("/_matrix/client/v3/rooms/!a:b/redact/$c/1", true),
            ("/_matrix/client/v3/join/!a:b", false),
            ("/_matrix/client/unstable/org.matrix.msc4140/rooms/!a:b/delayed_event/m.room.message/1", false),
            ("/_matrix/client/unstable/org.matrix.msc4140/delayed_events/x/send", false),
            ("/_matrix/client/v3/profile/@a:b/displayname", false),
            ("/_matrix/client/v3/room_keys/keys", true),
            ("/_matrix/client/v3/keys/upload", true),
            ("/_matrix/client/v3/sendToDevice/m.key.verification.start/1", true),
            ("/_matrix/client/v3/account/deactivate", true),
            ("/_matrix/client/v3/delete_devices", true),
            ("/_matrix/media/v3/upload", false),
        ] {
            assert_eq!(is_allowed_while_suspended(&parts(Method::POST, path)), allowed, "{path}");
        }
        let sync = parts(Method::GET, "/_matrix/client/v3/rooms/!a:b/state/m.room.topic");
        assert!(is_allowed_while_suspended(&sync));
    }
}
