//! One band of 24 kHz into three of 8, and back. AEC3 and the noise suppressor work on these.

use sonora::three_band_filter_bank::ThreeBandFilterBank;

use crate::audio::{BLOCK_SAMPLES, Block};

/// Bands: 0-8, 8-16 and 16-24 kHz.
pub(super) const BANDS: usize = 3;
/// Samples of each band in a block.
pub(super) const BAND_SAMPLES: usize = BLOCK_SAMPLES / BANDS;
/// Full scale: the parts expect the numbers that 16 bits can hold.
pub(super) const SCALE: f32 = 32_768.0;

/// A block of 10 ms as three bands at 16 kHz, in the scale of 16 bits.
pub(super) type Bands = [[f32; BAND_SAMPLES]; BANDS];

/// Bands of silence.
pub(super) const SILENT: Bands = [[0.0; BAND_SAMPLES]; BANDS];

/// Splits and merges one stream; 1 ms later both ways together.
#[derive(Debug)]
pub(super) struct BandSplitter {
    bank: ThreeBandFilterBank,
    scaled: Block,
}

impl BandSplitter {
    pub(super) fn new() -> Self {
        Self { bank: ThreeBandFilterBank::new(), scaled: crate::audio::SILENCE }
    }

    /// Takes a block in [-1, 1] apart.
    pub(super) fn split(&mut self, block: &Block, bands: &mut Bands) {
        for (scaled, sample) in self.scaled.iter_mut().zip(block) {
            *scaled = sample * SCALE;
        }
        self.bank.analysis(&self.scaled, bands);
    }

    /// Puts a block together.
    pub(super) fn merge(&mut self, bands: &Bands, block: &mut Block) {
        self.bank.synthesis(bands, &mut self.scaled);
        for (sample, scaled) in block.iter_mut().zip(&self.scaled) {
            *sample = scaled / SCALE;
        }
    }
}
