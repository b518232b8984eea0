//! The task that turns what waits in the two queues into RTP packets.

use crate::MediaKind;
use crate::interceptor::lock;
use crate::outgoing::{Next, Outgoing};
use crate::rtp::h264;
use crate::stage::{Stage, rtp_packet};
use crate::{OutgoingAudio, OutgoingVideo, Source};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;

/// What the task owns.
pub(crate) struct Sending {
    pub(crate) outgoing: Arc<Outgoing>,
    pub(crate) stage: Arc<Mutex<Stage>>,
    /// Sound and picture, by [`Source::place`].
    tracks: [Tracks; 2],
    audio_sequence: [u16; 2],
    speaking: [bool; 2],
}

/// The tracks of one source.
#[derive(Clone)]
pub(crate) struct Tracks {
    pub(crate) audio: Arc<TrackLocalStaticRTP>,
    pub(crate) video: Arc<TrackLocalStaticRTP>,
}

impl Sending {
    pub(crate) fn new(outgoing: Arc<Outgoing>, stage: Arc<Mutex<Stage>>, tracks: [Tracks; 2]) -> Self {
        Self {
            outgoing,
            stage,
            tracks,
            // Random (RFC 3550, 5.1), and far from the wrap: SRTP receivers guess the rollover counter from the first
            // packet they see (RFC 3711, 3.3.1).
            audio_sequence: rand::random::<[u16; 2]>().map(|sequence| sequence & 0x7FFF),
            speaking: [false; 2],
        }
    }

    /// Runs until the queues are closed.
    pub(crate) async fn run(mut self) {
        loop {
            self.outgoing.wait().await;
            if self.outgoing.is_closed() {
                return;
            }
            for source in Source::BOTH {
                if self.outgoing.take_key_request(source) {
                    self.ask_for_key(source).await;
                }
            }
            while let Some(next) = self.outgoing.pop() {
                match next {
                    Next::Audio(source, packet) => self.send_audio(source, packet).await,
                    Next::Video(source, unit) => self.send_video(source, unit).await,
                }
            }
        }
    }

    async fn send_audio(&mut self, source: Source, packet: OutgoingAudio) {
        let stream = {
            let mut stage = lock(&self.stage);
            stage.clocks.handle_audio(source, packet.timestamp, packet.captured);
            stage.sending(source, MediaKind::Audio)
        };
        let Some(stream) = stream else { return };
        let place = source.place();
        let marker = packet.voice && !self.speaking[place];
        self.speaking[place] = packet.voice;
        let sequence = self.audio_sequence[place];
        self.audio_sequence[place] = sequence.wrapping_add(1);
        let packet = rtp_packet(stream, sequence, packet.timestamp, marker, packet.payload);
        if let Err(error) = self.tracks[place].audio.write_rtp(packet).await {
            tracing::debug!(%error, "sound not sent");
        }
    }

    async fn send_video(&mut self, source: Source, unit: OutgoingVideo) {
        let (stream, timestamp) = {
            let stage = lock(&self.stage);
            (stage.sending(source, MediaKind::Video), stage.clocks.video_time(unit.captured))
        };
        let Some(stream) = stream else { return };
        let payloads = h264::packetize(&unit.access_unit);
        let last = payloads.len().saturating_sub(1);
        for (n, payload) in payloads.into_iter().enumerate() {
            // A key frame is some hundred packets; sound does not wait for all of them.
            while let Some((source, packet)) = self.outgoing.pop_audio() {
                self.send_audio(source, packet).await;
            }
            // The gate may have closed in between.
            if !self.outgoing.is_open() {
                return;
            }
            // Numbered when it leaves the pacer.
            let packet = rtp_packet(stream, 0, timestamp, n == last, payload);
            if let Err(error) = self.tracks[source.place()].video.write_rtp(packet).await {
                tracing::debug!(%error, "picture not sent");
                return;
            }
        }
        lock(&self.stage).count_frame(source, unit.key, unit.access_unit.len());
    }

    async fn ask_for_key(&mut self, source: Source) {
        let packets = {
            let mut stage = lock(&self.stage);
            let now = Instant::now();
            stage.want_key(source, now);
            stage.handle_timeout(now);
            stage.take_feedback()
        };
        if !packets.is_empty()
            && let Err(error) = self.tracks[Source::Call.place()].video.write_rtcp(packets).await
        {
            tracing::debug!(%error, "key frame not asked for");
        }
    }
}
