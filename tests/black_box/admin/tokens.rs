//! Tokens for registration.

use serde_json::{Value, json};

use super::{World, v1, world};
use crate::harness::{Client, PASSWORD, unique};

const REGISTER: &str = "/_matrix/client/v3/register";

/// Registers with a token, and answers with the last answer.
fn register(client: &Client, token: &str) -> crate::harness::Answer {
    let mut body = json!({ "username": unique("bob"), "password": PASSWORD });
    let session = client.post(REGISTER, body.clone()).json()["session"].clone();
    body["auth"] = json!({ "type": "m.login.registration_token", "token": token, "session": session });
    let answer = client.post(REGISTER, body.clone());
    if answer.status != 401 || answer.json().get("errcode").is_some() {
        return answer;
    }
    body["auth"] = json!({ "type": "m.login.dummy", "session": session });
    client.post(REGISTER, body)
}

#[test]
fn a_token_registers_as_often_as_it_may() {
    let World { server, admin, .. } = world();
    let nobody = server.anonymous();
    let made = admin.post(&v1("registration_tokens/new"), json!({ "token": "two", "uses_allowed": 2 })).ok();
    assert_eq!(
        made,
        json!({ "token": "two", "uses_allowed": 2, "pending": 0, "completed": 0, "expiry_time": null })
    );
    let valid = |token: &str| {
        nobody
            .get(&format!("/_matrix/client/v1/register/m.login.registration_token/validity?token={token}"))
            .ok()["valid"]
            .clone()
    };
    assert_eq!(valid("two"), true);
    register(&nobody, "two").ok();
    register(&nobody, "two").ok();
    let refused = register(&nobody, "two");
    assert_eq!((refused.status, refused.json()["errcode"].clone()), (401, json!("M_FORBIDDEN")), "{refused}");
    assert_eq!(valid("two"), false);
    assert_eq!(admin.get(&v1("registration_tokens/two")).ok()["completed"], 2);
    admin.put(&v1("registration_tokens/two"), json!({ "uses_allowed": null })).ok();
    register(&nobody, "two").ok();
    admin.delete(&v1("registration_tokens/two"), None).ok();
    assert_eq!(valid("two"), false);
    admin.get(&v1("registration_tokens/two")).error(404, "M_NOT_FOUND");
    admin.delete(&v1("registration_tokens/two"), None).error(404, "M_NOT_FOUND");
}

#[test]
fn tokens_are_listed_and_checked() {
    let World { server: _server, admin, .. } = world();
    let new = |body: Value| admin.post(&v1("registration_tokens/new"), body);
    assert_eq!(new(json!({})).ok()["token"].as_str().unwrap().len(), 16);
    assert_eq!(new(json!({ "length": 40 })).ok()["token"].as_str().unwrap().len(), 40);
    new(json!({ "token": "spent", "uses_allowed": 0 })).ok();
    let list = |query: &str| {
        admin.get(&v1(&format!("registration_tokens{query}"))).ok()["registration_tokens"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!((list(""), list("?valid=true"), list("?valid=false")), (3, 2, 1));
    for wrong in [
        json!({ "token": "spent" }),
        json!({ "token": "not allowed" }),
        json!({ "length": 65 }),
        json!({ "expiry_time": 1 }),
        json!({ "uses_allowed": -1 }),
    ] {
        let refused = new(wrong);
        assert_eq!(refused.status, 400, "{refused}");
    }
}
