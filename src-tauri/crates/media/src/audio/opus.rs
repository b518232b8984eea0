//! Opus (RFC 6716) on libopus 1.6, one channel at 48 kHz.

use std::fmt;

use opusic_c::{Application, Bitrate as CodecBitrate, Channels, Encoder, ErrorCode, InbandFec, SampleRate, Signal};

pub use super::decoder::{OpusDecoder, carries_fec};
use super::{Block, SAMPLE_RATE};
use crate::units::Bitrate;

/// The longest packet a decoder is given. A 20 ms packet has at most 1,276 bytes (RFC 6716, section 3.2.1); longer ones may
/// hold several frames, but none exceeds what a network packet carries.
pub const MAX_PACKET_BYTES: usize = 1_500;
/// The most samples a packet can hold: 120 ms.
pub const MAX_PACKET_SAMPLES: usize = SAMPLE_RATE as usize * 120 / 1_000;
/// The most deep redundancy that the codec makes, in steps of 10 ms.
const MAX_DRED: u16 = 100;
/// How far back deep redundancy reaches at most where loss decides on it, in steps of 10 ms.
const DRED_BY_LOSS: u8 = 24;
/// Less loss than this, in percent, is left to concealment, and so is all loss at less than this rate.
const DRED_FROM_LOSS: u8 = 3;
const DRED_FROM_BITRATE: Bitrate = Bitrate::kbps(24);
/// A packet of up to this many bytes says only that there is nothing to hear (DTX) and need not be sent.
const DTX_BYTES: usize = 2;

/// Why a packet was not made or not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpusError {
    /// A packet of no bytes. (libopus would take it for a lost one.)
    #[error("an empty sound packet was received")]
    Empty,
    /// A packet of more than [`MAX_PACKET_BYTES`].
    #[error("a sound packet of {0} bytes was received")]
    TooLong(usize),
    /// Not Opus, or samples of a length that Opus does not know.
    #[error("the sound codec refused: {0}")]
    Codec(&'static str),
}

impl From<ErrorCode> for OpusError {
    fn from(code: ErrorCode) -> Self {
        Self::Codec(code.message())
    }
}

/// How much sound goes into one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PacketDuration {
    /// 10 ms.
    Ms10,
    /// 20 ms.
    #[default]
    Ms20,
    /// 40 ms.
    Ms40,
    /// 60 ms.
    Ms60,
}

impl PacketDuration {
    /// Blocks of 10 ms in it.
    pub const fn blocks(self) -> usize {
        match self {
            Self::Ms10 => 1,
            Self::Ms20 => 2,
            Self::Ms40 => 4,
            Self::Ms60 => 6,
        }
    }

    /// Samples at 48 kHz, which is also its step of RTP time (RFC 7587).
    pub const fn samples(self) -> usize {
        self.blocks() * super::BLOCK_SAMPLES
    }
}

/// Deep redundancy (DRED): a few bytes that describe the voice of up to a second before, so that a whole run of lost packets
/// can be spoken again from the packet after it. Old receivers skip it as padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Dred {
    /// None.
    Off,
    /// As far back as `packet_loss` calls for and the bit rate has room for.
    #[default]
    ByLoss,
    /// So many milliseconds back (0-1,000), as far as the bit rate has room for.
    Millis(u16),
}

/// How sound is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpusSettings {
    /// The target, 6-510 kbps; the packets vary around it.
    pub bitrate: Bitrate,
    /// The length of a packet.
    pub duration: PacketDuration,
    /// Whether each packet repeats the one before coarsely (used only as far as `packet_loss` calls for it).
    pub fec: bool,
    /// Whether each packet describes the sound of many before it (deep redundancy).
    pub dred: Dred,
    /// The share of packets that get lost, in percent, as the other side reports it.
    pub packet_loss: u8,
    /// Whether packets of silence may be left out.
    pub dtx: bool,
    /// Whether it is music: coded for its whole band, and nothing taken out that a voice can do without.
    pub music: bool,
    /// 0 (cheap) to 10 (best).
    pub complexity: u8,
}

impl Default for OpusSettings {
    fn default() -> Self {
        Self {
            bitrate: Bitrate::kbps(32),
            duration: PacketDuration::Ms20,
            fec: true,
            dred: Dred::ByLoss,
            packet_loss: 5,
            dtx: false,
            music: false,
            complexity: 9,
        }
    }
}

/// One packet of sound, borrowed from the encoder that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpusPacket<'a> {
    /// The RTP payload.
    pub data: &'a [u8],
    /// Samples at 48 kHz in it: how far RTP time goes on.
    pub samples: u32,
    /// Whether it may be left out because there is nothing to hear (RTP time goes on all the same).
    pub silence: bool,
}

/// Collects blocks and codes them; allocates nothing after it was made, unless it changes between voice and music.
pub struct OpusEncoder {
    encoder: Encoder,
    settings: OpusSettings,
    collected: Vec<f32>,
    packet: Vec<u8>,
}

impl OpusEncoder {
    /// An encoder that codes so.
    ///
    /// # Errors
    /// [`OpusError::Codec`] when there is no memory for it, or a setting is out of range.
    pub fn new(settings: OpusSettings) -> Result<Self, OpusError> {
        let mut made = Self {
            encoder: encoder_for(settings.music)?,
            settings,
            collected: Vec::with_capacity(PacketDuration::Ms60.samples()),
            packet: vec![0; MAX_PACKET_BYTES],
        };
        made.apply(settings)?;
        Ok(made)
    }

    /// Changes how it codes, from the next packet on.
    ///
    /// # Errors
    /// [`OpusError::Codec`] when a setting is out of range; the ones before it then hold.
    pub fn apply(&mut self, settings: OpusSettings) -> Result<(), OpusError> {
        if settings.music != self.settings.music {
            // What it is for is fixed once it has coded something.
            self.encoder = encoder_for(settings.music)?;
        }
        self.encoder.set_bitrate(CodecBitrate::Value(settings.bitrate.as_bps().clamp(6_000, 510_000) as u32))?;
        let redundancy = Redundancy::of(&settings);
        self.encoder.set_inband_fec(if redundancy.fec { InbandFec::Mode1 } else { InbandFec::Off })?;
        self.encoder.set_dred_duration(redundancy.dred)?;
        self.encoder.set_packet_loss(redundancy.loss)?;
        self.encoder.set_dtx(settings.dtx)?;
        self.encoder.set_complexity(settings.complexity.min(10))?;
        self.settings = settings;
        Ok(())
    }

    /// How it codes now.
    pub fn settings(&self) -> OpusSettings {
        self.settings
    }

    /// Changes the target rate alone.
    ///
    /// # Errors
    /// As [`OpusEncoder::apply`].
    pub fn set_bitrate(&mut self, bitrate: Bitrate) -> Result<(), OpusError> {
        self.apply(OpusSettings { bitrate, ..self.settings })
    }

    /// Tells it how many packets get lost, in percent.
    ///
    /// # Errors
    /// As [`OpusEncoder::apply`].
    pub fn set_packet_loss(&mut self, percent: u8) -> Result<(), OpusError> {
        self.apply(OpusSettings { packet_loss: percent, ..self.settings })
    }

    /// Takes the next block in; gives a packet each time enough of them are together.
    ///
    /// # Errors
    /// [`OpusError::Codec`]; the collected sound is then dropped.
    pub fn push(&mut self, block: &Block) -> Result<Option<OpusPacket<'_>>, OpusError> {
        self.collected.extend_from_slice(block);
        let samples = self.settings.duration.samples();
        if self.collected.len() < samples {
            return Ok(None);
        }
        // A shorter duration may have been set meanwhile: what is over stays for the next packet.
        let len = self.encoder.encode_float_to_slice(&self.collected[..samples], &mut self.packet);
        self.collected.drain(..samples);
        let data = &self.packet[..len?];
        Ok(Some(OpusPacket { data, samples: samples as u32, silence: data.len() <= DTX_BYTES }))
    }

    /// Forgets the collected sound and the codec's memory, for a new stream.
    pub fn reset(&mut self) {
        self.collected.clear();
        // Cannot fail: the request has no argument.
        let _ = self.encoder.reset();
    }
}

fn encoder_for(music: bool) -> Result<Encoder, OpusError> {
    let (application, signal) =
        if music { (Application::Audio, Signal::Music) } else { (Application::Voip, Signal::Auto) };
    let mut encoder = Encoder::new(Channels::Mono, SampleRate::Hz48000, application)?;
    encoder.set_signal(signal)?;
    Ok(encoder)
}

/// What is spent against loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Redundancy {
    fec: bool,
    /// In steps of 10 ms.
    dred: u8,
    /// What the codec is told of loss: by this it divides the bit rate.
    loss: u8,
}

impl Redundancy {
    /// Measured with a synthetic voice at 20 ms packets: up to 5 % of loss the codec copies hardly a packet, and at 32 kbps it
    /// has no room for both kinds. Told of 10 % it spends 12 of 32 kbps on deep redundancy that reaches 94 ms back, told of
    /// 20 % it is 173 ms; at 24 kbps 52 and 125 ms; below that nothing useful is left.
    fn of(settings: &OpusSettings) -> Self {
        let (loss, bitrate) = (settings.packet_loss.min(100), settings.bitrate);
        let plain = Self { fec: settings.fec, dred: 0, loss };
        match settings.dred {
            Dred::Off => plain,
            Dred::Millis(millis) => Self { dred: (millis / 10).min(MAX_DRED) as u8, ..plain },
            Dred::ByLoss if loss < DRED_FROM_LOSS || bitrate < DRED_FROM_BITRATE => plain,
            Dred::ByLoss => {
                let both = bitrate >= Bitrate::kbps(48) && loss >= 15 || bitrate >= Bitrate::kbps(64) && loss >= 10;
                // Losses come in runs, longer ones than their share alone would have.
                Self { fec: settings.fec && both, dred: DRED_BY_LOSS, loss: (2 * loss).clamp(10, 25).max(loss) }
            }
        }
    }
}

/// How many samples at 48 kHz a packet holds.
///
/// # Errors
/// [`OpusError`] for an empty, overlong or damaged packet.
pub fn packet_samples(packet: &[u8]) -> Result<usize, OpusError> {
    check(packet)?;
    let samples = opusic_c::utils::get_nb_samples(packet, SampleRate::Hz48000)?;
    if samples > MAX_PACKET_SAMPLES { Err(ErrorCode::InvalidPacket.into()) } else { Ok(samples) }
}

pub(super) fn check(packet: &[u8]) -> Result<(), OpusError> {
    match packet.len() {
        0 => Err(OpusError::Empty),
        len if len > MAX_PACKET_BYTES => Err(OpusError::TooLong(len)),
        _ => Ok(()),
    }
}

impl fmt::Debug for OpusEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpusEncoder").field("settings", &self.settings).finish_non_exhaustive()
    }
}
