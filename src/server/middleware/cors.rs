//! Cross-origin requests: web clients may call from anywhere (client-server API, "Web Browser Clients").

use http::{
    HeaderName, Method,
    header::{AUTHORIZATION, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH},
};
use tower_http::cors::{Any, CorsLayer};

use crate::server::limits::CORS_MAX_AGE;

/// Answers preflights for every path, and puts the headers on every other answer, errors included.
pub fn layer() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::DELETE,
            Method::OPTIONS,
        ])
        // The last two are rendezvous sessions' (MSC4108).
        .allow_headers([
            HeaderName::from_static("x-requested-with"),
            CONTENT_TYPE,
            AUTHORIZATION,
            IF_MATCH,
            IF_NONE_MATCH,
        ])
        .max_age(CORS_MAX_AGE)
}
