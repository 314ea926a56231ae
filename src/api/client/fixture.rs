//! A server without sockets, for tests of handlers.

use std::sync::Arc;

use axum::{Router, body::Body, extract::FromRef};
use http::{Method, Request, StatusCode, header::AUTHORIZATION};
use ruma::{RoomId, RoomVersionId, server_name};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{
    account, account_data, admin, device,
    discovery::{self, Advertised, Support},
    filter, profile, session,
};
use crate::{
    api::routes::{Routes, unknown_endpoint},
    config::RateLimits,
    federation::{RemoteProfiles, testing::Own},
    net::RateLimiter,
    rooms::{MemberProfiles, Memberships, testing::RoomsFixture},
    users::{
        AccountData, Accounts, Devices, Filters, LoginSecret, LoginTokens, NewDevice, Profiles,
        RegistrationPolicy, Sessions, SharedSecret, StartedSession, Uiaa,
        fixture::{Fixture, TestUser},
    },
};

macro_rules! test_state {
    ($($field:ident: $service:ty,)*) => {
        /// The services that the endpoints for users ask for.
        #[derive(Clone)]
        pub(crate) struct TestState {
            $(pub(crate) $field: $service,)*
        }

        $(impl FromRef<TestState> for $service {
            fn from_ref(state: &TestState) -> Self {
                state.$field.clone()
            }
        })*
    };
}

test_state! {
    sessions: Sessions,
    rate_limiter: Arc<RateLimiter>,
    accounts: Accounts,
    devices: Devices,
    profiles: Profiles,
    remote_profiles: RemoteProfiles,
    memberships: Memberships,
    account_data: AccountData,
    filters: Filters,
    login_tokens: LoginTokens,
    uiaa: Uiaa,
    shared_secret: Option<SharedSecret>,
    login_secret: LoginSecret,
    advertised: Advertised,
}

/// The endpoints, and the services behind them.
pub(crate) struct TestServer {
    pub(crate) fixture: Fixture,
    router: Router,
}

impl TestServer {
    /// A server called `example.org` on which nobody may register.
    pub(crate) fn new() -> Self {
        Self::customised(|_| ())
    }

    /// A server with another policy for registration.
    pub(crate) fn with_registration(policy: RegistrationPolicy) -> Self {
        Self::customised(|state| state.uiaa = Uiaa::new(state.accounts.clone(), policy, clock()))
    }

    /// A server with other services.
    pub(crate) fn customised(change: impl FnOnce(&mut TestState)) -> Self {
        let fixture = Fixture::new();
        let mut state = state(&fixture);
        change(&mut state);
        let mut routes = Routes::new();
        routes = account::routes(routes);
        routes = account_data::routes(routes);
        routes = admin::routes(routes);
        routes = device::routes(routes);
        routes = discovery::routes(routes);
        routes = filter::routes(routes);
        routes = profile::routes(routes);
        routes = session::routes(routes);
        Self { fixture, router: routes.into_router().fallback(unknown_endpoint).with_state(state) }
    }

    /// Registers a user.
    pub(crate) fn user(&self, localpart: &str) -> TestUser {
        self.fixture.user(localpart)
    }

    /// Logs a user in with one more device.
    pub(crate) fn second_device(&self, user: &TestUser) -> StartedSession {
        self.fixture.sessions.start(&user.user_id, NewDevice::default()).unwrap()
    }

    /// Makes the server know a room's id.
    pub(crate) fn known_room(&self, room: &str) {
        self.fixture.storage.write(|tx| tx.intern_room(&RoomId::parse(room).unwrap())).unwrap();
    }

    /// Sends a request without body.
    pub(crate) async fn get(&self, path: &str, token: Option<&str>) -> (StatusCode, Value) {
        self.send_raw(Method::GET, path, token, "").await
    }

    /// Sends a request with a body.
    pub(crate) async fn post(&self, path: &str, token: Option<&str>, body: Value) -> (StatusCode, Value) {
        self.send(Method::POST, path, token, body).await
    }

    /// Sends a request with a body.
    pub(crate) async fn put(&self, path: &str, token: Option<&str>, body: Value) -> (StatusCode, Value) {
        self.send(Method::PUT, path, token, body).await
    }

    /// Sends a request with a body.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Value,
    ) -> (StatusCode, Value) {
        self.send_raw(method, path, token, &body.to_string()).await
    }

    /// Sends a request whose body may be no JSON; the answer must be.
    pub(crate) async fn send_raw(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: &str,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }
}

fn clock() -> crate::users::Clock {
    crate::users::Clock::manual(1_700_000_000_000).0
}

fn state(fixture: &Fixture) -> TestState {
    let registration = RegistrationPolicy::Closed;
    TestState {
        sessions: fixture.sessions.clone(),
        rate_limiter: Arc::new(RateLimiter::new(&RateLimits { enabled: false, ..RateLimits::default() })),
        accounts: fixture.accounts.clone(),
        devices: fixture.devices.clone(),
        profiles: fixture.profiles.clone(),
        remote_profiles: isolated_profiles(),
        memberships: memberships(fixture),
        account_data: fixture.account_data.clone(),
        filters: fixture.filters.clone(),
        login_tokens: LoginTokens::new(fixture.clock.clone()),
        uiaa: Uiaa::new(fixture.accounts.clone(), registration, fixture.clock.clone()),
        shared_secret: None,
        login_secret: LoginSecret::default(),
        advertised: Advertised {
            thread_subscriptions: false,
            default_room_version: RoomVersionId::V12,
            client_base_url: Some("https://matrix.example.org".to_owned()),
            server: Some("matrix.example.org:443".try_into().unwrap()),
            livekit_urls: Vec::new(),
            support: Support::default(),
            event_delay_ms_max: 1_000,
        },
    }
}

/// For a server that talks to no other.
fn isolated_profiles() -> RemoteProfiles {
    let own = Own::configured(|config| config.federation.enabled = false);
    RemoteProfiles::new(own.client, server_name!("example.org").to_owned())
}

fn memberships(fixture: &Fixture) -> Memberships {
    let appender = RoomsFixture::over(fixture.storage.clone()).appender;
    Memberships::new(appender, MemberProfiles::stored(fixture.storage.clone()))
}

/// Proof by password for the session of a 401 answer, or without session if it names none.
pub(crate) fn password_auth(user: &str, password: &str, answer: &Value) -> Value {
    let identifier = json!({ "type": "m.id.user", "user": user });
    json!({
        "type": "m.login.password", "identifier": identifier, "password": password,
        "session": answer["session"],
    })
}
