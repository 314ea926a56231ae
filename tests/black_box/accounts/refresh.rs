//! Refresh tokens (client-server API, "Refreshing access tokens").

use serde_json::{Value, json};

use crate::harness::{Client, PASSWORD, Server};

const REFRESH: &str = "/_matrix/client/v3/refresh";
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

fn log_in(server: &Server, user: &Client) -> Value {
    let identifier = json!({ "type": "m.id.user", "user": user.user_id });
    let body = json!({
        "type": "m.login.password", "identifier": identifier, "password": PASSWORD, "refresh_token": true,
    });
    server.anonymous().post("/_matrix/client/v3/login", body).ok()
}

fn refresh(client: &Client, token: &Value) -> crate::harness::Answer {
    client.post(REFRESH, json!({ "refresh_token": token }))
}

#[test]
fn each_refresh_token_works_until_the_next_one_is_used() {
    let mut server = Server::start();
    let alice = server.register("alice");
    let login = log_in(&server, &alice);
    assert!(login["expires_in_ms"].as_u64().is_some_and(|ms| ms > 0), "{login}");
    let nobody = server.anonymous();
    let first = refresh(&nobody, &login["refresh_token"]).ok();
    assert_ne!(first["access_token"], login["access_token"]);
    // The answer may have been lost: the old one works again as long as nothing of the new was used.
    let second = refresh(&nobody, &login["refresh_token"]).ok();
    let session = nobody.with_token(second["access_token"].as_str());
    let whoami = session.get(WHOAMI).ok();
    assert_eq!((&whoami["device_id"], &whoami["user_id"]), (&login["device_id"], &json!(alice.user_id)));
    refresh(&nobody, &login["refresh_token"]).error(401, "M_UNKNOWN_TOKEN");
    nobody.with_token(login["access_token"].as_str()).get(WHOAMI).error(401, "M_UNKNOWN_TOKEN");

    server.kill();
    server.restart();
    let nobody = server.anonymous();
    let third = refresh(&nobody, &second["refresh_token"]).ok();
    let session = nobody.with_token(third["access_token"].as_str());
    session.post("/_matrix/client/v3/logout", json!({})).ok();
    refresh(&nobody, &third["refresh_token"]).error(401, "M_UNKNOWN_TOKEN");
}

#[test]
fn what_is_no_refresh_token_is_refused() {
    let server = Server::start();
    let alice = server.register("alice");
    let nobody = server.anonymous();
    refresh(&nobody, &json!("guess")).error(401, "M_UNKNOWN_TOKEN");
    refresh(&nobody, &json!(alice.token)).error(401, "M_UNKNOWN_TOKEN");
    nobody.post(REFRESH, json!({})).error(400, "M_MISSING_PARAM");
    nobody.post(REFRESH, json!({ "refresh_token": 1 })).error(400, "M_BAD_JSON");
}
