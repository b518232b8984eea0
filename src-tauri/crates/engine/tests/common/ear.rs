//! Listens to what a speaker of the tests' sound server really plays.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ahoy_devices::{MicrophoneRequest, Selection, open_microphone};
use ahoy_testkit::tone::amplitude_at;

/// So much of a tone is heard: its level is 0.25, and a speaker at 41 % leaves a fifteenth of that.
pub const HEARD: f64 = 0.008;

/// An ear at a speaker: knows when it last heard the tone and when it did not.
pub struct Ear {
    marks: Arc<Mutex<Vec<(Instant, bool)>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ear {
    /// Listens for a tone of so many hertz.
    pub fn at(sink: &str, tone: f64) -> Self {
        let request =
            MicrophoneRequest { device: Selection::Device(format!("pulseaudio:{sink}.monitor").as_str().into()) };
        let mut stream = None;
        let end = Instant::now() + Duration::from_secs(5);
        while stream.is_none() {
            assert!(Instant::now() < end, "no ear at {sink}");
            stream = open_microphone(&request, |_| ()).ok();
        }
        let mut stream = stream.unwrap();
        let (marks, stop) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<AtomicBool>::default());
        let (theirs, ends) = (Arc::clone(&marks), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut block = [0.0; 480];
            while !ends.load(Ordering::Relaxed) {
                while stream.read_block(&mut block).is_some() {
                    theirs.lock().unwrap().push((Instant::now(), amplitude_at(&block, 48_000, tone) > HEARD));
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Self { marks, stop, thread: Some(thread) }
    }

    /// How long after `since` three blocks in a row held the tone.
    pub async fn heard(&self, since: Instant) -> Duration {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let found = {
                let marks = self.marks.lock().unwrap();
                let later: Vec<_> = marks.iter().filter(|(at, _)| *at > since).collect();
                later.windows(3).find(|three| three.iter().all(|(_, heard)| *heard)).map(|three| three[0].0)
            };
            if let Some(at) = found {
                return at - since;
            }
            assert!(Instant::now() < end, "nothing was heard");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// How much of the tone was heard since then.
    pub fn amount(&self, since: Instant) -> Duration {
        let marks = self.marks.lock().unwrap();
        Duration::from_millis(10) * marks.iter().filter(|(at, heard)| *at > since && *heard).count() as u32
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().unwrap().join();
    }
}
