//! The moving test pattern and Y4M files, paced as a real camera would be.

use std::fs::File;
use std::io::{BufReader, Seek};
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ahoy_media::video::y4m::{Y4mError, Y4mReader};
use ahoy_media::video::{Pattern, VideoFrame};

use super::pictures::Pictures;
use super::{CameraInfo, CameraRequest, Next, Source};
use crate::pacing::Pacer;
use crate::worker::Stop;
use crate::{DeviceError, DeviceId, Kind};

/// Sides that a pattern is drawn at; beyond them the pattern is not readable or a picture not decodable.
const SIDES: std::ops::RangeInclusive<u32> = 16..=4096;

/// The synthetic camera behind an identifier; `None` when the identifier is not one of a synthetic camera.
pub(super) fn open(id: &DeviceId, request: &CameraRequest) -> Result<Option<Box<dyn Source>>, DeviceError> {
    let text = id.as_str();
    if let Some(path) = text.strip_prefix("file:") {
        return Ok(Some(Box::new(Y4mSource::open(id, Path::new(path))?)));
    }
    let seed = match text.strip_prefix("pattern") {
        // The process's number, so that two programs on one screen look different.
        Some("") => std::process::id(),
        Some(rest) => match rest.strip_prefix(':').and_then(|number| number.parse().ok()) {
            Some(seed) => seed,
            None => return Ok(None),
        },
        None => return Ok(None),
    };
    Ok(Some(Box::new(PatternSource::new(id, seed, request)?)))
}

struct PatternSource {
    info: CameraInfo,
    pattern: Pattern,
    pictures: Pictures,
    pacer: Pacer,
}

impl PatternSource {
    fn new(id: &DeviceId, seed: u32, request: &CameraRequest) -> Result<Self, DeviceError> {
        let (width, height, fps) = (request.width, request.height, request.fps);
        if !SIDES.contains(&width) || !SIDES.contains(&height) || !(1..=240).contains(&fps) {
            let detail = format!("no test pattern of {width}x{height} at {fps} pictures a second");
            return Err(DeviceError::Unsupported { kind: Kind::Camera, detail });
        }
        let info = CameraInfo {
            id: id.clone(),
            label: "Test pattern".into(),
            width,
            height,
            fps: f64::from(fps),
            format: "I420".into(),
        };
        Ok(Self {
            info,
            pattern: Pattern::new(seed),
            pictures: Pictures::default(),
            pacer: Pacer::new(Instant::now(), u64::from(fps), 1),
        })
    }
}

impl Source for PatternSource {
    fn info(&self) -> CameraInfo {
        self.info.clone()
    }

    fn next(&mut self, stop: &Stop) -> Result<Next, DeviceError> {
        if stop.wait_until(self.pacer.due()) {
            return Ok(Next::Nothing);
        }
        let captured = Instant::now();
        let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let number = self.pacer.take_latest(captured);
        let pattern = &mut self.pattern;
        let drawn = self.pictures.make::<std::convert::Infallible>(self.info.width, self.info.height, |picture| {
            pattern.draw(picture, number as u32, u64::try_from(unix_ms).unwrap_or(0));
            Ok(())
        });
        match drawn {
            Ok(picture) => Ok(Next::Frame(VideoFrame { picture, captured, number })),
            Err(never) => match never {},
        }
    }
}

struct Y4mSource {
    info: CameraInfo,
    path: String,
    /// `None` only while being rewound.
    reader: Option<Y4mReader<BufReader<File>>>,
    pictures: Pictures,
    pacer: Pacer,
    /// Pictures read since opened, over all rounds.
    read: u64,
}

impl Y4mSource {
    fn open(id: &DeviceId, path: &Path) -> Result<Self, DeviceError> {
        let failed = |error: Y4mError| file_error(&path.display().to_string(), &error);
        let file = File::open(path).map_err(|error| failed(error.into()))?;
        let reader = Y4mReader::new(BufReader::with_capacity(1 << 16, file)).map_err(failed)?;
        let rate = reader.frame_rate();
        let milli = (f64::from(rate.as_f32()) * 1000.0).round();
        let info = CameraInfo {
            id: id.clone(),
            label: path.file_name().map_or_else(|| id.0.clone(), |name| name.to_string_lossy().into_owned()),
            width: reader.width(),
            height: reader.height(),
            fps: milli / 1000.0,
            format: "I420".into(),
        };
        Ok(Self {
            info,
            path: path.display().to_string(),
            reader: Some(reader),
            pictures: Pictures::default(),
            pacer: Pacer::new(Instant::now(), milli as u64, 1000),
            read: 0,
        })
    }

    /// The next picture of the file into `picture`, from its start again at its end; gives the place in the file.
    fn read_into(&mut self, picture: &mut ahoy_media::video::I420) -> Result<u64, DeviceError> {
        let failed = |error: Y4mError| file_error(&self.path, &error);
        for round in 0..2 {
            let Some(reader) = &mut self.reader else { break };
            if let Some(place) = reader.read(picture).map_err(failed)? {
                self.read += 1;
                return Ok(place);
            }
            if round == 1 {
                break;
            }
            let Some(reader) = self.reader.take() else { break };
            let mut file = reader.into_inner();
            file.rewind().map_err(|error| failed(error.into()))?;
            self.reader = Some(Y4mReader::new(file).map_err(failed)?);
        }
        let (kind, path) = (Kind::Camera, self.path.clone());
        Err(DeviceError::File { kind, path, detail: "it has no picture in it".into() })
    }
}

impl Source for Y4mSource {
    fn info(&self) -> CameraInfo {
        self.info.clone()
    }

    fn next(&mut self, stop: &Stop) -> Result<Next, DeviceError> {
        if stop.wait_until(self.pacer.due()) {
            return Ok(Next::Nothing);
        }
        let captured = Instant::now();
        let index = self.pacer.take_latest(captured);
        let mut pictures = std::mem::take(&mut self.pictures);
        let (width, height) = (self.info.width, self.info.height);
        let mut place = 0;
        // Pictures whose time has passed are read over, so that the film keeps its speed.
        let made = pictures.make(width, height, |picture| {
            while self.read <= index && !stop.is_stopped() {
                place = self.read_into(picture)?;
            }
            Ok::<(), DeviceError>(())
        });
        self.pictures = pictures;
        let picture = made?;
        if stop.is_stopped() {
            return Ok(Next::Nothing);
        }
        Ok(Next::Frame(VideoFrame { picture, captured, number: place }))
    }
}

fn file_error(path: &str, error: &Y4mError) -> DeviceError {
    DeviceError::File { kind: Kind::Camera, path: path.to_owned(), detail: error.to_string() }
}
