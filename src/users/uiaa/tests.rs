use serde_json::{Value, json};

use super::*;
use crate::users::fixture::{Fixture, PASSWORD, TestUser};

const PASSWORD_FLOW: &Flows = &[&[Stage::Password]];
const TWO_FLOWS: &Flows = &[&[Stage::Dummy, Stage::Password], &[Stage::RegistrationToken]];

struct Setting {
    server: Fixture,
    uiaa: Uiaa,
    alice: TestUser,
}

impl Setting {
    fn new() -> Self {
        let server = Fixture::new();
        let policy = RegistrationPolicy::Token(Some("secret".to_owned()));
        let uiaa = Uiaa::new(server.accounts.clone(), policy, server.clock.clone());
        let alice = server.user("alice");
        Self { server, uiaa, alice }
    }

    fn operation(&self) -> Operation {
        Operation::of_user("test", self.alice.user_id.clone(), "")
    }

    /// `None` when authorized, otherwise the 401's body.
    fn check(&self, operation: &Operation, flows: &Flows, auth: Option<Value>) -> Option<Value> {
        let auth = auth.map(|auth| serde_json::from_value::<AuthData>(auth).unwrap());
        match self.uiaa.check(operation, flows, auth.as_ref()).unwrap() {
            Outcome::Authorized => None,
            Outcome::Needed(info) => Some(serde_json::to_value(info).unwrap()),
        }
    }

    fn begin(&self, operation: &Operation, flows: &Flows) -> Value {
        self.check(operation, flows, None).unwrap()["session"].clone()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "as `check` takes it")]
fn password(user: &str, password: &str, session: &Value) -> Option<Value> {
    let identifier = json!({ "type": "m.id.user", "user": user });
    Some(json!({
        "type": "m.login.password", "identifier": identifier, "password": password, "session": session,
    }))
}

#[expect(clippy::unnecessary_wraps, reason = "as `check` takes it")]
fn dummy(session: &Value) -> Option<Value> {
    Some(json!({ "type": "m.login.dummy", "session": session }))
}

#[test]
fn a_password_authorizes_one_request() {
    let setting = Setting::new();
    let operation = setting.operation();
    let mut first = setting.check(&operation, PASSWORD_FLOW, None).unwrap();
    let session = first["session"].take();
    let expected = json!({
        "flows": [{ "stages": ["m.login.password"] }], "params": {}, "session": null,
    });
    assert_eq!(first, expected);
    assert_eq!(setting.check(&operation, PASSWORD_FLOW, password("alice", PASSWORD, &session)), None);
    let again = setting.check(&operation, PASSWORD_FLOW, password("alice", PASSWORD, &session)).unwrap();
    assert_eq!(again["errcode"], "M_UNKNOWN");
    assert_ne!(again["session"], session, "used up; a new one began");
}

#[test]
fn a_wrong_password_can_be_tried_again_in_the_same_session() {
    let setting = Setting::new();
    let operation = setting.operation();
    let session = setting.begin(&operation, PASSWORD_FLOW);
    let refused = setting.check(&operation, PASSWORD_FLOW, password("alice", "wrong one", &session)).unwrap();
    assert_eq!(refused["errcode"], "M_FORBIDDEN");
    assert_eq!(refused["session"], session);
    assert_eq!(refused["flows"], json!([{ "stages": ["m.login.password"] }]));
    assert!(refused.get("completed").is_none());
    let user_id = setting.alice.user_id.as_str();
    assert_eq!(setting.check(&operation, PASSWORD_FLOW, password(user_id, PASSWORD, &session)), None);
}

#[test]
fn somebody_elses_password_proves_nothing() {
    let setting = Setting::new();
    setting.server.user("bob");
    let operation = setting.operation();
    let session = setting.begin(&operation, PASSWORD_FLOW);
    // Right or wrong, the answer is the same: nobody guesses another's password here.
    for (user, tried) in
        [("bob", PASSWORD), ("bob", "wrong one"), ("@bob:example.org", PASSWORD), ("eve", "x")]
    {
        let auth =
            password(user, tried, &session).map(|auth| serde_json::from_value::<AuthData>(auth).unwrap());
        let refused = setting.uiaa.check(&operation, PASSWORD_FLOW, auth.as_ref());
        assert!(matches!(refused, Err(UserError::OtherUser)), "{user}: {refused:?}");
    }
    assert_eq!(setting.check(&operation, PASSWORD_FLOW, password("ALICE", PASSWORD, &session)), None);
}

#[test]
fn a_session_is_for_one_operation_of_one_user() {
    let setting = Setting::new();
    let session = setting.begin(&setting.operation(), PASSWORD_FLOW);
    let bob = setting.server.user("bob");
    for other in [
        Operation { name: "other", ..setting.operation() },
        Operation::of_user("test", setting.alice.user_id.clone(), "other"),
        Operation { user: Some(bob.user_id.clone()), ..setting.operation() },
    ] {
        let user = other.user.clone().unwrap();
        let refused =
            setting.check(&other, PASSWORD_FLOW, password(user.as_str(), PASSWORD, &session)).unwrap();
        assert_eq!(refused["errcode"], "M_UNKNOWN");
    }
    let own = setting.check(&setting.operation(), PASSWORD_FLOW, password("alice", PASSWORD, &session));
    assert_eq!(own, None);
}

#[test]
fn stages_go_in_order_and_are_remembered() {
    let setting = Setting::new();
    let operation = setting.operation();
    let check = |auth| setting.check(&operation, TWO_FLOWS, auth);
    let session = setting.begin(&operation, TWO_FLOWS);

    let early = check(password("alice", PASSWORD, &session)).unwrap();
    assert_eq!(early["errcode"], "M_FORBIDDEN");
    let first = check(dummy(&session)).unwrap();
    assert_eq!(first["completed"], json!(["m.login.dummy"]));
    assert!(first.get("errcode").is_none());
    assert_eq!(check(dummy(&session)).unwrap(), first, "a stage that is done is no error");
    assert_eq!(check(Some(json!({ "session": session }))).unwrap(), first, "nor is asking how far it is");
    let mixed =
        check(Some(json!({ "type": "m.login.registration_token", "token": "secret", "session": session })));
    assert_eq!(mixed.unwrap()["errcode"], "M_FORBIDDEN", "flows do not mix");
    assert_eq!(check(password("alice", PASSWORD, &session)), None);
}

#[test]
fn a_single_stage_needs_no_session_beforehand() {
    let setting = Setting::new();
    let operation = Operation::of_anybody("register");
    let token = |token: &str| Some(json!({ "type": "m.login.registration_token", "token": token }));
    assert_eq!(setting.check(&operation, TWO_FLOWS, token("secret")), None);
    let refused = setting.check(&operation, TWO_FLOWS, token("guess")).unwrap();
    assert_eq!(refused["errcode"], "M_FORBIDDEN");
}

#[test]
fn what_is_not_offered_is_refused_with_what_is() {
    let setting = Setting::new();
    let operation = setting.operation();
    let session = setting.begin(&operation, PASSWORD_FLOW);
    let unknown = Some(json!({ "type": "org.example.retina", "session": session, "eye": 1 }));
    let refused = setting.check(&operation, PASSWORD_FLOW, unknown).unwrap();
    assert_eq!((&refused["errcode"], &refused["session"]), (&json!("M_UNRECOGNIZED"), &session));
    let refused = setting.check(&operation, PASSWORD_FLOW, dummy(&session)).unwrap();
    assert_eq!(refused["errcode"], "M_FORBIDDEN");
}

#[test]
fn sessions_end_with_time_and_in_a_flood() {
    let setting = Setting::new();
    let operation = setting.operation();
    let session = setting.begin(&operation, PASSWORD_FLOW);
    setting.server.time.advance_ms(limits::UIAA_SESSION_LIFETIME_MS);
    let late = setting.check(&operation, PASSWORD_FLOW, password("alice", PASSWORD, &session)).unwrap();
    assert_eq!(late["errcode"], "M_UNKNOWN");

    let oldest = setting.begin(&operation, PASSWORD_FLOW);
    let newer = setting.begin(&operation, PASSWORD_FLOW);
    for _ in 0..limits::UIAA_SESSIONS_MAX - 1 {
        setting.begin(&Operation::of_anybody("flood"), PASSWORD_FLOW);
    }
    assert_eq!(setting.uiaa.lock().by_id.len(), limits::UIAA_SESSIONS_MAX);
    assert_eq!(setting.uiaa.lock().ids.len(), limits::UIAA_SESSIONS_MAX);
    let gone = setting.check(&operation, PASSWORD_FLOW, password("alice", PASSWORD, &oldest)).unwrap();
    assert_eq!(gone["errcode"], "M_UNKNOWN");
    // That began one more, which ended the next oldest.
    let gone = setting.check(&operation, PASSWORD_FLOW, password("alice", PASSWORD, &newer)).unwrap();
    assert_eq!(gone["errcode"], "M_UNKNOWN");
}

#[test]
fn a_long_subject_takes_no_more_memory_than_a_short_one() {
    let alice = Fixture::new().user("alice");
    let about = |subject: String| Operation::of_user("delete_devices", alice.user_id.clone(), subject);
    let (one, other) = (about("a".repeat(1 << 20)), about("b".repeat(1 << 20)));
    assert_ne!(one, other);
    assert!(size_of_val(&one.subject[..]) <= 32);
}
