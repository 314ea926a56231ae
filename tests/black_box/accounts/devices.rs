//! Devices, and user-interactive authentication where it guards them.

use serde_json::{Value, json};

use crate::harness::{Answer, Client, PASSWORD, Server};

const DEVICES: &str = "/_matrix/client/v3/devices";
const DELETE_DEVICES: &str = "/_matrix/client/v3/delete_devices";
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

fn device_path(device_id: &str) -> String {
    format!("{DEVICES}/{device_id}")
}

fn password_stage(user_id: &str, password: &str, session: &Value) -> Value {
    json!({
        "type": "m.login.password", "password": password, "session": session,
        "identifier": { "type": "m.id.user", "user": user_id },
    })
}

fn delete_device(client: &Client, device_id: &str, auth: Value) -> Answer {
    client.delete(&device_path(device_id), Some(json!({ "auth": auth })))
}

#[test]
fn devices_are_listed_named_and_found() {
    let server = Server::start();
    let alice = server.register("alice");
    let tablet = alice.log_in_again();
    let list = alice.get(DEVICES).ok();
    let mut ids: Vec<_> =
        list["devices"].as_array().unwrap().iter().map(|device| device["device_id"].clone()).collect();
    let mut expected = vec![json!(alice.device_id), json!(tablet.device_id)];
    ids.sort_by_key(Value::to_string);
    expected.sort_by_key(Value::to_string);
    assert_eq!(ids, expected);
    alice.put(&device_path(&tablet.device_id), json!({ "display_name": "Tablet" })).ok();
    let device = alice.get(&device_path(&tablet.device_id)).ok();
    assert_eq!(device["device_id"], tablet.device_id);
    assert_eq!(device["display_name"], "Tablet");
    alice.get(&device_path("NOSUCH")).error(404, "M_NOT_FOUND");
    alice.put(&device_path("NOSUCH"), json!({ "display_name": "x" })).error(404, "M_NOT_FOUND");
}

#[test]
fn one_user_never_sees_another_users_device() {
    let server = Server::start();
    let alice = server.register("alice");
    let bob = server.register("bob");
    bob.get(&device_path(&alice.device_id)).error(404, "M_NOT_FOUND");
    bob.put(&device_path(&alice.device_id), json!({ "display_name": "x" })).error(404, "M_NOT_FOUND");
}

#[test]
fn deleting_a_device_wants_the_password_and_ends_its_session() {
    let server = Server::start();
    let alice = server.register("alice");
    let tablet = alice.log_in_again();
    let challenge = alice.delete(&device_path(&tablet.device_id), Some(json!({})));
    assert_eq!(challenge.status, 401, "{challenge}");
    let body = challenge.json();
    let offers_password =
        body["flows"].as_array().unwrap().iter().any(|flow| flow["stages"] == json!(["m.login.password"]));
    assert!(offers_password, "{body}");
    let session = body["session"].clone();

    let wrong = delete_device(&alice, &tablet.device_id, password_stage(&alice.user_id, "wrong", &session));
    assert_eq!(wrong.status, 401, "{wrong}");
    assert_eq!(wrong.json()["errcode"], "M_FORBIDDEN", "{wrong}");
    assert_eq!(wrong.json()["session"], session, "{wrong}");
    tablet.get(WHOAMI).ok();

    delete_device(&alice, &tablet.device_id, password_stage(&alice.user_id, PASSWORD, &session)).ok();
    tablet.get(WHOAMI).error(401, "M_UNKNOWN_TOKEN");
    alice.get(&device_path(&tablet.device_id)).error(404, "M_NOT_FOUND");
}

#[test]
fn another_users_password_does_not_help() {
    let server = Server::start();
    let alice = server.register("alice");
    let bob = server.register("bob");
    let tablet = alice.log_in_again();
    let session = alice.delete(&device_path(&tablet.device_id), Some(json!({}))).json()["session"].clone();
    let answer = delete_device(&alice, &tablet.device_id, password_stage(&bob.user_id, PASSWORD, &session));
    assert!(answer.status == 401 || answer.status == 403, "{answer}");
    assert!(answer.errcode().is_some(), "{answer}");
    tablet.get(WHOAMI).ok();
}

#[test]
fn an_invented_session_authenticates_nothing() {
    let server = Server::start();
    let alice = server.register("alice");
    let tablet = alice.log_in_again();
    let auth = json!({ "session": "invented" });
    let answer = delete_device(&alice, &tablet.device_id, auth);
    assert!((400..=403).contains(&answer.status), "{answer}");
    tablet.get(WHOAMI).ok();
}

#[test]
fn several_devices_are_deleted_at_once() {
    let server = Server::start();
    let alice = server.register("alice");
    let others = [alice.log_in_again(), alice.log_in_again()];
    let mut body = json!({ "devices": others.iter().map(|other| &other.device_id).collect::<Vec<_>>() });
    let challenge = alice.post(DELETE_DEVICES, body.clone());
    assert_eq!(challenge.status, 401, "{challenge}");
    body["auth"] = password_stage(&alice.user_id, PASSWORD, &challenge.json()["session"]);
    alice.post(DELETE_DEVICES, body).ok();
    for other in &others {
        other.get(WHOAMI).error(401, "M_UNKNOWN_TOKEN");
    }
    assert_eq!(alice.get(DEVICES).ok()["devices"].as_array().unwrap().len(), 1);
}
