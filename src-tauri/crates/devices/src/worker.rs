//! The thread that owns a device: opening is bounded in time, stopping joins.

use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::{DeviceError, DeviceEvent, Kind};

/// How long opening or listing may take before it is given up.
pub(crate) const OPEN_LIMIT: Duration = Duration::from_secs(2);
/// How long closing waits for a device's thread; a driver that hangs in a system call must not hang the hang-up button.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

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
        Self::named(&format!("ahoy-{kind}"), serve)
            .map_err(|error| DeviceError::NoSystem { kind, detail: error.to_string() })
    }

    /// The same for what is no device.
    pub(crate) fn named(name: &str, serve: impl FnOnce(&Stop) + Send + 'static) -> std::io::Result<Self> {
        let stop = Arc::new(Stop::default());
        let (finished, done) = mpsc::channel::<()>();
        let for_thread = Arc::clone(&stop);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            serve(&for_thread);
            drop(finished);
        })?;
        Ok(Self { stop, done, thread: Some(thread) })
    }

    fn abandon(mut self) {
        self.stop.stop();
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
                tracing::warn!("a device's thread hangs in its driver and was left behind")
            }
        }
    }
}

/// Runs something that may hang in a driver or sound server, and gives up after [`OPEN_LIMIT`].
pub(crate) fn bounded<T: Send + 'static>(
    kind: Kind,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, DeviceError> {
    let (report, reported) = mpsc::sync_channel(1);
    let thread = thread::Builder::new()
        .name("ahoy-device-list".into())
        .spawn(move || {
            let _ = report.send(work());
        })
        .map_err(|error| DeviceError::NoSystem { kind, detail: error.to_string() })?;
    match reported.recv_timeout(OPEN_LIMIT) {
        Ok(value) => {
            let _ = thread.join();
            Ok(value)
        }
        Err(RecvTimeoutError::Timeout) => Err(DeviceError::Hung { kind, waited: OPEN_LIMIT }),
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
