//! A synthetic screen: the test pattern, whose pictures can be told apart.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ahoy_media::video::{I420, Pattern, VideoFrame};

use super::{Capture, Next, ScreenError, ScreenRequest, SourceInfo, SourceKind};
use crate::pacing::Pacer;
use crate::worker::Stop;

/// Its identifier.
pub(super) const ID: &str = "pattern";
/// Another than the camera has, so that the two are told apart.
const SEED: u32 = 77;
const SIZE: (u32, u32) = (1_280, 720);

struct Synthetic {
    pattern: Pattern,
    pacer: Pacer,
}

pub(super) fn open(request: &ScreenRequest) -> Box<dyn Capture> {
    let a_second = (Duration::from_secs(1).as_nanos() / request.interval.as_nanos().max(1)) as u64;
    Box::new(Synthetic { pattern: Pattern::new(SEED), pacer: Pacer::new(Instant::now(), a_second, 1) })
}

impl Capture for Synthetic {
    fn info(&self) -> SourceInfo {
        SourceInfo {
            id: ID.to_owned(),
            kind: SourceKind::Screen,
            name: "Test pattern".to_owned(),
            app: None,
            width: SIZE.0,
            height: SIZE.1,
        }
    }

    fn next(&mut self, stop: &Stop) -> Result<Next, ScreenError> {
        if stop.wait_until(self.pacer.due()) {
            return Ok(Next::Nothing);
        }
        let captured = Instant::now();
        let number = self.pacer.take_latest(captured);
        let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let mut picture = I420::black(SIZE.0, SIZE.1);
        self.pattern.draw(&mut picture, number as u32, unix_ms as u64);
        Ok(Next::Frame(VideoFrame { picture: Arc::new(picture), captured, number }))
    }
}
