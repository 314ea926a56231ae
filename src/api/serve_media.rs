//! Finds media for a request and answers with it: what the endpoints of clients and of servers share.
//!
//! Media of users' making is served so that no browser runs it: the content type its uploader gave, shown
//! inline only if the type is safe, within a sandbox.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{
        ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
        CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE, X_CONTENT_TYPE_OPTIONS,
    },
};
use ruma::{OwnedUserId, UInt, media::Method as RumaMethod};
use tokio::io::AsyncSeekExt;

use super::{ApiError, blocking, file_body::FileBody};
use crate::{
    federation::RemoteMedia,
    media::{
        Media, MediaAddress, MediaError, MediaStore, Method, Thumbnail, ThumbnailRequest, content_type,
        range::{self, Wanted},
    },
    net::{Action, Caller, RateLimiter},
    storage::records::FileHash,
};

/// The policy that the specification recommends: scripts never run.
const SANDBOX: &str = "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; \
                       style-src 'unsafe-inline'; object-src 'self';";

/// An address never changes its content, so clients may keep it; proxies may not, as it is for users.
const CACHED: &str = "private, max-age=31536000, immutable";

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// For whom media is looked for.
#[derive(Debug, Clone)]
pub enum Audience {
    /// A user of this server.
    User(OwnedUserId),
    /// Anybody, by the old endpoints.
    Anybody {
        /// The client's address.
        address: IpAddr,
        /// Whether media of other servers may be fetched for them.
        may_fetch: bool,
    },
    /// Another server, which asks for this one's media only.
    Server,
}

/// Finds media and serves it; cheap to clone.
#[derive(Debug, Clone)]
pub struct MediaFinder {
    store: MediaStore,
    remote: RemoteMedia,
    limiter: Arc<RateLimiter>,
}

impl MediaFinder {
    /// Over the store, and what fetches media of other servers, as often as the limits allow.
    pub fn new(store: MediaStore, remote: RemoteMedia, limiter: Arc<RateLimiter>) -> Self {
        Self { store, remote, limiter }
    }

    /// The media of an address, waiting for `time_max` if its upload is still to come, and fetched from its
    /// server if it is not here.
    pub async fn find(
        &self,
        address: &MediaAddress,
        time_max: Duration,
        audience: &Audience,
    ) -> Result<Media, ApiError> {
        let by_old_endpoint = matches!(audience, Audience::Anybody { .. });
        let is_frozen = by_old_endpoint && !self.store.settings().legacy_downloads;
        let time_max = if is_frozen { Duration::ZERO } else { time_max };
        if !is_frozen {
            self.fetch_if_needed(address, time_max, audience).await?;
        }
        let media = match self.store.find_or_wait(address, time_max).await {
            Err(MediaError::NotYetUploaded) if is_frozen => return Err(MediaError::NotFound.into()),
            found => found?,
        };
        if by_old_endpoint && media.record.authenticated_only {
            return Err(MediaError::NotFound.into());
        }
        Ok(media)
    }

    async fn fetch_if_needed(
        &self,
        address: &MediaAddress,
        time_max: Duration,
        audience: &Audience,
    ) -> Result<(), ApiError> {
        let caller = match audience {
            Audience::User(user_id) => Caller::User(user_id),
            Audience::Anybody { address, may_fetch: true } => Caller::Address(*address),
            Audience::Anybody { .. } | Audience::Server => return Ok(()),
        };
        if address.server_name == self.store.server_name() {
            return Ok(());
        }
        let (store, wanted) = (self.store.clone(), address.clone());
        if blocking::run(move || store.is_known(&wanted)).await? {
            return Ok(());
        }
        self.limiter.check(Action::RemoteMedia, caller)?;
        Ok(self.remote.fetch(address, time_max).await?)
    }

    /// Answers with a file, or the part of it that the request asks for.
    pub async fn serve(&self, served: ServedFile, request: &HeaderMap) -> Result<Response, ApiError> {
        let etag = format!("\"{}\"", served.file.to_hex());
        if header(request, &IF_NONE_MATCH).is_some_and(|known| known == "*" || known.contains(&etag)) {
            return respond(
                StatusCode::NOT_MODIFIED,
                &[(ETAG, &etag), (CACHE_CONTROL, CACHED)],
                Body::empty(),
            );
        }
        let is_same = header(request, &IF_RANGE).is_none_or(|known| known == etag);
        let range = header(request, &RANGE).filter(|_| is_same);
        let (status, first, length) = match range::wanted(range, served.bytes) {
            Wanted::Whole => (StatusCode::OK, 0, served.bytes),
            Wanted::Part { first, last } => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
            Wanted::Nothing => {
                let whole = format!("bytes */{}", served.bytes);
                let headers = [(CONTENT_RANGE, whole.as_str())];
                return respond(StatusCode::RANGE_NOT_SATISFIABLE, &headers, Body::empty());
            }
        };
        let mut file = self.store.open(&served.file).await?;
        if first > 0 {
            file.seek(std::io::SeekFrom::Start(first)).await.map_err(MediaError::from)?;
        }
        let (length_text, range) =
            (length.to_string(), format!("bytes {first}-{}/{}", first + length.max(1) - 1, served.bytes));
        let mut headers = vec![
            (CONTENT_TYPE, served.content_type.as_str()),
            (CONTENT_DISPOSITION, &served.disposition),
            (CONTENT_LENGTH, &length_text),
            (ACCEPT_RANGES, "bytes"),
            (ETAG, &etag),
            (CACHE_CONTROL, CACHED),
            (CONTENT_SECURITY_POLICY, SANDBOX),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (CROSS_ORIGIN_RESOURCE_POLICY, "cross-origin"),
        ];
        if status == StatusCode::PARTIAL_CONTENT {
            headers.push((CONTENT_RANGE, &range));
        }
        respond(status, &headers, Body::new(FileBody::new(file, length)))
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn respond(status: StatusCode, headers: &[(HeaderName, &str)], body: Body) -> Result<Response, ApiError> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    for (name, value) in headers {
        let value = HeaderValue::try_from(*value)
            .map_err(|e| ApiError::internal(format!("media can't be served with {name} {value:?}: {e}")))?;
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// A file with what its answer says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedFile {
    /// The file.
    pub file: FileHash,
    /// Its length in bytes.
    pub bytes: u64,
    /// `Content-Type`.
    pub content_type: String,
    /// `Content-Disposition`.
    pub disposition: String,
}

impl ServedFile {
    /// Media as it was uploaded, under its own or another name.
    pub fn of_media(media: &Media, filename: Option<String>) -> Self {
        let record = &media.record;
        let content_type = record.content_type.clone().unwrap_or_else(|| content_type::UNKNOWN.to_owned());
        let filename = filename.and_then(content_type::kept_filename).or_else(|| record.filename.clone());
        let disposition = content_type::disposition(&content_type, filename).to_string();
        Self { file: record.file, bytes: record.bytes, content_type, disposition }
    }

    /// A thumbnail.
    pub fn of_thumbnail(thumbnail: &Thumbnail) -> Self {
        Self {
            file: thumbnail.file,
            bytes: thumbnail.bytes,
            content_type: thumbnail.content_type.clone(),
            disposition: thumbnail.disposition(),
        }
    }
}

/// A request's size and method. Sizes beyond any image mean the largest.
pub fn thumbnail_request(
    width: UInt,
    height: UInt,
    method: Option<RumaMethod>,
    animated: Option<bool>,
) -> Result<ThumbnailRequest, ApiError> {
    let side = |side: UInt| u32::try_from(u64::from(side)).unwrap_or(u32::MAX);
    let (width, height) = (side(width), side(height));
    if width == 0 || height == 0 {
        return Err(ApiError::invalid_param("A thumbnail has a width and a height"));
    }
    let method = match method {
        Some(RumaMethod::Crop) => Method::Crop,
        Some(RumaMethod::Scale) | None => Method::Scale,
        Some(other) => return Err(ApiError::invalid_param(format!("There is no method {other:?}"))),
    };
    Ok(ThumbnailRequest { width, height, method, animated: animated.unwrap_or(false) })
}
