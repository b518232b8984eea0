//! Tones, claps, silence, WAV files and a sink that swallows, at the pace of a sound card.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ahoy_media::audio::wav::{WavError, WavReader, WavWriter};
use ahoy_media::audio::{BLOCK_DURATION, BLOCK_SAMPLES, Block, Resampler, SAMPLE_RATE, SILENCE, duration_to_samples};

use super::SoundInfo;
use super::capture::{CaptureCounters, CaptureReader, capture};
use super::playback::{PlaybackCounters, PlaybackWriter, playback};
use crate::pacing::Pacer;
use crate::worker::{EventSink, Opened, Stop};
use crate::{DeviceError, DeviceEvent, DeviceId, Kind, Selection};

/// A quarter of full scale, -12 dBFS: loud, and far from clipping when mixed.
const TONE_LEVEL: f32 = 0.25;
const TONE_HERTZ: f64 = 440.0;
/// A clap: 20 ms of 1 kHz, loud and sudden.
const CLAP_SAMPLES: usize = 960;
const CLAP_HERTZ: f64 = 1_000.0;
const CLAP_LEVEL: f32 = 0.5;
/// Blocks after which a WAV file being written is put right on disk: a second.
const FLUSH_EVERY: u64 = 100;
/// A thread that was not woken for this long has lost its blocks rather than send them all at once.
const LATE: Duration = Duration::from_millis(200);

/// A synthetic microphone.
pub(super) struct SoundSource {
    id: DeviceId,
    label: String,
    sound: Sound,
}

enum Sound {
    Silence,
    Tone { step: f64, phase: f64 },
    Claps(Clapper),
    Wav(Box<WavLoop>),
}

/// A synthetic speaker.
pub(super) struct SoundSink {
    id: DeviceId,
    label: String,
    target: Target,
}

enum Target {
    Nothing,
    Wav { writer: WavWriter<BufWriter<File>>, path: String },
}

/// The synthetic microphone that was chosen, if it is one.
pub(super) fn source(selection: &Selection) -> Result<Option<SoundSource>, DeviceError> {
    let Selection::Device(id) = selection else { return Ok(None) };
    let text = id.as_str();
    let (label, sound) = if let Some(path) = text.strip_prefix("file:") {
        (file_name(path), Sound::Wav(Box::new(WavLoop::open(path)?)))
    } else if text == "none" {
        ("Silence".to_owned(), Sound::Silence)
    } else if text == "clap" {
        ("A clap each second".to_owned(), Sound::Claps(Clapper::default()))
    } else if let Some(hertz) = tone(text) {
        let step = std::f64::consts::TAU * hertz / f64::from(SAMPLE_RATE);
        (format!("Test tone, {hertz} Hz"), Sound::Tone { step, phase: 0.0 })
    } else {
        return Ok(None);
    };
    Ok(Some(SoundSource { id: id.clone(), label, sound }))
}

/// The synthetic speaker that was chosen, if it is one.
pub(super) fn sink(selection: &Selection) -> Result<Option<SoundSink>, DeviceError> {
    let Selection::Device(id) = selection else { return Ok(None) };
    let (label, target) = if let Some(path) = id.as_str().strip_prefix("file:") {
        let failed = |error: WavError| file_error(Kind::Speaker, path, &error);
        let file = File::create(path).map_err(|error| failed(error.into()))?;
        let writer = WavWriter::new(BufWriter::new(file)).map_err(failed)?;
        (file_name(path), Target::Wav { writer, path: path.to_owned() })
    } else if id.as_str() == "none" {
        ("No sound".to_owned(), Target::Nothing)
    } else {
        return Ok(None);
    };
    Ok(Some(SoundSink { id: id.clone(), label, target }))
}

fn tone(text: &str) -> Option<f64> {
    let rest = text.strip_prefix("tone")?;
    let hertz = match rest {
        "" => TONE_HERTZ,
        rest => rest.strip_prefix(':')?.parse().ok()?,
    };
    (20.0..=20_000.0).contains(&hertz).then_some(hertz)
}

fn file_name(path: &str) -> String {
    Path::new(path).file_name().map_or_else(|| path.to_owned(), |name| name.to_string_lossy().into_owned())
}

fn info(id: DeviceId, label: String) -> SoundInfo {
    let period = Some(BLOCK_SAMPLES as u32);
    SoundInfo { id, label, synthetic: true, rate: SAMPLE_RATE, channels: 1, format: "f32".into(), period }
}

fn file_error(kind: Kind, path: &str, error: &WavError) -> DeviceError {
    DeviceError::File { kind, path: path.to_owned(), detail: error.to_string() }
}

/// Gives a block every 10 ms until stopped.
pub(super) fn serve_microphone(
    source: SoundSource,
    counters: Arc<CaptureCounters>,
    mut events: EventSink,
    opened: &Opened<(SoundInfo, CaptureReader)>,
    stop: &Stop,
) {
    let mut sound = source.sound;
    let info = info(source.id, source.label);
    let (mut end, reader) = match capture(SAMPLE_RATE, counters) {
        Ok(ends) => ends,
        Err(error) => {
            opened.report(Err(DeviceError::Unsupported { kind: Kind::Microphone, detail: error.to_string() }));
            return;
        }
    };
    if !opened.report(Ok((info, reader))) {
        return;
    }
    let mut clock = BlockClock::new();
    let mut block = SILENCE;
    while clock.wait(stop) {
        let now = Instant::now();
        let captured = now.checked_sub(BLOCK_DURATION).unwrap_or(now);
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(BLOCK_DURATION);
        if let Err(error) = sound.fill(&mut block, unix) {
            events(DeviceEvent::Lost(error));
            return;
        }
        end.push(&block, 1, captured);
    }
}

/// Takes a block every 10 ms until stopped; a file is whole when the stream was dropped.
pub(super) fn serve_speaker(
    sink: SoundSink,
    counters: Arc<PlaybackCounters>,
    mut events: EventSink,
    opened: &Opened<(SoundInfo, PlaybackWriter)>,
    stop: &Stop,
) {
    let mut target = sink.target;
    let info = info(sink.id, sink.label);
    let (writer, mut end) = match playback(SAMPLE_RATE, counters) {
        Ok(ends) => ends,
        Err(error) => {
            opened.report(Err(DeviceError::Unsupported { kind: Kind::Speaker, detail: error.to_string() }));
            return;
        }
    };
    if !opened.report(Ok((info, writer))) {
        return;
    }
    let mut clock = BlockClock::new();
    let mut block = SILENCE;
    let mut written = 0_u64;
    while clock.wait(stop) {
        end.fill(&mut block, 1, 0);
        written += 1;
        if let Err(error) = target.take(&block, written.is_multiple_of(FLUSH_EVERY)) {
            events(DeviceEvent::Lost(error));
            return;
        }
    }
    if let Err(error) = target.finish() {
        tracing::warn!(%error, "a sound file could not be ended");
    }
}

/// Ten milliseconds, again and again.
struct BlockClock(Pacer);

impl BlockClock {
    fn new() -> Self {
        let mut pacer = Pacer::new(Instant::now(), 100, 1);
        // The first block is through after 10 ms, as with a real device.
        pacer.take_next();
        Self(pacer)
    }

    /// Waits for the next block's time; `false` to end.
    fn wait(&mut self, stop: &Stop) -> bool {
        if stop.wait_until(self.0.due()) {
            return false;
        }
        let now = Instant::now();
        if now.saturating_duration_since(self.0.due()) > LATE {
            self.0.take_latest(now);
        } else {
            self.0.take_next();
        }
        true
    }
}

impl Sound {
    /// `unix`: when the block's first sample is captured, by the calendar.
    fn fill(&mut self, block: &mut Block, unix: Duration) -> Result<(), DeviceError> {
        match self {
            Self::Silence => block.fill(0.0),
            Self::Claps(clapper) => clapper.fill(block, unix),
            Self::Tone { step, phase } => {
                for sample in block {
                    *sample = TONE_LEVEL * phase.sin() as f32;
                    *phase = (*phase + *step) % std::f64::consts::TAU;
                }
            }
            Self::Wav(file) => file.fill(block)?,
        }
        Ok(())
    }
}

/// Claps at each full second of the calendar, so that whoever hears it knows when it was captured.
#[derive(Debug, Default)]
struct Clapper {
    /// The second of the last clap.
    second: u64,
    /// Samples of it that were played; `None`: it was not seen to begin.
    played: Option<usize>,
}

impl Clapper {
    fn fill(&mut self, block: &mut Block, unix: Duration) {
        block.fill(0.0);
        let end = (unix + BLOCK_DURATION).as_secs();
        let mut at = 0;
        if end > std::mem::replace(&mut self.second, end) {
            // A block that came too late for the full second has nothing to claim.
            let before = Duration::from_secs(end).checked_sub(unix);
            self.played = before.map(|_| 0);
            at = before.map_or(0, |before| duration_to_samples(before) as usize).min(BLOCK_SAMPLES);
        }
        let Some(played) = &mut self.played else { return };
        for sample in &mut block[at..] {
            if *played >= CLAP_SAMPLES {
                break;
            }
            let phase = std::f64::consts::TAU * CLAP_HERTZ * *played as f64 / f64::from(SAMPLE_RATE);
            // A cosine: the first sample is the loudest.
            *sample = CLAP_LEVEL * phase.cos() as f32;
            *played += 1;
        }
    }
}

impl Target {
    fn take(&mut self, block: &Block, flush: bool) -> Result<(), DeviceError> {
        match self {
            Self::Nothing => Ok(()),
            Self::Wav { writer, path } => {
                writer.write(block).map_err(|error| file_error(Kind::Speaker, path, &error))?;
                if flush {
                    writer.flush().map_err(|error| file_error(Kind::Speaker, path, &error))?;
                }
                Ok(())
            }
        }
    }

    fn finish(self) -> Result<(), DeviceError> {
        match self {
            Self::Nothing => Ok(()),
            Self::Wav { writer, path } => writer.finish().map_err(|error| file_error(Kind::Speaker, &path, &error)),
        }
    }
}

/// A WAV file, over and over, as mono at 48 kHz.
struct WavLoop {
    reader: WavReader<BufReader<File>>,
    path: String,
    resampler: Resampler,
    interleaved: Vec<f32>,
    mono: Vec<f32>,
    ready: Vec<f32>,
}

impl WavLoop {
    fn open(path: &str) -> Result<Self, DeviceError> {
        let failed = |error: WavError| file_error(Kind::Microphone, path, &error);
        let file = File::open(path).map_err(|error| failed(error.into()))?;
        let reader = WavReader::new(BufReader::new(file)).map_err(failed)?;
        let rate = reader.rate();
        let resampler = Resampler::new(rate, SAMPLE_RATE, 1, (rate / 100) as usize).map_err(|error| {
            DeviceError::File { kind: Kind::Microphone, path: path.to_owned(), detail: error.to_string() }
        })?;
        let (interleaved, mono, ready) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { reader, path: path.to_owned(), resampler, interleaved, mono, ready })
    }

    fn fill(&mut self, block: &mut Block) -> Result<(), DeviceError> {
        let mut fruitless = 0;
        while self.ready.len() < BLOCK_SAMPLES {
            if self.read_piece()? {
                fruitless = 0;
                continue;
            }
            fruitless += 1;
            if fruitless > 1 {
                let (kind, path) = (Kind::Microphone, self.path.clone());
                return Err(DeviceError::File { kind, path, detail: "it has no sound in it".into() });
            }
            self.reader.rewind().map_err(|error| file_error(Kind::Microphone, &self.path, &error))?;
        }
        block.copy_from_slice(&self.ready[..BLOCK_SAMPLES]);
        self.ready.drain(..BLOCK_SAMPLES);
        Ok(())
    }

    /// Reads 10 ms; `false` at the end of the file.
    fn read_piece(&mut self) -> Result<bool, DeviceError> {
        self.interleaved.clear();
        let frames = (self.reader.rate() / 100).max(1) as usize;
        let read = self
            .reader
            .read(frames, &mut self.interleaved)
            .map_err(|error| file_error(Kind::Microphone, &self.path, &error))?;
        let channels = self.reader.channels();
        self.mono.clear();
        self.mono
            .extend(self.interleaved.chunks_exact(channels).map(|frame| frame.iter().sum::<f32>() / channels as f32));
        self.resampler.process(&self.mono, &mut self.ready);
        Ok(read > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(id: &str) -> Selection {
        Selection::Device(id.into())
    }

    #[test]
    fn identifiers_that_mean_nothing_are_left_to_the_system() {
        for id in ["tone:", "tone:abc", "tone:5", "tone:-1", "tones", "None", "pulseaudio:none"] {
            assert!(source(&selected(id)).unwrap().is_none(), "{id}");
        }
        assert!(source(&Selection::SystemDefault).unwrap().is_none());
        assert!(source(&selected("tone:1000")).unwrap().is_some());
    }

    #[test]
    fn a_clap_begins_with_the_full_second_to_the_sample_and_ends() {
        let mut clapper = Clapper::default();
        let (mut block, mut begins, mut loud) = (SILENCE, Vec::new(), 0);
        let mut quiet = true;
        for tick in 0..300_u64 {
            // Blocks that begin 3.5 ms past a hundredth.
            let unix = Duration::from_micros(1_764_000_000_503_500 + tick * 10_000);
            clapper.fill(&mut block, unix);
            for (n, sample) in block.iter().enumerate() {
                loud += usize::from(*sample != 0.0);
                if *sample != 0.0 && std::mem::take(&mut quiet) {
                    begins.push((unix + Duration::from_nanos(n as u64 * 1_000_000_000 / 48_000)).subsec_micros());
                }
            }
            quiet = block.iter().all(|sample| *sample == 0.0);
        }
        // Of the second that had begun before nothing is claimed.
        assert_eq!(begins.len(), 3, "{begins:?}");
        assert!(begins.iter().all(|micros| !(30..999_970).contains(micros)), "{begins:?}");
        assert!(loud <= 3 * CLAP_SAMPLES, "{loud}");
    }

    #[test]
    fn a_wav_file_goes_round_and_keeps_its_sound() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("short.wav");
        let mut writer = WavWriter::new(File::create(&path).unwrap()).unwrap();
        writer.write(&[0.25; 700]).unwrap();
        writer.finish().unwrap();
        let mut file = WavLoop::open(&path.display().to_string()).unwrap();
        let mut block = SILENCE;
        for _ in 0..20 {
            file.fill(&mut block).unwrap();
            assert!(block.iter().all(|sample| (sample - 0.25).abs() < 1e-3));
        }
    }

    #[test]
    fn a_missing_an_empty_and_a_foreign_file_are_refused_in_a_sentence() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name).display().to_string();
        std::fs::write(path("text.wav"), "not sound at all, however long this line is").unwrap();
        for name in ["missing.wav", "text.wav"] {
            let error = source(&Selection::Device(DeviceId::file(path(name)))).err();
            assert!(matches!(error, Some(DeviceError::File { kind: Kind::Microphone, .. })), "{error:?}");
        }
        WavWriter::new(File::create(path("empty.wav")).unwrap()).unwrap().finish().unwrap();
        let mut empty = WavLoop::open(&path("empty.wav")).unwrap();
        assert!(matches!(empty.fill(&mut SILENCE.clone()), Err(DeviceError::File { .. })));
        assert!(sink(&Selection::Device(DeviceId::file("/nonexistent/x.wav"))).is_err());
    }
}
