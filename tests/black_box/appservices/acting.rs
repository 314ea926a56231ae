//! What an application service may do that others may not, and the other way round.

use serde_json::json;

use super::{Bridged, acting_for};

const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

#[test]
fn it_acts_for_its_users_and_for_nobody_else() {
    let bridged = Bridged::start();
    let bot = bridged.bot();
    assert_eq!(bot.get(WHOAMI).ok()["user_id"], "@ircbot:localhost");
    let ghost = bridged.ghost("irc_Bob");
    assert_eq!(ghost, "@irc_Bob:localhost", "capitals stay");
    assert_eq!(bot.get(&acting_for(WHOAMI, &ghost)).ok()["user_id"], ghost.as_str());
    bot.get(&acting_for(WHOAMI, "@irc_nobody:localhost")).error(403, "M_FORBIDDEN");
    let alice = bridged.server.register("alice");
    bot.get(&acting_for(WHOAMI, &alice.user_id)).error(403, "M_FORBIDDEN");
    bot.get(&format!("{WHOAMI}?user_id=nonsense")).error(400, "M_INVALID_PARAM");
    bot.with_token(Some("as-tokem")).get(WHOAMI).error(401, "M_UNKNOWN_TOKEN");
    // Nobody else gains anything by the parameter.
    assert_eq!(alice.get(&acting_for(WHOAMI, &ghost)).ok()["user_id"], alice.user_id.as_str());
}

#[test]
fn its_names_are_its_own() {
    let bridged = Bridged::start();
    let (bot, alice) = (bridged.bot(), bridged.server.register("alice"));
    let register = "/_matrix/client/v3/register";
    bridged.server.anonymous().post(register, json!({ "username": "irc_eve" })).error(400, "M_EXCLUSIVE");
    let body = json!({ "type": "m.login.application_service", "username": "eve" });
    bot.post(register, body.clone()).error(400, "M_EXCLUSIVE");
    bridged.server.anonymous().post(register, body.clone()).error(401, "M_MISSING_TOKEN");
    alice.post(register, body).error(401, "M_UNKNOWN_TOKEN");

    let room = alice.post("/_matrix/client/v3/createRoom", json!({})).ok()["room_id"].clone();
    let alias = |name: &str| format!("/_matrix/client/v3/directory/room/%23{name}%3Alocalhost");
    alice.put(&alias("irc_tea"), json!({ "room_id": room })).error(400, "M_EXCLUSIVE");
    let named = json!({ "room_alias_name": "irc_tea" });
    alice.post("/_matrix/client/v3/createRoom", named.clone()).error(400, "M_EXCLUSIVE");
    let own = bot.post("/_matrix/client/v3/createRoom", named).ok()["room_id"].clone();
    assert_eq!(alice.get(&alias("irc_tea")).ok()["room_id"], own);
    bot.put(&alias("tea"), json!({ "room_id": own })).error(400, "M_EXCLUSIVE");
}

#[test]
fn it_logs_its_users_in_and_gives_them_devices() {
    let bridged = Bridged::start();
    let (bot, ghost) = (bridged.bot(), bridged.ghost("irc_bob"));
    let identifier = json!({ "type": "m.id.user", "user": "irc_bob" });
    let body = json!({ "type": "m.login.application_service", "identifier": identifier });
    let session = bot.post("/_matrix/client/v3/login", body.clone()).ok();
    assert_eq!(session["user_id"], ghost.as_str());
    bridged.server.anonymous().post("/_matrix/client/v3/login", body).error(401, "M_MISSING_TOKEN");
    let other = json!({ "type": "m.login.application_service", "identifier": { "type": "m.id.user", "user": "eve" } });
    bot.post("/_matrix/client/v3/login", other).error(400, "M_EXCLUSIVE");

    let device = acting_for("/_matrix/client/v3/devices/BRIDGE", &ghost);
    bot.put(&device, json!({ "display_name": "Bridge" })).ok();
    assert_eq!(bot.get(&device).ok()["display_name"], "Bridge");
    let with_device = acting_for(&format!("{WHOAMI}?device_id=BRIDGE"), &ghost);
    assert_eq!(bot.get(&with_device).ok()["device_id"], "BRIDGE");
    let unknown = acting_for(&format!("{WHOAMI}?org.matrix.msc3202.device_id=OTHER"), &ghost);
    bot.get(&unknown).error(400, "M_UNKNOWN_DEVICE");
    bot.delete(&device, Some(json!({}))).ok();
    bot.get(&device).error(404, "M_NOT_FOUND");
}

#[test]
fn it_dates_events_back() {
    let bridged = Bridged::start();
    let bot = bridged.bot();
    let room = bot.post("/_matrix/client/v3/createRoom", json!({})).ok()["room_id"].clone();
    let room = room.as_str().unwrap();
    let base = format!("/_matrix/client/v3/rooms/{room}");
    let text = json!({ "msgtype": "m.text", "body": "long ago" });
    let sent = bot.put(&format!("{base}/send/m.room.message/1?ts=1500000000000"), text.clone()).ok();
    let event = bot.get(&format!("{base}/event/{}", sent["event_id"].as_str().unwrap())).ok();
    assert_eq!(event["origin_server_ts"], 1_500_000_000_000_u64);
    let topic =
        bot.put(&format!("{base}/state/m.room.topic?ts=1500000000001"), json!({ "topic": "old" })).ok();
    let event = bot.get(&format!("{base}/event/{}", topic["event_id"].as_str().unwrap())).ok();
    assert_eq!(event["origin_server_ts"], 1_500_000_000_001_u64);
    bot.put(&format!("{base}/send/m.room.message/2?ts=yesterday"), text).error(400, "M_INVALID_PARAM");
}

#[test]
fn it_can_ask_whether_it_is_reached() {
    let bridged = Bridged::start();
    let ping = "/_matrix/client/v1/appservice/irc/ping";
    let answer = bridged.bot().post(ping, json!({ "transaction_id": "meow" })).ok();
    assert!(answer["duration_ms"].is_u64(), "{answer}");
    let request = bridged.bridge.next();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/_matrix/app/v1/ping"));
    assert_eq!(request.authorization, "Bearer hs-token");
    assert_eq!(request.body, json!({ "transaction_id": "meow" }));
    bridged.bridge.answer(|_| (403, json!({ "errcode": "M_FORBIDDEN" })));
    let refused = bridged.bot().post(ping, json!({})).error(502, "M_BAD_STATUS");
    assert_eq!((&refused["status"], refused["body"].as_str().is_some()), (&json!(403), true));
    bridged.bot().post("/_matrix/client/v1/appservice/xmpp/ping", json!({})).error(403, "M_FORBIDDEN");
    bridged.server.register("alice").post(ping, json!({})).error(401, "M_UNKNOWN_TOKEN");
    let Bridged { server, bridge } = bridged;
    drop(bridge);
    let bot = server.anonymous().with_token(Some("as-token"));
    bot.post(ping, json!({})).error(502, "M_CONNECTION_FAILED");
}

#[test]
fn it_tells_of_its_network() {
    let bridged = Bridged::start();
    let alice = bridged.server.register("alice");
    bridged.bridge.answer(|request| {
        let answer = match request.path.as_str() {
            "/_matrix/app/v1/thirdparty/protocol/irc" => json!({ "instances": [{ "network_id": "tea" }] }),
            "/_matrix/app/v1/thirdparty/location/irc?channel=%23tea" => {
                json!([{ "alias": "#irc_tea:localhost" }])
            }
            _ => return (404, json!({ "errcode": "M_NOT_FOUND" })),
        };
        (200, answer)
    });
    let protocols = alice.get("/_matrix/client/v3/thirdparty/protocols").ok();
    assert_eq!(protocols, json!({ "irc": { "instances": [{ "network_id": "tea" }] } }));
    alice.get("/_matrix/client/v3/thirdparty/protocol/xmpp").error(404, "M_NOT_FOUND");
    let found = alice.get("/_matrix/client/v3/thirdparty/location/irc?channel=%23tea").ok();
    assert_eq!(found, json!([{ "alias": "#irc_tea:localhost" }]));
    assert_eq!(alice.get("/_matrix/client/v3/thirdparty/user/irc?nick=bob").ok(), json!([]));
    for query in ["location?alias=%23irc_none:localhost", "user?userid=%40irc_none:localhost"] {
        assert_eq!(alice.get(&format!("/_matrix/client/v3/thirdparty/{query}")).ok(), json!([]));
    }
}

#[test]
fn it_can_sync_as_its_users() {
    let bridged = Bridged::start();
    let (bot, ghost) = (bridged.bot(), bridged.ghost("irc_bob"));
    assert!(bot.get(WHOAMI).ok().get("device_id").is_none(), "it is no device");
    bot.put(&acting_for("/_matrix/client/v3/devices/BRIDGE", &ghost), json!({})).ok();
    for query in ["timeout=0", "timeout=0&device_id=BRIDGE"] {
        let answer = bot.get(&acting_for(&format!("/_matrix/client/v3/sync?{query}"), &ghost)).ok();
        assert!(answer["next_batch"].is_string(), "{answer}");
        let sliding = format!("/_matrix/client/unstable/org.matrix.simplified_msc3575/sync?{query}");
        assert!(bot.post(&acting_for(&sliding, &ghost), json!({})).ok()["pos"].is_string());
    }
}

#[test]
fn it_is_asked_for_an_alias_that_is_not_there_yet() {
    let bridged = Bridged::start();
    let alice = bridged.server.register("alice");
    let path = "/_matrix/client/v3/directory/room/%23irc_new%3Alocalhost";
    bridged.bridge.answer(|_| (404, json!({ "errcode": "M_NOT_FOUND" })));
    alice.get(path).error(404, "M_NOT_FOUND");
    let asked = bridged.bridge.next();
    assert_eq!(asked.path, "/_matrix/app/v1/rooms/%23irc_new%3Alocalhost");
    alice.get("/_matrix/client/v3/directory/room/%23other%3Alocalhost").error(404, "M_NOT_FOUND");
}

#[test]
fn nobody_else_removes_its_aliases() {
    let bridged = Bridged::start();
    let (bot, alice) = (bridged.bot(), bridged.server.register("alice"));
    let create = json!({ "room_alias_name": "irc_tea", "preset": "public_chat" });
    let room = bot.post("/_matrix/client/v3/createRoom", create).ok()["room_id"].clone();
    let room = room.as_str().unwrap();
    alice.post(&format!("/_matrix/client/v3/join/{room}"), json!({})).ok();
    let levels = json!({ "users": { "@ircbot:localhost": 100, alice.user_id.as_str(): 100 } });
    bot.put(&format!("/_matrix/client/v3/rooms/{room}/state/m.room.power_levels"), levels);
    let alias = "/_matrix/client/v3/directory/room/%23irc_tea%3Alocalhost";
    alice.delete(alias, None).error(400, "M_EXCLUSIVE");
    bot.delete(alias, None).ok();
}
