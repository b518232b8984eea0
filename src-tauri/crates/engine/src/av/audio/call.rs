//! The sound of one connection: packets in, packets out.

use std::time::{Duration, Instant};

use ahoy_media::audio::{
    AudioPlayout, BLOCK_DURATION, BLOCK_SAMPLES, Block, OpusEncoder, OpusError, OpusSettings, PacketDuration, SILENCE,
    samples_to_duration,
};
use ahoy_media::rate::budget::AudioPlan;
use ahoy_media::sync::Heard;
use ahoy_media::units::Bitrate;
use ahoy_peer::{AudioSender, OutgoingAudio, SendOutcome};
use bytes::Bytes;

use super::AudioIn;
use crate::event::AudioEncodeCounts;

/// A microphone's stamps that are this much ahead of what its samples say tell of a gap, not of unpunctual callbacks. Of
/// shorter ones the sender reports tell.
const GAP: Duration = Duration::from_millis(200);
/// Packets by which the other side is told of silence: where all of them are lost, the silence is taken for loss.
const SILENCE_SENT: u32 = 3;

/// A connection being served.
pub(super) struct Call {
    sender: AudioSender,
    incoming: AudioIn,
    /// The sound of what the other side shows.
    shared: AudioIn,
    shared_playout: Option<AudioPlayout>,
    pub playout: AudioPlayout,
    encoder: OpusEncoder,
    /// RTP time of the next packet's first sample.
    timestamp: u32,
    /// When the next block is captured, if the microphone goes on.
    next_captured: Option<Instant>,
    /// Packets in a row that held nothing to hear.
    silent: u32,
    /// The other side's first sound was decoded.
    pub heard_something: bool,
    pub sent: AudioEncodeCounts,
}

impl Call {
    pub fn new(sender: AudioSender, incoming: AudioIn, shared: AudioIn) -> Result<Self, OpusError> {
        Ok(Self {
            sender,
            incoming,
            shared,
            shared_playout: None,
            playout: AudioPlayout::new()?,
            encoder: OpusEncoder::new(OpusSettings::default())?,
            timestamp: rand::random(),
            next_captured: None,
            silent: 0,
            heard_something: false,
            sent: AudioEncodeCounts::default(),
        })
    }

    pub fn take_in(&mut self) {
        while let Some(packet) = self.incoming.0.try_take() {
            // The 16 bits are what the wire had; the jitter buffer extends them itself. Refusals are counted inside.
            let _ =
                self.playout.push(packet.sequence as u16, packet.timestamp, packet.payload.to_vec(), packet.arrived);
        }
    }

    /// What the other side shows is heard beside its voice.
    pub fn mix_shared(&mut self, block: &mut Block, now: Instant) {
        while let Some(packet) = self.shared.0.try_take() {
            let playout = match &mut self.shared_playout {
                Some(playout) => playout,
                None => match AudioPlayout::new() {
                    Ok(playout) => self.shared_playout.insert(playout),
                    Err(error) => return tracing::error!(%error, "no sound of what is shown"),
                },
            };
            let _ = playout.push(packet.sequence as u16, packet.timestamp, packet.payload.to_vec(), packet.arrived);
        }
        let Some(playout) = &mut self.shared_playout else { return };
        let mut shared = SILENCE;
        playout.pull(&mut shared, now);
        for (sample, shared) in block.iter_mut().zip(shared) {
            *sample = (*sample + shared).clamp(-1.0, 1.0);
        }
    }

    /// Nothing is shown any more.
    pub fn end_shared(&mut self) {
        while self.shared.0.try_take().is_some() {}
        self.shared_playout = None;
    }

    /// Tells what is heard at which moment, and is told how long sound is to wait for the picture.
    pub fn keep_in_step(&mut self, at: Instant) {
        let jitter = self.playout.jitter();
        let (Some(timestamp), Some(excess)) = (self.playout.position(), jitter.excess()) else { return };
        let heard = Heard { timestamp, at, excess, raise: jitter.raise() };
        let raise = {
            let mut in_step = self.incoming.2.lock();
            in_step.handle_heard(heard);
            in_step.raise()
        };
        self.playout.set_raise(raise);
    }

    /// A block is captured and not sent: its time passes.
    pub fn skip_block(&mut self) {
        self.timestamp = self.timestamp.wrapping_add(BLOCK_SAMPLES as u32);
    }

    /// The time of sound that nobody captured passes too: another microphone was opened, or this thread was held up.
    pub fn pass_gap(&mut self, captured: Instant) {
        let gap = self.next_captured.map_or(Duration::ZERO, |next| captured.saturating_duration_since(next));
        if gap > GAP {
            let blocks = (gap.as_micros() / BLOCK_DURATION.as_micros()) as u32;
            self.timestamp = self.timestamp.wrapping_add(blocks.wrapping_mul(BLOCK_SAMPLES as u32));
        }
        self.next_captured = Some(captured + BLOCK_DURATION);
    }

    /// Follows the budget, the path's loss, and what the person says of the sound: pauses of a voice need not be sent, those
    /// of music are part of it.
    pub fn plan(&mut self, share: u64, loss_percent: u8, music: bool) {
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
        let wanted = OpusSettings { bitrate, duration, packet_loss, music, dtx: !music, ..now };
        if wanted != now
            && let Err(error) = self.encoder.apply(wanted)
        {
            tracing::warn!(%error, "the sound codec keeps its setting");
        }
    }

    /// `captured`: when the block's first sample was.
    pub fn send(&mut self, block: &Block, captured: Instant, voice: bool) {
        match self.encoder.push(block) {
            Ok(Some(packet)) => {
                let payload = Bytes::copy_from_slice(packet.data);
                let timestamp = self.timestamp;
                self.timestamp = timestamp.wrapping_add(packet.samples);
                self.sent.packets_encoded += 1;
                // A packet that holds nothing tells the other side to make comfort noise until more comes; when it has been
                // told, more of them need not be sent (RFC 7587, 3.1.3). Their time has passed.
                self.silent = if packet.silence { self.silent.saturating_add(1) } else { 0 };
                if self.silent > SILENCE_SENT {
                    self.sent.packets_left_out += 1;
                    return;
                }
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
