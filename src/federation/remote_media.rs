//! Media of other servers: fetched when a user here asks for it, and kept by the media store (server-server API,
//! "Content Repository").
//!
//! One fetch serves all who ask for the same media meanwhile. Bodies are streamed to disk within the bound of
//! what users may upload. The endpoint that servers sign is tried first; a server that doesn't know it is asked
//! by the old one. The main type is [`RemoteMedia`].

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderMap, Method, Request, StatusCode,
    header::{CONTENT_DISPOSITION, CONTENT_TYPE},
};
use ruma::{
    OwnedServerName,
    api::{
        Metadata, OutgoingRequest, auth_scheme::NoAuthentication, error::IntoHttpError,
        federation::authenticated_media::get_content, path_builder::SinglePath,
    },
    http_headers::ContentDisposition,
};

use super::{FederationClient, FederationError, SendOptions, limits};
use crate::{
    media::{
        IncomingFile, MediaAddress, MediaError, MediaStore, NewMedia, WholeFile,
        multipart::{self, PartHeaders},
    },
    net::outbound::{OutboundClient, OutboundError, ResponseBody, ResponseLimits, SingleFlight},
    storage::records::MediaKind,
};

/// Fetches media of other servers; cheap to clone.
#[derive(Debug, Clone)]
pub struct RemoteMedia {
    store: MediaStore,
    client: FederationClient,
    elsewhere: OutboundClient,
    running: SingleFlight<MediaAddress, Result<(), MediaError>>,
}

impl RemoteMedia {
    /// Into `store`. `elsewhere` asks for files that a server keeps in another place; it must refuse private
    /// addresses.
    pub fn new(store: MediaStore, client: FederationClient, elsewhere: OutboundClient) -> Self {
        Self { store, client, elsewhere, running: SingleFlight::new(limits::MEDIA_FETCHES_MAX) }
    }

    /// Fetches media that is not here. Its server may take `time_max` to wait for an upload.
    pub async fn fetch(&self, address: &MediaAddress, time_max: Duration) -> Result<(), MediaError> {
        let (media, wanted) = (self.clone(), address.clone());
        let fetched =
            self.running.run(address.clone(), || async move { media.fetch_now(wanted, time_max).await });
        fetched.await.unwrap_or(Err(MediaError::Busy))
    }

    async fn fetch_now(self, address: MediaAddress, time_max: Duration) -> Result<(), MediaError> {
        let (file, headers) = self.download(&address, time_max).await?;
        let filename = headers.content_disposition.and_then(|value| {
            let disposition: ContentDisposition = value.parse().ok()?;
            disposition.filename
        });
        let media = NewMedia {
            kind: MediaKind::Remote,
            uploader: None,
            content_type: headers.content_type,
            filename,
        };
        let store = self.store.clone();
        let kept = tokio::task::spawn_blocking(move || store.keep_remote(&file, media, &address));
        kept.await.unwrap_or(Err(MediaError::Busy))
    }

    async fn download(
        &self,
        address: &MediaAddress,
        time_max: Duration,
    ) -> Result<(WholeFile, PartHeaders), MediaError> {
        let mut request = get_content::v1::Request::new(address.media_id.clone());
        request.timeout_ms = time_max.min(limits::MEDIA_UPLOAD_WAIT_TIME_MAX);
        let answer = self.client.stream(&address.server_name, request, self.options()).await;
        match answer {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                self.read_multipart(&parts.headers, body).await
            }
            Err(error) if does_not_know_endpoint(&error) => self.download_unsigned(address).await,
            Err(error) => Err(self.refused(error)),
        }
    }

    fn options(&self) -> SendOptions {
        let bytes_max = self.store.settings().upload_bytes_max.saturating_add(limits::MEDIA_FRAME_BYTES_MAX);
        SendOptions { time_max: limits::MEDIA_TIME_MAX, bytes_max, even_if_backing_off: false }
    }

    async fn read_multipart(
        &self,
        headers: &HeaderMap,
        mut body: ResponseBody,
    ) -> Result<(WholeFile, PartHeaders), MediaError> {
        let makes_no_sense = |error: multipart::MultipartError| MediaError::Unreachable(error.to_string());
        let content_type = text(headers, CONTENT_TYPE).unwrap_or_default();
        let mut reader = multipart::Reader::new(&multipart::boundary(&content_type).map_err(makes_no_sense)?);
        let mut file = self.begin().await?;
        while let Some(chunk) = body.data().await.map_err(|error| self.broken(&error))? {
            reader.push(&chunk);
            let bytes = reader.take().map_err(makes_no_sense)?;
            self.write(&mut file, &bytes).await?;
        }
        let headers = reader.finish().map_err(makes_no_sense)?.clone();
        match &headers.location {
            Some(location) => self.download_elsewhere(location).await,
            None => Ok((file.finish().await?, headers)),
        }
    }

    /// By the endpoint of old, for servers that know no other.
    async fn download_unsigned(
        &self,
        address: &MediaAddress,
    ) -> Result<(WholeFile, PartHeaders), MediaError> {
        let request = UnsignedDownload(address.clone());
        let answer = self.client.stream(&address.server_name, request, self.options()).await;
        let (parts, body) = answer.map_err(|error| self.refused(error))?.into_parts();
        self.read_plain(&parts.headers, body).await
    }

    /// From where the server says that the file is.
    async fn download_elsewhere(&self, url: &str) -> Result<(WholeFile, PartHeaders), MediaError> {
        let request = Request::get(url).body(Bytes::new());
        let request = request.map_err(|error| MediaError::Unreachable(error.to_string()))?;
        let limits = ResponseLimits {
            bytes_max: self.store.settings().upload_bytes_max,
            time_max: limits::MEDIA_TIME_MAX,
            redirects_max: limits::MEDIA_REDIRECTS_MAX,
        };
        let answer = self.elsewhere.stream(request, limits).await.map_err(|error| self.broken(&error))?;
        if !answer.status().is_success() {
            return Err(MediaError::Unreachable(format!(
                "the place of the file answers {}",
                answer.status()
            )));
        }
        let (parts, body) = answer.into_parts();
        self.read_plain(&parts.headers, body).await
    }

    async fn read_plain(
        &self,
        headers: &HeaderMap,
        mut body: ResponseBody,
    ) -> Result<(WholeFile, PartHeaders), MediaError> {
        let mut file = self.begin().await?;
        while let Some(chunk) = body.data().await.map_err(|error| self.broken(&error))? {
            self.write(&mut file, &chunk).await?;
        }
        let headers = PartHeaders {
            content_type: text(headers, CONTENT_TYPE),
            content_disposition: text(headers, CONTENT_DISPOSITION),
            location: None,
        };
        Ok((file.finish().await?, headers))
    }

    async fn begin(&self) -> Result<IncomingFile, MediaError> {
        self.store.files().begin(self.store.settings().upload_bytes_max).await
    }

    /// What is too large for an upload is too large to be fetched.
    async fn write(&self, file: &mut IncomingFile, bytes: &[u8]) -> Result<(), MediaError> {
        file.write(bytes).await.map_err(|error| match error {
            MediaError::TooLarge { bytes_max } => MediaError::RemoteTooLarge { bytes_max },
            other => other,
        })
    }

    fn too_large(&self) -> MediaError {
        MediaError::RemoteTooLarge { bytes_max: self.store.settings().upload_bytes_max }
    }

    fn broken(&self, error: &OutboundError) -> MediaError {
        match error {
            OutboundError::TooLarge(_) => self.too_large(),
            other => MediaError::Unreachable(other.to_string()),
        }
    }

    fn refused(&self, error: FederationError) -> MediaError {
        match (&error, error.remote_errcode()) {
            (FederationError::TooLarge, _) | (_, Some("M_TOO_LARGE")) => self.too_large(),
            (_, Some("M_NOT_YET_UPLOADED")) => MediaError::NotYetUploaded,
            (
                FederationError::NotAllowed | FederationError::Remote { status: StatusCode::NOT_FOUND, .. },
                _,
            ) => MediaError::NotFound,
            _ => MediaError::Unreachable(error.to_string()),
        }
    }
}

fn text(headers: &HeaderMap, name: http::HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// "before falling back […] when they receive a `404 M_UNRECOGNIZED` error"; servers from before the errcode
/// was agreed on say nothing readable, or that the method or the path is wrong.
fn does_not_know_endpoint(error: &FederationError) -> bool {
    let FederationError::Remote { status, errcode, .. } = error else { return false };
    let is_of_path = matches!(status.as_u16(), 400 | 404 | 405 | 501);
    is_of_path && matches!(errcode.as_str(), "M_UNRECOGNIZED" | "M_UNKNOWN")
}

/// `GET /_matrix/media/v3/download/{serverName}/{mediaId}`. ruma knows it as a request of clients only.
#[derive(Debug, Clone)]
struct UnsignedDownload(MediaAddress);

impl Metadata for UnsignedDownload {
    const METHOD: Method = Method::GET;
    const RATE_LIMITED: bool = true;
    type Authentication = NoAuthentication;
    type PathBuilder = SinglePath;
    const PATH_BUILDER: SinglePath = SinglePath::new("/_matrix/media/v3/download/{server_name}/{media_id}");
}

impl OutgoingRequest for UnsignedDownload {
    type Body = <get_content::v1::Request as OutgoingRequest>::Body;
    type EndpointError = <get_content::v1::Request as OutgoingRequest>::EndpointError;
    type IncomingResponse = <get_content::v1::Request as OutgoingRequest>::IncomingResponse;

    fn try_into_http_request_inner(
        self,
        base_url: &str,
        _path_input: (),
    ) -> Result<Request<Self::Body>, IntoHttpError> {
        let MediaAddress { server_name, media_id } = self.0;
        let server_name: OwnedServerName = server_name;
        // Both parts are made of characters that need no escaping, but for an IPv6 address's brackets.
        let server = server_name.as_str().replace('[', "%5B").replace(']', "%5D");
        let path = format!("/_matrix/media/v3/download/{server}/{media_id}?allow_remote=false");
        let signed = get_content::v1::Request::new(media_id);
        let mut request = signed.try_into_http_request_inner(base_url, ())?;
        *request.uri_mut() = format!("{base_url}{path}").parse::<http::Uri>().map_err(http::Error::from)?;
        Ok(request)
    }
}

#[cfg(test)]
#[path = "remote_media_tests.rs"]
mod tests;
