//! Received sound: counted, freed of doubles, passed on at once.

use super::sequence::{Arrivals, Extender, Jitter};
use crate::media::{AUDIO_CLOCK, MAX_OPUS_BYTES};
use crate::{InboundRtp, IncomingAudio};
use bytes::Bytes;
use std::time::Instant;

/// One received audio stream.
#[derive(Debug, Default)]
pub(crate) struct AudioIn {
    ssrc: u32,
    extender: Extender,
    arrivals: Arrivals,
    jitter: Jitter,
    bytes: u64,
    discarded: u64,
}

impl AudioIn {
    pub(crate) fn new(ssrc: u32) -> Self {
        Self { ssrc, ..Self::default() }
    }

    /// The packet as the listener gets it; `None` for doubles and what cannot be Opus.
    pub(crate) fn handle(
        &mut self,
        now: Instant,
        sequence: u16,
        timestamp: u32,
        marker: bool,
        payload: Bytes,
    ) -> Option<IncomingAudio> {
        let sequence = self.extender.extend(sequence);
        if !self.arrivals.insert(sequence) {
            self.discarded += 1;
            return None;
        }
        self.jitter.update(now, timestamp, AUDIO_CLOCK);
        self.bytes += payload.len() as u64;
        // A padding-only probe has its number but nothing to play.
        if payload.is_empty() || payload.len() > MAX_OPUS_BYTES {
            self.discarded += 1;
            return None;
        }
        Some(IncomingAudio { sequence, timestamp, marker, payload, arrived: now })
    }

    pub(crate) fn stats(&self) -> InboundRtp {
        InboundRtp {
            ssrc: self.ssrc,
            packets_received: self.arrivals.received(),
            bytes_received: self.bytes,
            packets_lost: self.arrivals.lost(),
            jitter: self.jitter.seconds(),
            packets_discarded: self.discarded,
            ..InboundRtp::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_comes_in_the_order_of_arrival_and_only_once() {
        let mut audio = AudioIn::new(1);
        let now = Instant::now();
        let mut heard = Vec::new();
        for sequence in [65_535, 1, 0, 1, 2] {
            heard
                .extend(audio.handle(now, sequence, 0, false, Bytes::from_static(&[1])).map(|p| p.sequence - 0x1_0000));
        }
        assert_eq!(heard, [65_535, 65_537, 65_536, 65_538]);
        assert_eq!(audio.stats().packets_discarded, 1);
        assert_eq!(audio.stats().packets_lost, 0);
    }

    #[test]
    fn what_cannot_be_opus_is_counted_and_dropped() {
        let mut audio = AudioIn::new(1);
        let now = Instant::now();
        assert_eq!(audio.handle(now, 1, 0, false, Bytes::new()), None);
        assert_eq!(audio.handle(now, 2, 0, false, Bytes::from(vec![0; MAX_OPUS_BYTES + 1])), None);
        assert_eq!(audio.stats().packets_discarded, 2);
    }
}
