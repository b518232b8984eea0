//! The picture and the sound that are sent: the same for both programs.

use std::f64::consts::TAU;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use super::measures::Measure;
use super::profiles::Profile;
use super::speech::Speech;

const SAMPLES_PER_SECOND: u32 = 48_000;

/// Files in a folder that lasts as long as this value.
pub struct Material {
    /// WAV, 8 s of something like speech.
    sound: PathBuf,
    /// Recorded speech, or why it cannot be had here.
    speech: Result<Speech, String>,
    folder: tempfile::TempDir,
}

impl Material {
    /// Writes the sound.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let sound = folder.path().join("speech.wav");
        write_sound(&sound)?;
        let speech = Speech::prepare().map_err(|error| format!("{error:#}"));
        if let Err(why) = &speech {
            println!("PESQ is left out: {why}.");
        }
        Ok(Self { sound, speech, folder })
    }

    /// What is said over a link: where sound may suffer, recorded speech, if there is any, so that it can be rated.
    pub fn sound(&self, profile: &Profile) -> &Path {
        self.rates(profile).map_or(&self.sound, |speech| &speech.file)
    }

    /// What rates the sound of this link.
    pub fn rates(&self, profile: &Profile) -> Option<&Speech> {
        self.speech.as_ref().ok().filter(|_| profile.rates_sound())
    }

    /// What is not measured over this link though it should be, and why.
    pub fn left_out(&self, profile: &Profile) -> Option<(Measure, String)> {
        let why = self.speech.as_ref().err().filter(|_| profile.rates_sound())?;
        Some((Measure::Pesq, why.clone()))
    }

    /// Y4M, 720p30, the pattern that `ahoy-cli` shows with `--camera pattern`; some 350 MB, written when first asked for.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn film(&self) -> anyhow::Result<PathBuf> {
        let path = self.folder.path().join("pattern.y4m");
        if !path.exists() {
            super::film::write(&path)?;
        }
        Ok(path)
    }
}

/// A voice's pitch and overtones in syllables, four a second, with a pause every two seconds.
fn speech() -> Vec<i16> {
    let rate = f64::from(SAMPLES_PER_SECOND);
    let mut phase = 0.0;
    (0..8 * SAMPLES_PER_SECOND)
        .map(|sample| {
            let time = f64::from(sample) / rate;
            let pitch = 130.0 + 30.0 * (TAU * 0.7 * time).sin();
            phase = (phase + pitch / rate) % 1.0;
            let syllable = (TAU * 2.0 * time).sin().powi(2);
            let speaks = if time % 2.0 < 1.5 { 1.0 } else { 0.0 };
            let tones: f64 = (1..=20).map(|over| (TAU * phase * f64::from(over)).sin() / f64::from(over)).sum();
            (tones * syllable * speaks * 8_000.0) as i16
        })
        .collect()
}

/// 16-bit mono PCM in a RIFF file.
fn write_sound(path: &Path) -> anyhow::Result<()> {
    let samples = speech();
    let bytes = samples.len() as u32 * 2;
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(b"RIFF")?;
    file.write_all(&(36 + bytes).to_le_bytes())?;
    file.write_all(b"WAVEfmt ")?;
    file.write_all(&16u32.to_le_bytes())?;
    for field in [1u16, 1] {
        file.write_all(&field.to_le_bytes())?;
    }
    for field in [SAMPLES_PER_SECOND, SAMPLES_PER_SECOND * 2] {
        file.write_all(&field.to_le_bytes())?;
    }
    for field in [2u16, 16] {
        file.write_all(&field.to_le_bytes())?;
    }
    file.write_all(b"data")?;
    file.write_all(&bytes.to_le_bytes())?;
    for sample in samples {
        file.write_all(&sample.to_le_bytes())?;
    }
    Ok(file.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speech_has_syllables_and_pauses_and_does_not_clip() {
        let samples = speech();
        let loudest = |from: f64, to: f64| {
            let place = |seconds: f64| (seconds * f64::from(SAMPLES_PER_SECOND)) as usize;
            samples[place(from)..place(to)].iter().map(|sample| sample.unsigned_abs()).max().unwrap()
        };
        assert!(loudest(0.0, 1.4) > 5_000 && loudest(0.0, 8.0) < 30_000);
        assert_eq!(loudest(1.51, 1.99), 0);
    }
}
