//! Rare things that happen: for tones, notifications, logs and measurements. What there is to show is in the snapshot.

use ahoy_media::rate::Reason;
use ahoy_media::stats::{AudioReceiveCounts, VideoReceiveCounts};
use ahoy_peer::StatsReport;
use serde::Serialize;

use crate::api::{EndReason, QualityCause};

/// Something happened.
#[derive(Debug, Clone)]
pub struct Event {
    /// When, Unix ms.
    pub t_ms: f64,
    /// What.
    pub what: Happened,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Happened {
    /// Signed in at a rendezvous.
    SignedIn {
        /// Its address.
        server: String,
    },
    /// This side calls: the click.
    Calling,
    /// It rings at the other side.
    Ringing,
    /// It rings here.
    Incoming {
        /// The caller's Ahoy ID.
        peer: String,
        /// As shown.
        name: String,
        /// They mean to send a picture.
        video: bool,
    },
    /// The call was accepted, here or there.
    Accepted,
    /// ICE found a way.
    IceConnected,
    /// DTLS is up.
    DtlsConnected,
    /// The first sound of the other side was decoded.
    FirstAudio,
    /// The first picture of the other side is shown.
    FirstVideo {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// One second of the call, in figures.
    Stats(Box<CallStats>),
    /// The call is over.
    Ended {
        /// 32 hex digits.
        call_id: String,
        /// How.
        reason: EndReason,
        /// The same as a sentence.
        sentence: String,
    },
    /// A contact called and it did not ring here.
    Missed {
        /// The caller's Ahoy ID.
        peer: String,
        /// As shown.
        name: String,
    },
    /// A stranger waits to be let in.
    Request {
        /// Their Ahoy ID.
        peer: String,
        /// As they call themselves.
        name: String,
    },
    /// Which tone sounds from now on; `None`: silence.
    Ring(Option<Tone>),
    /// The other side sees what this side shows.
    ShareStarted {
        /// A screen's name or a window's title.
        what: String,
    },
    /// This side shows nothing any more.
    ShareEnded {
        /// Why, if not by this side's wish.
        sentence: Option<String>,
    },
    /// The other side shows a screen or window from now on, or no more.
    RemoteShare {
        /// It does.
        on: bool,
    },
    /// The first picture of what the other side shows is there.
    ShareFirstPicture {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// The other side asks this one to share a screen.
    ShareWanted {
        /// As shown.
        name: String,
    },
    /// The devices in use do not do what was asked; the sentence is also in the snapshot.
    DeviceProblem {
        /// What and what to do.
        sentence: String,
    },
    /// The device that another stood in for is back in use.
    DeviceReturned {
        /// Which.
        sentence: String,
    },
}

/// A tone for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Somebody calls: loud.
    Incoming,
    /// It rings at the other side.
    Outgoing,
}

/// One second of a call under W3C webrtc-stats names, both directions and both codecs. Counters run since the call began.
///
/// | W3C                    | here                                                                      |
/// |------------------------|---------------------------------------------------------------------------|
/// | `inbound-rtp`          | `inboundAudio` with `audioPlayout`, `inboundVideo` with `videoPlayout`    |
/// | `outbound-rtp`         | `outboundAudio` with `audioEncoder`, `outboundVideo` with `videoEncoder`  |
/// | `remote-inbound-rtp`   | `remoteInboundAudio`, `remoteInboundVideo`                                |
/// | `media-source`         | levels in `audioEncoder`, `videoEncoder.source`                           |
/// | `codec`                | `codecAudio`, `codecVideo`                                                |
/// | `candidate-pair`       | `candidatePair`, its candidates' types and protocol among it              |
/// | `transport`            | `transport`                                                               |
///
/// Repair of pictures is `fecPacketsReceived` and what follows it; that of sound is inside Opus (`fecSamples`, `dredSamples`).
/// Left out rather than guessed: `qpSum` of what is received (the decoder does not tell), `totalPacketSendDelay`,
/// `remote-outbound-rtp`, whether a codec is power-efficient; and addresses, which are nobody's business in a log.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallStats {
    /// What the connection counted.
    #[serde(flatten)]
    pub connection: StatsReport,
    /// What the listener heard.
    pub audio_playout: AudioReceiveCounts,
    /// What the viewer saw.
    pub video_playout: VideoReceiveCounts,
    /// How much later the picture is than its sound, ms; negative: earlier. Not a W3C name; `None` while the other side has
    /// not said how its clocks run, or one of the two does not flow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub av_sync_offset: Option<f64>,
    /// What our encoder did.
    pub video_encoder: VideoEncodeCounts,
    /// What our sound encoder did.
    pub audio_encoder: AudioEncodeCounts,
    /// What our encoder did with what this side shows, while it shows something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub screen_encoder: Option<VideoEncodeCounts>,
    /// What the viewer saw of what the other side shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub screen_playout: Option<VideoReceiveCounts>,
    /// What it cost.
    pub process: ProcessUsage,
    /// What the person is told of it; not W3C's.
    pub quality: CallQuality,
}

/// The bars of [`crate::quality`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallQuality {
    /// 0 to 4.
    pub bars: u8,
    /// What takes the missing ones; none with all four.
    pub cause: Option<QualityCause>,
}

/// Our video encoder's share of `RTCOutboundRtpStreamStats`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VideoEncodeCounts {
    /// Pictures encoded.
    pub frames_encoded: u64,
    /// Key frames among them.
    pub key_frames_encoded: u64,
    /// Pictures that the camera gave and nobody encoded, because a newer one was there.
    pub frames_skipped: u64,
    /// Pictures that were not encoded because what waited to leave would have made them late.
    pub frames_held_back: u64,
    /// Pictures encoded in the last second.
    pub frames_per_second: f64,
    /// Why no better picture is sent (`qualityLimitationReason`).
    pub quality_limitation_reason: Reason,
    /// How long each reason held, to the second.
    pub quality_limitation_durations: LimitationDurations,
    /// How often the size changed, by whatever reason.
    pub quality_limitation_resolution_changes: u64,
    /// Sum of the quantisers.
    pub qp_sum: u64,
    /// Sum of the time spent encoding, seconds.
    pub total_encode_time: f64,
    /// Last picture's width.
    pub frame_width: u32,
    /// Last picture's height.
    pub frame_height: u32,
    /// What the camera gives.
    pub source: VideoSource,
}

/// `qualityLimitationDurations`, seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LimitationDurations {
    /// The source or the viewer's window give no more.
    pub none: f64,
    /// Encoding takes too long.
    pub cpu: f64,
    /// The rate.
    pub bandwidth: f64,
}

impl LimitationDurations {
    /// So long, for this reason.
    pub(crate) fn add(&mut self, reason: Reason, seconds: f64) {
        *match reason {
            Reason::None => &mut self.none,
            Reason::Cpu => &mut self.cpu,
            Reason::Bandwidth => &mut self.bandwidth,
        } += seconds.max(0.0);
    }
}

/// `RTCVideoSourceStats` of the camera.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VideoSource {
    /// Last picture's width.
    pub width: u32,
    /// Last picture's height.
    pub height: u32,
    /// Pictures since the camera was opened.
    pub frames: u64,
    /// Pictures in the last second.
    pub frames_per_second: f64,
}

/// Our sound encoder's and devices' figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AudioEncodeCounts {
    /// Packets encoded.
    pub packets_encoded: u64,
    /// Those of them that were not sent because there was nothing to hear (DTX).
    pub packets_left_out: u64,
    /// Samples of the microphone lost because the audio thread was late.
    pub microphone_overruns: u64,
    /// Times the speaker found too little to play.
    pub speaker_underruns: u64,
    /// `RTCAudioSourceStats` of the microphone, treated and before mute: its peak of now, linear, 0 to 1.
    pub audio_level: f64,
    /// Sum of the squared level times its duration, seconds.
    pub total_audio_energy: f64,
    /// What the microphone gave, seconds.
    pub total_samples_duration: f64,
    /// The loss from speaker to microphone, dB; `None` while no echo is looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub echo_return_loss: Option<f64>,
    /// How much of the echo the linear filter takes out, dB; the suppressor behind it takes out more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub echo_return_loss_enhancement: Option<f64>,
}

/// What the whole program costs; zero where the system does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessUsage {
    /// Processor time since it started, seconds.
    pub cpu_seconds: f64,
    /// Resident memory, bytes.
    pub resident_bytes: u64,
}

impl ProcessUsage {
    /// Reads the figures of this process.
    pub fn now() -> Self {
        usage().unwrap_or_default()
    }
}

#[cfg(target_os = "linux")]
fn usage() -> Option<ProcessUsage> {
    let resident: u64 = std::fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec and reads nothing else.
    let (answer, page) = unsafe {
        (libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time), libc::sysconf(libc::_SC_PAGESIZE))
    };
    (answer == 0).then(|| ProcessUsage {
        cpu_seconds: time.tv_sec as f64 + time.tv_nsec as f64 / 1e9,
        resident_bytes: resident * u64::try_from(page).unwrap_or(4096),
    })
}

#[cfg(not(target_os = "linux"))]
fn usage() -> Option<ProcessUsage> {
    None
}
