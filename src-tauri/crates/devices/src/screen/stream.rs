//! A running capture.

use std::time::{Duration, Instant};

use ahoy_media::video::VideoFrame;

use super::{Choice, Next, ScreenError, ScreenRequest, SourceInfo, pattern, system};
use crate::worker::{Stop, Worker};

/// How often it is looked whether a hidden window can be seen again.
const HIDDEN: Duration = Duration::from_millis(200);

/// What happens to a capture. Told on its own thread: the receiver must not block and must not drop the stream there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScreenEvent {
    /// The person has chosen, and pictures follow.
    Opened(SourceInfo),
    /// It cannot be seen now (minimised): the last picture stands.
    Hidden,
    /// It can be seen again.
    Shown,
    /// Nothing more will come. Told once, as the last event.
    Ended(ScreenError),
}

/// An open capture, or one whose picker is open. Dropping it ends it and joins its thread.
#[derive(Debug)]
pub struct ScreenStream {
    _worker: Worker,
}

/// Begins to capture on a thread of its own. `on_frame` is called with each picture in which something has changed, the first
/// of them whole and at once; it must return at once (put it into a latest-frame slot).
///
/// # Errors
/// When there is no thread.
pub fn open_screen(
    request: ScreenRequest,
    on_frame: impl FnMut(VideoFrame) + Send + 'static,
    on_event: impl FnMut(ScreenEvent) + Send + 'static,
) -> Result<ScreenStream, ScreenError> {
    let worker = Worker::named("ahoy-screen", move |stop| run(&request, on_frame, on_event, stop))
        .map_err(|error| ScreenError::Failed { detail: error.to_string() })?;
    Ok(ScreenStream { _worker: worker })
}

fn run(request: &ScreenRequest, on_frame: impl FnMut(VideoFrame), mut on_event: impl FnMut(ScreenEvent), stop: &Stop) {
    let ended = serve(request, on_frame, &mut on_event, stop);
    if let (Err(error), false) = (ended, stop.is_stopped()) {
        on_event(ScreenEvent::Ended(error));
    }
}

fn serve(
    request: &ScreenRequest,
    mut on_frame: impl FnMut(VideoFrame),
    on_event: &mut impl FnMut(ScreenEvent),
    stop: &Stop,
) -> Result<(), ScreenError> {
    let mut capture = match &request.choice {
        Choice::Source(id) if id == pattern::ID => pattern::open(request),
        Choice::Source(_) | Choice::System => system()?.open(request, stop)?,
    };
    on_event(ScreenEvent::Opened(capture.info()));
    let mut hidden = false;
    while !stop.is_stopped() {
        match capture.next(stop)? {
            Next::Frame(frame) => {
                if std::mem::take(&mut hidden) {
                    on_event(ScreenEvent::Shown);
                }
                on_frame(frame);
            }
            Next::Hidden => {
                if !std::mem::replace(&mut hidden, true) {
                    on_event(ScreenEvent::Hidden);
                }
                stop.wait_until(Instant::now() + HIDDEN);
            }
            Next::Nothing => {}
        }
    }
    Ok(())
}
