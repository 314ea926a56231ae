//! A client that speaks plain HTTP: one user's session, or nobody's.

use std::{fmt::Write as _, io::Write as _, time::Duration};

use serde_json::{Value, json};
use ureq::{Agent, http};

use super::{Answer, BinaryAnswer, PASSWORD, REGISTRATION_TOKEN, unique};

/// Longer than any long poll that a test asks for, so that a hanging server fails the test.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// A session of one user, or of nobody when it has no token.
#[derive(Clone)]
pub struct Client {
    agent: Agent,
    base_url: String,
    /// The access token sent with every request.
    pub token: Option<String>,
    /// The full user id, empty for nobody.
    pub user_id: String,
    /// The device of this session, empty for nobody.
    pub device_id: String,
}

impl Client {
    /// A client without a session.
    pub fn anonymous(base_url: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .proxy(None)
            .timeout_global(Some(REQUEST_TIMEOUT))
            .build();
        Self {
            agent: config.into(),
            base_url: base_url.trim_end_matches('/').to_owned(),
            token: None,
            user_id: String::new(),
            device_id: String::new(),
        }
    }

    /// A new account, registered with the registration token; the name gets a unique suffix.
    #[track_caller]
    pub fn register(base_url: &str, name: &str) -> Self {
        let mut client = Self::anonymous(base_url);
        let mut body = json!({ "username": unique(name), "password": PASSWORD });
        let challenge = client.post("/_matrix/client/v3/register", body.clone());
        assert!(challenge.status == 401, "registration asks for authentication: {challenge}");
        let session = challenge.json()["session"].clone();
        body["auth"] = json!({
            "type": "m.login.registration_token",
            "token": REGISTRATION_TOKEN,
            "session": session,
        });
        let mut answer = client.post("/_matrix/client/v3/register", body.clone());
        if answer.status == 401 {
            // A server may want `m.login.dummy` after the token, as Synapse does.
            body["auth"] = json!({ "type": "m.login.dummy", "session": session });
            answer = client.post("/_matrix/client/v3/register", body);
        }
        client.adopt(&answer.ok());
        client
    }

    /// A further session of the same user on a new device, by password.
    #[track_caller]
    pub fn log_in_again(&self) -> Self {
        let mut other = Self::anonymous(&self.base_url);
        let answer = other.log_in(&self.user_id, PASSWORD);
        other.adopt(&answer.ok());
        other
    }

    /// The answer to a password login.
    pub fn log_in(&self, user: &str, password: &str) -> Answer {
        let identifier = json!({ "type": "m.id.user", "user": user });
        let body = json!({ "type": "m.login.password", "identifier": identifier, "password": password });
        self.post("/_matrix/client/v3/login", body)
    }

    /// Takes over the session in an answer to a registration or login.
    #[track_caller]
    pub fn adopt(&mut self, session: &Value) {
        self.token = Some(session["access_token"].as_str().expect("access_token").to_owned());
        session["user_id"].as_str().expect("user_id").clone_into(&mut self.user_id);
        session["device_id"].as_str().expect("device_id").clone_into(&mut self.device_id);
    }

    /// The same client towards another base URL, for a server that came back on another port.
    pub fn moved_to(&self, base_url: &str) -> Self {
        let moved = Self::anonymous(base_url);
        Self {
            token: self.token.clone(),
            user_id: self.user_id.clone(),
            device_id: self.device_id.clone(),
            ..moved
        }
    }

    /// The same base URL without a session, or with a token of the caller's choice.
    pub fn with_token(&self, token: Option<&str>) -> Self {
        Self { token: token.map(str::to_owned), ..self.clone() }
    }

    /// GET of a path, which starts with `/` and is percent-encoded by the caller.
    pub fn get(&self, path: &str) -> Answer {
        self.raw("GET", path, None)
    }

    /// POST of a JSON body.
    pub fn post(&self, path: &str, body: Value) -> Answer {
        self.raw("POST", path, Some(body.to_string().as_bytes()))
    }

    /// PUT of a JSON body.
    pub fn put(&self, path: &str, body: Value) -> Answer {
        self.raw("PUT", path, Some(body.to_string().as_bytes()))
    }

    /// DELETE, with a JSON body when there is one.
    pub fn delete(&self, path: &str, body: Option<Value>) -> Answer {
        self.raw("DELETE", path, body.map(|body| body.to_string().into_bytes()).as_deref())
    }

    /// A request with any method and any bytes as its body, sent as JSON.
    #[track_caller]
    pub fn raw(&self, method: &str, path: &str, body: Option<&[u8]>) -> Answer {
        self.try_raw(method, path, body).unwrap_or_else(|error| panic!("{method} {path}: no answer: {error}"))
    }

    /// As [`Client::raw`], but a broken connection is the caller's business.
    pub fn try_raw(&self, method: &str, path: &str, body: Option<&[u8]>) -> Result<Answer, ureq::Error> {
        note_request(method, path);
        let mut request = http::Request::builder().method(method).uri(format!("{}{path}", self.base_url));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let mut response = match body {
            Some(body) => {
                let request = request.header("Content-Type", "application/json");
                self.agent.run(request.body(body.to_vec()).unwrap())?
            }
            None => self.agent.run(request.body(()).unwrap())?,
        };
        let text = response.body_mut().with_config().limit(64 << 20).read_to_string()?;
        Ok(Answer {
            request: format!("{method} {path}"),
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text,
        })
    }

    /// A request with headers and a body of the test's choice, whose answer may be any bytes.
    #[track_caller]
    pub fn binary(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> BinaryAnswer {
        note_request(method, path);
        let mut request = http::Request::builder().method(method).uri(format!("{}{path}", self.base_url));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = match method {
            "GET" | "HEAD" => self.agent.run(request.body(()).unwrap()),
            _ => self.agent.run(request.body(body).unwrap()),
        };
        let mut response = sent.unwrap_or_else(|error| panic!("{method} {path}: no answer: {error}"));
        let bytes = response.body_mut().with_config().limit(256 << 20).read_to_vec().unwrap();
        BinaryAnswer { status: response.status().as_u16(), headers: response.headers().clone(), bytes }
    }
}

/// Appends which test makes which request to the file that `CONDUIT_TEST_REQUESTS` names, if it does:
/// `tools/endpoint-tests` finds in it what covers an endpoint.
fn note_request(method: &str, path: &str) {
    let Ok(file) = std::env::var("CONDUIT_TEST_REQUESTS") else { return };
    let thread = std::thread::current();
    let line = format!("{}\t{method}\t{path}\n", thread.name().unwrap_or("?"));
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(file).unwrap();
    file.write_all(line.as_bytes()).unwrap();
}

/// `text` percent-encoded so that it is one segment of a path or one value of a query.
pub fn path_segment(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => write!(encoded, "%{byte:02X}").unwrap(),
        }
        encoded
    })
}
