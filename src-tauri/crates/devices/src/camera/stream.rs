//! A running camera.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ahoy_media::video::VideoFrame;

use super::{CameraInfo, CameraRequest, Next, Source, open_source};
use crate::worker::{EventSink, Opened, Stop, Worker};
use crate::{DeviceError, DeviceEvent, Kind};

/// Without a picture for this long a camera counts as stalled. Cameras in a dark room go down to 5 fps, and the first
/// picture of some takes over a second.
const STALL: Duration = Duration::from_secs(3);
const WATCH: Duration = Duration::from_millis(500);

/// An open camera. Dropping it joins its threads and releases the device.
pub struct CameraStream {
    shared: Arc<Shared>,
    // The watcher is listed first and so joined first: it must not call a stalled device what is being closed.
    _watcher: Worker,
    _reader: Worker,
}

struct Shared {
    info: Mutex<CameraInfo>,
    opened: Instant,
    /// Milliseconds from `opened` to the newest picture.
    newest: AtomicU64,
    frames: AtomicU64,
    events: Mutex<EventSink>,
    ended: Stop,
}

impl Shared {
    fn tell(&self, event: DeviceEvent) {
        (self.events.lock().unwrap_or_else(PoisonError::into_inner))(event);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl CameraStream {
    /// What the camera gives now.
    pub fn info(&self) -> CameraInfo {
        self.shared.info.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Pictures delivered since it was opened.
    pub fn frames(&self) -> u64 {
        self.shared.frames.load(Ordering::Relaxed)
    }
}

/// Opens a camera. `on_frame` is called on the camera's thread with each picture and must return at once (put it into a
/// latest-frame slot or two); the thread itself works on no more than one picture.
///
/// # Errors
/// When the device is missing, busy, refused, of no usable format, or does not answer within two seconds.
pub fn open_camera(
    request: &CameraRequest,
    on_frame: impl FnMut(VideoFrame) + Send + 'static,
    on_event: impl FnMut(DeviceEvent) + Send + 'static,
) -> Result<CameraStream, DeviceError> {
    let request = request.clone();
    let events: EventSink = Box::new(on_event);
    let (reader, shared) =
        Worker::open(Kind::Camera, move |opened, stop| serve(&request, &opened, on_frame, events, stop))?;
    let watched = Arc::clone(&shared);
    let watcher = Worker::start(Kind::Camera, move |stop| watch(&watched, stop))?;
    Ok(CameraStream { shared, _watcher: watcher, _reader: reader })
}

fn serve(
    request: &CameraRequest,
    opened: &Opened<Arc<Shared>>,
    mut on_frame: impl FnMut(VideoFrame),
    events: EventSink,
    stop: &Stop,
) {
    let mut source = match open_source(request) {
        Ok(source) => source,
        Err(error) => {
            opened.report(Err(error));
            return;
        }
    };
    let shared = Arc::new(Shared {
        info: Mutex::new(source.info()),
        opened: Instant::now(),
        newest: AtomicU64::new(0),
        frames: AtomicU64::new(0),
        events: Mutex::new(events),
        ended: Stop::default(),
    });
    if !opened.report(Ok(Arc::clone(&shared))) {
        return;
    }
    read(source.as_mut(), &shared, &mut on_frame, stop);
    shared.ended.stop();
}

fn read(source: &mut dyn Source, shared: &Shared, on_frame: &mut impl FnMut(VideoFrame), stop: &Stop) {
    let mut size = {
        let info = source.info();
        (info.width, info.height)
    };
    while !stop.is_stopped() {
        match source.next(stop) {
            Ok(Next::Frame(frame)) => {
                shared.newest.store(shared.now(), Ordering::Relaxed);
                shared.frames.fetch_add(1, Ordering::Relaxed);
                let now_size = (frame.picture.width, frame.picture.height);
                if now_size != size {
                    size = now_size;
                    *shared.info.lock().unwrap_or_else(PoisonError::into_inner) = source.info();
                    shared.tell(DeviceEvent::FormatChanged);
                }
                on_frame(frame);
            }
            Ok(Next::Nothing) => {}
            Err(error) => {
                if !stop.is_stopped() {
                    shared.tell(DeviceEvent::Lost(error));
                }
                return;
            }
        }
    }
}

/// The reader may be caught inside a driver, so somebody else has to notice.
fn watch(shared: &Shared, stop: &Stop) {
    let mut stalled = false;
    while !stop.wait_until(Instant::now() + WATCH) && !shared.ended.is_stopped() {
        let silent_for = Duration::from_millis(shared.now().saturating_sub(shared.newest.load(Ordering::Relaxed)));
        match (silent_for >= STALL, stalled) {
            (true, false) => shared.tell(DeviceEvent::Stalled { silent_for }),
            (false, true) => shared.tell(DeviceEvent::Resumed),
            (true, true) | (false, false) => {}
        }
        stalled = silent_for >= STALL;
    }
}
