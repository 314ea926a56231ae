//! Which sizes of thumbnails are made.

use crate::storage::records::FileHash;

/// How an image becomes a thumbnail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Scaled to cover the size, with the rest cut off.
    Crop,
    /// Scaled to fit into the size.
    Scale,
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThumbnailRequest {
    /// The least width, in pixels.
    pub width: u32,
    /// The least height, in pixels.
    pub height: u32,
    /// How.
    pub method: Method,
    /// Whether an animation should stay one.
    pub animated: bool,
}

/// The size that is made for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) method: Method,
    pub(super) animated: bool,
}

/// The specification's sizes for `scale`, and one for large screens.
const SCALED: [(u32, u32); 4] = [(320, 240), (640, 480), (800, 600), (1600, 1200)];

/// The longer sides made for `crop`: the specification's, and those of `scale`.
const CROPPED: [u32; 6] = [32, 96, 320, 640, 800, 1600];

/// Who asks for more than the largest size means the image itself: this is larger than any.
const UNBOUNDED: u32 = u32::MAX;

/// The form of a cropped thumbnail is kept to this many parts of the longer side, so that there are not as
/// many forms as pixels.
const FORM_PARTS: u32 = 16;

impl ThumbnailRequest {
    /// The size to make: at least what is asked for.
    pub(super) fn target(self) -> Target {
        let (width, height) = match self.method {
            Method::Scale => scaled(self.width, self.height),
            Method::Crop => cropped(self.width, self.height),
        };
        Target { width, height, method: self.method, animated: self.animated }
    }
}

fn scaled(width: u32, height: u32) -> (u32, u32) {
    let fits = SCALED.into_iter().find(|(w, h)| *w >= width && *h >= height);
    fits.unwrap_or((UNBOUNDED, UNBOUNDED))
}

fn cropped(width: u32, height: u32) -> (u32, u32) {
    let (width, height) = (width.max(1), height.max(1));
    let longer = width.max(height);
    let Some(side) = CROPPED.into_iter().find(|side| *side >= longer) else {
        return (UNBOUNDED, UNBOUNDED);
    };
    let shorter = width.min(height);
    // Rounded up to a part of the side, which stays at least what was asked for.
    let parts = (u64::from(shorter) * u64::from(FORM_PARTS)).div_ceil(u64::from(longer));
    let parts = u32::try_from(parts).unwrap_or(FORM_PARTS).clamp(1, FORM_PARTS);
    let other = (side * parts).div_ceil(FORM_PARTS);
    if width >= height { (side, other) } else { (other, side) }
}

impl Target {
    /// The key of its row, for a file.
    pub(super) fn key(self, source: FileHash) -> (FileHash, u32, u32, u8) {
        let kind = u8::from(self.method == Method::Crop) | (u8::from(self.animated) << 1);
        (source, self.width, self.height, kind)
    }

    /// The size that a request gets when its file has as many thumbnails as are kept: cropped ones are square then,
    /// which leaves a handful of sizes that are always kept.
    pub(super) fn usual(self) -> Self {
        match self.method {
            Method::Scale => self,
            Method::Crop => {
                let side = self.width.max(self.height);
                Self { width: side, height: side, ..self }
            }
        }
    }

    /// Whether an image of this size is so small that it is its own thumbnail.
    pub(super) fn takes_whole(self, width: u32, height: u32) -> bool {
        match self.method {
            Method::Scale => width <= self.width && height <= self.height,
            // Where one side is too short to cover, cropping the other would still show less.
            Method::Crop => width <= self.width || height <= self.height,
        }
    }

    /// The size to scale an image of this size to, before anything is cut off; never larger than the image.
    pub(super) fn scaled(self, width: u32, height: u32) -> (u32, u32) {
        let (w, h) = (u64::from(width.max(1)), u64::from(height.max(1)));
        let (target_w, target_h) = (u64::from(self.width), u64::from(self.height));
        // Whether the image is wider than the target in proportion.
        let is_wider = w * target_h >= h * target_w;
        let by_width = match self.method {
            Method::Scale => is_wider,
            Method::Crop => !is_wider,
        };
        let (new_w, new_h) = if by_width {
            (target_w, (h * target_w).div_ceil(w))
        } else {
            ((w * target_h).div_ceil(h), target_h)
        };
        let bounded = |new: u64, old: u32| u32::try_from(new).unwrap_or(u32::MAX).clamp(1, old.max(1));
        (bounded(new_w, width), bounded(new_h, height))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn target(width: u32, height: u32, method: Method) -> Target {
        ThumbnailRequest { width, height, method, animated: false }.target()
    }

    #[test]
    fn usual_sizes_are_made() {
        let of = |width, height, method| {
            let target = target(width, height, method);
            (target.width, target.height)
        };
        assert_eq!(of(1, 1, Method::Scale), (320, 240));
        assert_eq!(of(641, 10, Method::Scale), (800, 600));
        assert_eq!(of(32, 32, Method::Crop), (32, 32));
        assert_eq!(of(33, 32, Method::Crop), (96, 96));
        assert_eq!(of(100, 50, Method::Crop), (320, 160));
        assert_eq!(of(5000, 1, Method::Crop), (UNBOUNDED, UNBOUNDED));
    }

    #[test]
    fn the_usual_sizes_are_few_and_no_smaller_than_those_they_stand_for() {
        for (method, few) in [(Method::Crop, 7), (Method::Scale, 5)] {
            let of = |width: u32, height: u32| target(width * 16, height * 16, method);
            let targets: Vec<_> =
                (1..=120).flat_map(|width| (1..=120).map(move |height| of(width, height))).collect();
            let smaller = |target: &&Target| {
                let usual = target.usual();
                usual.width < target.width || usual.height < target.height
            };
            assert_eq!(targets.iter().find(smaller), None);
            let mut usual: Vec<_> =
                targets.iter().map(|target| target.usual()).map(|it| (it.width, it.height)).collect();
            usual.sort_unstable();
            usual.dedup();
            assert!(usual.len() <= few, "{usual:?}");
        }
    }

    #[test]
    fn images_keep_their_form() {
        assert_eq!(target(320, 240, Method::Scale).scaled(4000, 3000), (320, 240));
        assert_eq!(target(320, 240, Method::Scale).scaled(4000, 1000), (320, 80));
        assert_eq!(target(96, 96, Method::Crop).scaled(4000, 1000), (384, 96));
        assert_eq!(target(96, 96, Method::Crop).scaled(1000, 4000), (96, 384));
    }

    proptest! {
        #[test]
        fn no_thumbnail_is_smaller_than_asked_for_or_larger_than_the_image(
            width in 1_u32..2_000,
            height in 1_u32..2_000,
            image in (1_u32..6_000, 1_u32..6_000),
            crop: bool,
        ) {
            let method = if crop { Method::Crop } else { Method::Scale };
            let target = target(width, height, method);
            prop_assert!(target.width >= width && target.height >= height);
            if target.takes_whole(image.0, image.1) {
                return Ok(());
            }
            let (w, h) = target.scaled(image.0, image.1);
            prop_assert!(w >= 1 && h >= 1 && w <= image.0 && h <= image.1);
            if crop {
                prop_assert!(w >= target.width && h >= target.height, "it covers: {w}x{h}");
            } else {
                prop_assert!(w <= target.width && h <= target.height);
                prop_assert!(w == target.width || h == target.height);
            }
        }
    }
}
