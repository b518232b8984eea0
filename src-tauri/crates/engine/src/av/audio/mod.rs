//! The audio thread: a 10 ms tick while a device is open or a connection is served, else asleep.
//!
//! ```text
//! microphone ring ──► health ► echo, noise, gain ► level ► trial ► mute ► Opus ──► peer
//!                                  ▲                        └──────┐
//!                                  └───────────────────────────────│──────┐
//! peer ──► queue ──► jitter buffer ► Opus ► level ► ring tone ► trial ────┴──► speaker ring
//! ```
//! Speaker and network each have their own clock; the speaker's ring is kept at two blocks, so the speaker's clock draws
//! the sound, and the jitter buffer takes up the difference. Without a speaker the thread's own clock does.

mod call;
mod microphone;
mod thread;

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;

use ahoy_devices::{MicrophoneStream, SpeakerStream};
use ahoy_media::audio::voice::BadMicrophone;
use ahoy_media::audio::voice::trial::Trial;
use ahoy_media::audio::{Block, RingSound};
use ahoy_media::rate::budget::Want;
use ahoy_media::stats::AudioReceiveCounts;
use ahoy_media::sync::Medium;
use ahoy_media::units::Bitrate;
use ahoy_peer::{AudioSender, AudioSink, ClockReport, IncomingAudio};
use tokio::sync::watch;

pub(crate) use self::microphone::Treatment;
use self::thread::State;
use super::in_step::InStep;
use super::queue::Queue;
use super::{Post, TrialId, join, spawn};
use crate::api::Levels;
use crate::event::AudioEncodeCounts;

/// network task -> audio thread; 100 packets = 2 s; full: the oldest goes.
const INCOMING: usize = 100;
/// What sound asks of the budget, headers included: 7 kbps in packets of 60 ms, up to 64 in packets of 20 ms.
pub(super) const WANT: Want = Want { least: Bitrate::kbps(16), most: Bitrate::kbps(92) };

/// What the call task and the keepers ask of the audio thread.
pub(super) enum Order {
    Microphone(Box<MicrophoneStream>),
    Speaker(Box<SpeakerStream>),
    TakeMicrophone(mpsc::Sender<Option<Box<MicrophoneStream>>>),
    TakeSpeaker(mpsc::Sender<Option<Box<SpeakerStream>>>),
    Connect {
        sender: AudioSender,
        incoming: AudioIn,
        /// The sound of what the other side shows.
        shared: AudioIn,
    },
    Disconnect,
    /// The other side shows nothing any more.
    SharedSoundOff,
    /// What is done to the microphone's sound from now on.
    Treat(Treatment),
    /// Sounds from now on beside the call, or no more.
    Ring(Option<RingSound>),
    /// Is carried out from now on instead of any other; or none any more.
    Try(Option<(TrialId, Box<Trial>)>),
    Stop,
}

/// call task, keepers -> audio thread; unbounded, but orders come with clicks and are taken every tick.
#[derive(Clone, Debug)]
pub(super) struct Orders(mpsc::Sender<Order>);

impl Orders {
    pub fn send(&self, order: Order) {
        // Fails only when the thread is gone, which `close` tells; a taken-back channel in the order is then closed.
        let _ = self.0.send(order);
    }
}

/// What changes while sound flows.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub muted: AtomicBool,
    pub sending: AtomicBool,
    pub loss_percent: AtomicU8,
    /// Sound's part of the budget, bits per second with headers; 0: nothing is known yet.
    pub share: AtomicU64,
    counts: Mutex<AudioCounts>,
}

/// Figures of the connection that is served.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct AudioCounts {
    pub received: AudioReceiveCounts,
    pub sent: AudioEncodeCounts,
    /// What is wrong with the microphone.
    pub microphone: Option<BadMicrophone>,
}

/// Received sound on its way to the audio thread.
#[derive(Debug, Clone)]
pub(crate) struct AudioIn(Queue<IncomingAudio>, Arc<OnceFlag>, pub(super) InStep);

/// Tells once that something came.
#[derive(Default)]
pub(crate) struct OnceFlag {
    told: AtomicBool,
    tell: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl std::fmt::Debug for OnceFlag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OnceFlag").field("told", &self.told).finish_non_exhaustive()
    }
}

impl OnceFlag {
    pub fn set(&self, tell: impl FnOnce() + Send + 'static) {
        *self.tell.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(tell));
    }

    pub fn tell(&self) {
        if !self.told.swap(true, Ordering::AcqRel)
            && let Some(tell) = self.tell.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            tell();
        }
    }
}

impl AudioIn {
    pub(super) fn new(in_step: InStep) -> Self {
        Self(Queue::new(INCOMING), Arc::default(), in_step)
    }

    /// Calls this with the first packet, on the network task.
    pub fn on_first(&self, tell: impl FnOnce() + Send + 'static) {
        self.1.set(tell);
    }
}

impl AudioSink for AudioIn {
    fn handle_audio(&self, packet: IncomingAudio) {
        self.1.tell();
        self.0.put(packet);
    }

    fn handle_clock(&self, report: ClockReport) {
        self.2.handle_clock(Medium::Sound, report);
    }
}

pub(super) struct AudioThread {
    orders: Orders,
    pub shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

type Heard = Arc<dyn Fn(&Block, Instant) + Send + Sync>;

impl AudioThread {
    pub fn start(
        treatment: Treatment,
        levels: watch::Sender<Levels>,
        heard: Option<Heard>,
        post: Post,
    ) -> std::io::Result<Self> {
        let (orders, received) = mpsc::channel();
        let shared = Arc::new(Shared::default());
        let state = State::new(Arc::clone(&shared), treatment, levels, heard, post);
        let thread = spawn("ahoy-audio", move || state.run(&received))?;
        Ok(Self { orders: Orders(orders), shared, thread })
    }

    pub fn orders(&self) -> Orders {
        self.orders.clone()
    }

    pub fn order(&self, order: Order) {
        self.orders.send(order);
    }

    pub fn counts(&self) -> AudioCounts {
        *self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn close(self) {
        self.order(Order::Stop);
        join(self.thread);
    }
}
