//! What a receiver counts, by the W3C's definitions (webrtc-stats, `RTCInboundRtpStreamStats`). Time is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::Serialize;

/// Frames over which the mean interval is taken.
const FREEZE_WINDOW: usize = 30;
/// A gap counts as a freeze only if it is this much above the mean, or more.
const FREEZE_MARGIN: Duration = Duration::from_millis(150);
/// Without a picture for longer than this it is (also) a pause (W3C `pauseCount`).
const PAUSE: Duration = Duration::from_secs(5);

/// Counters of received video.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VideoReceiveCounts {
    /// Whole frames that came out of the frame buffer or network.
    pub frames_received: u64,
    /// Frames decoded.
    pub frames_decoded: u64,
    /// Key frames among them.
    pub key_frames_decoded: u64,
    /// Frames received and not shown: not decodable, skipped, or overtaken by a newer one that was due.
    pub frames_dropped: u64,
    /// Frames handed to the screen.
    pub frames_rendered: u64,
    /// Sum of the time spent decoding, in seconds.
    pub total_decode_time: f64,
    /// Sum of the time from the first packet to the decoded frame, in seconds.
    pub total_processing_delay: f64,
    /// Sum of the intervals between rendered frames, in seconds.
    pub total_inter_frame_delay: f64,
    /// Sum of their squares, in seconds squared.
    pub total_squared_inter_frame_delay: f64,
    /// Gaps between rendered frames of max(3 x mean, mean + 150 ms) or more, the mean over the last 30.
    pub freeze_count: u64,
    /// Their sum, in seconds.
    pub total_freezes_duration: f64,
    /// Gaps longer than five seconds.
    pub pause_count: u64,
    /// Their sum, in seconds.
    pub total_pauses_duration: f64,
    /// Sum of the time from a frame's first packet until it was handed to the screen, in seconds.
    pub jitter_buffer_delay: f64,
    /// Sum of the delay aimed at for each of them beyond the quickest way, in seconds.
    pub jitter_buffer_target_delay: f64,
    /// The same without what was asked for to be in step with the sound, in seconds.
    pub jitter_buffer_minimum_delay: f64,
    /// Frames that came out of it, to the screen.
    pub jitter_buffer_emitted_count: u64,
    /// Frames decoded in the last second; set by whoever reports once a second.
    pub frames_per_second: f64,
    /// The sender's capture time of the frame on the screen now, NTP ms; `None` before the sender said how it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_playout_timestamp: Option<f64>,
    /// The last frame's width, in pixels.
    pub frame_width: u32,
    /// The last frame's height, in pixels.
    pub frame_height: u32,
}

/// Counters of received sound. "Concealed" is what the listener hears invented; what was rebuilt from a copy is not.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AudioReceiveCounts {
    /// Samples handed on to be played, concealed ones among them.
    pub total_samples_received: u64,
    /// Samples that were invented.
    pub concealed_samples: u64,
    /// Those of them that were silence.
    pub silent_concealed_samples: u64,
    /// Stretches of invented sound.
    pub concealment_events: u64,
    /// Samples put in to play more slowly, by stretching.
    pub inserted_samples_for_deceleration: u64,
    /// Samples left out to play faster.
    pub removed_samples_for_acceleration: u64,
    /// Samples rebuilt from in-band FEC (not a W3C name; counted on its own).
    pub fec_samples: u64,
    /// Samples rebuilt from deep redundancy (not a W3C name; counted on its own).
    pub dred_samples: u64,
    /// Sum of the time that each emitted sample spent in the jitter buffer, in seconds.
    pub jitter_buffer_delay: f64,
    /// Sum of the delay aimed at for each emitted sample, in seconds.
    pub jitter_buffer_target_delay: f64,
    /// The same without what was asked for to be in step with the picture, in seconds.
    pub jitter_buffer_minimum_delay: f64,
    /// The sender's capture time of what is heard now, NTP ms; `None` before the sender said how it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_playout_timestamp: Option<f64>,
    /// Samples that came out of it.
    pub jitter_buffer_emitted_count: u64,
    /// Packets that came and were not played: late, damaged, or too many.
    pub packets_discarded: u64,
    /// Interarrival jitter (RFC 3550), in seconds.
    pub jitter: f64,
    /// Its peak of now, linear, 0 to 1; set by whoever plays it, as are the next two.
    pub audio_level: f64,
    /// Sum of the squared level times its duration, in seconds.
    pub total_audio_energy: f64,
    /// What was played, in seconds.
    pub total_samples_duration: f64,
}

/// Keeps [`VideoReceiveCounts`].
#[derive(Debug, Clone, Default)]
pub struct VideoReceiveStats {
    counts: VideoReceiveCounts,
    last_rendered: Option<Instant>,
    /// Newest last; at most [`FREEZE_WINDOW`], the oldest goes.
    intervals: VecDeque<Duration>,
}

impl VideoReceiveStats {
    /// All zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// A whole frame arrived.
    pub fn on_received(&mut self) {
        self.counts.frames_received += 1;
    }

    /// A frame came out of the frame buffer after `waited`, when `target` was aimed at, and `minimum` were it not for the
    /// sound.
    pub fn on_emitted(&mut self, waited: Duration, target: Duration, minimum: Duration) {
        self.counts.jitter_buffer_delay += waited.as_secs_f64();
        self.counts.jitter_buffer_target_delay += target.as_secs_f64();
        self.counts.jitter_buffer_minimum_delay += minimum.as_secs_f64();
        self.counts.jitter_buffer_emitted_count += 1;
    }

    /// A frame was decoded within `took`, `since_arrival` after its first packet came.
    pub fn on_decoded(&mut self, key_frame: bool, took: Duration, since_arrival: Duration) {
        self.counts.frames_decoded += 1;
        self.counts.key_frames_decoded += u64::from(key_frame);
        self.counts.total_decode_time += took.as_secs_f64();
        self.counts.total_processing_delay += since_arrival.as_secs_f64();
    }

    /// A frame was given up.
    pub fn on_dropped(&mut self) {
        self.on_dropped_many(1);
    }

    /// So many were.
    pub fn on_dropped_many(&mut self, count: u64) {
        self.counts.frames_dropped += count;
    }

    /// A frame was handed to the screen.
    pub fn on_rendered(&mut self, width: u32, height: u32, now: Instant) {
        self.counts.frames_rendered += 1;
        (self.counts.frame_width, self.counts.frame_height) = (width, height);
        let Some(last) = self.last_rendered.replace(now) else { return };
        let gap = now.saturating_duration_since(last);
        let seconds = gap.as_secs_f64();
        self.counts.total_inter_frame_delay += seconds;
        self.counts.total_squared_inter_frame_delay += seconds * seconds;
        // A long gap is both: neither definition leaves out what is the other.
        if gap > PAUSE {
            self.counts.pause_count += 1;
            self.counts.total_pauses_duration += seconds;
        }
        if self.is_freeze(gap) {
            self.counts.freeze_count += 1;
            self.counts.total_freezes_duration += seconds;
        }
        if self.intervals.len() >= FREEZE_WINDOW {
            self.intervals.pop_front();
        }
        self.intervals.push_back(gap);
    }

    /// The sender stopped on purpose (camera off): the gap that follows is neither a freeze nor a pause.
    pub fn on_stopped(&mut self) {
        self.last_rendered = None;
        self.intervals.clear();
    }

    /// Whether the picture stands still now, longer than a freeze takes. For the screen; counted only once it moves again.
    pub fn is_frozen(&self, now: Instant) -> bool {
        self.last_rendered.is_some_and(|last| self.is_freeze(now.saturating_duration_since(last)))
    }

    /// The counters.
    pub fn counts(&self) -> VideoReceiveCounts {
        self.counts
    }

    fn is_freeze(&self, gap: Duration) -> bool {
        let Ok(count @ 1..) = u32::try_from(self.intervals.len()) else { return false };
        let mean = self.intervals.iter().sum::<Duration>() / count;
        gap >= (mean * 3).max(mean + FREEZE_MARGIN)
    }
}

#[cfg(test)]
// A test needs some time to count from.
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(33);

    fn smooth(stats: &mut VideoReceiveStats, mut now: Instant, frames: u32) -> Instant {
        for _ in 0..frames {
            now += FRAME;
            stats.on_rendered(640, 360, now);
        }
        now
    }

    #[test]
    fn a_gap_just_under_the_limit_is_no_freeze_and_one_just_over_is() {
        let mut stats = VideoReceiveStats::new();
        let now = smooth(&mut stats, Instant::now(), 40);
        // Mean 33 ms: the limit is 33 + 150 = 183 ms.
        let now = now + Duration::from_millis(182);
        stats.on_rendered(640, 360, now);
        assert_eq!(stats.counts().freeze_count, 0);
        let now = smooth(&mut stats, now, 40);
        assert!(!stats.is_frozen(now + Duration::from_micros(182_900)));
        assert!(stats.is_frozen(now + Duration::from_millis(183)), "\"equal or exceeds\"");
        stats.on_rendered(640, 360, now + Duration::from_millis(500));
        let counts = stats.counts();
        assert_eq!((counts.freeze_count, counts.pause_count, counts.frames_rendered), (1, 0, 82));
        assert!((counts.total_freezes_duration - 0.5).abs() < 1e-9);
    }

    #[test]
    fn the_sums_of_intervals_and_waits_are_those_of_rendered_frames() {
        let mut stats = VideoReceiveStats::new();
        let now = smooth(&mut stats, Instant::now(), 11);
        stats.on_rendered(640, 360, now + Duration::from_millis(66));
        let millis = |count| Duration::from_millis(count);
        stats.on_emitted(millis(50), millis(30), millis(10));
        stats.on_dropped_many(3);
        let counts = stats.counts();
        assert!((counts.total_inter_frame_delay - 0.396).abs() < 1e-9);
        assert!((counts.total_squared_inter_frame_delay - (10.0 * 0.033 * 0.033 + 0.066 * 0.066)).abs() < 1e-9);
        let delays =
            (counts.jitter_buffer_delay, counts.jitter_buffer_target_delay, counts.jitter_buffer_minimum_delay);
        assert_eq!(delays, (0.05, 0.03, 0.01));
        assert_eq!((counts.jitter_buffer_emitted_count, counts.frames_dropped, counts.freeze_count), (1, 3, 0));
    }

    #[test]
    fn at_a_slow_rate_three_times_the_mean_is_the_limit() {
        let mut stats = VideoReceiveStats::new();
        let mut now = Instant::now();
        for _ in 0..20 {
            now += Duration::from_millis(200);
            stats.on_rendered(640, 360, now);
        }
        now += Duration::from_millis(599);
        stats.on_rendered(640, 360, now);
        assert_eq!(stats.counts().freeze_count, 0);
        now += Duration::from_secs(2);
        stats.on_rendered(640, 360, now);
        assert_eq!(stats.counts().freeze_count, 1);
    }

    #[test]
    fn a_long_gap_is_a_freeze_and_a_pause_and_a_camera_switched_off_is_neither() {
        let mut stats = VideoReceiveStats::new();
        let now = smooth(&mut stats, Instant::now(), 40);
        let now = now + Duration::from_secs(6);
        stats.on_rendered(640, 360, now);
        assert_eq!((stats.counts().pause_count, stats.counts().freeze_count), (1, 1));
        assert!((stats.counts().total_freezes_duration - 6.0).abs() < 1e-9);
        stats.on_stopped();
        stats.on_rendered(640, 360, now + Duration::from_secs(60));
        assert_eq!((stats.counts().pause_count, stats.counts().freeze_count), (1, 1));
    }
}
