//! What `conduit` prints where nothing is configured, done as it is printed.

use std::process::Command;

use crate::harness::{Server, UNCONFIGURED_ADDRESS};

#[test]
fn the_printed_commands_register_the_first_account() {
    let (server, printed) = Server::start_unconfigured();
    let commands = commands(&printed).replace(&format!("http://{UNCONFIGURED_ADDRESS}"), server.base_url());
    let run = Command::new("sh").args(["-euc", &commands]).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{commands}\n{said}\n{}", String::from_utf8_lossy(&run.stderr));

    // The answers follow each other without a line between them.
    let answers: Vec<serde_json::Value> =
        serde_json::Deserializer::from_str(&said).into_iter().map(Result::unwrap).collect();
    let [versions, session] = &*answers else { panic!("two answers: {said}") };
    assert!(versions["versions"].is_array(), "{versions}");
    let mut me = server.anonymous();
    me.adopt(session);
    assert_eq!(me.user_id, "@me:localhost");
    assert_eq!(me.get("/_matrix/client/v3/account/whoami").ok()["user_id"], "@me:localhost");
    server.anonymous().log_in("me", "choose-one").ok();
}

/// The lines to copy: those that are indented as far as `curl` is, but for the token on its own and the URL.
fn commands(printed: &str) -> String {
    let (indentation, _) = printed.lines().find_map(|line| line.split_once("curl ")).expect("a command");
    let indented = printed.lines().filter_map(|line| line.strip_prefix(indentation));
    let is_command = |line: &&str| line.contains(char::is_whitespace) || line.ends_with(['{', '}', ')']);
    indented.filter(is_command).collect::<Vec<_>>().join("\n")
}
