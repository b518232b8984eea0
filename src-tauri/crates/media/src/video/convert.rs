//! What cameras and screens deliver, into I420 (BT.601, limited range).

use yuv::{
    BufferStoreMut, YuvConversionMode, YuvPackedImage, YuvPlanarImageMut, YuvRange, YuvStandardMatrix, bgra_to_yuv420,
    rgb_to_yuv420, uyvy422_to_yuv420, yuyv422_to_yuv420,
};

use super::I420;
use super::jpeg::JpegDecoder;

/// The longest side of a picture that is accepted, in pixels.
pub const MAX_SIDE: u32 = 8_192;

/// How a device lays out its pixels. All are taken as BT.601; the YUV ones as limited range, JPEG as full range (JFIF).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// Packed 4:2:2, Y U Y V (also called YUY2).
    Yuyv,
    /// Packed 4:2:2, U Y V Y.
    Uyvy,
    /// A luma plane, then a plane of U V pairs at half size; both with the same stride.
    Nv12,
    /// Three planes; the chroma planes have half the stride, rounded up.
    I420,
    /// Four bytes a pixel: blue, green, red, unused.
    Bgra,
    /// Three bytes a pixel: red, green, blue.
    Rgb24,
    /// A JPEG picture, which carries its own size; the size given with it is not looked at.
    Mjpeg,
}

/// A picture as a device gave it.
#[derive(Debug, Clone, Copy)]
pub struct RawPicture<'a> {
    /// The layout of `data`.
    pub format: PixelFormat,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Bytes from one row to the next in the first plane; `None` when rows follow each other without a gap.
    pub stride: Option<usize>,
    /// The bytes; longer than needed is fine, and the last row may lack its padding.
    pub data: &'a [u8],
}

/// Why a picture could not be converted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// Fewer bytes than the size and stride need.
    #[error("the camera delivered half a picture ({got} of {needed} bytes)")]
    TooShort {
        /// Bytes needed.
        needed: usize,
        /// Bytes delivered.
        got: usize,
    },
    /// The size is zero or beyond [`MAX_SIDE`], or the stride is less than a row.
    #[error("a picture of {width}x{height} with rows of {stride} bytes makes no sense")]
    Shape {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
        /// Bytes a row.
        stride: usize,
    },
    /// The JPEG is damaged or not one.
    #[error("the camera delivered a damaged JPEG picture: {0}")]
    Jpeg(String),
    /// A layout that is a JPEG, but of a kind no camera should send (CMYK, 12 bit, ...).
    #[error("the camera delivers an unusual kind of JPEG ({0}); choose another picture format or camera")]
    JpegKind(String),
}

/// Converts pictures; keeps its JPEG decoder and scratch memory between them.
#[derive(Debug, Default)]
pub struct Converter {
    jpeg: Option<JpegDecoder>,
}

impl Converter {
    /// A converter; the JPEG decoder is made when the first JPEG comes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Converts `source` into `into`, which takes the source's size (odd sizes stay odd).
    ///
    /// # Errors
    /// [`ConvertError`]; `into` is then unspecified, and the next picture can be tried.
    pub fn convert(&mut self, source: &RawPicture<'_>, into: &mut I420) -> Result<(), ConvertError> {
        if source.format == PixelFormat::Mjpeg {
            return self.convert_jpeg(source.data, into);
        }
        let stride = check_shape(source)?;
        into.resize(source.width, source.height);
        match source.format {
            PixelFormat::Yuyv => packed_422(source, stride, into, [0, 1, 2, 3]),
            PixelFormat::Uyvy => packed_422(source, stride, into, [1, 0, 3, 2]),
            PixelFormat::Nv12 => nv12(source, stride, into),
            PixelFormat::I420 => planar(source, stride, into),
            PixelFormat::Bgra | PixelFormat::Rgb24 => rgb(source, stride, into)?,
            PixelFormat::Mjpeg => {}
        }
        Ok(())
    }

    /// A damaged picture can leave the decoder unfit for sound ones, so it does not outlive one; and what a used decoder
    /// refuses is given to a new one before it is called damaged.
    fn convert_jpeg(&mut self, jpeg: &[u8], into: &mut I420) -> Result<(), ConvertError> {
        if let Some(decoder) = &mut self.jpeg
            && decoder.decode(jpeg, into).is_ok()
        {
            return Ok(());
        }
        self.jpeg = None;
        let mut decoder = JpegDecoder::new()?;
        decoder.decode(jpeg, into)?;
        self.jpeg = Some(decoder);
        Ok(())
    }
}

/// The bytes of a row, and of the whole picture, checked against the data; gives the stride.
fn check_shape(source: &RawPicture<'_>) -> Result<usize, ConvertError> {
    let (width, height) = (source.width as usize, source.height as usize);
    let row = match source.format {
        PixelFormat::Yuyv | PixelFormat::Uyvy => width.div_ceil(2) * 4,
        PixelFormat::Nv12 => width.div_ceil(2) * 2,
        PixelFormat::I420 => width,
        PixelFormat::Bgra => width * 4,
        PixelFormat::Rgb24 => width * 3,
        PixelFormat::Mjpeg => 0,
    };
    let stride = source.stride.unwrap_or(row);
    let sides = 1..=MAX_SIDE;
    let bounded = sides.contains(&source.width) && sides.contains(&source.height) && stride <= 1 << 20;
    if !bounded || stride < row {
        return Err(ConvertError::Shape { width: source.width, height: source.height, stride });
    }
    let chroma_rows = height.div_ceil(2);
    let needed = match source.format {
        PixelFormat::Nv12 => stride * height + stride * (chroma_rows - 1) + row,
        PixelFormat::I420 => {
            let chroma = stride.div_ceil(2);
            stride * height + chroma * chroma_rows + chroma * (chroma_rows - 1) + width.div_ceil(2)
        }
        _ => stride * (height - 1) + row,
    };
    if source.data.len() < needed {
        return Err(ConvertError::TooShort { needed, got: source.data.len() });
    }
    Ok(stride)
}

/// YUYV and UYVY; `order` is the place of Y0, U, Y1, V in four bytes. Chroma is taken from the even rows.
fn packed_422(source: &RawPicture<'_>, stride: usize, into: &mut I420, order: [usize; 4]) {
    let (width, height) = (source.width as usize, source.height as usize);
    let even = source.width.is_multiple_of(2) && source.height.is_multiple_of(2);
    // The library wants whole rows with their padding, also for the last one, and drops odd last rows.
    if even && source.data.len() >= stride * height {
        let packed = YuvPackedImage {
            yuy: &source.data[..stride * height],
            yuy_stride: stride as u32,
            width: source.width,
            height: source.height,
        };
        let mut target = planar_target(into);
        let done = match source.format {
            PixelFormat::Uyvy => uyvy422_to_yuv420(&mut target, &packed),
            _ => yuyv422_to_yuv420(&mut target, &packed),
        };
        if done.is_ok() {
            return;
        }
    }
    let chroma = width.div_ceil(2);
    for y in 0..height {
        let row = &source.data[y * stride..][..chroma * 4];
        let luma = &mut into.y[y * width..][..width];
        for (pair, four) in luma.chunks_mut(2).zip(row.chunks_exact(4)) {
            pair[0] = four[order[0]];
            if let Some(second) = pair.get_mut(1) {
                *second = four[order[2]];
            }
        }
        if y % 2 == 0 {
            let at = y / 2 * chroma;
            let (u, v) = (&mut into.u[at..at + chroma], &mut into.v[at..at + chroma]);
            for ((u, v), four) in u.iter_mut().zip(v).zip(row.chunks_exact(4)) {
                (*u, *v) = (four[order[1]], four[order[3]]);
            }
        }
    }
}

fn nv12(source: &RawPicture<'_>, stride: usize, into: &mut I420) {
    let (width, height) = (source.width as usize, source.height as usize);
    copy_rows(source.data, stride, &mut into.y, width);
    let chroma = width.div_ceil(2);
    let pairs = &source.data[stride * height..];
    let rows = into.u.chunks_exact_mut(chroma).zip(into.v.chunks_exact_mut(chroma));
    for ((u, v), row) in rows.zip(pairs.chunks(stride)) {
        for ((u, v), pair) in u.iter_mut().zip(v).zip(row.chunks_exact(2)) {
            (*u, *v) = (pair[0], pair[1]);
        }
    }
}

fn planar(source: &RawPicture<'_>, stride: usize, into: &mut I420) {
    let (width, height) = (source.width as usize, source.height as usize);
    let (chroma, chroma_rows, chroma_stride) = (width.div_ceil(2), height.div_ceil(2), stride.div_ceil(2));
    let u = stride * height;
    let v = u + chroma_stride * chroma_rows;
    copy_rows(source.data, stride, &mut into.y, width);
    copy_rows(&source.data[u..], chroma_stride, &mut into.u, chroma);
    copy_rows(&source.data[v..], chroma_stride, &mut into.v, chroma);
}

fn copy_rows(from: &[u8], stride: usize, into: &mut [u8], width: usize) {
    for (to, row) in into.chunks_exact_mut(width).zip(from.chunks(stride)) {
        to.copy_from_slice(&row[..width]);
    }
}

fn rgb(source: &RawPicture<'_>, stride: usize, into: &mut I420) -> Result<(), ConvertError> {
    let (width, height) = (source.width as usize, source.height as usize);
    let bytes = if source.format == PixelFormat::Bgra { 4 } else { 3 };
    // The library wants the last row's padding as well; repack in the rare case that it is missing.
    let mut repacked = Vec::new();
    let (data, stride) = match source.data.get(..stride * height) {
        Some(data) => (data, stride),
        None => {
            repacked.resize(width * bytes * height, 0);
            copy_rows(source.data, stride, &mut repacked, width * bytes);
            (repacked.as_slice(), width * bytes)
        }
    };
    let mut target = planar_target(into);
    let convert = if bytes == 4 { bgra_to_yuv420 } else { rgb_to_yuv420 };
    convert(&mut target, data, stride as u32, YuvRange::Limited, YuvStandardMatrix::Bt601, YuvConversionMode::Balanced)
        .map_err(|_| ConvertError::Shape { width: source.width, height: source.height, stride })
}

fn planar_target(picture: &mut I420) -> YuvPlanarImageMut<'_, u8> {
    let chroma = picture.chroma_width();
    YuvPlanarImageMut {
        y_plane: BufferStoreMut::Borrowed(&mut picture.y),
        y_stride: picture.width,
        u_plane: BufferStoreMut::Borrowed(&mut picture.u),
        u_stride: chroma,
        v_plane: BufferStoreMut::Borrowed(&mut picture.v),
        v_stride: chroma,
        width: picture.width,
        height: picture.height,
    }
}
