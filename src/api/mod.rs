//! HTTP to service calls and back.
//!
//! A handler extracts, calls one service, answers. Errors become errcodes in one place ([`error`]), a
//! request is parsed by its ruma type ([`request`]), service code runs off the runtime's threads
//! ([`blocking`]), and no answer to a request that may have written leaves before what was written is
//! durable ([`durability`]). Nothing here knows tables.

mod account_status;
mod admin;
pub mod authentication;
pub mod blocking;
pub mod client;
pub mod directory_pages;
mod durability;
pub mod error;
pub mod federation;
mod federation_errors;
pub mod file_body;
pub mod json;
pub mod limits;
mod media_errors;
pub mod own_aliases;
pub mod rate_limits;
mod remote_errors;
pub mod request;
mod resident_errors;
mod room_errors;
mod room_read_errors;
pub mod routes;
pub mod serve_media;
pub mod state;
mod sync_errors;
pub mod uiaa;
mod user_errors;
mod viewer;

pub use authentication::{AppserviceToken, MaybeAppserviceToken, MaybeRequester, Requester};
pub use error::ApiError;
pub use request::{PathArguments, Ruma, RumaResponse};
pub use room_errors::describe;
pub use state::{
    ApiState, AppserviceServices, FederationServices, MediaServices, PushServices, RoomServices,
    SharedServices, SyncServices, UserServices,
};

/// What a handler answers.
pub type ApiResult<T> = Result<RumaResponse<T>, ApiError>;

/// All endpoints, without the services that serve them.
pub fn endpoints() -> routes::Routes {
    admin::routes(federation::routes(client::routes(routes::Routes::new())))
}

/// All endpoints, with their services; the server wraps them in its middleware.
pub fn router(state: ApiState) -> axum::Router {
    let router = endpoints().into_router().fallback(routes::unknown_endpoint);
    let durability =
        axum::middleware::from_fn_with_state(state.shared.storage.clone(), durability::await_durable);
    router.layer(durability).with_state(state)
}
