//! Real microphones and speakers, by cpal.
//!
//! A thread of its own owns each cpal stream, since on some systems a stream may not leave the thread that made it. What
//! differs between systems is which of cpal's hosts to ask; that is one file a system.

#[cfg(target_os = "linux")]
mod cookie;
mod describe;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod pulse;
#[cfg(not(target_os = "linux"))]
mod single;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(not(target_os = "linux"))]
use single as system;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::{Duration, Instant};

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{BufferSize, ErrorKind, SampleFormat, StreamConfig};

use super::SoundInfo;
use super::capture::{CaptureCounters, CaptureEnd, CaptureReader, capture};
use super::playback::{PlaybackCounters, PlaybackEnd, PlaybackWriter, playback};
use crate::worker::{EventSink, OPEN_LIMIT, Opened, Stop};
use crate::{DeviceError, DeviceEvent, DeviceId, DeviceInfo, Kind, Selection};

/// How often the owning thread looks at errors and signs of life.
const WATCH: Duration = Duration::from_millis(100);
/// Without a callback for this long a stream counts as stalled.
const STALL: Duration = Duration::from_secs(1);

/// Calls `$run::<T>` with the sample type of a format.
macro_rules! with_sample_type {
    ($format:expr, $unknown:expr, $run:ident($($argument:expr),*)) => {
        match $format {
            SampleFormat::I8 => $run::<i8>($($argument),*),
            SampleFormat::I16 => $run::<i16>($($argument),*),
            SampleFormat::I24 => $run::<cpal::I24>($($argument),*),
            SampleFormat::I32 => $run::<i32>($($argument),*),
            SampleFormat::I64 => $run::<i64>($($argument),*),
            SampleFormat::U8 => $run::<u8>($($argument),*),
            SampleFormat::U16 => $run::<u16>($($argument),*),
            SampleFormat::U24 => $run::<cpal::U24>($($argument),*),
            SampleFormat::U32 => $run::<u32>($($argument),*),
            SampleFormat::U64 => $run::<u64>($($argument),*),
            SampleFormat::F32 => $run::<f32>($($argument),*),
            SampleFormat::F64 => $run::<f64>($($argument),*),
            _ => $unknown,
        }
    };
}

/// The real devices of a kind. Opens none.
pub(crate) fn list(kind: Kind) -> Result<Vec<DeviceInfo>, DeviceError> {
    system::list(kind)
}

pub(crate) use system::Changes;

/// The real devices of a kind as one of cpal's hosts has them.
fn enumerate(host: &cpal::Host, kind: Kind) -> Result<Vec<DeviceInfo>, DeviceError> {
    let default = default_device(host, kind).and_then(|device| device.id().ok());
    let devices = host.devices().map_err(|error| system_error(kind, &error))?;
    let mut listed: Vec<DeviceInfo> = Vec::new();
    for device in devices {
        let Ok(id) = device.id() else { continue };
        if !fits(&device, kind) || !system::worth_listing(&id) {
            continue;
        }
        let info = DeviceInfo {
            label: label(&device),
            is_default: default.as_ref() == Some(&id),
            id: stable_id(&id),
            synthetic: false,
            traits: describe::traits(&device, kind),
        };
        if !listed.iter().any(|other| other.id == info.id) {
            listed.push(info);
        }
    }
    Ok(listed)
}

/// cpal's own search by identifier does not tell a device's two directions apart.
fn fits(device: &cpal::Device, kind: Kind) -> bool {
    match kind {
        Kind::Microphone => device.supports_input(),
        Kind::Speaker => device.supports_output(),
        Kind::Camera => false,
    }
}

fn stable_id(id: &cpal::DeviceId) -> DeviceId {
    DeviceId(cpal::DeviceId::new(id.host(), system::stable_name(id.id())).to_string())
}

fn default_device(host: &cpal::Host, kind: Kind) -> Option<cpal::Device> {
    match kind {
        Kind::Microphone => host.default_input_device(),
        Kind::Speaker => host.default_output_device(),
        Kind::Camera => None,
    }
}

fn label(device: &cpal::Device) -> String {
    device.description().map(|description| description.name().to_owned()).unwrap_or_else(|_| "Unnamed".into())
}

fn find(kind: Kind, selection: &Selection) -> Result<cpal::Device, DeviceError> {
    match selection {
        Selection::SystemDefault => {
            let host = system::host(kind)?;
            default_device(&host, kind)
                .filter(|device| device.id().is_ok_and(|id| system::worth_listing(&id)))
                .ok_or(DeviceError::NotFound { kind, id: None })
        }
        Selection::Device(wanted) => {
            let missing = || DeviceError::NotFound { kind, id: Some(wanted.0.clone()) };
            let id: cpal::DeviceId = wanted.as_str().parse().map_err(|_| missing())?;
            let host = system::host_of(kind, &id)?;
            let mut devices = host.devices().map_err(|error| system_error(kind, &error))?;
            let same = |device: &cpal::Device| device.id().is_ok_and(|other| stable_id(&other) == *wanted);
            devices.find(|device| same(device) && fits(device, kind)).ok_or_else(missing)
        }
    }
}

/// 10 ms: with the two periods that hosts keep, 20 ms from our ring to the device.
fn period(rate: u32) -> u32 {
    rate / 100
}

pub(super) fn serve_microphone(
    selection: &Selection,
    counters: Arc<CaptureCounters>,
    events: EventSink,
    opened: &Opened<(SoundInfo, CaptureReader)>,
    stop: &Stop,
) {
    let kind = Kind::Microphone;
    let (errors, told) = errors();
    let made = find(kind, selection).and_then(|device| {
        let supported = device.default_input_config().map_err(|error| open_error(kind, &error))?;
        let (mut config, format) = (supported.config(), supported.sample_format());
        let mut attempt = |buffer_size| {
            config.buffer_size = buffer_size;
            let (end, reader) = capture(config.sample_rate, Arc::clone(&counters))
                .map_err(|error| DeviceError::Unsupported { kind, detail: error.to_string() })?;
            let errors = errors.clone();
            let unknown = Err(DeviceError::Unsupported { kind, detail: format!("samples as {format}") });
            let stream = with_sample_type!(format, unknown, input_stream(&device, config, end, errors, &counters))?;
            Ok((stream, reader))
        };
        let (stream, reader) = attempt(BufferSize::Fixed(period(supported.sample_rate())))
            .or_else(|error| if retry(&error) { attempt(BufferSize::Default) } else { Err(error) })?;
        Ok((stream_info(&device, &supported, &stream), stream, reader))
    });
    let (stream, reported) = match made {
        Ok((info, stream, reader)) => (Some(stream), Ok((info, reader))),
        Err(error) => (None, Err(error)),
    };
    if let (true, Some(stream)) = (opened.report(reported), stream) {
        run(kind, &stream, &counters.calls, &told, events, stop);
    }
}

pub(super) fn serve_speaker(
    selection: &Selection,
    counters: Arc<PlaybackCounters>,
    events: EventSink,
    opened: &Opened<(SoundInfo, PlaybackWriter)>,
    stop: &Stop,
) {
    let kind = Kind::Speaker;
    let (errors, told) = errors();
    let made = find(kind, selection).and_then(|device| {
        let supported = device.default_output_config().map_err(|error| open_error(kind, &error))?;
        let (mut config, format) = (supported.config(), supported.sample_format());
        let mut attempt = |buffer_size| {
            config.buffer_size = buffer_size;
            let (writer, end) = playback(config.sample_rate, Arc::clone(&counters))
                .map_err(|error| DeviceError::Unsupported { kind, detail: error.to_string() })?;
            let errors = errors.clone();
            let unknown = Err(DeviceError::Unsupported { kind, detail: format!("samples as {format}") });
            let stream = with_sample_type!(format, unknown, output_stream(&device, config, end, errors, &counters))?;
            Ok((stream, writer))
        };
        let (stream, writer) = attempt(BufferSize::Fixed(period(supported.sample_rate())))
            .or_else(|error| if retry(&error) { attempt(BufferSize::Default) } else { Err(error) })?;
        Ok((stream_info(&device, &supported, &stream), stream, writer))
    });
    let (stream, reported) = match made {
        Ok((info, stream, writer)) => (Some(stream), Ok((info, writer))),
        Err(error) => (None, Err(error)),
    };
    if let (true, Some(stream)) = (opened.report(reported), stream) {
        run(kind, &stream, &counters.calls, &told, events, stop);
    }
}

/// Whether another buffer size may help.
fn retry(error: &DeviceError) -> bool {
    matches!(error, DeviceError::Unsupported { .. })
}

fn stream_info(device: &cpal::Device, supported: &cpal::SupportedStreamConfig, stream: &cpal::Stream) -> SoundInfo {
    SoundInfo {
        id: device.id().map(|id| stable_id(&id)).unwrap_or_else(|_| DeviceId(String::new())),
        label: label(device),
        synthetic: false,
        rate: supported.sample_rate(),
        channels: supported.channels(),
        format: supported.sample_format().to_string(),
        period: stream.buffer_size().ok(),
    }
}

fn input_stream<T>(
    device: &cpal::Device,
    config: StreamConfig,
    mut end: CaptureEnd,
    errors: SyncSender<cpal::Error>,
    counters: &Arc<CaptureCounters>,
) -> Result<cpal::Stream, DeviceError>
where
    T: cpal::SizedSample,
    f32: cpal::FromSample<T>,
{
    let channels = usize::from(config.channels);
    let counters = Arc::clone(counters);
    let data = move |samples: &[T], about: &cpal::InputCallbackInfo| {
        let now = Instant::now();
        let stamp = about.timestamp();
        let age = stamp.callback.saturating_duration_since(stamp.capture);
        end.push(samples, channels, now.checked_sub(age).unwrap_or(now));
    };
    let failed = move |error| report(&errors, &counters.overruns, error);
    device
        .build_input_stream(config, data, failed, Some(OPEN_LIMIT))
        .map_err(|error| open_error(Kind::Microphone, &error))
}

fn output_stream<T>(
    device: &cpal::Device,
    config: StreamConfig,
    mut end: PlaybackEnd,
    errors: SyncSender<cpal::Error>,
    counters: &Arc<PlaybackCounters>,
) -> Result<cpal::Stream, DeviceError>
where
    T: cpal::SizedSample + cpal::FromSample<f32>,
{
    let channels = usize::from(config.channels);
    let counters = Arc::clone(counters);
    let data = move |samples: &mut [T], about: &cpal::OutputCallbackInfo| {
        let stamp = about.timestamp();
        let latency = stamp.playback.saturating_duration_since(stamp.callback);
        end.fill(samples, channels, u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    };
    let failed = move |error| report(&errors, &counters.underruns, error);
    device
        .build_output_stream(config, data, failed, Some(OPEN_LIMIT))
        .map_err(|error| open_error(Kind::Speaker, &error))
}

/// cpal's threads -> the owning thread; 16 errors; full: the newest is dropped, for the first ones say what is wrong.
fn errors() -> (SyncSender<cpal::Error>, Receiver<cpal::Error>) {
    mpsc::sync_channel(16)
}

/// Runs on cpal's threads, the audio thread among them for dropouts, which are therefore only counted.
fn report(errors: &SyncSender<cpal::Error>, dropouts: &AtomicU64, error: cpal::Error) {
    match error.kind() {
        ErrorKind::Xrun => {
            dropouts.fetch_add(1, Ordering::Relaxed);
        }
        _ => {
            let _ = errors.try_send(error);
        }
    }
}

/// Starts a stream and keeps the owning thread.
fn run(
    kind: Kind,
    stream: &cpal::Stream,
    calls: &AtomicU64,
    told: &Receiver<cpal::Error>,
    mut events: EventSink,
    stop: &Stop,
) {
    // Only now that the stream was handed over: PulseAudio's waits here for the first sound, which a Bluetooth headset
    // that has yet to change its mode takes seconds for, and that is no failure.
    match stream.play() {
        Ok(()) => watch(kind, calls, told, events, stop),
        Err(error) => events(DeviceEvent::Lost(DeviceError::Lost { kind, detail: error.to_string() })),
    }
}

/// Keeps the owning thread until told to stop or the device is lost.
fn watch(kind: Kind, calls: &AtomicU64, told: &Receiver<cpal::Error>, mut events: EventSink, stop: &Stop) {
    let (mut seen, mut since, mut stalled) = (calls.load(Ordering::Relaxed), Instant::now(), false);
    while !stop.wait_until(Instant::now() + WATCH) {
        while let Ok(error) = told.try_recv() {
            match error.kind() {
                ErrorKind::RealtimeDenied => tracing::debug!(%error, "sound runs at ordinary priority"),
                ErrorKind::DeviceChanged => events(DeviceEvent::Moved),
                _ => {
                    events(DeviceEvent::Lost(DeviceError::Lost { kind, detail: error.to_string() }));
                    return;
                }
            }
        }
        let now = calls.load(Ordering::Relaxed);
        if now != seen {
            (seen, since) = (now, Instant::now());
            if std::mem::take(&mut stalled) {
                events(DeviceEvent::Resumed);
            }
        } else if !stalled && since.elapsed() >= STALL {
            stalled = true;
            events(DeviceEvent::Stalled { silent_for: since.elapsed() });
        }
    }
}

fn open_error(kind: Kind, error: &cpal::Error) -> DeviceError {
    let detail = error.to_string();
    match error.kind() {
        ErrorKind::DeviceBusy => DeviceError::Busy { kind },
        ErrorKind::DeviceNotAvailable => DeviceError::NotFound { kind, id: Some(detail) },
        ErrorKind::PermissionDenied => DeviceError::Denied { kind },
        ErrorKind::HostUnavailable => DeviceError::NoSystem { kind, detail },
        ErrorKind::StreamInvalidated => DeviceError::Lost { kind, detail },
        _ => DeviceError::Unsupported { kind, detail },
    }
}

fn system_error(kind: Kind, error: &cpal::Error) -> DeviceError {
    match error.kind() {
        ErrorKind::PermissionDenied => DeviceError::Denied { kind },
        _ => DeviceError::NoSystem { kind, detail: error.to_string() },
    }
}
