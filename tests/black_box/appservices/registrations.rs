//! Registration files: read at the start and while the server runs, and by the operator's commands.

use std::fs;

use super::{Bridged, register, registration, wait_for};
use crate::harness::{Server, ServerSettings};

const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

#[test]
fn files_take_effect_while_the_server_runs() {
    let bridged = Bridged::start();
    let file = bridged.server.config_path().parent().unwrap().join("registrations/irc.yaml");
    let with_token = |token: &str| bridged.server.anonymous().with_token(Some(token)).get(WHOAMI).status;
    register(&bridged.server, "broken", "id: [");
    register(&bridged.server, "irc", &registration("http://127.0.0.1:9").replace("as-token", "new-token"));
    assert_eq!(with_token("as-token"), 200, "with a broken file beside it, all stays as it was");
    fs::remove_file(file.with_file_name("broken.yaml")).unwrap();
    wait_for(|| with_token("new-token") == 200);
    assert_eq!(with_token("as-token"), 401);
    fs::remove_file(file).unwrap();
    wait_for(|| with_token("new-token") == 401);
}

#[test]
fn a_wrong_file_stops_the_start_and_says_where() {
    let mut server = Server::start_with(&ServerSettings::default());
    server.stop();
    register(&server, "irc", &registration("nonsense"));
    let refused = server.run(&[]);
    assert!(!refused.status.success());
    assert!(refused.text.contains("irc.yaml:2: `url`"), "{refused}");
}

#[test]
fn an_operator_registers_lists_shows_and_unregisters() {
    let server = Server::start_with(&ServerSettings::default());
    let file = server.config_path().with_file_name("my-bridge.yaml");
    fs::write(&file, registration("http://127.0.0.1:9")).unwrap();
    let file = file.to_str().unwrap();
    let whoami = || server.anonymous().with_token(Some("as-token")).get(WHOAMI).status;

    let done = server.run(&["appservice", "register", file]);
    assert!(done.status.success(), "{done}");
    wait_for(|| whoami() == 200);
    let again = server.run(&["appservice", "register", file]);
    assert!(!again.status.success() && again.text.contains("irc"), "it is registered already: {again}");
    let list = server.run(&["appservice", "list"]);
    assert!(list.text.contains("irc") && list.text.contains("http://127.0.0.1:9"), "{list}");
    let shown = server.run(&["appservice", "show", "irc"]);
    assert!(shown.text.contains("ircbot") && !shown.text.contains("hs-token"), "{shown}");
    assert!(!server.run(&["appservice", "show", "xmpp"]).status.success());
    assert!(server.run(&["appservice", "unregister", "irc"]).status.success());
    wait_for(|| whoami() == 401);
    assert!(!server.run(&["appservice", "unregister", "irc"]).status.success());
}
