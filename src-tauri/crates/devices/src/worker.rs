//! The thread that owns a device: opening is bounded in time, stopping joins.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::{DeviceError, DeviceEvent, Kind};

/// How long opening or listing may take before it is given up.
pub(crate) const OPEN_LIMIT: Duration = Duration::from_secs(2);
/// How long closing waits for a device's thread; a driver that hangs in a system call must not hang the hang-up button.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// So many threads of one kind may hang in a driver or sound server; further tries are refused at once until one comes
/// back, so that trying again and again for a whole call does not gather threads.
const HANGING_LIMIT: usize = 2;
/// By [`Kind`].
static HANGING: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];

/// Whether a thread is still awaited.
///
/// ```text
/// AWAITED ──► ENDED
///    └──► LEFT_BEHIND (counted as hanging) ──► ENDED (no longer counted)
/// ```
#[derive(Debug)]
struct Fate {
    kind: Kind,
    state: AtomicU8,
}

const AWAITED: u8 = 0;
const LEFT_BEHIND: u8 = 1;
const ENDED: u8 = 2;

impl Fate {
    /// Refused while too many hang.
    fn of(kind: Kind) -> Result<Arc<Self>, DeviceError> {
        if hanging(kind).load(Ordering::Relaxed) >= HANGING_LIMIT {
            return Err(DeviceError::Hung { kind, waited: OPEN_LIMIT });
        }
        Ok(Arc::new(Self { kind, state: AtomicU8::new(AWAITED) }))
    }

    /// Nobody waits for it any more.
    fn leave_behind(&self) {
        hanging(self.kind).fetch_add(1, Ordering::Relaxed);
        let left = self.state.compare_exchange(AWAITED, LEFT_BEHIND, Ordering::AcqRel, Ordering::Relaxed);
        if left.is_err() {
            hanging(self.kind).fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Said by the thread itself.
    fn end(&self) {
        if self.state.swap(ENDED, Ordering::AcqRel) == LEFT_BEHIND {
            hanging(self.kind).fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn hanging(kind: Kind) -> &'static AtomicUsize {
    &HANGING[kind as usize]
}

/// Where a device's events go.
pub(crate) type EventSink = Box<dyn FnMut(DeviceEvent) + Send>;

/// Tells a thread to end, and wakes it.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    stopped: Mutex<bool>,
    wake: Condvar,
}

impl Stop {
    /// From now on every wait ends at once.
    pub(crate) fn stop(&self) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.wake.notify_all();
    }

    /// Whether [`Stop::stop`] was called.
    pub(crate) fn is_stopped(&self) -> bool {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps until `deadline`, and tells whether to end.
    pub(crate) fn wait_until(&self, deadline: Instant) -> bool {
        let mut stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        while !*stopped {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            stopped = self.wake.wait_timeout(stopped, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *stopped
    }
}

/// Says how the opening went. A thread that gets `false` back came too late: nobody wants the device any more.
pub(crate) struct Opened<T>(SyncSender<Result<T, DeviceError>>);

impl<T> Opened<T> {
    /// Reports; `false` when nobody waits any more or when it is a failure: the thread ends then.
    pub(crate) fn report(&self, outcome: Result<T, DeviceError>) -> bool {
        let success = outcome.is_ok();
        self.0.send(outcome).is_ok() && success
    }
}

/// An owned thread. Dropping it stops and joins the thread.
#[derive(Debug)]
pub(crate) struct Worker {
    stop: Arc<Stop>,
    /// Disconnects when the thread is through.
    done: mpsc::Receiver<()>,
    thread: Option<JoinHandle<()>>,
    /// Of a device's thread.
    fate: Option<Arc<Fate>>,
}

impl Worker {
    /// Starts a thread that opens a `kind` and then serves it until told to stop; waits for the opening.
    pub(crate) fn open<T: Send + 'static>(
        kind: Kind,
        serve: impl FnOnce(Opened<T>, &Stop) + Send + 'static,
    ) -> Result<(Self, T), DeviceError> {
        // thread -> opener; one message, kept if the opener has not yet looked.
        let (report, reported) = mpsc::sync_channel(1);
        let worker = Self::start(kind, move |stop| serve(Opened(report), stop))?;
        match reported.recv_timeout(OPEN_LIMIT) {
            Ok(outcome) => outcome.map(|value| (worker, value)),
            Err(RecvTimeoutError::Timeout) => {
                // Not joined: it hangs. It ends by itself when the device answers.
                worker.abandon();
                Err(DeviceError::Hung { kind, waited: OPEN_LIMIT })
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(DeviceError::Unsupported { kind, detail: "its driver failed while it was opened".into() })
            }
        }
    }

    /// Starts a thread that runs until told to stop.
    pub(crate) fn start(kind: Kind, serve: impl FnOnce(&Stop) + Send + 'static) -> Result<Self, DeviceError> {
        let fate = Fate::of(kind)?;
        Self::spawn(format!("ahoy-{kind}"), Some(fate), serve)
            .map_err(|error| DeviceError::NoSystem { kind, detail: error.to_string() })
    }

    /// The same for what is no device.
    pub(crate) fn named(name: &str, serve: impl FnOnce(&Stop) + Send + 'static) -> std::io::Result<Self> {
        Self::spawn(name.to_owned(), None, serve)
    }

    fn spawn(
        name: String,
        fate: Option<Arc<Fate>>,
        serve: impl FnOnce(&Stop) + Send + 'static,
    ) -> std::io::Result<Self> {
        let stop = Arc::new(Stop::default());
        let (finished, done) = mpsc::channel::<()>();
        let (for_thread, its_fate) = (Arc::clone(&stop), fate.clone());
        let thread = thread::Builder::new().name(name).spawn(move || {
            serve(&for_thread);
            if let Some(fate) = its_fate {
                fate.end();
            }
            drop(finished);
        })?;
        Ok(Self { stop, done, thread: Some(thread), fate })
    }

    fn abandon(mut self) {
        self.stop.stop();
        if let Some(fate) = &self.fate {
            fate.leave_behind();
        }
        self.thread = None;
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.stop.stop();
        // An event handler that drops its own stream would otherwise wait for itself.
        if thread.thread().id() == thread::current().id() {
            return;
        }
        match self.done.recv_timeout(CLOSE_LIMIT) {
            Err(RecvTimeoutError::Disconnected) | Ok(()) => {
                if thread.join().is_err() {
                    tracing::error!("a device's thread panicked");
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                if let Some(fate) = &self.fate {
                    fate.leave_behind();
                }
                tracing::warn!("a device's thread hangs in its driver and was left behind");
            }
        }
    }
}

/// Runs something that may hang in a driver or sound server, and gives up after [`OPEN_LIMIT`].
pub(crate) fn bounded<T: Send + 'static>(
    kind: Kind,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, DeviceError> {
    let fate = Fate::of(kind)?;
    let its_fate = Arc::clone(&fate);
    let (report, reported) = mpsc::sync_channel(1);
    let thread = thread::Builder::new()
        .name("ahoy-device-list".into())
        .spawn(move || {
            let found = work();
            its_fate.end();
            let _ = report.send(found);
        })
        .map_err(|error| DeviceError::NoSystem { kind, detail: error.to_string() })?;
    match reported.recv_timeout(OPEN_LIMIT) {
        Ok(value) => {
            let _ = thread.join();
            Ok(value)
        }
        Err(RecvTimeoutError::Timeout) => {
            fate.leave_behind();
            Err(DeviceError::Hung { kind, waited: OPEN_LIMIT })
        }
        Err(RecvTimeoutError::Disconnected) => {
            Err(DeviceError::NoSystem { kind, detail: "looking for devices failed".into() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_never_answers_is_given_up() {
        let (hold, held) = mpsc::channel::<()>();
        let began = Instant::now();
        let outcome = Worker::open::<()>(Kind::Camera, move |opened, _| {
            let _ = held.recv();
            opened.report(Ok(()));
        });
        assert_eq!(outcome.err(), Some(DeviceError::Hung { kind: Kind::Camera, waited: OPEN_LIMIT }));
        assert!(began.elapsed() < OPEN_LIMIT + Duration::from_secs(1));
        drop(hold);
    }

    #[test]
    fn a_driver_that_hangs_for_good_gathers_no_threads() {
        let (hold, held) = mpsc::channel::<()>();
        let held = Arc::new(Mutex::new(held));
        // No other test of this program makes speakers hang.
        let try_once = || {
            let held = Arc::clone(&held);
            bounded(Kind::Speaker, move || {
                let _ = held.lock().expect("nobody panics").recv();
            })
        };
        for _ in 0..20 {
            assert!(matches!(try_once(), Err(DeviceError::Hung { .. })));
        }
        assert_eq!(hanging(Kind::Speaker).load(Ordering::Relaxed), HANGING_LIMIT);
        drop(hold);
        let end = Instant::now() + Duration::from_secs(5);
        while hanging(Kind::Speaker).load(Ordering::Relaxed) > 0 {
            assert!(Instant::now() < end, "what answers at last is forgiven");
            thread::yield_now();
        }
        assert_eq!(try_once(), Ok(()));
    }

    #[test]
    fn dropping_a_worker_wakes_and_joins_its_thread() {
        let alive = Arc::new(());
        let for_thread = Arc::clone(&alive);
        let worker = Worker::start(Kind::Speaker, move |stop| {
            let _alive = for_thread;
            stop.wait_until(Instant::now() + Duration::from_secs(3600));
        })
        .expect("a thread");
        drop(worker);
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}
