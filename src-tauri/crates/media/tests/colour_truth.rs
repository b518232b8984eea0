//! Colour truth: known colours in each layout come out as BT.601's arithmetic says, at every stride and odd size.

#![allow(clippy::unwrap_used, missing_docs)]

use ahoy_media::video::scale::{crop_even, fit};
use ahoy_media::video::{ConvertError, Converter, I420, PixelFormat, RawPicture, Scaler};
use turbojpeg::{Image, PixelFormat as JpegPixels, Subsamp};

/// Red, green, blue.
const COLOURS: [[u8; 3]; 9] = [
    [255, 255, 255],
    [0, 0, 0],
    [255, 0, 0],
    [0, 255, 0],
    [0, 0, 255],
    [255, 255, 0],
    [12, 200, 90],
    [128, 128, 128],
    [210, 160, 140],
];

/// ITU-R BT.601, limited range: Y, U, V.
fn bt601([r, g, b]: [u8; 3]) -> [f64; 3] {
    let [r, g, b] = [r, g, b].map(|value| f64::from(value) / 255.0);
    let luma = 0.299 * r + 0.587 * g + 0.114 * b;
    [16.0 + 219.0 * luma, 128.0 + 224.0 * (b - luma) / 1.772, 128.0 + 224.0 * (r - luma) / 1.402]
}

fn assert_colour(picture: &I420, colour: [u8; 3], what: &str) {
    assert!(picture.is_consistent(), "{what}");
    for (plane, wanted) in [&picture.y, &picture.u, &picture.v].into_iter().zip(bt601(colour)) {
        for value in plane {
            assert!((f64::from(*value) - wanted).abs() <= 2.0, "{what}, {colour:?}: {value} instead of {wanted:.1}");
        }
    }
}

const SIZES: [(u32, u32, usize); 7] =
    [(64, 48, 0), (64, 48, 32), (65, 49, 0), (63, 48, 4), (2, 2, 0), (1, 1, 0), (130, 7, 14)];

/// One flat colour in a layout, with `padding` bytes (of rubbish) behind each row but the last.
fn flat(format: PixelFormat, (width, height, padding): (u32, u32, usize), colour: [u8; 3]) -> (Vec<u8>, usize) {
    let [y, u, v] = bt601(colour).map(|value| value.round() as u8);
    let [r, g, b] = colour;
    let (wide, high, chroma) = (width as usize, height as usize, width.div_ceil(2) as usize);
    let row = match format {
        PixelFormat::Yuyv => [y, u, y, v].repeat(chroma),
        PixelFormat::Uyvy => [u, y, v, y].repeat(chroma),
        PixelFormat::Bgra => [b, g, r, 0].repeat(wide),
        PixelFormat::Rgb24 => [r, g, b].repeat(wide),
        PixelFormat::Nv12 => vec![y; chroma * 2],
        PixelFormat::I420 => vec![y; wide],
        PixelFormat::Mjpeg => Vec::new(),
    };
    let stride = row.len() + padding;
    let mut rows: Vec<(Vec<u8>, usize)> = vec![(row, stride); high];
    match format {
        PixelFormat::Nv12 => rows.extend(vec![([u, v].repeat(chroma), stride); high.div_ceil(2)]),
        PixelFormat::I420 => {
            rows.extend(vec![(vec![u; chroma], stride.div_ceil(2)); high.div_ceil(2)]);
            rows.extend(vec![(vec![v; chroma], stride.div_ceil(2)); high.div_ceil(2)]);
        }
        _ => {}
    }
    let mut data = Vec::new();
    for (row, stride) in rows {
        let end = data.len() + stride;
        data.extend(row);
        data.resize(end, 0xa5);
    }
    // The last row may come without its padding.
    data.truncate(data.len() - if format == PixelFormat::I420 { padding / 2 } else { padding });
    (data, stride)
}

#[test]
fn flat_colours_keep_their_value_in_every_raw_layout() {
    use PixelFormat::{Bgra, I420 as Planar, Nv12, Rgb24, Uyvy, Yuyv};
    let (mut converter, mut picture) = (Converter::new(), I420::default());
    for format in [Yuyv, Uyvy, Nv12, Planar, Bgra, Rgb24] {
        for size in SIZES {
            for colour in COLOURS {
                let (data, stride) = flat(format, size, colour);
                let source = RawPicture { format, width: size.0, height: size.1, stride: Some(stride), data: &data };
                let what = format!("{format:?} {size:?}");
                converter.convert(&source, &mut picture).unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!((picture.width, picture.height), (size.0, size.1));
                assert_colour(&picture, colour, &what);
                // A byte less is a sentence, not a panic.
                let short = RawPicture { data: &data[..data.len() - 1], ..source };
                assert!(
                    matches!(converter.convert(&short, &mut picture), Err(ConvertError::TooShort { .. })),
                    "{what}"
                );
            }
        }
    }
}

/// Luma rises to the right and chroma downwards: every pixel has its place.
#[test]
fn every_pixel_of_a_camera_picture_lands_where_it_belongs() {
    for (width, height) in [(64u32, 48u32), (65, 33), (128, 2)] {
        let chroma = width.div_ceil(2);
        let luma = |x: u32, y: u32| (x * 3 + y) as u8;
        let (u, v) = (|x: u32, y: u32| (x * 2 + y * 5) as u8, |x: u32, y: u32| (200 + x + y * 3) as u8);
        let mut yuyv = Vec::new();
        let mut uyvy = Vec::new();
        for y in 0..height {
            for x in 0..chroma {
                let (first, second) = (luma(2 * x, y), luma(2 * x + 1, y));
                yuyv.extend([first, u(x, y / 2), second, v(x, y / 2)]);
                uyvy.extend([u(x, y / 2), first, v(x, y / 2), second]);
            }
        }
        for (format, data) in [(PixelFormat::Yuyv, yuyv), (PixelFormat::Uyvy, uyvy)] {
            let mut picture = I420::default();
            let source = RawPicture { format, width, height, stride: None, data: &data };
            Converter::new().convert(&source, &mut picture).unwrap();
            for y in 0..height {
                for x in 0..width {
                    assert_eq!(picture.y[(y * width + x) as usize], luma(x, y), "{format:?} luma {x},{y}");
                    let at = (y / 2 * chroma + x / 2) as usize;
                    assert_eq!(
                        (picture.u[at], picture.v[at]),
                        (u(x / 2, y / 2), v(x / 2, y / 2)),
                        "{format:?} {x},{y}"
                    );
                }
            }
        }
    }
}

fn jpeg(width: usize, height: usize, sampling: Subsamp, pixels: &[u8]) -> Vec<u8> {
    let mut compressor = turbojpeg::Compressor::new().unwrap();
    compressor.set_quality(95).unwrap();
    compressor.set_subsamp(sampling).unwrap();
    let image = Image { pixels, width, pitch: width * 3, height, format: JpegPixels::RGB };
    compressor.compress_to_vec(image).unwrap()
}

fn mjpeg(data: &[u8]) -> RawPicture<'_> {
    RawPicture { format: PixelFormat::Mjpeg, width: 0, height: 0, stride: None, data }
}

#[test]
fn flat_colours_keep_their_value_in_every_kind_of_jpeg() {
    let (mut converter, mut picture) = (Converter::new(), I420::default());
    for sampling in [Subsamp::Sub2x2, Subsamp::Sub2x1, Subsamp::None, Subsamp::Sub1x2, Subsamp::Sub4x1] {
        for (width, height) in [(64, 48), (65, 49), (1, 1), (33, 2)] {
            for colour in COLOURS {
                let data = jpeg(width, height, sampling, &colour.repeat(width * height));
                converter.convert(&mjpeg(&data), &mut picture).unwrap();
                assert_eq!((picture.width as usize, picture.height as usize), (width, height));
                assert_colour(&picture, colour, &format!("JPEG {sampling:?} {width}x{height}"));
            }
        }
    }
    let gray = jpeg(40, 30, Subsamp::Gray, &[128, 128, 128].repeat(1_200));
    converter.convert(&mjpeg(&gray), &mut picture).unwrap();
    assert_colour(&picture, [128, 128, 128], "gray JPEG");
}

#[test]
fn the_halves_of_a_jpeg_stay_where_they_are() {
    // Left red, right blue; top brighter than bottom would mix chroma if rows or columns slipped.
    let (width, height) = (64, 32);
    let pixels: Vec<u8> =
        (0..width * height).flat_map(|n| if n % width < 32 { [255, 0, 0] } else { [0, 0, 255] }).collect();
    for sampling in [Subsamp::Sub2x2, Subsamp::Sub2x1, Subsamp::None, Subsamp::Sub4x1] {
        let mut picture = I420::default();
        Converter::new().convert(&mjpeg(&jpeg(width, height, sampling, &pixels)), &mut picture).unwrap();
        for (x, colour) in [(8, [255, 0, 0]), (24, [255, 0, 0]), (40, [0, 0, 255]), (60, [0, 0, 255])] {
            let wanted = bt601(colour);
            for y in [4, 16, 28] {
                let at = y / 2 * 32 + x / 2;
                let found = [picture.y[y * width + x], picture.u[at], picture.v[at]];
                for (found, wanted) in found.into_iter().zip(wanted) {
                    assert!((f64::from(found) - wanted).abs() <= 3.0, "{sampling:?} {x},{y}: {found} not {wanted:.0}");
                }
            }
        }
    }
}

#[test]
fn a_cut_jpeg_is_refused_and_the_next_one_goes() {
    let whole = jpeg(160, 120, Subsamp::Sub2x1, &[200, 30, 40].repeat(160 * 120));
    let (mut converter, mut picture) = (Converter::new(), I420::default());
    for cut in [0, 1, 2, 20, whole.len() / 2, whole.len() * 9 / 10] {
        let error = converter.convert(&mjpeg(&whole[..cut]), &mut picture).unwrap_err();
        assert!(matches!(error, ConvertError::Jpeg(_)), "{cut}: {error}");
    }
    converter.convert(&mjpeg(&whole), &mut picture).unwrap();
    // Padding behind the picture is what some cameras do.
    let mut padded = whole.clone();
    padded.extend([0; 512]);
    converter.convert(&mjpeg(&padded), &mut picture).unwrap();
    let mut inside = whole[..whole.len() - 2].to_vec();
    inside.extend([0, 0, 0, 0xff, 0xd9]);
    converter.convert(&mjpeg(&inside), &mut picture).unwrap();
    assert_colour(&picture, [200, 30, 40], "padded JPEG");
}

#[test]
fn shapes_that_make_no_sense_are_refused() {
    let data = [0; 4_096];
    for (width, height, stride) in
        [(0, 4, None), (4, 0, None), (9_000, 1, None), (64, 4, Some(100)), (4, 4, Some(usize::MAX))]
    {
        let source = RawPicture { format: PixelFormat::Yuyv, width, height, stride, data: &data };
        let result = Converter::new().convert(&source, &mut I420::default());
        assert!(matches!(result, Err(ConvertError::Shape { .. })), "{width}x{height} {stride:?}: {result:?}");
    }
}

#[test]
fn scaling_keeps_colours_and_averages_what_it_shrinks() {
    let mut picture = I420::black(64, 48);
    // Columns of black and white, one pixel each: half the size is even gray.
    picture.y.iter_mut().enumerate().for_each(|(n, pixel)| *pixel = if n % 2 == 0 { 40 } else { 200 });
    picture.u.fill(90);
    picture.v.fill(160);
    let (mut scaler, mut target) = (Scaler::new(), I420::default());
    scaler.scale(&picture, 16, 12, &mut target).unwrap();
    assert!(target.y.iter().all(|pixel| pixel.abs_diff(120) <= 12), "{:?}", &target.y[..16]);
    scaler.scale(&picture, 333, 101, &mut target).unwrap();
    assert!(target.is_consistent() && target.u.iter().all(|u| *u == 90) && target.v.iter().all(|v| *v == 160));
    scaler.scale(&picture, 64, 48, &mut target).unwrap();
    assert_eq!(target, picture);
    assert!(scaler.scale(&I420::default(), 4, 4, &mut target).is_err());
    assert!(scaler.scale(&picture, 0, 4, &mut target).is_err());
}

#[test]
fn sizes_are_fitted_evenly_and_never_enlarged() {
    assert_eq!(fit(1920, 1080, 1280, 720), (1280, 720));
    assert_eq!(fit(640, 480, 1280, 720), (640, 480));
    assert_eq!(fit(1920, 1080, 500, 500), (500, 280));
    assert_eq!(fit(1080, 1920, 1280, 720), (404, 720));
    assert_eq!(fit(3, 3, 100, 100), (2, 2));
    assert_eq!(fit(0, 0, 0, 0), (2, 2));
}

#[test]
fn odd_pictures_are_cut_to_even_ones() {
    let mut picture = I420::black(5, 3);
    picture.y = (0..15).collect();
    picture.u = (0..6).collect();
    picture.v = (10..16).collect();
    crop_even(&mut picture);
    assert_eq!((picture.width, picture.height), (4, 2));
    assert_eq!(picture.y, [0, 1, 2, 3, 5, 6, 7, 8]);
    assert_eq!((picture.u, picture.v), (vec![0, 1], vec![10, 11]));
    let mut thin = I420::black(1, 9);
    crop_even(&mut thin);
    assert!(thin.is_consistent() && thin.width == 0);
}
