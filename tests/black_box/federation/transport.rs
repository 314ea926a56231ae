//! What all of federation stands on: TLS, keys, signed requests, notaries, OpenID.

use serde_json::{Value, json};

use crate::harness::{Federation, path_segment};

#[test]
fn keys_are_published_and_notarised_between_servers() {
    let federation = Federation::pair();
    let (first, second) = (federation.server(0), federation.server(1));
    let own = first.anonymous().get("/_matrix/key/v2/server").ok();
    assert_eq!(own["server_name"], first.name.as_str());
    let key_id = own["verify_keys"].as_object().unwrap().keys().next().unwrap().clone();
    assert!(own["signatures"][&first.name][&key_id].is_string());

    // The second server fetches them over TLS, and signs besides.
    let path = format!("/_matrix/key/v2/query/{}", path_segment(&first.name));
    let notarised = second.anonymous().get(&path).ok();
    let document = &notarised["server_keys"][0];
    assert_eq!(document["verify_keys"], own["verify_keys"]);
    assert!(document["signatures"][&first.name].is_object(), "{notarised}");
    assert!(document["signatures"][&second.name].is_object(), "{notarised}");

    let body = json!({ "server_keys": { (&first.name): {}, (&second.name): {} } });
    let both = second.anonymous().post("/_matrix/key/v2/query", body).ok();
    assert_eq!(both["server_keys"].as_array().map(Vec::len), Some(2), "{both}");
}

#[test]
fn servers_are_told_what_runs_here() {
    let federation = Federation::of(1);
    let server = federation.server(0).anonymous();
    let version = server.get("/_matrix/federation/v1/version").ok();
    assert_eq!(version["server"]["name"], "conduit");
    let unknown = server.get("/_matrix/federation/v1/no_such_endpoint");
    unknown.error(404, "M_UNRECOGNIZED");
}

#[test]
fn an_openid_token_tells_whose_it_is() {
    let federation = Federation::of(1);
    let alice = federation.register(0, "alice");
    let path = format!("/_matrix/client/v3/user/{}/openid/request_token", path_segment(&alice.user_id));
    let token = alice.post(&path, json!({})).ok();
    assert_eq!(token["token_type"], "Bearer");
    assert_eq!(token["matrix_server_name"], federation.server(0).name.as_str());
    assert!(token["expires_in"].as_u64().unwrap() > 0);

    let server = federation.server(0).anonymous();
    let userinfo = |token: &Value| {
        let token = path_segment(token.as_str().unwrap());
        server.get(&format!("/_matrix/federation/v1/openid/userinfo?access_token={token}"))
    };
    assert_eq!(userinfo(&token["access_token"]).ok()["sub"], alice.user_id.as_str());
    userinfo(&json!("guess")).error(401, "M_UNKNOWN_TOKEN");
    // It opens nothing else, and nobody gets one for others.
    let misused = alice.with_token(token["access_token"].as_str());
    misused.get("/_matrix/client/v3/account/whoami").error(401, "M_UNKNOWN_TOKEN");
    let others = "/_matrix/client/v3/user/%40bob%3Alocalhost/openid/request_token";
    alice.post(others, json!({})).error(403, "M_FORBIDDEN");
}

#[test]
fn a_server_that_was_stopped_is_found_again() {
    let mut federation = Federation::pair();
    let path = format!("/_matrix/key/v2/query/{}", path_segment(&federation.server(0).name));
    federation.server_mut(0).stop();
    let nothing = federation.server(1).anonymous().get(&path).ok();
    assert_eq!(nothing["server_keys"], json!([]));
    let name = federation.server(0).name.clone();
    federation.server_mut(0).restart();
    let own = federation.server(0).anonymous().get("/_matrix/key/v2/server").ok();
    assert_eq!(own["server_name"], name.as_str());
}
