//! Registration: closed by default, by token, by shared secret.

use std::fmt::Write as _;

use ring::hmac;
use serde_json::{Value, json};

use crate::harness::{
    Answer, Client, PASSWORD, REGISTRATION_TOKEN, SHARED_SECRET, Server, ServerSettings, unique,
};

const REGISTER: &str = "/_matrix/client/v3/register";
const ADMIN_REGISTER: &str = "/_synapse/admin/v1/register";

fn closed_server() -> Server {
    Server::start_with(&ServerSettings { registration: false, ..ServerSettings::default() })
}

#[test]
fn registration_is_closed_by_default() {
    let server = closed_server();
    let client = server.anonymous();
    let body = json!({ "username": unique("alice"), "password": PASSWORD });
    client.post(REGISTER, body.clone()).error(403, "M_FORBIDDEN");
    let mut with_dummy = body;
    with_dummy["auth"] = json!({ "type": "m.login.dummy" });
    client.post(REGISTER, with_dummy).error(403, "M_FORBIDDEN");
}

#[test]
fn a_registration_without_token_is_told_the_flows_and_a_session() {
    let server = Server::start();
    let body = json!({ "username": unique("alice"), "password": PASSWORD });
    let challenge = server.anonymous().post(REGISTER, body);
    assert_eq!(challenge.status, 401, "{challenge}");
    let body = challenge.json();
    let flows = body["flows"].as_array().unwrap();
    assert!(!flows.is_empty());
    for flow in flows {
        let stages = flow["stages"].as_array().unwrap();
        assert!(stages.contains(&json!("m.login.registration_token")), "no way around the token: {body}");
    }
    assert!(body["session"].as_str().is_some_and(|session| !session.is_empty()), "{body}");
    assert!(body["errcode"].is_null(), "the first challenge is not an error: {body}");
}

#[test]
fn a_wrong_token_registers_nobody() {
    let server = Server::start();
    let client = server.anonymous();
    let name = unique("alice");
    let body = json!({ "username": name, "password": PASSWORD });
    let session = client.post(REGISTER, body.clone()).json()["session"].clone();
    let mut wrong = body.clone();
    wrong["auth"] = json!({ "type": "m.login.registration_token", "token": "wrong", "session": session });
    let refused = client.post(REGISTER, wrong.clone());
    assert_eq!(refused.status, 401, "{refused}");
    let answer = refused.json();
    assert!(answer["errcode"].is_string(), "a failed stage has an errcode: {answer}");
    assert_eq!(answer["session"], session, "the session goes on: {answer}");
    assert_eq!(answer["completed"].as_array().map_or(0, Vec::len), 0, "{answer}");
    wrong["auth"] = json!({ "type": "m.login.dummy", "session": session });
    assert_eq!(client.post(REGISTER, wrong).status, 401, "the dummy stage does not replace the token");
    assert_eq!(client.log_in(&name, PASSWORD).status, 403);
}

#[test]
fn a_token_registers_and_logs_in() {
    let server = Server::start();
    let alice = server.register("alice");
    assert!(alice.user_id.starts_with("@alice-") && alice.user_id.ends_with(":localhost"));
    assert!(!alice.device_id.is_empty());
    let whoami = alice.get("/_matrix/client/v3/account/whoami").ok();
    assert_eq!(whoami["user_id"], alice.user_id);
    assert_eq!(whoami["device_id"], alice.device_id);
    assert_ne!(whoami["is_guest"], true);
}

#[test]
fn a_registration_keeps_the_device_that_it_names_and_can_do_without_a_login() {
    let server = Server::start();
    let client = server.anonymous();
    let with_token = |mut body: Value| {
        let session = client.post(REGISTER, body.clone()).json()["session"].clone();
        body["auth"] = json!({
            "type": "m.login.registration_token", "token": REGISTRATION_TOKEN, "session": session,
        });
        let mut answer = client.post(REGISTER, body.clone());
        if answer.status == 401 {
            body["auth"] = json!({ "type": "m.login.dummy", "session": session });
            answer = client.post(REGISTER, body);
        }
        answer.ok()
    };
    let named = with_token(json!({
        "username": unique("alice"), "password": PASSWORD,
        "device_id": "PHONE", "initial_device_display_name": "Jungle Phone",
    }));
    assert_eq!(named["device_id"], "PHONE");
    let silent = with_token(json!({
        "username": unique("bob"), "password": PASSWORD, "inhibit_login": true,
    }));
    assert!(silent["user_id"].as_str().unwrap().starts_with("@bob"));
    assert!(silent["access_token"].is_null() && silent["device_id"].is_null(), "{silent}");
}

#[test]
fn taken_and_impossible_names_are_refused_before_authentication() {
    let server = Server::start();
    let alice = server.register("alice");
    let client = server.anonymous();
    let localpart = alice.user_id[1..].split(':').next().unwrap();
    let register = |name: &str| client.post(REGISTER, json!({ "username": name, "password": PASSWORD }));
    register(localpart).error(400, "M_USER_IN_USE");
    for impossible in ["has space", "colon:colon", "täst", &"a".repeat(300)] {
        register(impossible).error(400, "M_INVALID_USERNAME");
    }
    let available =
        |name: &str| client.get(&format!("/_matrix/client/v3/register/available?username={name}"));
    assert_eq!(available(&unique("free")).ok()["available"], true);
    available(localpart).error(400, "M_USER_IN_USE");
    available("has%20space").error(400, "M_INVALID_USERNAME");
}

#[test]
fn a_token_can_be_asked_about() {
    let server = Server::start();
    let client = server.anonymous();
    let valid = |token: &str| {
        let path = "/_matrix/client/v1/register/m.login.registration_token/validity";
        client.get(&format!("{path}?token={token}")).ok()["valid"].clone()
    };
    assert_eq!(valid(REGISTRATION_TOKEN), true);
    assert_eq!(valid("something-else"), false);
}

#[test]
fn guests_are_refused() {
    let server = Server::start();
    let answer = server.anonymous().post(&format!("{REGISTER}?kind=guest"), json!({}));
    assert_eq!(answer.status, 403, "{answer}");
    assert!(answer.errcode().is_some(), "{answer}");
}

/// The MAC that Synapse's admin registration wants.
fn mac(secret: &str, nonce: &str, name: &str, admin: bool) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    let role = if admin { "admin" } else { "notadmin" };
    let tag = hmac::sign(&key, format!("{nonce}\0{name}\0{PASSWORD}\0{role}").as_bytes());
    tag.as_ref().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

fn register_by_secret(client: &Client, secret: &str, nonce: &str, name: &str) -> Answer {
    client.post(
        ADMIN_REGISTER,
        json!({
            "nonce": nonce, "username": name, "password": PASSWORD,
            "admin": true, "mac": mac(secret, nonce, name, true),
        }),
    )
}

fn shared_secret_flow(server: &Server) {
    let mut client = server.anonymous();
    let nonce = || client.get(ADMIN_REGISTER).ok()["nonce"].as_str().unwrap().to_owned();
    let (first, second) = (nonce(), nonce());
    assert_ne!(first, second, "each nonce is a new one");
    let name = unique("root");
    let wrong = register_by_secret(&client, "not the secret", &first, &name);
    assert_eq!(wrong.status, 403, "{wrong}");
    let invented = register_by_secret(&client, SHARED_SECRET, "0123456789abcdef", &name);
    assert_eq!(invented.status, 400, "a nonce of the caller's own: {invented}");
    let session = register_by_secret(&client, SHARED_SECRET, &second, &name).ok();
    let again = register_by_secret(&client, SHARED_SECRET, &second, &unique("root"));
    assert_eq!(again.status, 400, "a nonce serves once: {again}");
    client.adopt(&session);
    assert_eq!(client.get("/_matrix/client/v3/account/whoami").ok()["user_id"], client.user_id);
    client.log_in(&name, PASSWORD).ok();
    let third = client.get(ADMIN_REGISTER).ok()["nonce"].as_str().unwrap().to_owned();
    register_by_secret(&client, SHARED_SECRET, &third, &name).error(400, "M_USER_IN_USE");
}

#[test]
fn the_shared_secret_registers_as_synapse_does() {
    shared_secret_flow(&Server::start());
}

#[test]
fn the_shared_secret_works_while_registration_is_closed() {
    shared_secret_flow(&closed_server());
}
