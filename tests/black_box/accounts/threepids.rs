//! Email addresses and phone numbers: this server keeps none, and says so.

use serde_json::json;

use crate::harness::Server;

#[test]
fn nothing_is_kept_and_every_way_to_add_something_is_refused_clearly() {
    let server = Server::start();
    let alice = server.register("alice");
    let path = |rest: &str| format!("/_matrix/client/v3/account/3pid{rest}");
    assert_eq!(alice.get(&path("")).ok(), json!({ "threepids": [] }));
    let session = json!({ "client_secret": "abc", "sid": "1" });
    for rest in ["", "/add", "/bind"] {
        alice.post(&path(rest), session.clone()).error(403, "M_THREEPID_DENIED");
        server.anonymous().post(&path(rest), session.clone()).error(401, "M_MISSING_TOKEN");
    }
    let address = json!({ "medium": "email", "address": "a@example.org" });
    for rest in ["/delete", "/unbind"] {
        assert_eq!(alice.post(&path(rest), address.clone()).ok()["id_server_unbind_result"], "no-support");
        alice.post(&path(rest), json!({})).error(400, "M_MISSING_PARAM");
    }
    let nobody = server.anonymous();
    for before in ["account/3pid", "account/password", "register"] {
        for medium in ["email", "msisdn"] {
            let path = format!("/_matrix/client/v3/{before}/{medium}/requestToken");
            nobody.post(&path, json!({})).error(403, "M_THREEPID_MEDIUM_NOT_SUPPORTED");
        }
    }
}
