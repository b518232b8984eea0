//! Sound devices: mono blocks of 10 ms at 48 kHz on our side, whatever the device has on the other.

#[cfg(test)]
mod callback_tests;
mod capture;
mod native;
mod playback;
mod synthetic;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ahoy_media::audio::Block;

use crate::worker::{EventSink, Worker};
use crate::{DeviceError, DeviceEvent, DeviceId, Kind, Selection};
use capture::{CaptureCounters, CaptureReader};
use playback::{PlaybackCounters, PlaybackWriter};

pub(crate) use native::{Changes, list};

/// What is wanted of a microphone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MicrophoneRequest {
    /// Which microphone.
    pub device: Selection,
}

/// What is wanted of a speaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpeakerRequest {
    /// Which speaker.
    pub device: Selection,
}

/// What an open sound device really does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoundInfo {
    /// The device that is open, also where the system's default was asked for.
    pub id: DeviceId,
    /// As the system calls it.
    pub label: String,
    /// Made by this program rather than by the system.
    pub synthetic: bool,
    /// Samples a second and channel at the device; resampled to 48 kHz where it differs.
    pub rate: u32,
    /// Channels at the device; mixed down to one, or each of the first two given the same.
    pub channels: u16,
    /// Sample format at the device, as `f32`, `i16`.
    pub format: String,
    /// Frames that the device takes or gives at a time, where it says so.
    pub period: Option<u32>,
}

/// An open microphone: the reading end of a ring that the device's callback fills. Dropping it joins its thread and
/// releases the device. It can be sent to the thread that reads.
pub struct MicrophoneStream {
    info: SoundInfo,
    reader: CaptureReader,
    counters: Arc<CaptureCounters>,
    _worker: Worker,
}

impl MicrophoneStream {
    /// What is open.
    pub fn info(&self) -> &SoundInfo {
        &self.info
    }

    /// Takes the oldest 10 ms and tells when their first sample was captured; `None` (and `block` untouched) while there
    /// is less. Never blocks.
    pub fn read_block(&mut self, block: &mut Block) -> Option<Instant> {
        self.reader.read_block(block)
    }

    /// Samples at 48 kHz that wait to be read.
    pub fn available(&self) -> usize {
        self.reader.available()
    }

    /// Forgets the oldest sound so that at most `keep` samples (48 kHz) wait: for a reader that was late and wants to be
    /// near the present again.
    pub fn skip_to_latest(&mut self, keep: usize) {
        self.reader.skip_to_latest(keep);
    }

    /// Samples (at the device's rate) lost because nobody read for 500 ms, and one for each dropout the device told of.
    pub fn overruns(&self) -> u64 {
        self.counters.overruns.load(Ordering::Relaxed)
    }
}

/// An open speaker: the writing end of a ring that the device's callback empties. Dropping it joins its thread and
/// releases the device; what is still queued is not played. It can be sent to the thread that writes.
pub struct SpeakerStream {
    info: SoundInfo,
    writer: PlaybackWriter,
    counters: Arc<PlaybackCounters>,
    _worker: Worker,
}

impl SpeakerStream {
    /// What is open.
    pub fn info(&self) -> &SoundInfo {
        &self.info
    }

    /// Appends 10 ms. Never blocks; when the ring is full (200 ms: nobody plays) the block is dropped, counted in
    /// [`SpeakerStream::overruns`], and `false` comes back.
    ///
    /// Playing begins, and after an underrun begins again, once a device period and 10 ms wait.
    pub fn write_block(&mut self, block: &Block) -> bool {
        self.writer.write_block(block)
    }

    /// Samples at 48 kHz written but not yet taken by the device.
    pub fn queued(&self) -> usize {
        self.writer.queued()
    }

    /// From the device taking a sample to its being heard, as the system estimates it.
    pub fn device_latency(&self) -> Duration {
        Duration::from_micros(self.counters.latency_us.load(Ordering::Relaxed))
    }

    /// How often the device found too little to play after it had begun to, and dropouts the device itself told of.
    pub fn underruns(&self) -> u64 {
        self.counters.underruns.load(Ordering::Relaxed)
    }

    /// Blocks that did not fit.
    pub fn overruns(&self) -> u64 {
        self.counters.overruns.load(Ordering::Relaxed)
    }
}

/// Opens a microphone. `on_event` is called on the device's own thread.
///
/// # Errors
/// When the device is missing, busy, refused, of no usable format, or does not answer within two seconds.
pub fn open_microphone(
    request: &MicrophoneRequest,
    on_event: impl FnMut(DeviceEvent) + Send + 'static,
) -> Result<MicrophoneStream, DeviceError> {
    let counters = Arc::new(CaptureCounters::default());
    let (for_device, events): (_, EventSink) = (Arc::clone(&counters), Box::new(on_event));
    let selection = request.device.clone();
    let (worker, (info, reader)) =
        Worker::open(Kind::Microphone, move |opened, stop| match synthetic::source(&selection) {
            Ok(Some(source)) => synthetic::serve_microphone(source, for_device, events, &opened, stop),
            Ok(None) => native::serve_microphone(&selection, for_device, events, &opened, stop),
            Err(error) => {
                opened.report(Err(error));
            }
        })?;
    Ok(MicrophoneStream { info, reader, counters, _worker: worker })
}

/// Opens a speaker. `on_event` is called on the device's own thread.
///
/// # Errors
/// When the device is missing, busy, refused, of no usable format, or does not answer within two seconds.
pub fn open_speaker(
    request: &SpeakerRequest,
    on_event: impl FnMut(DeviceEvent) + Send + 'static,
) -> Result<SpeakerStream, DeviceError> {
    let counters = Arc::new(PlaybackCounters::default());
    let (for_device, events): (_, EventSink) = (Arc::clone(&counters), Box::new(on_event));
    let selection = request.device.clone();
    let (worker, (info, writer)) =
        Worker::open(Kind::Speaker, move |opened, stop| match synthetic::sink(&selection) {
            Ok(Some(sink)) => synthetic::serve_speaker(sink, for_device, events, &opened, stop),
            Ok(None) => native::serve_speaker(&selection, for_device, events, &opened, stop),
            Err(error) => {
                opened.report(Err(error));
            }
        })?;
    Ok(SpeakerStream { info, writer, counters, _worker: worker })
}
