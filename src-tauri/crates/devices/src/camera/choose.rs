//! Which of a camera's formats to take.

/// How a camera packs pixels, best first where all else is equal: less to convert, then less to decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Packing {
    Nv12,
    Yuyv,
    Mjpeg,
}

/// One format that a camera offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) fps: u32,
    pub(super) packing: Packing,
}

/// The offer nearest to what is wanted. A rate too slow weighs most (USB 2 gives raw 720p at 10 fps, and JPEG at 30),
/// then pixels missing, then pixels too many, which cost conversion and scaling, then a rate too fast, then the packing.
pub(super) fn choose(offers: &[Offer], width: u32, height: u32, fps: u32) -> Option<Offer> {
    // A camera that gives 24 or 25 where 30 are wanted is as good.
    let enough = fps - fps / 5;
    offers
        .iter()
        .filter(|offer| offer.width >= 16 && offer.height >= 16 && offer.fps > 0)
        .min_by_key(|offer| {
            let missing = i64::from(width.saturating_sub(offer.width)) + i64::from(height.saturating_sub(offer.height));
            let beyond = i64::from(offer.width.saturating_sub(width)) + i64::from(offer.height.saturating_sub(height));
            let slow = enough.saturating_sub(offer.fps);
            (slow, missing, beyond, offer.fps.abs_diff(fps), offer.packing)
        })
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(width: u32, height: u32, fps: u32, packing: Packing) -> Offer {
        Offer { width, height, fps, packing }
    }

    #[test]
    fn a_usb_camera_gives_jpeg_where_raw_is_too_slow_and_raw_where_it_is_quick_enough() {
        let offers = [
            offer(640, 480, 30, Packing::Yuyv),
            offer(1280, 720, 10, Packing::Yuyv),
            offer(1280, 720, 30, Packing::Mjpeg),
            offer(1920, 1080, 30, Packing::Mjpeg),
            offer(640, 480, 30, Packing::Mjpeg),
        ];
        assert_eq!(choose(&offers, 1280, 720, 30), Some(offers[2]));
        assert_eq!(choose(&offers, 640, 480, 30), Some(offers[0]));
        assert_eq!(choose(&offers, 3840, 2160, 30), Some(offers[3]));
        assert_eq!(choose(&offers, 800, 600, 30), Some(offers[2]));
    }

    #[test]
    fn no_offer_or_only_nonsense_gives_none() {
        assert_eq!(choose(&[], 640, 480, 30), None);
        assert_eq!(choose(&[offer(0, 0, 30, Packing::Nv12), offer(640, 480, 0, Packing::Nv12)], 640, 480, 30), None);
    }
}
