//! Noticing what is plugged in and pulled out.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::list::listing;
use crate::sound::Changes;
use crate::worker::{Stop, bounded};
use crate::{Kind, Listing, camera};

/// How often cameras are looked for; on Linux that reads some small files of the kernel's.
const CAMERAS: Duration = if cfg!(target_os = "linux") { Duration::from_millis(250) } else { Duration::from_secs(2) };

/// Who listens to lists; called on the watch's own thread.
type Tell = Box<dyn FnMut(Kind, Listing) + Send>;

/// A thread that tells each list of devices when it is another: on Linux within milliseconds, by the sound server's word,
/// elsewhere within one or two seconds. It sleeps until it is wanted and costs nothing then.
///
/// ```text
/// Asleep ──set_active(true)──► tells all lists ──► Watching ──a list changed──► tells it
///   ▲ └──look()──► tells all lists ──► Asleep           │
///   └───────────────────set_active(false)───────────────┘
/// ```
pub struct Watch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    wish: Mutex<Wish>,
    wake: Condvar,
    /// Ends a wait for changes.
    stop: Stop,
}

#[derive(Default)]
struct Wish {
    active: bool,
    look: bool,
    closing: bool,
}

impl Watch {
    /// Starts the thread, asleep.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(tell: impl FnMut(Kind, Listing) + Send + 'static) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let tell: Tell = Box::new(tell);
        let thread =
            thread::Builder::new().name("ahoy-watch".into()).spawn(move || Watcher::new(theirs, tell).run())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// From now on every change is told, all lists at first; or none any more.
    pub fn set_active(&self, active: bool) {
        self.wish(|wish| {
            wish.look |= active && !wish.active;
            wish.active = active;
        });
    }

    /// Tells all lists once, soon.
    pub fn look(&self) {
        self.wish(|wish| wish.look = true);
    }

    fn wish(&self, change: impl FnOnce(&mut Wish)) {
        change(&mut self.shared.wish.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.wake.notify_all();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.wish(|wish| wish.closing = true);
        self.shared.stop.stop();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that watches devices panicked");
        }
    }
}

struct Watcher {
    shared: Arc<Shared>,
    tell: Tell,
    changes: Changes,
    /// By kind, what was told last; forgotten while asleep.
    told: [Option<Listing>; 3],
    cameras_at: Instant,
}

impl Watcher {
    fn new(shared: Arc<Shared>, tell: Tell) -> Self {
        let (changes, told) = (Changes::default(), [None, None, None]);
        Self { shared, tell, changes, told, cameras_at: Instant::now() }
    }

    fn run(mut self) {
        while let Some(look) = self.next_wish() {
            if look {
                self.told = [None, None, None];
                if self.is_active() {
                    self.changes.begin();
                }
                for kind in [Kind::Speaker, Kind::Microphone, Kind::Camera] {
                    self.look_at(kind);
                }
            }
            if !self.is_active() {
                self.changes = Changes::default();
                continue;
            }
            if self.changes.wait(&self.shared.stop) {
                self.look_at(Kind::Speaker);
                self.look_at(Kind::Microphone);
            }
            if self.cameras_at.elapsed() >= CAMERAS {
                self.look_at(Kind::Camera);
            }
        }
    }

    /// Sleeps while nothing is wanted; whether all lists are to be told; `None` at the end.
    fn next_wish(&self) -> Option<bool> {
        let mut wish = self.shared.wish.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if wish.closing {
                return None;
            }
            if wish.active || wish.look {
                return Some(std::mem::take(&mut wish.look));
            }
            wish = self.shared.wake.wait(wish).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn is_active(&self) -> bool {
        self.shared.wish.lock().unwrap_or_else(PoisonError::into_inner).active
    }

    fn look_at(&mut self, kind: Kind) {
        let found = match kind {
            // Reads the kernel's files, which cannot hang.
            Kind::Camera if cfg!(target_os = "linux") => camera::list(),
            Kind::Camera => bounded(kind, camera::list).and_then(|found| found),
            Kind::Microphone | Kind::Speaker => self.changes.list(kind),
        };
        if kind == Kind::Camera {
            self.cameras_at = Instant::now();
        }
        let now = listing(kind, found);
        let told = &mut self.told[kind as usize];
        if told.as_ref() != Some(&now) {
            *told = Some(now.clone());
            (self.tell)(kind, now);
        }
    }
}
