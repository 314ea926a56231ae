//! Every operation of the client-server API that is served (`docs/endpoints.tsv`), asked in all the wrong ways that
//! don't depend on what it does.

use std::path::Path;

use crate::harness::{Answer, Client, Server};

/// Those that ask for no access token.
const OPEN: &str = "checkUsernameAvailability getContent getContentOverrideName getContentThumbnail getLoginFlows \
    getProfileField getPublicRooms getRoomIdByAlias getRoomVisibilityOnDirectory getUserProfile getWellknown login \
    refresh register registrationTokenValidity requestTokenTo3PIDEmail requestTokenTo3PIDMSISDN \
    requestTokenToRegisterEmail requestTokenToRegisterMSISDN requestTokenToResetPasswordEmail \
    requestTokenToResetPasswordMSISDN getRoomSummary getVersions getWellknownSupport";

struct Operation {
    name: String,
    method: String,
    path: String,
}

impl Operation {
    /// The path with the same text for each argument.
    fn with(&self, argument: &str) -> String {
        let mut path = String::new();
        for (place, part) in self.path.split('{').enumerate() {
            match part.split_once('}') {
                Some((_, rest)) if place > 0 => path.extend([argument, rest]),
                _ => path.push_str(part),
            }
        }
        path
    }

    fn has_body(&self) -> bool {
        self.method == "PUT" || self.method == "POST"
    }

    fn is_open(&self) -> bool {
        OPEN.split(' ').any(|open| open == self.name)
    }

    fn ask(&self, client: &Client, argument: &str, body: &[u8]) -> Answer {
        client.raw(&self.method, &self.with(argument), self.has_body().then_some(body))
    }
}

fn operations() -> Vec<Operation> {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/endpoints.tsv");
    let text = std::fs::read_to_string(list).unwrap();
    let served = text.lines().map(|line| line.split('\t').collect::<Vec<_>>()).filter(|row| {
        // Waiting for events is no wrong way.
        row[0] == "client-server" && !row[4].is_empty() && row[3] != "sync"
    });
    served
        .map(|row| Operation {
            name: row[3].to_owned(),
            method: row[1].to_owned(),
            path: row[2].trim().to_owned(),
        })
        .collect()
}

#[test]
fn every_operation_tells_missing_and_wrong_tokens_apart() {
    let server = Server::start();
    let nobody = server.anonymous();
    let wrong = nobody.with_token(Some("syt_not_a_token"));
    let guarded: Vec<_> = operations().into_iter().filter(|operation| !operation.is_open()).collect();
    assert!(guarded.len() > 100, "{}", guarded.len());
    for operation in guarded {
        let missing = operation.ask(&nobody, "x", b"{}");
        assert_eq!(
            (missing.status, missing.errcode().as_deref()),
            (401, Some("M_MISSING_TOKEN")),
            "{missing}"
        );
        let unknown = operation.ask(&wrong, "x", b"{}");
        assert_eq!(
            (unknown.status, unknown.errcode().as_deref()),
            (401, Some("M_UNKNOWN_TOKEN")),
            "{unknown}"
        );
    }
}

#[test]
fn no_operation_breaks_by_what_it_is_sent() {
    let server = Server::start();
    let admin = server.register("admin");
    let long = "a".repeat(5_000);
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let arguments =
        ["x", "!x:localhost", "@x:localhost", "#x:localhost", "$x", "%00", "%F0%9F%8D%B0", long.as_str()];
    let bodies: [&[u8]; 8] = [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\"text\"",
        b"\xff\xfe",
        deep.as_bytes(),
        br#"{"a":1e400,"b":[{}],"limit":-1,"timeout":1.5,"user_id":7,"room_id":[],"content":"x"}"#,
    ];
    for operation in operations() {
        let user = server.register("user");
        for argument in arguments {
            fine(&operation.ask(&user, argument, b"{}"));
        }
        if operation.has_body() {
            for body in bodies {
                fine(&operation.ask(&user, "x", body));
            }
        }
        let query =
            format!("{}?limit=-1&from=forged&dir=x&ts=a&access_token=%00&since=s", operation.with("x"));
        fine(&user.raw(&operation.method, &query, operation.has_body().then_some(&b"{}"[..])));
    }
    admin.get("/_matrix/client/v3/account/whoami").ok();
}

/// A refusal has a status below 500 and an errcode; what was taken is no matter here.
#[track_caller]
fn fine(answer: &Answer) {
    // Media of a server that does not exist, as the specification has it.
    let is_elsewhere = answer.status == 502 && answer.request.contains("/media/");
    assert!(answer.status < 500 || is_elsewhere, "{answer}");
    // Stages that are still to be gone through are no error.
    let is_challenge = answer.status == 401 && answer.json()["flows"].is_array();
    let is_told = answer.status < 400 || is_challenge || answer.errcode().is_some();
    assert!(is_told, "a refusal without errcode: {answer}");
}
