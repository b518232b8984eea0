//! The audio thread: a 10 ms tick while a device is open or a connection is served, else asleep.
//!
//! ```text
//! microphone ring ──► mute ► level ► Opus ──► peer
//! peer ──► queue ──► jitter buffer ► Opus ► level ──► speaker ring
//! ```
//! Speaker and network each have their own clock; the speaker's ring is kept at [`QUEUED`], so the speaker's clock draws
//! the sound, and the jitter buffer takes up the difference. Without a speaker the thread's own clock does.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ahoy_devices::{MicrophoneStream, SpeakerStream};
use ahoy_media::audio::{
    AudioPlayout, BLOCK_DURATION, BLOCK_SAMPLES, Block, Level, LevelMeter, Mute, OpusEncoder, OpusSettings,
    PacketDuration, RingSound, SILENCE, samples_to_duration,
};
use ahoy_media::rate::budget::{AudioPlan, Want};
use ahoy_media::stats::AudioReceiveCounts;
use ahoy_media::sync::{Heard as HeardNow, Medium};
use ahoy_media::units::Bitrate;
use ahoy_peer::{AudioSender, AudioSink, ClockReport, IncomingAudio, OutgoingAudio, SendOutcome};
use bytes::Bytes;
use tokio::sync::watch;

use super::in_step::InStep;
use super::queue::Queue;
use super::{Note, Post, join, priority, spawn};
use crate::api::Levels;
use crate::event::AudioEncodeCounts;

/// network task -> audio thread; 100 packets = 2 s; full: the oldest goes.
const INCOMING: usize = 100;
/// Samples kept in the speaker's ring: two blocks, so that one late tick is not heard.
const QUEUED: usize = 2 * BLOCK_SAMPLES;
/// The microphone's ring is read every tick; after the thread was held up for longer than this, the past is forgotten.
const LATE_SAMPLES: usize = 12 * BLOCK_SAMPLES;
/// Ticks between two reports of levels: 20 a second.
const LEVEL_TICKS: u32 = 5;
/// What sound asks of the budget, headers included: 7 kbps in packets of 60 ms, up to 64 in packets of 20 ms.
pub(super) const WANT: Want = Want { least: Bitrate::kbps(16), most: Bitrate::kbps(92) };
/// A microphone's stamps that are this much ahead of what its samples say tell of a gap, not of unpunctual callbacks. Of
/// shorter ones the sender reports tell.
const GAP: Duration = Duration::from_millis(200);
/// A voice is louder than this (RMS): only for RTP's marker bit.
const VOICE: f32 = 0.003;

/// What the call task and the keepers ask of the audio thread.
pub(super) enum Order {
    Microphone(Box<MicrophoneStream>),
    Speaker(Box<SpeakerStream>),
    TakeMicrophone(mpsc::Sender<Option<Box<MicrophoneStream>>>),
    TakeSpeaker(mpsc::Sender<Option<Box<SpeakerStream>>>),
    Connect {
        sender: AudioSender,
        incoming: AudioIn,
    },
    Disconnect,
    /// Sounds from now on beside the call, or no more.
    Ring(Option<RingSound>),
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
    counts: Mutex<(AudioReceiveCounts, AudioEncodeCounts)>,
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
    pub fn start(levels: watch::Sender<Levels>, heard: Option<Heard>, post: Post) -> std::io::Result<Self> {
        let (orders, received) = mpsc::channel();
        let shared = Arc::new(Shared::default());
        let state = State {
            shared: Arc::clone(&shared),
            levels,
            heard,
            post,
            microphone: None,
            speaker: None,
            call: None,
            ring: None,
            mute: Mute::default(),
            meter: LevelMeter::new(),
            remote_meter: LevelMeter::new(),
            tick: 0,
        };
        let thread = spawn("ahoy-audio", move || state.run(&received))?;
        Ok(Self { orders: Orders(orders), shared, thread })
    }

    pub fn orders(&self) -> Orders {
        self.orders.clone()
    }

    pub fn order(&self, order: Order) {
        self.orders.send(order);
    }

    pub fn counts(&self) -> (AudioReceiveCounts, AudioEncodeCounts) {
        *self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn close(self) {
        self.order(Order::Stop);
        join(self.thread);
    }
}

/// A connection being served.
struct Call {
    sender: AudioSender,
    incoming: AudioIn,
    playout: AudioPlayout,
    encoder: OpusEncoder,
    /// RTP time of the next packet's first sample.
    timestamp: u32,
    /// When the next block is captured, if the microphone goes on.
    next_captured: Option<Instant>,
    heard_something: bool,
    sent: AudioEncodeCounts,
}

struct State {
    shared: Arc<Shared>,
    levels: watch::Sender<Levels>,
    heard: Option<Heard>,
    post: Post,
    microphone: Option<Box<MicrophoneStream>>,
    speaker: Option<Box<SpeakerStream>>,
    call: Option<Box<Call>>,
    ring: Option<RingSound>,
    mute: Mute,
    meter: LevelMeter,
    remote_meter: LevelMeter,
    tick: u32,
}

impl State {
    fn run(mut self, orders: &mpsc::Receiver<Order>) {
        priority::raise();
        let mut due = Instant::now();
        loop {
            let idle = self.microphone.is_none() && self.speaker.is_none() && self.call.is_none();
            if idle {
                self.levels.send_if_modified(|levels| std::mem::take(levels) != Levels::default());
                let Ok(order) = orders.recv() else { return };
                if !self.obey(order) {
                    return;
                }
                due = Instant::now();
            }
            while let Ok(order) = orders.try_recv() {
                if !self.obey(order) {
                    return;
                }
            }
            self.capture();
            self.play();
            self.report();
            due += BLOCK_DURATION;
            let now = Instant::now();
            // After a stop of the whole machine the missed ticks are not made up for.
            if now > due + 10 * BLOCK_DURATION {
                due = now;
            }
            std::thread::sleep(due.saturating_duration_since(now));
        }
    }

    /// False to stop.
    fn obey(&mut self, order: Order) -> bool {
        match order {
            Order::Microphone(stream) => self.microphone = Some(stream),
            Order::Speaker(stream) => self.speaker = Some(stream),
            // Whoever waits for it may be gone; then it is dropped here.
            Order::TakeMicrophone(back) => drop(back.send(self.microphone.take())),
            Order::TakeSpeaker(back) => drop(back.send(self.speaker.take())),
            Order::Connect { sender, incoming } => self.connect(sender, incoming),
            Order::Disconnect => {
                self.call = None;
                self.remote_meter = LevelMeter::new();
            }
            Order::Ring(sound) => self.ring = sound,
            Order::Stop => return false,
        }
        true
    }

    fn connect(&mut self, sender: AudioSender, incoming: AudioIn) {
        let made = AudioPlayout::new().and_then(|playout| {
            let encoder = OpusEncoder::new(OpusSettings::default())?;
            Ok(Call {
                sender,
                incoming,
                playout,
                encoder,
                timestamp: rand::random(),
                next_captured: None,
                heard_something: false,
                sent: AudioEncodeCounts::default(),
            })
        });
        match made {
            Ok(call) => self.call = Some(Box::new(call)),
            Err(error) => tracing::error!(%error, "no sound in this call"),
        }
    }

    fn capture(&mut self) {
        let Some(microphone) = &mut self.microphone else { return };
        if microphone.available() > LATE_SAMPLES {
            microphone.skip_to_latest(2 * BLOCK_SAMPLES);
        }
        let mut block = SILENCE;
        while let Some(captured) = microphone.read_block(&mut block) {
            self.meter.push(&block);
            let loud = Level::of(&block).rms;
            let muted = self.shared.muted.load(Ordering::Acquire);
            self.mute.apply(muted, &mut block);
            let Some(call) = &mut self.call else { continue };
            call.sent.microphone_overruns = microphone.overruns();
            call.pass_gap(captured);
            if self.shared.sending.load(Ordering::Acquire) {
                call.plan(self.shared.share.load(Ordering::Relaxed), self.shared.loss_percent.load(Ordering::Relaxed));
                call.send(&block, captured, !muted && loud > VOICE);
            } else {
                // What was said before the gate opened is not kept, but its time passes.
                call.timestamp = call.timestamp.wrapping_add(BLOCK_SAMPLES as u32);
            }
        }
    }

    fn play(&mut self) {
        if self.call.is_none() && self.ring.is_none() {
            return;
        }
        if let Some(call) = &mut self.call {
            call.take_in();
        }
        let now = Instant::now();
        let blocks = match &self.speaker {
            Some(speaker) => QUEUED.saturating_sub(speaker.queued()).div_ceil(BLOCK_SAMPLES),
            None => 1,
        };
        for _ in 0..blocks {
            let mut block = SILENCE;
            let waits = self.speaker.as_ref().map_or(Duration::ZERO, |speaker| {
                samples_to_duration(speaker.queued() as u64) + speaker.device_latency()
            });
            let heard_at = now + waits;
            if let Some(call) = &mut self.call {
                if self.tick.is_multiple_of(LEVEL_TICKS) {
                    call.keep_in_step(heard_at);
                }
                call.playout.pull(&mut block, now);
                if !call.heard_something && call.playout.jitter_counts().played > 0 {
                    call.heard_something = true;
                    (self.post)(Note::FirstAudio(Instant::now()));
                }
                if call.heard_something {
                    self.remote_meter.push(&block);
                    if let Some(heard) = &self.heard {
                        heard(&block, heard_at);
                    }
                }
            }
            if let Some(ring) = &mut self.ring {
                ring.mix_into(&mut block);
            }
            if let Some(speaker) = &mut self.speaker {
                speaker.write_block(&block);
                if let Some(call) = &mut self.call {
                    call.sent.speaker_underruns = speaker.underruns();
                }
            }
        }
    }

    fn report(&mut self) {
        self.tick = self.tick.wrapping_add(1);
        if !self.tick.is_multiple_of(LEVEL_TICKS) {
            return;
        }
        let now =
            Levels { microphone: self.meter.level().rms.min(1.0), remote: self.remote_meter.level().rms.min(1.0) };
        self.levels.send_if_modified(|levels| std::mem::replace(levels, now) != now);
        if let Some(call) = &self.call {
            let (heard, spoken) = (&self.remote_meter, &self.meter);
            let received = AudioReceiveCounts {
                audio_level: heard.level().peak.min(1.0).into(),
                total_audio_energy: heard.total_audio_energy(),
                total_samples_duration: heard.total_samples_duration(),
                ..call.playout.counts()
            };
            let sent = AudioEncodeCounts {
                audio_level: spoken.level().peak.min(1.0).into(),
                total_audio_energy: spoken.total_audio_energy(),
                total_samples_duration: spoken.total_samples_duration(),
                ..call.sent
            };
            *self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner) = (received, sent);
        }
        if self.microphone.is_none() {
            self.meter = LevelMeter::new();
        }
    }
}

impl Call {
    fn take_in(&mut self) {
        while let Some(packet) = self.incoming.0.try_take() {
            // The 16 bits are what the wire had; the jitter buffer extends them itself. Refusals are counted inside.
            let _ =
                self.playout.push(packet.sequence as u16, packet.timestamp, packet.payload.to_vec(), packet.arrived);
        }
    }

    /// Tells what is heard at which moment, and is told how long sound is to wait for the picture.
    fn keep_in_step(&mut self, at: Instant) {
        let jitter = self.playout.jitter();
        let (Some(timestamp), Some(excess)) = (self.playout.position(), jitter.excess()) else { return };
        let heard = HeardNow { timestamp, at, excess, raise: jitter.raise() };
        let raise = {
            let mut in_step = self.incoming.2.lock();
            in_step.handle_heard(heard);
            in_step.raise()
        };
        self.playout.set_raise(raise);
    }

    /// The time of sound that nobody captured passes too: another microphone was opened, or this thread was held up.
    fn pass_gap(&mut self, captured: Instant) {
        let gap = self.next_captured.map_or(Duration::ZERO, |next| captured.saturating_duration_since(next));
        if gap > GAP {
            let blocks = (gap.as_micros() / BLOCK_DURATION.as_micros()) as u32;
            self.timestamp = self.timestamp.wrapping_add(blocks.wrapping_mul(BLOCK_SAMPLES as u32));
        }
        self.next_captured = Some(captured + BLOCK_DURATION);
    }

    /// Follows the budget and the path's loss.
    fn plan(&mut self, share: u64, loss_percent: u8) {
        let now = self.encoder.settings();
        let (mut bitrate, mut duration) = (now.bitrate, now.duration);
        if share > 0 {
            let current = Some(BLOCK_DURATION * now.duration.blocks() as u32);
            let plan = AudioPlan::for_share(Bitrate::bps(share), current);
            duration = match plan.packet.as_millis() {
                0..=20 => PacketDuration::Ms20,
                21..=40 => PacketDuration::Ms40,
                _ => PacketDuration::Ms60,
            };
            // Changes of some percent are not worth a change of the codec.
            if plan.bitrate.as_bps().abs_diff(bitrate.as_bps()) * 16 > bitrate.as_bps() {
                bitrate = plan.bitrate;
            }
        }
        // What FEC costs is spent only where something gets lost.
        let packet_loss = if now.packet_loss.abs_diff(loss_percent) >= 3 { loss_percent } else { now.packet_loss };
        let wanted = OpusSettings { bitrate, duration, packet_loss, ..now };
        if wanted != now
            && let Err(error) = self.encoder.apply(wanted)
        {
            tracing::warn!(%error, "the sound codec keeps its setting");
        }
    }

    /// `captured`: when the block's first sample was.
    fn send(&mut self, block: &Block, captured: Instant, voice: bool) {
        match self.encoder.push(block) {
            Ok(Some(packet)) => {
                let payload = Bytes::copy_from_slice(packet.data);
                let timestamp = self.timestamp;
                self.timestamp = timestamp.wrapping_add(packet.samples);
                self.sent.packets_encoded += 1;
                let earlier = samples_to_duration(u64::from(packet.samples)).saturating_sub(BLOCK_DURATION);
                let captured = captured.checked_sub(earlier).unwrap_or(captured);
                match self.sender.send(OutgoingAudio { payload, timestamp, captured, voice }) {
                    // Counted by the connection.
                    SendOutcome::Queued
                    | SendOutcome::Held
                    | SendOutcome::Dropped(_)
                    | SendOutcome::KeyFrameNeeded
                    | SendOutcome::Closed => {}
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "10 ms of sound are not sent"),
        }
    }
}
