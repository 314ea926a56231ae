//! What a client asks before it has an account, and what browsers need.

use serde_json::json;

use crate::harness::{Answer, Server, ServerSettings};

#[test]
fn every_spec_version_is_advertised_by_name() {
    let server = Server::start();
    let versions = server.anonymous().get("/_matrix/client/versions").ok();
    let list = versions["versions"].as_array().unwrap();
    for minor in 1..=19 {
        assert!(list.contains(&json!(format!("v1.{minor}"))), "v1.{minor} in {list:?}");
    }
}

#[test]
fn capabilities_name_the_room_versions() {
    let server = Server::start();
    let alice = server.register("alice");
    let capabilities = alice.get("/_matrix/client/v3/capabilities").ok()["capabilities"].clone();
    assert_eq!(capabilities["m.change_password"]["enabled"], true);
    let versions = &capabilities["m.room_versions"];
    assert_eq!(versions["default"], "12");
    for version in 1..=12 {
        assert_eq!(versions["available"][version.to_string()], "stable", "{versions}");
    }
    alice.with_token(None).get("/_matrix/client/v3/capabilities").error(401, "M_MISSING_TOKEN");
}

#[test]
fn well_known_leads_clients_here() {
    const PATH: &str = "/.well-known/matrix/client";
    Server::start().anonymous().get(PATH).error(404, "M_NOT_FOUND");
    let extra = "well_known.client = \"https://matrix.example.org\"\n".to_owned();
    let server = Server::start_with(&ServerSettings { extra, ..ServerSettings::default() });
    let answer = server.anonymous().get(PATH);
    assert_eq!(answer.ok()["m.homeserver"]["base_url"], "https://matrix.example.org");
    assert_eq!(answer.header("access-control-allow-origin"), "*");
}

#[test]
fn well_known_leads_servers_here() {
    const PATH: &str = "/.well-known/matrix/server";
    Server::start().anonymous().get(PATH).error(404, "M_NOT_FOUND");
    let extra = "well_known.server = \"matrix.example.org:443\"\n".to_owned();
    let server = Server::start_with(&ServerSettings { extra, ..ServerSettings::default() });
    assert_eq!(server.anonymous().get(PATH).ok(), json!({ "m.server": "matrix.example.org:443" }));
}

fn assert_cors(answer: &Answer) {
    assert_eq!(answer.header("access-control-allow-origin"), "*", "{answer}");
}

#[test]
fn browsers_are_let_in() {
    let server = Server::start();
    let client = server.anonymous();
    for path in ["/_matrix/client/versions", "/_matrix/client/v3/sync", "/_matrix/client/v3/login"] {
        let preflight = client.raw("OPTIONS", path, None);
        assert!(preflight.status == 200 || preflight.status == 204, "{preflight}");
        assert_cors(&preflight);
        let methods = preflight.header("access-control-allow-methods").to_uppercase();
        for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS"] {
            assert!(methods.contains(method), "{method} in {methods:?}");
        }
        let headers = preflight.header("access-control-allow-headers").to_lowercase();
        for header in ["x-requested-with", "content-type", "authorization"] {
            assert!(headers.contains(header), "{header} in {headers:?}");
        }
    }
    assert_cors(&client.get("/_matrix/client/versions"));
    assert_cors(&client.get("/_matrix/client/v3/sync"));
    assert_cors(&client.get("/_matrix/client/v3/no_such_endpoint"));
}
