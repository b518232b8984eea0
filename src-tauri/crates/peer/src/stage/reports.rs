//! RTCP of the other side, and the times in our own reports.

use super::Stage;
use crate::media::{AUDIO_CLOCK, VIDEO_CLOCK};
use crate::rtp::sender_clock::Clock;
use crate::rtp::twcc;
use crate::uplink::Consequence;
use crate::{ClockReport, RemoteOutboundRtp, Source};
use rtc::rtcp::Packet as Rtcp;
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate;
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::reception_report::ReceptionReport;
use rtc::rtcp::sender_report::SenderReport;
use rtc::rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use std::time::{Duration, Instant};

/// Sender reports remembered for the round trip.
const REPORTS_KEPT: usize = 32;

impl Stage {
    /// RTCP of the other side.
    pub(crate) fn handle_rtcp(&mut self, now: Instant, packets: &[Box<dyn Rtcp>]) {
        for packet in packets {
            let any = packet.as_any();
            if let Some(report) = any.downcast_ref::<ReceiverReport>() {
                self.handle_reports(now, &report.reports);
            } else if let Some(report) = any.downcast_ref::<SenderReport>() {
                self.handle_reports(now, &report.reports);
                self.handle_clock(report);
            } else if let Some(report) = any.downcast_ref::<TransportLayerCc>() {
                self.handle_transport_feedback(now, report);
            } else if let Some(remb) = any.downcast_ref::<ReceiverEstimatedMaximumBitrate>() {
                self.uplink.handle_remb(now, f64::from(remb.bitrate));
                self.tell_target(now);
            } else if let Some(nack) = any.downcast_ref::<TransportLayerNack>() {
                self.handle_nack(now, nack);
            } else if let Some(pli) = any.downcast_ref::<PictureLossIndication>() {
                let source = self.asked_source(&[pli.media_ssrc]);
                self.video[source.place()].out.stats.pli_count += 1;
                self.key_frame_asked(source, now);
            } else if let Some(fir) = any.downcast_ref::<FullIntraRequest>() {
                // RFC 5104, 4.3.1.1: the media are named in the entries.
                let named: Vec<u32> = fir.fir.iter().map(|entry| entry.ssrc).chain([fir.media_ssrc]).collect();
                let source = self.asked_source(&named);
                self.video[source.place()].out.stats.fir_count += 1;
                self.key_frame_asked(source, now);
            }
        }
    }

    /// Which of our pictures is meant.
    fn asked_source(&self, named: &[u32]) -> Source {
        let share = named.contains(&self.video[Source::Share.place()].out.ssrc);
        if share { Source::Share } else { Source::Call }
    }

    /// The other side says which moment an RTP time of its stream belongs to.
    fn handle_clock(&mut self, report: &SenderReport) {
        let clock = ClockReport { ntp: report.ntp_time, timestamp: report.rtp_time };
        let stream = if let Some(lane) = self.audio.iter_mut().find(|lane| lane.ssrc == Some(report.ssrc)) {
            lane.sink.handle_clock(clock);
            &mut lane.remote_out
        } else if let Some(lane) = self.video.iter_mut().find(|lane| lane.ssrc == Some(report.ssrc)) {
            lane.sink.handle_clock(clock);
            &mut lane.remote_out
        } else {
            return;
        };
        *stream = RemoteOutboundRtp {
            ssrc: report.ssrc,
            packets_sent: report.packet_count,
            bytes_sent: report.octet_count,
            remote_timestamp: unix_ms(report.ntp_time),
            reports_sent: stream.reports_sent + 1,
        };
    }

    fn handle_reports(&mut self, now: Instant, reports: &[ReceptionReport]) {
        let mut worst: Option<f64> = None;
        for report in reports {
            let audio = self.audio.iter_mut().map(|lane| (&mut lane.out, AUDIO_CLOCK));
            let video = self.video.iter_mut().map(|lane| (&mut lane.out, VIDEO_CLOCK));
            let Some((stream, clock)) = audio.chain(video).find(|(stream, _)| stream.ssrc == report.ssrc) else {
                continue;
            };
            let loss = f64::from(report.fraction_lost) / 256.0;
            worst = Some(worst.unwrap_or(0.0).max(loss));
            stream.remote.fraction_lost = loss;
            stream.remote.packets_lost = i64::from(report.total_lost);
            stream.remote.jitter = f64::from(report.jitter) / f64::from(clock);
            let left = self.reports_sent.iter().find(|(ntp, _)| *ntp == report.last_sender_report).map(|(_, at)| *at);
            // RFC 3550, 6.4.1: DLSR in units of 1/65536 s.
            let held = Duration::from_secs_f64(f64::from(report.delay) / 65_536.0);
            if let Some(rtt) = left.and_then(|left| now.checked_duration_since(left)?.checked_sub(held)) {
                stream.remote.round_trip_time = rtt.as_secs_f64();
                stream.remote.total_round_trip_time += rtt.as_secs_f64();
                stream.remote.round_trip_time_measurements += 1;
                self.set_rtt(rtt);
            }
        }
        if let Some(loss) = worst {
            self.uplink.handle_report(now, loss, self.rtt);
            self.tell_target(now);
        }
    }

    /// A round trip was measured, by RTCP or by STUN.
    pub(crate) fn set_rtt(&mut self, measured: Duration) {
        let measured = measured.clamp(Duration::from_millis(1), Duration::from_secs(5));
        self.rtt = Some(match self.rtt {
            // As TCP smooths it (RFC 6298, 2.3).
            Some(smooth) => smooth.mul_f64(0.875) + measured.mul_f64(0.125),
            None => measured,
        });
    }

    fn handle_transport_feedback(&mut self, now: Instant, report: &TransportLayerCc) {
        let consequence = self.uplink.handle_feedback(now, &twcc::feedback(report));
        self.tell_target(now);
        match consequence {
            Consequence::Nothing => {}
            Consequence::BeginAnew => self.begin_anew(now),
        }
        self.tell_room();
    }

    /// Our own sender report leaves: it tells when things were captured.
    pub(crate) fn handle_report_leaving(&mut self, now: Instant, report: &mut SenderReport) {
        let clocks = Source::BOTH.into_iter().flat_map(|source| {
            let place = source.place();
            [(self.audio[place].out.ssrc, Clock::Audio(source)), (self.video[place].out.ssrc, Clock::Video)]
        });
        if let Some((_, clock)) = clocks.into_iter().find(|(ssrc, _)| *ssrc == report.ssrc) {
            self.clocks.correct(report, now, clock);
        }
        if self.reports_sent.len() >= REPORTS_KEPT {
            self.reports_sent.pop_front();
        }
        self.reports_sent.push_back(((report.ntp_time >> 16) as u32, now));
    }
}

/// An NTP time (RFC 3550, 4) in milliseconds since 1970; 0 for what lies before.
fn unix_ms(ntp: u64) -> f64 {
    /// From 1900 to 1970.
    const EPOCH: f64 = 2_208_988_800.0;
    ((ntp as f64 / 2_f64.powi(32) - EPOCH) * 1000.0).max(0.0)
}
