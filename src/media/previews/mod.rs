//! Previews of links (client-server API, `GET /media/preview_url`): the page is fetched, its metadata read, its
//! image kept as media of this server.
//!
//! Links come from strangers: pages are fetched with a client that refuses private addresses, within bounds
//! of bytes, time and redirects, and only if the operator's lists of domains let them. A preview is kept for
//! a while, and fetched once for all who ask at once. The main type is [`UrlPreviews`].

mod domains;
mod page;

use std::sync::Arc;

use bytes::Bytes;
use http::{
    Request, Response, Uri,
    header::{ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE},
};
use serde_json::{Map, Value, json};

pub use self::domains::Domains;
use self::page::PageFacts;
use super::{
    MediaAddress, MediaError, MediaStore, NewMedia, content_type, limits,
    store::blocking,
    thumbnails::{ImageFacts, image_facts},
};
use crate::{
    net::outbound::{OutboundClient, OutboundError, ResponseBody, ResponseLimits, SingleFlight, join},
    storage::{
        Json, Read, StorageError,
        records::{MediaKind, UrlPreviewRecord},
        tables::URL_PREVIEWS,
    },
    users::secrets,
};

/// What the operator chooses.
#[derive(Debug, Clone)]
pub struct UrlPreviewSettings {
    /// Whether there are previews.
    pub enabled: bool,
    /// Links to which domains have one.
    pub domains: Domains,
    /// The header `Accept-Language`.
    pub languages: String,
}

/// Why there is no preview.
#[derive(Debug, Clone, thiserror::Error)]
pub enum UrlPreviewError {
    /// The operator has turned them off.
    #[error("This server makes no previews")]
    Disabled,
    /// It is no link that can be fetched.
    #[error("This is not a link to a web page")]
    BadUrl,
    /// The operator's lists or the address say no.
    #[error("This server makes no preview of this link")]
    NotAllowed,
    /// The page could not be fetched.
    #[error("The page could not be fetched: {0}")]
    Unreachable(String),
    /// Too many are being made.
    #[error("The server is busy; try again")]
    Busy,
    /// The store or the media folder failed.
    #[error(transparent)]
    Media(#[from] MediaError),
}

impl From<OutboundError> for UrlPreviewError {
    fn from(error: OutboundError) -> Self {
        match error {
            OutboundError::NotAllowed(_) => Self::NotAllowed,
            OutboundError::Url(_) => Self::BadUrl,
            other => Self::Unreachable(other.to_string()),
        }
    }
}

/// Makes previews; cheap to clone.
#[derive(Debug, Clone)]
pub struct UrlPreviews(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: MediaStore,
    client: OutboundClient,
    settings: UrlPreviewSettings,
    running: SingleFlight<String, Result<Value, UrlPreviewError>>,
}

impl UrlPreviews {
    /// Fetches with `client`, which must refuse private addresses.
    pub fn new(store: MediaStore, client: OutboundClient, settings: UrlPreviewSettings) -> Self {
        let running = SingleFlight::new(limits::PREVIEWS_CONCURRENT_MAX);
        Self(Arc::new(Inner { store, client, settings, running }))
    }

    /// Whether there are previews at all.
    pub fn is_enabled(&self) -> bool {
        self.0.settings.enabled
    }

    /// The preview of a link: a JSON object, empty where nothing can be said.
    pub async fn preview(&self, url: &str) -> Result<Value, UrlPreviewError> {
        if !self.0.settings.enabled {
            return Err(UrlPreviewError::Disabled);
        }
        if url.len() > limits::PREVIEW_URL_BYTES_MAX {
            return Err(UrlPreviewError::BadUrl);
        }
        let url = url.split('#').next().unwrap_or_default().to_owned();
        let uri: Uri = url.parse().map_err(|_| UrlPreviewError::BadUrl)?;
        self.0.check(&uri)?;
        let (inner, wanted) = (self.0.clone(), url.clone());
        if let Some(kept) = blocking(move || inner.kept(&wanted).map_err(MediaError::from)).await? {
            return Ok(kept);
        }
        let inner = self.0.clone();
        let made = self.0.running.run(url.clone(), || async move { inner.make(url, uri).await });
        made.await.unwrap_or(Err(UrlPreviewError::Busy))
    }
}

impl Inner {
    fn check(&self, uri: &Uri) -> Result<(), UrlPreviewError> {
        let host = uri.host().filter(|_| matches!(uri.scheme_str(), Some("http" | "https")));
        let host = host.ok_or(UrlPreviewError::BadUrl)?;
        if self.settings.domains.allow(host) { Ok(()) } else { Err(UrlPreviewError::NotAllowed) }
    }

    fn kept(&self, url: &str) -> Result<Option<Value>, StorageError> {
        let row = self.store.storage.get(&URL_PREVIEWS, &secrets::hash(url))?;
        let newest_ms = self.store.clock.now_ms().saturating_sub(limits::PREVIEW_LIFETIME_MS);
        Ok(row.filter(|Json(row)| row.fetched_ms >= newest_ms).map(|Json(row)| row.preview))
    }

    async fn make(self: Arc<Self>, url: String, uri: Uri) -> Result<Value, UrlPreviewError> {
        let (uri, response) = self.fetch(uri).await?;
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or(content_type::UNKNOWN).to_owned();
        let (preview, image) = match content_type::essence(&content_type).as_str() {
            "text/html" | "application/xhtml+xml" => {
                let page = read_start(response.into_body(), limits::PREVIEW_PAGE_BYTES_MAX).await?;
                let facts =
                    blocking(move || Ok::<_, MediaError>(PageFacts::read(&page, &content_type))).await?;
                self.of_page(&uri, facts).await
            }
            kind if kind.starts_with("image/") => self.of_image(response, Map::new()).await,
            _ => (Map::new(), None),
        };
        let preview = Value::Object(preview);
        self.keep(url, preview.clone(), image).await?;
        Ok(preview)
    }

    async fn of_page(&self, uri: &Uri, facts: PageFacts) -> (Map<String, Value>, Option<MediaAddress>) {
        let image = facts.image().and_then(|image| join(uri, image));
        let preview = facts.into_preview();
        let Some(image) = image else { return (preview, None) };
        match self.fetch(image).await {
            Ok((_, response)) => self.of_image(response, preview).await,
            // A page without its picture is still a page.
            Err(_) => (without_image(preview), None),
        }
    }

    /// Adds an image to a preview, if it is one.
    async fn of_image(
        &self,
        response: Response<ResponseBody>,
        preview: Map<String, Value>,
    ) -> (Map<String, Value>, Option<MediaAddress>) {
        let mut preview = without_image(preview);
        match self.keep_image(response).await {
            Ok((address, facts, bytes)) => {
                preview.insert("og:image".to_owned(), json!(address.to_string()));
                preview.insert("og:image:type".to_owned(), json!(facts.content_type));
                preview.insert("og:image:width".to_owned(), json!(facts.width));
                preview.insert("og:image:height".to_owned(), json!(facts.height));
                preview.insert("matrix:image:size".to_owned(), json!(bytes));
                (preview, Some(address))
            }
            Err(error) => {
                tracing::debug!("the image of a preview is left out: {error}");
                (preview, None)
            }
        }
    }

    async fn keep_image(
        &self,
        response: Response<ResponseBody>,
    ) -> Result<(MediaAddress, ImageFacts, u64), UrlPreviewError> {
        let mut body = response.into_body();
        let mut file = self.store.files.begin(limits::PREVIEW_IMAGE_BYTES_MAX).await?;
        while let Some(chunk) = body.data().await? {
            file.write(&chunk).await?;
        }
        let file = file.finish().await?;
        let store = self.store.clone();
        Ok(blocking(move || {
            let facts = image_facts(file.path())?;
            let media = NewMedia {
                kind: MediaKind::Preview,
                uploader: None,
                content_type: Some(facts.content_type.to_owned()),
                filename: None,
            };
            let bytes = file.bytes();
            Ok::<_, MediaError>((store.keep_upload(&file, media)?, facts, bytes))
        })
        .await?)
    }

    /// Fetches a page or image, following redirects one by one, so that each is checked.
    async fn fetch(&self, mut uri: Uri) -> Result<(Uri, Response<ResponseBody>), UrlPreviewError> {
        let limits = ResponseLimits {
            bytes_max: limits::PREVIEW_RESPONSE_BYTES_MAX,
            time_max: limits::PREVIEW_TIME_MAX,
            redirects_max: 0,
        };
        for _ in 0..=limits::PREVIEW_REDIRECTS_MAX {
            self.check(&uri)?;
            let request = Request::get(uri.clone())
                .header(ACCEPT, "text/html, application/xhtml+xml, image/*;q=0.8, */*;q=0.1")
                .header(ACCEPT_LANGUAGE, &self.settings.languages)
                .body(Bytes::new())
                .map_err(|_| UrlPreviewError::BadUrl)?;
            let response = self.client.stream(request, limits).await?;
            if response.status().is_success() {
                return Ok((uri, response));
            }
            let target = response.headers().get(http::header::LOCATION).and_then(|to| to.to_str().ok());
            let target = target.filter(|_| response.status().is_redirection());
            let Some(target) = target else {
                return Err(UrlPreviewError::Unreachable(format!(
                    "its server answers {}",
                    response.status()
                )));
            };
            uri = join(&uri, target).ok_or(UrlPreviewError::BadUrl)?;
        }
        Err(UrlPreviewError::Unreachable("too many redirects".to_owned()))
    }

    async fn keep(
        &self,
        url: String,
        preview: Value,
        image: Option<MediaAddress>,
    ) -> Result<(), UrlPreviewError> {
        let (storage, fetched_ms) = (self.store.storage.clone(), self.store.clock.now_ms());
        let key = secrets::hash(&url);
        let image = image.map(|address| address.media_id);
        let record = UrlPreviewRecord { url, fetched_ms, preview, image };
        Ok(blocking(move || {
            storage.write(|tx| {
                tx.put(&URL_PREVIEWS, &key, &Json(record));
                Ok::<_, MediaError>(())
            })
        })
        .await?)
    }
}

/// A preview without what its page says of an image that is not there.
fn without_image(mut preview: Map<String, Value>) -> Map<String, Value> {
    preview.retain(|name, _| !name.starts_with("og:image"));
    preview
}

/// The first bytes of an answer: the head of a page is at its beginning.
async fn read_start(mut body: ResponseBody, bytes_max: usize) -> Result<Vec<u8>, UrlPreviewError> {
    let mut start = Vec::new();
    while let Some(chunk) = body.data().await? {
        start.extend_from_slice(&chunk);
        if start.len() >= bytes_max {
            start.truncate(bytes_max);
            break;
        }
    }
    Ok(start)
}
