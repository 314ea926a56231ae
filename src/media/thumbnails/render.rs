//! Makes a thumbnail of an image file. Blocks for as long as decoding takes.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Cursor, Read, Seek, SeekFrom},
    path::Path,
    time::Instant,
};

use image::{
    AnimationDecoder, Delay, DynamicImage, Frame, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits,
    codecs::{
        gif::{GifDecoder, GifEncoder, Repeat},
        jpeg::JpegEncoder,
        png::PngDecoder,
        webp::WebPDecoder,
    },
    error::LimitErrorKind,
    metadata::Orientation,
};

use super::size::{Method, Target};
use crate::media::{MediaError, limits};

/// An image file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) pixels_max: u64,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Rendered {
    /// The image is so small that it is its own thumbnail.
    AsItIs {
        /// Its type, by its content.
        content_type: &'static str,
    },
    /// A new image.
    Image {
        /// Its bytes.
        bytes: Vec<u8>,
        /// Its content type.
        content_type: &'static str,
    },
}

/// What an image file says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::media) struct ImageFacts {
    /// Its content type, by its content.
    pub content_type: &'static str,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
}

/// Reads what an image file says of itself, without decoding it.
pub(in crate::media) fn image_facts(path: &Path) -> Result<ImageFacts, MediaError> {
    let format = format_of(path)?;
    let content_type = content_type_of(format)?;
    let (width, height) = head_reader(path, format)?.into_dimensions().map_err(refused)?;
    Ok(ImageFacts { content_type, width, height })
}

fn content_type_of(format: ImageFormat) -> Result<&'static str, MediaError> {
    match format {
        ImageFormat::Png => Ok("image/png"),
        ImageFormat::Jpeg => Ok("image/jpeg"),
        ImageFormat::Gif => Ok("image/gif"),
        ImageFormat::WebP => Ok("image/webp"),
        _ => Err(MediaError::NoThumbnail("it is not of a known image format".to_owned())),
    }
}

/// Makes the thumbnail.
pub(super) fn render(source: &Source<'_>, target: Target) -> Result<Rendered, MediaError> {
    let format = format_of(source.path)?;
    let content_type = content_type_of(format)?;
    let mut decoder = reader(source, format)?.into_decoder().map_err(refused)?;
    let (width, height) = decoder.dimensions();
    check_size(source, width, height)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let (shown_width, shown_height) = turned(orientation, width, height);
    let is_animated = is_animated(source, format)?;
    if target.takes_whole(shown_width, shown_height) && (target.animated || !is_animated) {
        return Ok(Rendered::AsItIs { content_type });
    }
    let animation = if target.animated && is_animated {
        animation(source, format, target, (width, height))?
    } else {
        None
    };
    if let Some(bytes) = animation {
        return Ok(Rendered::Image { bytes, content_type: "image/gif" });
    }
    let image = DynamicImage::from_decoder(decoder).map_err(refused)?;
    encode(still(image, orientation, target), format)
}

fn format_of(path: &Path) -> Result<ImageFormat, MediaError> {
    let mut start = Vec::with_capacity(64);
    File::open(path)?.take(64).read_to_end(&mut start)?;
    image::guess_format(&start)
        .map_err(|_| MediaError::NoThumbnail("it is not of a known image format".to_owned()))
}

/// The image as it is, before it is turned.
fn check_size(source: &Source<'_>, width: u32, height: u32) -> Result<(), MediaError> {
    let pixels = u64::from(width) * u64::from(height);
    let too_large =
        pixels > source.pixels_max || width > limits::IMAGE_SIDE_MAX || height > limits::IMAGE_SIDE_MAX;
    if too_large { Err(MediaError::ImageTooLarge) } else { Ok(()) }
}

/// Bounds for decoding frames.
fn bounds(source: &Source<'_>) -> Limits {
    let mut bounds = head_bounds();
    bounds.max_alloc = Some(source.pixels_max.saturating_mul(limits::DECODE_BYTES_PER_PIXEL));
    bounds
}

/// Bounds for the head of a file. A PNG's decoder holds to those that it was made with for all but frames.
fn head_bounds() -> Limits {
    let mut bounds = Limits::default();
    bounds.max_image_width = Some(limits::IMAGE_SIDE_MAX);
    bounds.max_image_height = Some(limits::IMAGE_SIDE_MAX);
    bounds.max_alloc = Some(limits::IMAGE_METADATA_BYTES_MAX);
    bounds
}

/// Reads no more than the head of a file, within bounds.
fn head_reader(path: &Path, format: ImageFormat) -> Result<ImageReader<Bounded>, MediaError> {
    let mut reader = ImageReader::with_format(Bounded::open(path)?, format);
    reader.limits(head_bounds());
    Ok(reader)
}

fn png_decoder(path: &Path) -> Result<PngDecoder<Bounded>, MediaError> {
    PngDecoder::with_limits(Bounded::open(path)?, head_bounds()).map_err(refused)
}

fn reader(source: &Source<'_>, format: ImageFormat) -> Result<ImageReader<Bounded>, MediaError> {
    let mut reader = head_reader(source.path, format)?;
    if format != ImageFormat::Png {
        reader.limits(bounds(source));
    }
    Ok(reader)
}

fn turned(orientation: Orientation, width: u32, height: u32) -> (u32, u32) {
    match orientation {
        Orientation::Rotate90
        | Orientation::Rotate270
        | Orientation::Rotate90FlipH
        | Orientation::Rotate270FlipH => (height, width),
        _ => (width, height),
    }
}

/// Whether the file has more than one frame.
fn is_animated(source: &Source<'_>, format: ImageFormat) -> Result<bool, MediaError> {
    Ok(match format {
        ImageFormat::Gif => {
            let mut decoder = GifDecoder::new(Bounded::open(source.path)?).map_err(refused)?;
            decoder.set_limits(bounds(source)).map_err(refused)?;
            decoder.into_frames().take(2).flatten().count() > 1
        }
        ImageFormat::WebP => WebPDecoder::new(Bounded::open(source.path)?).map_err(refused)?.has_animation(),
        ImageFormat::Png => png_decoder(source.path)?.is_apng().map_err(refused)?,
        _ => false,
    })
}

/// One image, scaled, turned as the camera says, and cut.
fn still(image: DynamicImage, orientation: Orientation, target: Target) -> DynamicImage {
    let (shown_width, shown_height) = turned(orientation, image.width(), image.height());
    if target.takes_whole(shown_width, shown_height) {
        let mut image = image;
        image.apply_orientation(orientation);
        return image;
    }
    let (width, height) = target.scaled(shown_width, shown_height);
    let (width, height) = turned(orientation, width, height);
    let mut small = image.thumbnail_exact(width, height);
    drop(image);
    small.apply_orientation(orientation);
    cut(small, target)
}

fn cut(image: DynamicImage, target: Target) -> DynamicImage {
    if target.method == Method::Scale {
        return image;
    }
    let (width, height) = (image.width().min(target.width), image.height().min(target.height));
    let (left, top) = ((image.width() - width) / 2, (image.height() - height) / 2);
    image.crop_imm(left, top, width, height)
}

fn encode(image: DynamicImage, source: ImageFormat) -> Result<Rendered, MediaError> {
    let mut bytes = Vec::new();
    let is_photo = source == ImageFormat::Jpeg || (source == ImageFormat::WebP && !image.color().has_alpha());
    if is_photo {
        let encoder = JpegEncoder::new_with_quality(&mut bytes, limits::JPEG_QUALITY);
        DynamicImage::ImageRgb8(image.into_rgb8()).write_with_encoder(encoder).map_err(refused)?;
        return Ok(Rendered::Image { bytes, content_type: "image/jpeg" });
    }
    let image = if image.color().has_alpha() {
        DynamicImage::ImageRgba8(image.into_rgba8())
    } else {
        DynamicImage::ImageRgb8(image.into_rgb8())
    };
    image.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).map_err(refused)?;
    Ok(Rendered::Image { bytes, content_type: "image/png" })
}

/// A small animation; `None` where it has more frames or pixels than is worth the work.
fn animation(
    source: &Source<'_>,
    format: ImageFormat,
    target: Target,
    size: (u32, u32),
) -> Result<Option<Vec<u8>>, MediaError> {
    let open = || Bounded::open(source.path);
    let frames = match format {
        ImageFormat::Gif => {
            let mut decoder = GifDecoder::new(open()?).map_err(refused)?;
            decoder.set_limits(bounds(source)).map_err(refused)?;
            decoder.into_frames()
        }
        ImageFormat::WebP => WebPDecoder::new(open()?).map_err(refused)?.into_frames(),
        ImageFormat::Png => {
            let mut decoder = png_decoder(source.path)?;
            decoder.set_limits(bounds(source)).map_err(refused)?;
            decoder.apng().map_err(refused)?.into_frames()
        }
        _ => return Ok(None),
    };
    let pixels = u64::from(size.0) * u64::from(size.1);
    // All frames together have as many pixels as a few still images.
    let frames_max = source.pixels_max.saturating_mul(4) / pixels.max(1);
    let frames_max = usize::try_from(frames_max).unwrap_or(usize::MAX).min(limits::ANIMATION_FRAMES_MAX);
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut bytes, 20);
    encoder.set_repeat(Repeat::Infinite).map_err(refused)?;
    for (number, frame) in frames.enumerate() {
        if number >= frames_max {
            return Ok(None);
        }
        encoder.encode_frame(small_frame(frame.map_err(refused)?, target)).map_err(refused)?;
    }
    drop(encoder);
    Ok(Some(bytes))
}

fn small_frame(frame: Frame, target: Target) -> Frame {
    let delay: Delay = frame.delay();
    let image = DynamicImage::ImageRgba8(frame.into_buffer());
    Frame::from_parts(still(image, Orientation::NoTransforms, target).into_rgba8(), 0, 0, delay)
}

fn refused(error: ImageError) -> MediaError {
    match &error {
        ImageError::Limits(limit)
            if matches!(
                limit.kind(),
                LimitErrorKind::DimensionError | LimitErrorKind::InsufficientMemory
            ) =>
        {
            MediaError::ImageTooLarge
        }
        _ => MediaError::NoThumbnail(format!("the image is damaged or of a kind that is not known: {error}")),
    }
}

/// A file that can be read for a limited time.
struct Bounded {
    file: BufReader<File>,
    until: Instant,
}

impl Bounded {
    fn open(path: &Path) -> io::Result<Self> {
        let file = BufReader::with_capacity(limits::CHUNK_BYTES, File::open(path)?);
        Ok(Self { file, until: Instant::now() + limits::THUMBNAIL_TIME_MAX })
    }

    fn check(&self) -> io::Result<()> {
        if Instant::now() > self.until {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "reading it takes too long"));
        }
        Ok(())
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        self.file.read(buffer)
    }
}

impl BufRead for Bounded {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.check()?;
        self.file.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.file.consume(amount);
    }
}

impl Seek for Bounded {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
