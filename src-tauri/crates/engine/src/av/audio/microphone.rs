//! The microphone's way from the device's ring to what is sent.

use std::time::Instant;

use ahoy_devices::MicrophoneStream;
use ahoy_media::audio::voice::{BadMicrophone, MicrophoneHealth, VoiceCounts, VoiceProcessor, VoiceSettings};
use ahoy_media::audio::{BLOCK_SAMPLES, Block, SILENCE};

/// The microphone's ring is read every tick; after the thread was held up for longer than this, the past is forgotten.
const LATE_SAMPLES: usize = 12 * BLOCK_SAMPLES;

/// What is done to the microphone's sound.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Treatment {
    pub settings: VoiceSettings,
    /// Also to that of a tone or a file, which otherwise passes sample by sample: it was in no room.
    pub synthetic: bool,
}

/// An open microphone.
pub(super) struct Microphone {
    stream: Box<MicrophoneStream>,
    voice: VoiceProcessor,
    health: MicrophoneHealth,
    /// The last 10 ms as the device gave them.
    given: Block,
}

impl Microphone {
    pub fn new(stream: Box<MicrophoneStream>, treatment: Treatment) -> Self {
        let voice = VoiceProcessor::new(settings(&stream, treatment));
        Self { stream, voice, health: MicrophoneHealth::new(), given: SILENCE }
    }

    pub fn into_stream(self) -> Box<MicrophoneStream> {
        self.stream
    }

    pub fn treat(&mut self, treatment: Treatment) {
        self.voice.set_settings(settings(&self.stream, treatment));
    }

    pub fn catch_up(&mut self) {
        if self.stream.available() > LATE_SAMPLES {
            self.stream.skip_to_latest(2 * BLOCK_SAMPLES);
        }
    }

    /// The next 10 ms, treated, and when they were captured. While `muted`, echo and noise are learned all the same.
    pub fn read(&mut self, block: &mut Block, muted: bool) -> Option<Instant> {
        let captured = self.stream.read_block(block)?;
        self.given = *block;
        self.health.push(block, muted);
        self.voice.capture(block);
        // What comes out now went in that much earlier.
        Some(captured.checked_sub(self.voice.delay()).unwrap_or(captured))
    }

    /// The 10 ms read last, as the device gave them: untreated.
    pub fn given(&self) -> &Block {
        &self.given
    }

    /// This goes to the speaker next, and comes back as an echo.
    pub fn hear_speaker(&mut self, block: &Block) {
        self.voice.render(block);
    }

    pub fn overruns(&self) -> u64 {
        self.stream.overruns()
    }

    pub fn voice_counts(&self) -> VoiceCounts {
        self.voice.counts()
    }

    pub fn wrong(&self) -> Option<BadMicrophone> {
        self.health.judgement()
    }
}

fn settings(stream: &MicrophoneStream, treatment: Treatment) -> VoiceSettings {
    if stream.info().synthetic && !treatment.synthetic { VoiceSettings::OFF } else { treatment.settings }
}
