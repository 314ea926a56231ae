//! Which handler serves which request.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{
    Router,
    extract::FromRef,
    handler::Handler,
    routing::{MethodFilter, MethodRouter},
};
use ruma::api::{IncomingRequest, path_builder::PathBuilder};

use super::{ApiError, ApiState, rate_limits::Limited};
use crate::{
    net::{Action, RateLimiter},
    users::Sessions,
};

/// Collects endpoints by path: every path of a request's ruma type, old and new.
/// Those of a folder work with any state that has the services they ask for.
pub struct Routes<S = ApiState> {
    paths: BTreeMap<String, MethodRouter<S>>,
    endpoints: BTreeSet<(String, String)>,
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self { paths: BTreeMap::new(), endpoints: BTreeSet::new() }
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// No endpoints.
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves the requests of type `R`, on all the paths it has had, with `handler`.
    #[must_use]
    #[allow(clippy::should_implement_trait, reason = "it adds an endpoint, not a number")]
    pub fn add<R, H, T>(mut self, handler: H) -> Self
    where
        R: IncomingRequest,
        H: Handler<T, S>,
        T: 'static,
    {
        for path in R::PATH_BUILDER.all_paths() {
            self = self.add_at(R::METHOD, path, handler.clone());
        }
        self
    }

    /// As [`Routes::add`], for requests that count as `action`: those too many are refused.
    #[must_use]
    pub fn add_limited<R, H, T>(self, action: Action, handler: H) -> Self
    where
        R: IncomingRequest,
        H: Handler<T, S>,
        T: 'static,
        Arc<RateLimiter>: FromRef<S>,
        Sessions: FromRef<S>,
    {
        self.add::<R, _, _>(Limited { action, handler })
    }

    /// Serves one path that no ruma type knows.
    #[must_use]
    pub fn add_at<H, T>(mut self, method: http::Method, path: &str, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let endpoint = (path.to_owned(), method.to_string());
        let Ok(filter) = MethodFilter::try_from(method) else { return self };
        self.endpoints.insert(endpoint);
        let at = self.paths.remove(path).unwrap_or_default();
        self.paths.insert(path.to_owned(), at.on(filter, handler));
        self
    }

    /// Path and method of each endpoint, in order; a name in braces stands for an argument.
    pub fn endpoints(&self) -> impl Iterator<Item = (&str, &str)> {
        self.endpoints.iter().map(|(path, method)| (path.as_str(), method.as_str()))
    }

    /// The endpoints as a router; a known path with a wrong method answers 405.
    pub fn into_router(self) -> Router<S> {
        self.paths.into_iter().fold(Router::new(), |router, (path, methods)| {
            router.route(&path, methods.fallback(wrong_method))
        })
    }
}

/// Answers requests for paths that nothing serves.
pub async fn unknown_endpoint() -> ApiError {
    ApiError::unrecognized()
}

async fn wrong_method() -> ApiError {
    let kind = ruma::api::error::ErrorKind::Unrecognized;
    ApiError::new(http::StatusCode::METHOD_NOT_ALLOWED, kind, "This path does not take this method")
}
