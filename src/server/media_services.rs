//! Puts the media services together.

use std::sync::Arc;

use super::{federation_services::FederationServices, services::StartError};
use crate::{
    api::serve_media::MediaFinder,
    config::{self, Config},
    federation::RemoteMedia,
    media::{ContentFiles, Domains, MediaSettings, MediaStore, UrlPreviewSettings, UrlPreviews},
    net::{RateLimiter, outbound::Outbound},
    storage::Storage,
    users::Clock,
};

/// What finds media for requests, here and at other servers.
pub(super) fn media_finder(
    media: &MediaStore,
    federation: &FederationServices,
    rate_limiter: &Arc<RateLimiter>,
) -> MediaFinder {
    let elsewhere = federation.outbound.public_secure();
    let remote = RemoteMedia::new(media.clone(), federation.client.clone(), elsewhere);
    MediaFinder::new(media.clone(), remote, rate_limiter.clone())
}

/// Previews of links, as configured.
pub(super) fn url_previews(config: &Config, media: &MediaStore, outbound: &Outbound) -> UrlPreviews {
    let chosen = &config.url_previews;
    let settings = UrlPreviewSettings {
        enabled: chosen.enabled,
        domains: Domains::new(&chosen.allowed_domains, &chosen.denied_domains),
        languages: chosen.languages.join(", "),
    };
    UrlPreviews::new(media.clone(), outbound.public(), settings)
}

/// The media folder and what lies in it.
pub(super) fn media_store(
    config: &Config,
    storage: &Storage,
    clock: &Clock,
) -> Result<MediaStore, StartError> {
    const MIB: u64 = 1 << 20;
    const DAY_MS: u64 = 24 * 3_600 * 1_000;
    let folder = config.media.dir.clone().unwrap_or_else(|| config.data_dir.join("media"));
    let power_loss = config.durability == config::Durability::PowerLoss;
    let files = ContentFiles::open(&folder, power_loss)
        .map_err(|source| StartError::MediaFolder { folder: folder.display().to_string(), source })?;
    let keep_days = config.media.remote_keep_days;
    let settings = MediaSettings {
        upload_bytes_max: config.media.max_upload_mb.saturating_mul(MIB),
        user_quota_bytes: config.media.user_quota_mb.map(|quota| quota.saturating_mul(MIB)),
        legacy_downloads: config.media.legacy_downloads,
        remote_keep_ms: (keep_days > 0).then(|| keep_days.saturating_mul(DAY_MS)),
        thumbnail_pixels_max: config.media.thumbnail_megapixels_max.saturating_mul(1_000_000),
    };
    Ok(MediaStore::new(storage.clone(), files, config.server_name.clone(), clock.clone(), settings))
}
