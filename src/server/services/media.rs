//! Puts the media services together.

use std::sync::Arc;

use super::{Foundation, StartError};
use crate::{
    api::{MediaServices, serve_media::MediaFinder},
    config::{self, Config},
    federation::{Outside, RemoteMedia},
    media::{ContentFiles, Domains, MediaSettings, MediaStore, Thumbnails, UrlPreviewSettings, UrlPreviews},
    net::{RateLimiter, outbound::Outbound},
};

/// The services of media, here and at other servers.
pub(super) fn build(
    on: Foundation<'_>,
    outside: &Outside,
    rate_limiter: &Arc<RateLimiter>,
) -> Result<MediaServices, StartError> {
    let media = media_store(on)?;
    let elsewhere = outside.outbound.public_secure();
    let remote = RemoteMedia::new(media.clone(), outside.client.clone(), elsewhere);
    Ok(MediaServices {
        media_finder: MediaFinder::new(media.clone(), remote, rate_limiter.clone()),
        thumbnails: Thumbnails::new(media.clone()),
        url_previews: url_previews(on.config, &media, &outside.outbound),
        media,
    })
}

/// Previews of links, as configured.
fn url_previews(config: &Config, media: &MediaStore, outbound: &Outbound) -> UrlPreviews {
    let chosen = &config.url_previews;
    let settings = UrlPreviewSettings {
        enabled: chosen.enabled,
        domains: Domains::new(&chosen.allowed_domains, &chosen.denied_domains),
        languages: chosen.languages.join(", "),
    };
    UrlPreviews::new(media.clone(), outbound.public(), settings)
}

/// The media folder and what lies in it.
fn media_store(on: Foundation<'_>) -> Result<MediaStore, StartError> {
    const MIB: u64 = 1 << 20;
    const DAY_MS: u64 = 24 * 3_600 * 1_000;
    let config = on.config;
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
    Ok(MediaStore::new(on.storage(), files, on.server_name(), on.clock(), settings))
}
