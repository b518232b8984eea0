//! The two pictures and the two sounds that go each way, and by what the other side's are told apart.

use super::local::LocalStream;
use crate::rtp::audio_in::AudioIn;
use crate::rtp::twcc;
use crate::rtp::video_in::VideoIn;
use crate::setup::SHARE_STREAM;
use crate::{AudioSink, RemoteOutboundRtp, Source, VideoSink};
use rtc::interceptor::StreamInfo;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// A description with more streams is none of a call's.
const MOST_STREAMS: usize = 64;

/// A voice, or a screen's sound: theirs and ours.
pub(crate) struct AudioLane {
    pub(super) sink: Box<dyn AudioSink>,
    pub(super) input: Option<AudioIn>,
    pub(super) ssrc: Option<u32>,
    /// What the other side says it sent.
    pub(super) remote_out: RemoteOutboundRtp,
    pub(super) out: LocalStream,
}

impl AudioLane {
    pub(crate) fn new(sink: Box<dyn AudioSink>, out: LocalStream) -> Self {
        Self { sink, input: None, ssrc: None, remote_out: RemoteOutboundRtp::default(), out }
    }

    pub(super) fn bind(&mut self, ssrc: u32) {
        if self.ssrc != Some(ssrc) || self.input.is_none() {
            self.ssrc = Some(ssrc);
            self.input = Some(AudioIn::new(ssrc));
        }
    }
}

/// A camera, or a screen: theirs and ours.
pub(crate) struct VideoLane {
    pub(super) sink: Box<dyn VideoSink>,
    pub(super) input: Option<VideoIn>,
    pub(super) ssrc: Option<u32>,
    /// What the other side says it sent.
    pub(super) remote_out: RemoteOutboundRtp,
    pub(super) rtx_ssrc: Option<u32>,
    pub(super) fec_ssrc: Option<u32>,
    /// Of the header extension for the transport-wide number.
    transport_cc: Option<u8>,
    pub(super) out: LocalStream,
    /// Of the next picture packet that leaves: given late, so that what the pacer throws away leaves no gap.
    pub(super) sequence: u16,
    pub(super) last_key_event: Option<Instant>,
    pub(super) key_event_due: Option<Instant>,
    /// Of the last key frame that was cut into packets.
    pub(super) last_key_bytes: usize,
    /// What key frames had taken of the path's time at the last one, beyond what passed between them.
    pub(super) key_frame_debt: Duration,
    /// Second copies of retransmissions, by when they leave; at most as many as one request can name.
    pub(super) copies: VecDeque<(Instant, u16)>,
}

impl VideoLane {
    pub(crate) fn new(sink: Box<dyn VideoSink>, out: LocalStream) -> Self {
        Self {
            sink,
            input: None,
            ssrc: None,
            remote_out: RemoteOutboundRtp::default(),
            rtx_ssrc: None,
            fec_ssrc: None,
            transport_cc: None,
            out,
            // Far from the wrap: SRTP receivers guess the rollover counter from the first packet they see (RFC 3711, 3.3.1).
            sequence: rand::random::<u16>() & 0x7FFF,
            last_key_event: None,
            key_event_due: None,
            last_key_bytes: 0,
            key_frame_debt: Duration::ZERO,
            copies: VecDeque::new(),
        }
    }

    pub(super) fn bind(&mut self, info: &StreamInfo) {
        self.rtx_ssrc = info.ssrc_rtx.or(self.rtx_ssrc);
        self.fec_ssrc = info.ssrc_fec.or(self.fec_ssrc);
        self.transport_cc = twcc::extension_of(info);
        if self.ssrc != Some(info.ssrc) || self.input.is_none() {
            self.ssrc = Some(info.ssrc);
            self.input = Some(VideoIn::new(info.ssrc, self.transport_cc));
        }
    }

    /// Begins anew with the stream that was bound last.
    fn revive(&mut self) {
        if let (Some(ssrc), None) = (self.ssrc, &self.input) {
            self.input = Some(VideoIn::new(ssrc, self.transport_cc));
        }
    }
}

/// Which of the other side's streams belong to what it shares: those of the media stream that our own shares have, and of
/// other programs the second picture and the second sound.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct RemoteStreams {
    sources: BTreeMap<u32, Source>,
    /// It sends a shared picture.
    shares_video: bool,
    /// It sends a shared sound.
    shares_audio: bool,
}

impl RemoteStreams {
    /// Reads them from a description (RFC 8866).
    pub(crate) fn read(sdp: &str) -> Self {
        let mut read = Self::default();
        let (mut audios, mut videos) = (0, 0);
        for section in sdp.split("\nm=").skip(1) {
            let video = section.starts_with("video");
            let nth = match (video, section.starts_with("audio")) {
                (true, _) => &mut videos,
                (false, true) => &mut audios,
                (false, false) => continue,
            };
            *nth += 1;
            let mut lines = section.lines().map(str::trim_end);
            // RFC 3264, 6: a port of zero is a refused stream.
            let refused = lines.next().and_then(|line| line.split(' ').nth(1)) == Some("0");
            let (mut sends, mut named, mut ssrcs) = (!refused, None, Vec::new());
            for line in lines {
                match line {
                    "a=recvonly" | "a=inactive" => sends = false,
                    _ => {}
                }
                if let Some(id) = line.strip_prefix("a=msid:") {
                    named = id.split(' ').next();
                }
                if let Some(ssrc) = line.strip_prefix("a=ssrc:").and_then(|rest| rest.split(' ').next()) {
                    ssrcs.extend(ssrc.parse::<u32>().ok());
                }
            }
            let source = if named == Some(SHARE_STREAM) || *nth > 1 { Source::Share } else { Source::Call };
            if source == Source::Share && sends {
                *if video { &mut read.shares_video } else { &mut read.shares_audio } = true;
            }
            for ssrc in ssrcs {
                if read.sources.len() < MOST_STREAMS {
                    read.sources.insert(ssrc, source);
                }
            }
        }
        read
    }

    /// Where a stream belongs; one that was not told of belongs to the people.
    pub(super) fn source(&self, ssrc: u32) -> Source {
        self.sources.get(&ssrc).copied().unwrap_or(Source::Call)
    }
}

impl super::Stage {
    /// The other side's newest description. What it no longer shares is forgotten, so that nobody asks for key frames of it.
    pub(crate) fn set_remote_streams(&mut self, remote: RemoteStreams) {
        let place = Source::Share.place();
        let (video, audio) = (&mut self.video[place], &mut self.audio[place]);
        if remote.shares_video {
            video.revive();
        } else {
            video.input = None;
        }
        if !remote.shares_audio {
            audio.input = None;
        } else if let Some(ssrc) = audio.ssrc {
            audio.bind(ssrc);
        }
        self.remote = remote;
    }

    /// Our stream is no longer negotiated.
    pub(crate) fn unbind_local(&mut self, ssrc: u32) {
        let audio = self.audio.iter_mut().map(|lane| &mut lane.out);
        let video = self.video.iter_mut().map(|lane| &mut lane.out);
        for out in audio.chain(video).filter(|out| out.ssrc == ssrc) {
            out.unbind();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOICE: &str =
        "\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=sendrecv\r\na=msid:ahoy ahoy-audio\r\na=ssrc:1 cname:a";
    const CAMERA: &str = "\r\nm=video 9 UDP/TLS/RTP/SAVPF 102\r\na=mid:1\r\na=ssrc-group:FID 2 3\r\na=ssrc:2 cname:a\r\na=ssrc:3 cname:a";

    #[test]
    fn a_shared_screen_is_known_by_its_stream_or_by_being_the_second_picture() {
        let ours = format!(
            "v=0{VOICE}{CAMERA}\r\nm=video 9 UDP/TLS/RTP/SAVPF 102\r\na=msid:ahoy-screen x\r\na=ssrc:4 cname:a"
        );
        let streams = RemoteStreams::read(&ours);
        assert_eq!(
            [1, 2, 3, 4, 99].map(|ssrc| streams.source(ssrc)),
            [Source::Call, Source::Call, Source::Call, Source::Share, Source::Call]
        );
        assert!(streams.shares_video && !streams.shares_audio);
        let browsers = ours.replace("ahoy-screen", "f00");
        assert_eq!(RemoteStreams::read(&browsers).source(4), Source::Share);
        // Named so, it is one even where no camera comes before it.
        let alone = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 102\r\na=msid:ahoy-screen x\r\na=ssrc:4 cname:a";
        assert_eq!(RemoteStreams::read(alone).source(4), Source::Share);
    }

    #[test]
    fn what_is_no_longer_sent_is_no_share() {
        for ending in ["a=inactive", "a=recvonly"] {
            let sdp = format!("v=0{VOICE}{CAMERA}\r\nm=video 9 UDP/TLS/RTP/SAVPF 102\r\n{ending}\r\na=mid:2");
            assert!(!RemoteStreams::read(&sdp).shares_video, "{ending}");
        }
        let refused = format!("v=0{VOICE}{CAMERA}\r\nm=video 0 UDP/TLS/RTP/SAVPF 102\r\na=mid:2");
        assert!(!RemoteStreams::read(&refused).shares_video);
    }

    #[test]
    fn nonsense_is_read_as_nothing() {
        assert_eq!(RemoteStreams::read(""), RemoteStreams::default());
        let many = format!("v=0\nm=video{}", "\na=ssrc:5 x".repeat(500) + &"\na=ssrc:99999999999 x".repeat(9));
        assert_eq!(RemoteStreams::read(&many).sources.len(), 1);
    }
}
