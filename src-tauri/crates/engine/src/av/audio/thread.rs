//! What the audio thread does in each tick.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, mpsc};
use std::time::{Duration, Instant};

use ahoy_devices::SpeakerStream;
use ahoy_media::audio::voice::trial::{self, Trial};
use ahoy_media::audio::{
    BLOCK_DURATION, BLOCK_SAMPLES, Level, LevelMeter, Mute, RingSound, SILENCE, samples_to_duration,
};
use ahoy_media::stats::AudioReceiveCounts;
use ahoy_peer::AudioSender;
use tokio::sync::watch;

use super::call::Call;
use super::microphone::{Microphone, Treatment};
use super::{AudioCounts, AudioIn, Heard, Order, Shared};
use crate::api::Levels;
use crate::av::{Note, Post, TrialId, TrialNote, priority};
use crate::event::AudioEncodeCounts;

/// Samples kept in the speaker's ring: two blocks, so that one late tick is not heard.
const QUEUED: usize = 2 * BLOCK_SAMPLES;
/// Ticks between two reports of levels: 20 a second.
const LEVEL_TICKS: u32 = 5;
/// A voice is louder than this (RMS): only for RTP's marker bit.
const VOICE: f32 = 0.003;

pub(super) struct State {
    shared: Arc<Shared>,
    levels: watch::Sender<Levels>,
    heard: Option<Heard>,
    post: Post,
    treatment: Treatment,
    microphone: Option<Microphone>,
    speaker: Option<Box<SpeakerStream>>,
    call: Option<Box<Call>>,
    ring: Option<RingSound>,
    trial: Option<(TrialId, Box<Trial>)>,
    mute: Mute,
    meter: LevelMeter,
    remote_meter: LevelMeter,
    tick: u32,
}

impl State {
    pub fn new(
        shared: Arc<Shared>,
        treatment: Treatment,
        levels: watch::Sender<Levels>,
        heard: Option<Heard>,
        post: Post,
    ) -> Self {
        Self {
            shared,
            levels,
            heard,
            post,
            treatment,
            microphone: None,
            speaker: None,
            call: None,
            ring: None,
            trial: None,
            mute: Mute::default(),
            meter: LevelMeter::new(),
            remote_meter: LevelMeter::new(),
            tick: 0,
        }
    }

    pub fn run(mut self, orders: &mpsc::Receiver<Order>) {
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
            Order::Microphone(stream) => self.microphone = Some(Microphone::new(stream, self.treatment)),
            Order::Speaker(stream) => self.speaker = Some(stream),
            // Whoever waits for it may be gone; then it is dropped here.
            Order::TakeMicrophone(back) => drop(back.send(self.microphone.take().map(Microphone::into_stream))),
            Order::TakeSpeaker(back) => drop(back.send(self.speaker.take())),
            Order::Connect { sender, incoming, shared } => self.connect(sender, incoming, shared),
            Order::SharedSoundOff => {
                if let Some(call) = &mut self.call {
                    call.end_shared();
                }
            }
            Order::Disconnect => {
                self.call = None;
                self.remote_meter = LevelMeter::new();
            }
            Order::Treat(treatment) => {
                self.treatment = treatment;
                if let Some(microphone) = &mut self.microphone {
                    microphone.treat(treatment);
                }
            }
            Order::Ring(sound) => self.ring = sound,
            Order::Try(trial) => self.trial = trial,
            Order::Stop => return false,
        }
        true
    }

    fn connect(&mut self, sender: AudioSender, incoming: AudioIn, shared: AudioIn) {
        match Call::new(sender, incoming, shared) {
            Ok(call) => self.call = Some(Box::new(call)),
            Err(error) => tracing::error!(%error, "no sound in this call"),
        }
    }

    fn capture(&mut self) {
        let Some(microphone) = &mut self.microphone else { return };
        microphone.catch_up();
        let mut block = SILENCE;
        let muted = self.shared.muted.load(Ordering::Acquire);
        let music = self.treatment.settings.music;
        while let Some(captured) = microphone.read(&mut block, muted) {
            self.meter.push(&block);
            let loud = Level::of(&block).rms;
            // Before mute: whoever is muted can try the microphone unheard.
            if let Some((id, trial)) = &mut self.trial {
                match trial.hear(microphone.given(), &block) {
                    trial::Heard::Nothing => {}
                    trial::Heard::Began => (self.post)(Note::Trial(*id, TrialNote::Recording(captured))),
                    trial::Heard::Whole(verdict) => (self.post)(Note::Trial(*id, TrialNote::Recorded(verdict))),
                }
            }
            self.mute.apply(muted, &mut block);
            let Some(call) = &mut self.call else { continue };
            call.sent.microphone_overruns = microphone.overruns();
            call.pass_gap(captured);
            if self.shared.sending.load(Ordering::Acquire) {
                let (share, loss) = (&self.shared.share, &self.shared.loss_percent);
                call.plan(share.load(Ordering::Relaxed), loss.load(Ordering::Relaxed), music);
                call.send(&block, captured, !muted && loud > VOICE);
            } else {
                // What was said before the gate opened is not kept.
                call.skip_block();
            }
        }
    }

    fn play(&mut self) {
        let tried = self.trial.as_ref().is_some_and(|(_, trial)| trial.plays());
        if self.call.is_none() && self.ring.is_none() && !tried {
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
                }
                call.mix_shared(&mut block, now);
                if let Some(heard) = self.heard.as_ref().filter(|_| call.heard_something) {
                    heard(&block, heard_at);
                }
            }
            if let Some(ring) = &mut self.ring {
                ring.mix_into(&mut block);
            }
            if let Some(speaker) = &mut self.speaker {
                if let Some((id, trial)) = &mut self.trial
                    && !trial.mix_into(&mut block)
                {
                    (self.post)(Note::Trial(*id, TrialNote::Played));
                    self.trial = None;
                }
                if let Some(microphone) = &mut self.microphone {
                    microphone.hear_speaker(&block);
                }
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
            let microphone = self.microphone.as_ref().and_then(Microphone::wrong);
            let received = AudioReceiveCounts {
                audio_level: heard.level().peak.min(1.0).into(),
                total_audio_energy: heard.total_audio_energy(),
                total_samples_duration: heard.total_samples_duration(),
                ..call.playout.counts()
            };
            let voice = self.microphone.as_ref().map(Microphone::voice_counts).unwrap_or_default();
            let sent = AudioEncodeCounts {
                echo_return_loss: voice.echo_return_loss,
                echo_return_loss_enhancement: voice.echo_return_loss_enhancement,
                audio_level: spoken.level().peak.min(1.0).into(),
                total_audio_energy: spoken.total_audio_energy(),
                total_samples_duration: spoken.total_samples_duration(),
                ..call.sent
            };
            *self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner) =
                AudioCounts { received, sent, microphone };
        }
        if self.microphone.is_none() {
            self.meter = LevelMeter::new();
        }
    }
}
