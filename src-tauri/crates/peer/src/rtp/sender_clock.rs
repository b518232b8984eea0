//! What our sender reports say: which moment of our one clock each stream's RTP time belongs to (RFC 3550, 6.4.1).
//!
//! Both streams are stamped by when they were captured, so their reports must be too. The stock reports take the moment at
//! which a packet leaves, after coder and pacer: wrong by 30 ms for sound and by up to a whole queue for the picture, and the
//! other side cannot bring the two in step. Only the reports' times are put right here; when they leave, and what they
//! count, stays as it is.

use crate::media::{AUDIO_CLOCK, Source, VIDEO_CLOCK, rtp_time};
use rtc::rtcp::sender_report::SenderReport;
use rtc::shared::time::SystemInstant;
use std::time::{Duration, Instant};

/// Stamps of a microphone are as punctual as its callbacks; the mean of so many packets is.
const SMOOTHING: f64 = 32.0;
/// What is off by this much is another microphone, or one that stood still.
const JUMP: f64 = 0.05;

/// The clocks of what we send.
#[derive(Debug)]
pub(crate) struct SenderClocks {
    /// One reading of the calendar for both streams.
    calendar: SystemInstant,
    epoch: Instant,
    video_offset: u32,
    /// By [`Source::place`]. All pictures have one clock.
    audio: [Option<AudioClock>; 2],
}

/// Whose clock a stream follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    Audio(Source),
    Video,
}

/// An RTP time of sound, and when it was captured.
#[derive(Debug, Clone, Copy)]
struct AudioClock {
    timestamp: u32,
    captured: Instant,
}

impl SenderClocks {
    /// Begins now.
    pub(crate) fn new(now: Instant) -> Self {
        Self { calendar: SystemInstant::now(now), epoch: now, video_offset: rand::random(), audio: [None; 2] }
    }

    /// The RTP time of a picture taken then.
    pub(crate) fn video_time(&self, captured: Instant) -> u32 {
        rtp_time(captured, self.epoch, VIDEO_CLOCK, self.video_offset)
    }

    /// A packet of sound leaves whose first sample, of this RTP time, was captured then.
    pub(crate) fn handle_audio(&mut self, source: Source, timestamp: u32, captured: Instant) {
        let clock = &mut self.audio[source.place()];
        let Some(before) = *clock else {
            *clock = Some(AudioClock { timestamp, captured });
            return;
        };
        let expected = before.at(timestamp);
        let late = captured.saturating_duration_since(expected).as_secs_f64()
            - expected.saturating_duration_since(captured).as_secs_f64();
        let captured = if late.abs() > JUMP { captured } else { shifted(expected, late / SMOOTHING) };
        *clock = Some(AudioClock { timestamp, captured });
    }

    /// Puts the times of a report right that is about a stream of this clock, if the clock is known.
    pub(crate) fn correct(&self, report: &mut SenderReport, now: Instant, clock: Clock) {
        let rtp_now = match clock {
            Clock::Video => Some(self.video_time(now)),
            Clock::Audio(source) => {
                self.audio[source.place()].map(|clock| rtp_time(now, clock.captured, AUDIO_CLOCK, clock.timestamp))
            }
        };
        if let Some(rtp_now) = rtp_now {
            report.rtp_time = rtp_now;
            report.ntp_time = self.calendar.ntp(now);
        }
    }
}

impl AudioClock {
    /// When the sound of another RTP time was captured, if nothing changed.
    fn at(self, timestamp: u32) -> Instant {
        let samples = timestamp.wrapping_sub(self.timestamp) as i32;
        shifted(self.captured, f64::from(samples) / f64::from(AUDIO_CLOCK))
    }
}

fn shifted(at: Instant, seconds: f64) -> Instant {
    let by = Duration::from_secs_f64(seconds.abs());
    if seconds < 0.0 { at.checked_sub(by).unwrap_or(at) } else { at + by }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const AUDIO: Clock = Clock::Audio(Source::Call);
    const VIDEO: Clock = Clock::Video;

    /// The moment after `start` that a report says an RTP time belongs to, seconds.
    fn captured(report: &SenderReport, clocks: &SenderClocks, start: Instant, rtp: u32, clock: u32) -> f64 {
        let ntp = (report.ntp_time - clocks.calendar.ntp(start)) as f64 / 4_294_967_296.0;
        ntp + f64::from(rtp.wrapping_sub(report.rtp_time) as i32) / f64::from(clock)
    }

    fn report(clocks: &SenderClocks, clock: Clock, now: Instant) -> SenderReport {
        // As the stock reports have it: by the time of leaving.
        let mut report = SenderReport { rtp_time: 12_345, ntp_time: 1, ..SenderReport::default() };
        clocks.correct(&mut report, now, clock);
        report
    }

    #[test]
    fn reports_of_both_streams_tell_when_things_were_captured_not_when_they_left() {
        let start = Instant::now();
        let mut clocks = SenderClocks::new(start);
        let ms = Duration::from_millis;
        for packet in 0..200_u32 {
            // A microphone whose callbacks come up to 8 ms late, and whose sound leaves 40 ms after it was captured.
            let late = ms(u64::from(packet * 7 % 9));
            clocks.handle_audio(
                Source::Call,
                (u32::MAX - 90_000).wrapping_add(packet * 960),
                start + ms(20) * packet + late,
            );
        }
        let now = start + ms(4_100);
        let audio = report(&clocks, AUDIO, now);
        let said = captured(&audio, &clocks, start, (u32::MAX - 90_000).wrapping_add(960 * 150), AUDIO_CLOCK);
        assert!((said - 3.004).abs() < 0.002, "{said}");
        let video = report(&clocks, VIDEO, now);
        let said = captured(&video, &clocks, start, clocks.video_time(start + ms(3_000)), VIDEO_CLOCK);
        assert!((said - 3.0).abs() < 1e-4, "{said}");
    }

    #[test]
    fn another_microphone_is_believed_at_once_and_what_is_shared_has_its_own_clock() {
        let start = Instant::now();
        let mut clocks = SenderClocks::new(start);
        assert_eq!(report(&clocks, AUDIO, start).rtp_time, 12_345, "no sound was sent yet");
        clocks.handle_audio(Source::Call, 0, start);
        // It stood still for two seconds, and its RTP time with it.
        clocks.handle_audio(Source::Call, 960, start + Duration::from_millis(2_020));
        let audio = report(&clocks, AUDIO, start + Duration::from_secs(3));
        let said = captured(&audio, &clocks, start, 960, AUDIO_CLOCK);
        assert!((said - 2.02).abs() < 1e-3, "{said}");
        assert_eq!(report(&clocks, Clock::Audio(Source::Share), start).rtp_time, 12_345);
    }
}
