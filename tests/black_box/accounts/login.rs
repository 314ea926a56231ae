//! Login, tokens, logout.

use serde_json::json;

use crate::harness::{PASSWORD, Server, unique};

const LOGIN: &str = "/_matrix/client/v3/login";
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

#[test]
fn the_password_flow_is_offered() {
    let server = Server::start();
    let flows = server.anonymous().get(LOGIN).ok()["flows"].clone();
    let offers_password = flows.as_array().unwrap().iter().any(|flow| flow["type"] == "m.login.password");
    assert!(offers_password, "{flows}");
}

#[test]
fn a_user_logs_in_by_full_id_and_by_localpart() {
    let server = Server::start();
    let alice = server.register("alice");
    let localpart = alice.user_id[1..].split(':').next().unwrap();
    let anonymous = server.anonymous();
    for name in [&alice.user_id, localpart] {
        let session = anonymous.log_in(name, PASSWORD).ok();
        assert_eq!(session["user_id"], alice.user_id);
        let token = session["access_token"].as_str().unwrap();
        assert_ne!(Some(token), alice.token.as_deref(), "each login has a token of its own");
        assert_ne!(session["device_id"], alice.device_id, "and a device of its own");
    }
    let old_form = json!({ "type": "m.login.password", "user": localpart, "password": PASSWORD });
    assert_eq!(anonymous.post(LOGIN, old_form).ok()["user_id"], alice.user_id);
}

#[test]
fn wrong_password_and_unknown_user_cannot_be_told_apart() {
    let server = Server::start();
    let alice = server.register("alice");
    let anonymous = server.anonymous();
    let wrong = anonymous.log_in(&alice.user_id, "wrong").error(403, "M_FORBIDDEN");
    let unknown = anonymous.log_in(&unique("nobody"), PASSWORD).error(403, "M_FORBIDDEN");
    assert_eq!(wrong, unknown);
    anonymous.log_in("@alice:elsewhere.example", PASSWORD).error(403, "M_FORBIDDEN");
}

#[test]
fn an_unknown_login_type_is_refused() {
    let server = Server::start();
    let anonymous = server.anonymous();
    let answer = anonymous.post(LOGIN, json!({ "type": "org.example.telepathy" }));
    assert_eq!(answer.status, 400, "{answer}");
    assert!(answer.errcode().is_some(), "{answer}");
    let answer = anonymous.post(LOGIN, json!({ "type": "m.login.password", "password": PASSWORD }));
    assert_eq!(answer.status, 400, "no identifier: {answer}");
    let answer = anonymous.post(LOGIN, json!({ "type": "m.login.token", "token": "invented" }));
    assert_eq!(answer.status, 403, "a token that nobody gave: {answer}");
}

#[test]
fn a_login_on_a_known_device_stays_on_it() {
    let server = Server::start();
    let alice = server.register("alice");
    let body = json!({
        "type": "m.login.password", "password": PASSWORD, "device_id": alice.device_id,
        "identifier": { "type": "m.id.user", "user": alice.user_id },
    });
    let session = server.anonymous().post(LOGIN, body).ok();
    assert_eq!(session["device_id"], alice.device_id);
    assert_ne!(session["access_token"].as_str(), alice.token.as_deref());
    let again = alice.with_token(session["access_token"].as_str());
    assert_eq!(again.get(WHOAMI).ok()["device_id"], alice.device_id);
    let devices = again.get("/_matrix/client/v3/devices").ok()["devices"].clone();
    assert_eq!(devices.as_array().unwrap().len(), 1, "{devices}");
}

#[test]
fn logout_ends_one_session_and_its_device() {
    let server = Server::start();
    let alice = server.register("alice");
    let tablet = alice.log_in_again();
    tablet.post("/_matrix/client/v3/logout", json!({})).ok();
    tablet.get(WHOAMI).error(401, "M_UNKNOWN_TOKEN");
    alice.get(WHOAMI).ok();
    let device = format!("/_matrix/client/v3/devices/{}", tablet.device_id);
    alice.get(&device).error(404, "M_NOT_FOUND");
}

#[test]
fn logout_all_ends_every_session() {
    let server = Server::start();
    let alice = server.register("alice");
    let tablet = alice.log_in_again();
    tablet.post("/_matrix/client/v3/logout/all", json!({})).ok();
    alice.get(WHOAMI).error(401, "M_UNKNOWN_TOKEN");
    tablet.get(WHOAMI).error(401, "M_UNKNOWN_TOKEN");
    let back = alice.log_in_again();
    let devices = back.get("/_matrix/client/v3/devices").ok()["devices"].clone();
    assert_eq!(devices.as_array().unwrap().len(), 1, "{devices}");
}

#[test]
fn sessions_outlive_a_restart() {
    let mut server = Server::start_with(&crate::harness::ServerSettings::default());
    let alice = server.register("alice");
    let gone = alice.log_in_again();
    gone.post("/_matrix/client/v3/logout", json!({})).ok();
    server.stop();
    server.restart();
    assert_eq!(alice.moved_to(server.base_url()).get(WHOAMI).ok()["user_id"], alice.user_id);
    gone.moved_to(server.base_url()).get(WHOAMI).error(401, "M_UNKNOWN_TOKEN");
    alice.moved_to(server.base_url()).log_in_again();
}

#[test]
fn a_session_signs_another_client_in() {
    let server = Server::start();
    let alice = server.register("alice");
    let path = "/_matrix/client/v1/login/get_token";
    let challenge = alice.post(path, json!({}));
    assert_eq!(challenge.status, 401, "{challenge}");
    let identifier = json!({ "type": "m.id.user", "user": alice.user_id });
    let session = challenge.json()["session"].clone();
    let auth = json!({
        "type": "m.login.password", "identifier": identifier, "password": PASSWORD, "session": session,
    });
    let token = alice.post(path, json!({ "auth": auth })).ok();
    let login = json!({ "type": "m.login.token", "token": token["login_token"] });
    let nobody = server.anonymous();
    let answer = nobody.post("/_matrix/client/v3/login", login.clone()).ok();
    assert_eq!(answer["user_id"], alice.user_id);
    assert_ne!(answer["device_id"], alice.device_id);
    nobody.post("/_matrix/client/v3/login", login).error(403, "M_FORBIDDEN");
    nobody.post(path, json!({})).error(401, "M_MISSING_TOKEN");
}
