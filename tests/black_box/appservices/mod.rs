//! Application services: a bridge as the tests play it.

mod acting;
mod delivery;
mod devices;
mod registrations;

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Client, Listener, Server};

/// A server with one application service, `irc`, that is played by the test.
struct Bridged {
    server: Server,
    bridge: Listener,
}

impl Bridged {
    fn start() -> Self {
        Self::start_with("")
    }

    /// With more lines in the registration.
    fn start_with(lines: &str) -> Self {
        let bridge = Listener::start();
        let server = Server::start();
        register(&server, "irc", &(registration(&bridge.url()) + lines));
        let bridged = Self { server, bridge };
        bridged.wait_until_registered();
        bridged
    }

    /// The bridge's own user.
    fn bot(&self) -> Client {
        let mut bot = self.server.anonymous().with_token(Some("as-token"));
        "@ircbot:localhost".clone_into(&mut bot.user_id);
        bot
    }

    /// A registration takes effect when the server has noticed the file: asked for until then.
    fn wait_until_registered(&self) {
        wait_for(|| self.bot().get("/_matrix/client/v3/account/whoami").status == 200);
    }

    /// Makes one of the bridge's users.
    #[track_caller]
    fn ghost(&self, name: &str) -> String {
        let body = json!({ "type": "m.login.application_service", "username": name, "inhibit_login": true });
        let made = self.bot().post("/_matrix/client/v3/register", body).ok();
        made["user_id"].as_str().unwrap().to_owned()
    }

    /// The events of the next transaction that has any, in order.
    #[track_caller]
    fn next_events(&self) -> Vec<Value> {
        loop {
            let request = self.bridge.next();
            if request.path.contains("/transactions/") {
                let events = request.body["events"].as_array().unwrap().clone();
                if !events.is_empty() {
                    return events;
                }
            }
        }
    }

    /// Takes events until one with this body.
    #[track_caller]
    fn events_until(&self, body: &str) -> Vec<Value> {
        let mut events = Vec::new();
        while events.last().is_none_or(|event: &Value| event["content"]["body"] != body) {
            events.extend(self.next_events());
        }
        events
    }
}

/// `path` with the user that the application service acts for.
fn acting_for(path: &str, user_id: &str) -> String {
    let separator = if path.contains('?') { '&' } else { '?' };
    format!("{path}{separator}user_id={}", crate::harness::path_segment(user_id))
}

fn registration(url: &str) -> String {
    format!(
        "id: irc\nurl: {url}\nas_token: as-token\nhs_token: hs-token\nsender_localpart: ircbot\n\
         rate_limited: false\nprotocols: [irc]\nreceive_ephemeral: true\n\
         namespaces:\n  users:\n    - exclusive: true\n      regex: '@irc_.*:localhost'\n  \
         aliases:\n    - exclusive: true\n      regex: '#irc_.*:localhost'\n  rooms: []\n"
    )
}

/// Writes a registration where the server looks for them.
fn register(server: &Server, name: &str, text: &str) {
    let folder = server.config_path().parent().unwrap().join("registrations");
    fs::create_dir_all(&folder).unwrap();
    // As operators' tools do it: whole or not at all.
    let draft = folder.join(format!(".{name}"));
    fs::write(&draft, text).unwrap();
    fs::rename(draft, folder.join(format!("{name}.yaml"))).unwrap();
}

/// Asks until the answer is yes: for what takes effect in the background without a sign of it.
#[track_caller]
fn wait_for(mut is_so: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !is_so() {
        assert!(start.elapsed() < std::time::Duration::from_secs(60), "it does not come about");
        std::thread::yield_now();
    }
}
