//! The receiving half: what arrives of one stream and of its repair stream, and what can be brought back with them.

use super::decoder::{Decoder, Heard, Rebuilt};
use super::source::SourcePacket;
use bytes::Bytes;
use rtc::rtp::header::Header;
use std::time::{Duration, Instant};

/// So long after the last repair packet the stream counts as protected.
const STILL: Duration = Duration::from_secs(2);

/// Brings back what was lost of one stream. Idle, without any cost, until the first repair packet comes.
#[derive(Debug)]
pub(crate) struct Mender {
    decoder: Decoder,
    /// Of the header extension for the transport-wide number, which is not protected.
    transport_cc: Option<u8>,
    /// Of the stream; packets sent again come under another one.
    payload_type: u8,
    last_repair: Option<Instant>,
}

impl Mender {
    /// `ssrc`: of the stream that is protected.
    pub(crate) fn new(ssrc: u32, transport_cc: Option<u8>) -> Self {
        Self { decoder: Decoder::new(ssrc), transport_cc, payload_type: 0, last_repair: None }
    }

    /// Whether what is missing may come back by itself.
    pub(crate) fn is_protected(&self, now: Instant) -> bool {
        self.last_repair.is_some_and(|last| now < last + STILL)
    }

    /// A packet of the stream came, with its extended number.
    pub(crate) fn handle_source(
        &mut self,
        now: Instant,
        number: u64,
        header: &Header,
        payload: &Bytes,
    ) -> Vec<Rebuilt> {
        self.payload_type = header.payload_type;
        self.keep(now, number, header, payload)
    }

    /// A packet of the stream came that was sent again; with the header of the packet that brought it.
    pub(crate) fn handle_again(&mut self, now: Instant, number: u64, header: &Header, payload: &Bytes) -> Vec<Rebuilt> {
        let header = Header { payload_type: self.payload_type, ..header.clone() };
        self.keep(now, number, &header, payload)
    }

    /// The payload of a repair packet came. `extend` gives the extended form of a sequence number of the stream.
    pub(crate) fn handle_repair(
        &mut self,
        now: Instant,
        payload: &[u8],
        extend: impl FnOnce(u16) -> Option<u64>,
    ) -> Heard {
        self.last_repair = Some(now);
        self.decoder.handle_repair(payload, extend)
    }

    fn keep(&mut self, now: Instant, number: u64, header: &Header, payload: &Bytes) -> Vec<Rebuilt> {
        if !self.is_protected(now) {
            if self.last_repair.take().is_some() {
                self.decoder.clear();
            }
            return Vec::new();
        }
        match SourcePacket::new(header, payload, self.transport_cc) {
            Some(source) => self.decoder.handle_source(number, source),
            None => Vec::new(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::policy::Path;
    use super::super::protector::Protector;
    use super::super::source::tests::packet;
    use super::*;

    #[test]
    fn what_was_sent_again_helps_to_bring_the_other_one_back_and_silence_forgets() {
        let path = Path { rtt: Duration::from_millis(80), loss: 0.05, roomy: false };
        let (mut protector, mut now) = (Protector::new(1, 0), Instant::now());
        let mut mender = Mender::new(1, Some(3));
        let extend = |number: u16| Some(u64::from(number));
        let mut rebuilt = Vec::new();
        for picture in 0..3_u16 {
            let mut repairs = Vec::new();
            for place in 0..5 {
                let (header, payload) = packet(100 + picture * 5 + place, place == 4, vec![place as u8 + 1; 50]);
                repairs = protector.protect(now, &header, &payload, Some(3), path);
                let lost = picture == 2 && place >= 3;
                if !lost {
                    rebuilt.extend(mender.handle_source(now, header.sequence_number.into(), &header, &payload));
                }
            }
            assert_eq!(repairs.len(), 1);
            let heard = mender.handle_repair(now, &repairs[0].payload, extend);
            assert_eq!(heard == Heard::TooFew(vec![113, 114]), picture == 2, "{heard:?}");
            now += Duration::from_millis(33);
        }
        assert_eq!(rebuilt, []);
        let (header, payload) = packet(113, false, vec![4; 50]);
        let again = Header { payload_type: 103, ssrc: 9, sequence_number: 7, ..header };
        let back = mender.handle_again(now, 113, &again, &payload);
        assert_eq!(back.iter().map(|one| (one.number, one.marker)).collect::<Vec<_>>(), [(114, true)]);
        assert_eq!(back[0].payload, vec![5; 50]);
        assert!(mender.is_protected(now) && !mender.is_protected(now + STILL));
    }
}
