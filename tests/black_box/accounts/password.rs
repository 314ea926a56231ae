//! Change of password, and the end of an account.

use serde_json::{Value, json};

use crate::harness::{Answer, Client, PASSWORD, Server};

const PASSWORD_CHANGE: &str = "/_matrix/client/v3/account/password";
const DEACTIVATE: &str = "/_matrix/client/v3/account/deactivate";
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";
const NEW_PASSWORD: &str = "entirely different staple";

/// Posts a body that needs the password, answering the challenge.
#[track_caller]
fn post_with_password(client: &Client, path: &str, mut body: Value, password: &str) -> Answer {
    let challenge = client.post(path, body.clone());
    assert_eq!(challenge.status, 401, "{challenge}");
    body["auth"] = json!({
        "type": "m.login.password", "password": password, "session": challenge.json()["session"],
        "identifier": { "type": "m.id.user", "user": client.user_id },
    });
    client.post(path, body)
}

#[test]
fn a_new_password_replaces_the_old_and_ends_other_sessions() {
    let server = Server::start();
    let alice = server.register("alice");
    let tablet = alice.log_in_again();
    let body = json!({ "new_password": NEW_PASSWORD });
    assert_eq!(post_with_password(&alice, PASSWORD_CHANGE, body.clone(), "wrong").status, 401);
    tablet.get(WHOAMI).ok();
    post_with_password(&alice, PASSWORD_CHANGE, body, PASSWORD).ok();
    alice.get(WHOAMI).ok();
    tablet.get(WHOAMI).error(401, "M_UNKNOWN_TOKEN");
    alice.log_in(&alice.user_id, PASSWORD).error(403, "M_FORBIDDEN");
    alice.log_in(&alice.user_id, NEW_PASSWORD).ok();
}

#[test]
fn other_sessions_stay_when_the_client_says_so() {
    let server = Server::start();
    let alice = server.register("alice");
    let tablet = alice.log_in_again();
    let body = json!({ "new_password": NEW_PASSWORD, "logout_devices": false });
    post_with_password(&alice, PASSWORD_CHANGE, body, PASSWORD).ok();
    tablet.get(WHOAMI).ok();
}

#[test]
fn a_deactivated_account_is_closed_for_good() {
    let server = Server::start();
    let alice = server.register("alice");
    let bob = server.register("bob");
    let tablet = alice.log_in_again();
    let room = bob.create_room_with(&[&alice]);
    let answer = post_with_password(&alice, DEACTIVATE, json!({}), PASSWORD).ok();
    let unbind = answer["id_server_unbind_result"].as_str().unwrap();
    assert!(["success", "no-support"].contains(&unbind), "{answer}");
    alice.get(WHOAMI).error(401, "M_UNKNOWN_TOKEN");
    tablet.get(WHOAMI).error(401, "M_UNKNOWN_TOKEN");
    let login = bob.log_in(&alice.user_id, PASSWORD);
    assert_eq!(login.status, 403, "{login}");
    let errcode = login.errcode().unwrap();
    assert!(["M_USER_DEACTIVATED", "M_FORBIDDEN"].contains(&errcode.as_str()), "{login}");
    let localpart = alice.user_id[1..].split(':').next().unwrap();
    let body = json!({ "username": localpart, "password": PASSWORD });
    server.anonymous().post("/_matrix/client/v3/register", body).error(400, "M_USER_IN_USE");
    // The rest of the house goes on.
    bob.send_text(&room, "still here");
}
