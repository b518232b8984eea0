//! From the counters of media threads and connection to one second's figures.

use ahoy_media::rate::{LimitedBy, Reason};
use ahoy_media::stats::VideoReceiveCounts;
use ahoy_peer::StatsReport;

use super::{Computer, Microphone, Picture, Second, Upload};
use crate::api::{MediaOn, QualityFlow, QualityPoint};
use crate::av::Counts;
use crate::event::{CallQuality, CallStats, LimitationDurations, ProcessUsage, VideoEncodeCounts};

/// Samples of 10 ms at 48 kHz: so much of the microphone lost is one break.
const BREAK_SAMPLES: f64 = 480.0;

/// What was counted since the connection was made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    pub report: StatsReport,
    pub counts: Counts,
}

/// What both sides have on, and what the microphone gives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sides {
    pub local: MediaOn,
    pub remote: MediaOn,
    /// The other side says that its picture is less than it could be for want of rate.
    pub remote_reduced: bool,
    pub microphone: Microphone,
    /// Our headset is in Bluetooth's mode for telephones.
    pub telephone: bool,
}

impl Figures {
    /// The second since `before`, which may be of an earlier connection.
    pub fn second(&self, before: &Self, sides: &Sides) -> Second {
        let (now, was) = (self, &self.started_anew(before));
        let seconds = now.seconds(was);
        let packets = |f: &Self| f.report.inbound_audio.packets_received + f.report.inbound_video.packets_received;
        let lost = |f: &Self| f.report.inbound_audio.packets_lost + f.report.inbound_video.packets_lost;
        let packets_in = packets(now).saturating_sub(packets(was));
        let lost_in = (lost(now) - lost(was)).max(0) as f64;
        let out = [&now.report.remote_inbound_audio, &now.report.remote_inbound_video];
        let by_rtcp = out.iter().map(|report| report.round_trip_time).find(|seconds| *seconds > 0.0);
        let by_stun = now.report.candidate_pair.current_round_trip_time;
        Second {
            packets_in,
            loss_in_percent: percent(lost_in, packets_in as f64 + lost_in),
            loss_out_percent: out.iter().map(|report| report.fraction_lost * 100.0).fold(0.0, f64::max),
            round_trip_ms: by_rtcp.or((by_stun > 0.0).then_some(by_stun)).map(|seconds| seconds * 1e3),
            jitter_ms: now.report.inbound_audio.jitter * 1e3,
            rate_in_kbps: now.rate(was, |f| f.report.transport.bytes_received) * 8.0 / 1e3,
            picture_in: match sides.remote {
                MediaOn { camera: false, .. } => Picture::Off,
                MediaOn { paused: true, .. } => Picture::Paused,
                MediaOn { .. } if sides.remote_reduced => Picture::Reduced,
                MediaOn { .. } => Picture::Full,
            },
            picture_out: own_picture(sides.local, &now.counts.video_out),
            // Of a way out on which nothing is sent, nothing is known: what was last learned of it does not get better by waiting.
            upload: now.report.uplink.filter(|_| sides.local.microphone || sides.local.camera).map(|uplink| Upload {
                target_kbps: uplink.target.as_bps() as f64 / 1e3,
                held: !matches!(uplink.limited_by, LimitedBy::Start | LimitedBy::Demand),
                queue_ms: uplink.queue_delay.as_secs_f64() * 1e3,
            }),
            computer: now.computer(was, seconds),
            microphone: sides.microphone,
            telephone: sides.telephone,
        }
    }

    /// The same as a point of the chart. Bars are those shown.
    pub fn point(&self, before: &Self, second: &Second, sides: &Sides, at_ms: u64, bars: u8) -> QualityPoint {
        let was = &self.started_anew(before);
        let (shown, sent) = (&self.counts.video_in, &self.counts.video_out);
        let flow = |on: MediaOn, kbps, loss_percent, frames, (width, height)| {
            let (width, height) = if on.camera && !on.paused { (width, height) } else { (0, 0) };
            QualityFlow { kbps, loss_percent, frames, width, height }
        };
        let frozen = |counts: &VideoReceiveCounts| counts.total_freezes_duration;
        QualityPoint {
            at_ms,
            bars,
            round_trip_ms: second.round_trip_ms,
            frozen_ms: (frozen(shown) - frozen(&was.counts.video_in)).max(0.0) * 1e3,
            inbound: flow(
                sides.remote,
                second.rate_in_kbps,
                second.loss_in_percent,
                self.rate(was, |f| f.counts.video_in.frames_rendered),
                (shown.frame_width, shown.frame_height),
            ),
            outbound: flow(
                sides.local,
                self.rate(was, |f| f.report.transport.bytes_sent) * 8.0 / 1e3,
                second.loss_out_percent,
                self.rate(was, |f| f.counts.video_out.frames_encoded),
                (sent.frame_width, sent.frame_height),
            ),
        }
    }

    /// All of it as it is told; what is a rate is that of the second since `before`.
    pub fn stats(&self, before: &Self, limitation: &mut LimitationDurations) -> CallStats {
        let was = &self.started_anew(before);
        let Counts {
            audio_in,
            mut video_in,
            mut video_out,
            audio_out,
            av_sync_offset,
            microphone: _,
            screen_out,
            mut screen_in,
        } = self.counts;
        screen_in.frames_per_second = self.rate(was, |f| f.counts.screen_in.frames_decoded);
        video_in.frames_per_second = self.rate(was, |f| f.counts.video_in.frames_decoded);
        video_out.frames_per_second = self.rate(was, |f| f.counts.video_out.frames_encoded);
        video_out.source.frames_per_second = self.rate(was, |f| f.counts.video_out.source.frames);
        if video_out.frames_encoded > 0 {
            limitation.add(video_out.quality_limitation_reason, self.seconds(was));
        }
        video_out.quality_limitation_durations = *limitation;
        CallStats {
            connection: self.report.clone(),
            audio_playout: audio_in,
            video_playout: video_in,
            av_sync_offset,
            video_encoder: video_out,
            audio_encoder: audio_out,
            screen_encoder: screen_out,
            screen_playout: (screen_in.frames_decoded > 0).then_some(screen_in),
            process: ProcessUsage::now(),
            quality: CallQuality::default(),
        }
    }

    /// Another connection counts from zero.
    fn started_anew(&self, before: &Self) -> Self {
        if self.report.timestamp > before.report.timestamp { before.clone() } else { Self::default() }
    }

    fn seconds(&self, before: &Self) -> f64 {
        self.report.timestamp - before.report.timestamp
    }

    /// Growth of a counter a second.
    fn rate(&self, before: &Self, counter: impl Fn(&Self) -> u64) -> f64 {
        let seconds = self.seconds(before);
        if seconds > 0.0 { counter(self).saturating_sub(counter(before)) as f64 / seconds } else { 0.0 }
    }

    fn computer(&self, before: &Self, seconds: f64) -> Computer {
        let worked = |time: fn(&Self) -> f64| percent(time(self) - time(before), seconds);
        let encoding = worked(|f| f.counts.video_out.total_encode_time);
        let decoding = worked(|f| f.counts.video_in.total_decode_time);
        let missed = self.rate(before, |f| f.counts.video_out.frames_skipped);
        let encoded = self.rate(before, |f| f.counts.video_out.frames_encoded);
        let underruns = self.rate(before, |f| f.counts.audio_out.speaker_underruns);
        let overruns = self.rate(before, |f| f.counts.audio_out.microphone_overruns);
        Computer {
            busy_percent: encoding.max(decoding),
            missed_percent: percent(missed, missed + encoded),
            breaks: underruns + overruns / BREAK_SAMPLES,
        }
    }
}

fn own_picture(on: MediaOn, counts: &VideoEncodeCounts) -> Picture {
    match (on, counts.quality_limitation_reason) {
        (MediaOn { camera: false, .. }, _) => Picture::Off,
        (MediaOn { paused: true, .. }, _) => Picture::Paused,
        (_, Reason::Cpu) => Picture::Slowed(counts.frame_width.min(counts.frame_height)),
        (_, Reason::Bandwidth) => Picture::Reduced,
        (_, Reason::None) => Picture::Full,
    }
}

fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { (100.0 * part / whole).max(0.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ON: MediaOn = MediaOn { microphone: true, camera: true, paused: false };
    const SIDES: Sides =
        Sides { local: ON, remote: ON, remote_reduced: false, microphone: Microphone::Good, telephone: false };

    fn at(timestamp: f64, change: impl FnOnce(&mut Figures)) -> Figures {
        let mut figures = Figures::default();
        figures.report.timestamp = timestamp;
        change(&mut figures);
        figures
    }

    #[test]
    fn a_second_is_what_was_counted_in_it() {
        let before = at(10.0, |f| {
            f.report.inbound_audio.packets_received = 500;
            f.report.transport.bytes_received = 1_000;
            f.counts.video_out.total_encode_time = 3.0;
            f.counts.audio_out.speaker_underruns = 4;
        });
        let now = at(12.0, |f| {
            f.report.inbound_audio.packets_received = 590;
            f.report.inbound_audio.packets_lost = 10;
            f.report.transport.bytes_received = 251_000;
            f.report.candidate_pair.current_round_trip_time = 0.08;
            f.counts.video_out.total_encode_time = 4.0;
            f.counts.video_out.frames_encoded = 30;
            f.counts.video_out.frames_skipped = 30;
            f.counts.audio_out.speaker_underruns = 8;
            f.counts.audio_out.microphone_overruns = 960;
        });
        let second = now.second(&before, &SIDES);
        assert_eq!((second.packets_in, second.loss_in_percent, second.rate_in_kbps), (90, 10.0, 1_000.0));
        assert_eq!(second.round_trip_ms, Some(80.0));
        assert_eq!(second.computer, Computer { busy_percent: 50.0, missed_percent: 50.0, breaks: 3.0 });
    }

    #[test]
    fn what_is_told_has_its_rates_and_how_long_each_reason_held() {
        let mut limitation = LimitationDurations::default();
        let before = at(10.0, |f| f.counts.video_out.frames_encoded = 100);
        let now = at(12.0, |f| {
            f.counts.video_out.frames_encoded = 150;
            f.counts.video_out.quality_limitation_reason = Reason::Bandwidth;
            f.counts.video_in.frames_decoded = 60;
        });
        let told = now.stats(&before, &mut limitation);
        assert_eq!((told.video_encoder.frames_per_second, told.video_playout.frames_per_second), (25.0, 30.0));
        assert_eq!(told.video_encoder.quality_limitation_durations.bandwidth, 2.0);
        let told = now.stats(&before, &mut limitation);
        assert_eq!(
            told.video_encoder.quality_limitation_durations,
            LimitationDurations { bandwidth: 4.0, ..limitation }
        );
    }

    #[test]
    fn a_way_out_on_which_nothing_is_sent_is_not_judged() {
        let now = at(12.0, |f| f.report.uplink = Some(ahoy_media::rate::Estimator::new(Default::default()).state()));
        let upload = |local: MediaOn| now.second(&at(10.0, |_| ()), &Sides { local, ..SIDES }).upload;
        assert!(upload(ON).is_some() && upload(MediaOn { microphone: false, ..ON }).is_some());
        assert!(upload(MediaOn { microphone: false, camera: false, paused: false }).is_none());
    }

    #[test]
    fn another_connection_counts_from_zero_and_shows_no_leap() {
        let before = at(700.0, |f| f.report.transport.bytes_received = 90_000_000);
        let now = at(1.0, |f| f.report.transport.bytes_received = 50_000);
        assert_eq!(now.second(&before, &SIDES).rate_in_kbps, 400.0);
    }

    #[test]
    fn a_point_has_a_size_only_while_a_picture_is_sent() {
        let now = at(1.0, |f| {
            (f.counts.video_in.frame_width, f.counts.video_in.frame_height) = (1280, 720);
            f.counts.video_in.total_freezes_duration = 0.4;
        });
        let before = Figures::default();
        let height = |sides: &Sides| now.point(&before, &now.second(&before, sides), sides, 5, 4).inbound.height;
        assert_eq!(height(&SIDES), 720);
        assert_eq!(height(&Sides { remote: MediaOn { paused: true, ..ON }, ..SIDES }), 0);
        assert_eq!(now.point(&before, &Second::default(), &SIDES, 5, 4).frozen_ms, 400.0);
    }

    #[test]
    fn the_ladder_says_what_holds_our_picture_back() {
        let picture = |local, reason| {
            own_picture(local, &VideoEncodeCounts { quality_limitation_reason: reason, ..Default::default() })
        };
        assert_eq!(picture(ON, Reason::Bandwidth), Picture::Reduced);
        assert_eq!(picture(ON, Reason::Cpu), Picture::Slowed(0));
        assert_eq!(picture(MediaOn { paused: true, ..ON }, Reason::Bandwidth), Picture::Paused);
        assert_eq!(picture(MediaOn { camera: false, ..ON }, Reason::Bandwidth), Picture::Off);
    }
}
