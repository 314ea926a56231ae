use image::{Rgb, RgbImage, Rgba, RgbaImage};

use super::*;
use crate::media::ThumbnailRequest;

const PIXELS_MAX: u64 = 1_000_000;

fn in_file<T>(bytes: &[u8], work: impl FnOnce(&Source<'_>) -> T) -> T {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    work(&Source { path: file.path(), pixels_max: PIXELS_MAX })
}

fn thumbnail(bytes: &[u8], width: u32, method: Method, animated: bool) -> Result<Rendered, MediaError> {
    let target = ThumbnailRequest { width, height: width, method, animated }.target();
    in_file(bytes, |source| render(source, target))
}

fn image(rendered: Result<Rendered, MediaError>) -> (DynamicImage, &'static str, Vec<u8>) {
    match rendered.unwrap() {
        Rendered::Image { bytes, content_type } => {
            (image::load_from_memory(&bytes).unwrap(), content_type, bytes)
        }
        Rendered::AsItIs { .. } => panic!("a new image was expected"),
    }
}

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    image.into().write_to(&mut Cursor::new(&mut bytes), format).unwrap();
    bytes
}

fn gradient(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let [.., red] = x.to_be_bytes();
        let [.., green] = y.to_be_bytes();
        Rgb([red, green, 7])
    })
}

fn gif(frames: u8, width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut bytes, 30);
    for number in 0..frames {
        let colour = Rgba([number, 100, 200, 255]);
        encoder.encode_frame(Frame::new(RgbaImage::from_pixel(width, height, colour))).unwrap();
    }
    drop(encoder);
    bytes
}

#[test]
fn images_are_scaled_or_cropped_and_keep_their_kind() {
    let png = encoded(gradient(800, 400), ImageFormat::Png);
    let (small, content_type, _) = image(thumbnail(&png, 100, Method::Scale, false));
    assert_eq!((small.width(), small.height(), content_type), (320, 160, "image/png"));
    let (small, ..) = image(thumbnail(&png, 90, Method::Crop, false));
    assert_eq!((small.width(), small.height()), (96, 96));
    let jpeg = encoded(gradient(500, 1000), ImageFormat::Jpeg);
    let (small, content_type, _) = image(thumbnail(&jpeg, 100, Method::Scale, false));
    assert_eq!((small.width(), small.height(), content_type), (120, 240, "image/jpeg"));
    let clear = encoded(RgbaImage::from_pixel(400, 400, Rgba([1, 2, 3, 0])), ImageFormat::WebP);
    let (small, content_type, _) = image(thumbnail(&clear, 96, Method::Crop, false));
    assert_eq!((small.color().has_alpha(), content_type), (true, "image/png"));
}

#[test]
fn small_images_are_their_own_thumbnails() {
    let png = encoded(gradient(20, 20), ImageFormat::Png);
    let rendered = thumbnail(&png, 32, Method::Crop, false).unwrap();
    assert!(matches!(rendered, Rendered::AsItIs { content_type: "image/png" }));
    assert!(matches!(thumbnail(&png, 5_000, Method::Scale, false).unwrap(), Rendered::AsItIs { .. }));
}

#[test]
fn animations_stand_still_unless_asked_for() {
    let moving = gif(3, 400, 400);
    let (_, content_type, _) = image(thumbnail(&moving, 96, Method::Crop, false));
    assert_eq!(content_type, "image/png");
    let (small, content_type, bytes) = image(thumbnail(&moving, 96, Method::Crop, true));
    assert_eq!((small.width(), content_type), (96, "image/gif"));
    let frames = GifDecoder::new(Cursor::new(&bytes)).unwrap().into_frames().count();
    assert_eq!(frames, 3);
    let tiny = gif(2, 10, 10);
    let (_, content_type, _) = image(thumbnail(&tiny, 96, Method::Crop, false));
    assert_eq!(content_type, "image/png", "a small animation must not move either");
    assert!(matches!(thumbnail(&tiny, 96, Method::Crop, true).unwrap(), Rendered::AsItIs { .. }));
    let long = gif(u8::try_from(limits::ANIMATION_FRAMES_MAX).unwrap() + 1, 120, 120);
    assert_eq!(image(thumbnail(&long, 96, Method::Crop, true)).1, "image/png", "too long to animate");
}

#[test]
fn huge_and_broken_images_are_refused() {
    // A thousand times a thousand and one pixels in a file of some KiB.
    let bomb = encoded(RgbImage::new(1_001, 1_000), ImageFormat::Png);
    assert!(matches!(thumbnail(&bomb, 96, Method::Crop, false), Err(MediaError::ImageTooLarge)));
    let mut lying = encoded(gradient(50, 50), ImageFormat::Png);
    // The width in the header: its checksum is wrong then as well.
    lying[16..20].copy_from_slice(&u32::MAX.to_be_bytes());
    assert!(thumbnail(&lying, 32, Method::Crop, false).is_err());
    let gif_bomb = {
        let mut bytes = gif(1, 10, 10);
        bytes[6..10].copy_from_slice(&[0xff; 4]);
        bytes
    };
    assert!(matches!(thumbnail(&gif_bomb, 96, Method::Crop, false), Err(MediaError::ImageTooLarge)));
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
        let whole = encoded(gradient(600, 600), format);
        let half = &whole[..whole.len() / 2];
        match thumbnail(half, 96, Method::Crop, false) {
            // What of a JPEG is there can be shown.
            Ok(_) => assert_eq!(format, ImageFormat::Jpeg),
            Err(error) => assert!(matches!(error, MediaError::NoThumbnail(_)), "{format:?}: {error}"),
        }
    }
    for nothing in [&b""[..], b"hello", b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", b"\x89PNG\r\n\x1a\n"]
    {
        assert!(matches!(thumbnail(nothing, 96, Method::Crop, false), Err(MediaError::NoThumbnail(_))));
    }
}

#[test]
fn photos_are_turned_as_the_camera_says() {
    let upright = gradient(600, 300);
    let turned_by = |orientation: u8| {
        let jpeg = encoded(upright.clone(), ImageFormat::Jpeg);
        // After the start marker: an Exif block whose only entry is the orientation.
        let exif = [
            &[0xff, 0xe1, 0x00, 0x22][..],
            b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0",
            &[orientation, 0, 0, 0, 0, 0, 0],
        ];
        let (start, rest) = jpeg.split_at(2);
        [start, &exif.concat(), rest].concat()
    };
    let (small, ..) = image(thumbnail(&turned_by(1), 100, Method::Scale, false));
    assert_eq!((small.width(), small.height()), (320, 160));
    let (small, ..) = image(thumbnail(&turned_by(6), 100, Method::Scale, false));
    assert_eq!((small.width(), small.height()), (120, 240));
}

/// A PNG with a colour profile of this many zero bytes, which are packed a thousandfold.
fn with_profile(bytes: usize) -> Vec<u8> {
    use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
    let mut png = Vec::new();
    let mut encoder = PngEncoder::new(&mut png);
    encoder.set_icc_profile(vec![0; bytes]).unwrap();
    encoder.write_image(gradient(400, 400).as_raw(), 400, 400, ExtendedColorType::Rgb8).unwrap();
    png
}

#[test]
fn a_colour_profile_that_is_a_bomb_is_not_unpacked() {
    let (honest, bomb) = (with_profile(2_000), with_profile(64 << 20));
    assert!(bomb.len() < 1 << 20, "{}", bomb.len());
    let profile_bytes = |png: &[u8]| {
        in_file(png, |source| {
            // Every way in which the head of a file is read.
            let of_head = head_reader(source.path, ImageFormat::Png).unwrap().into_decoder();
            let of_image = reader(source, ImageFormat::Png).unwrap().into_decoder();
            let of_frames = png_decoder(source.path).unwrap().icc_profile();
            let of = |profile: image::ImageResult<Option<Vec<u8>>>| profile.unwrap().map(|it| it.len());
            [of(of_head.unwrap().icc_profile()), of(of_image.unwrap().icc_profile()), of(of_frames)]
        })
    };
    assert_eq!(profile_bytes(&honest), [Some(2_000); 3]);
    assert_eq!(profile_bytes(&bomb), [None; 3]);
    let facts = in_file(&bomb, |source| image_facts(source.path)).unwrap();
    assert_eq!((facts.width, facts.height), (400, 400), "the image itself is as good as any");
    image(thumbnail(&bomb, 96, Method::Crop, false));
}
