//! A packet as repair packets see it, and the XOR of some.

use bytes::Bytes;
use rtc::rtp::header::Header;
use rtc::shared::marshal::{Marshal, MarshalSize};

/// The fixed part of an RTP header (RFC 3550, 5.1).
const FIXED: usize = 12;
/// Longest CSRC list and extensions that are looked at; ours have 8 bytes.
const MAX_HEAD: usize = 256;

/// The protected fields of one RTP packet (draft 03, 6.3.1): all but version, sequence number and SSRC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourcePacket {
    /// P, X and CC; then M and the payload type.
    flags: [u8; 2],
    timestamp: u32,
    /// CSRCs and header extensions.
    head: Vec<u8>,
    payload: Bytes,
}

impl SourcePacket {
    /// Takes a packet as it is on the wire. The transport-wide number (by its extension's identifier) counts as zero: it
    /// is written last, and anew when a packet is sent again. `None`: padded, or too odd to be protected.
    pub(crate) fn new(header: &Header, payload: &Bytes, transport_cc: Option<u8>) -> Option<Self> {
        // How much padding there was is not known here any more.
        if header.padding {
            return None;
        }
        let mut header = header.clone();
        if let Some(id) = transport_cc.filter(|id| header.get_extension(*id).is_some()) {
            header.set_extension(id, Bytes::from_static(&[0, 0])).ok()?;
        }
        let mut bytes = vec![0; header.marshal_size()];
        let size = header.marshal_to(&mut bytes).ok()?;
        let head = bytes.get(FIXED..size).filter(|head| head.len() <= MAX_HEAD)?.to_vec();
        let flags = [bytes[0] & 0x3F, bytes[1]];
        Some(Self { flags, timestamp: header.timestamp, head, payload: payload.clone() })
    }

    fn len(&self) -> usize {
        self.head.len() + self.payload.len()
    }
}

/// The XOR of source packets: the recovery fields and payload of a repair packet (draft 03, 4.2 and 6.3.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) flags: [u8; 2],
    pub(super) length: u16,
    pub(super) timestamp: u32,
    pub(super) body: Vec<u8>,
}

impl Sum {
    /// Adds one; the same once more takes it away again.
    pub(super) fn add(&mut self, packet: &SourcePacket) {
        self.flags[0] ^= packet.flags[0];
        self.flags[1] ^= packet.flags[1];
        self.length ^= packet.len() as u16;
        self.timestamp ^= packet.timestamp;
        if self.body.len() < packet.len() {
            self.body.resize(packet.len(), 0);
        }
        let bytes = packet.head.iter().chain(packet.payload.iter());
        for (sum, byte) in self.body.iter_mut().zip(bytes) {
            *sum ^= byte;
        }
    }

    /// Adds another sum.
    pub(super) fn merge(&mut self, other: &Self) {
        self.flags[0] ^= other.flags[0];
        self.flags[1] ^= other.flags[1];
        self.length ^= other.length;
        self.timestamp ^= other.timestamp;
        if self.body.len() < other.body.len() {
            self.body.resize(other.body.len(), 0);
        }
        for (sum, byte) in self.body.iter_mut().zip(&other.body) {
            *sum ^= byte;
        }
    }

    /// The one packet that is left (draft 03, 6.3.2 and 6.3.3); `None` when it is none: the repair packet lied.
    pub(super) fn packet(mut self) -> Option<SourcePacket> {
        let [flags, _] = self.flags;
        // Padding is not protected by us, and R and F have no meaning here.
        if flags & 0x20 != 0 || usize::from(self.length) > self.body.len() {
            return None;
        }
        self.body.truncate(usize::from(self.length));
        let mut head = usize::from(flags & 0x0F) * 4;
        if flags & 0x10 != 0 {
            let words = self.body.get(head + 2..head + 4)?;
            head += 4 + usize::from(u16::from_be_bytes([words[0], words[1]])) * 4;
        }
        if head > self.body.len() || head > MAX_HEAD {
            return None;
        }
        let payload = Bytes::from(self.body.split_off(head));
        let flags = [flags & 0x3F, self.flags[1]];
        Some(SourcePacket { flags, timestamp: self.timestamp, head: self.body, payload })
    }
}

impl SourcePacket {
    /// RTP time.
    pub(super) fn timestamp(&self) -> u32 {
        self.timestamp
    }

    /// The last packet of its picture.
    pub(super) fn marker(&self) -> bool {
        self.flags[1] & 0x80 != 0
    }

    pub(super) fn payload(&self) -> &Bytes {
        &self.payload
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;

    /// A packet with a transport-wide number, as ours are.
    pub(in crate::rtp::fec) fn packet(sequence_number: u16, marker: bool, payload: Vec<u8>) -> (Header, Bytes) {
        let timestamp = u32::from(sequence_number) * 3000;
        let mut header =
            Header { version: 2, ssrc: 1, payload_type: 102, sequence_number, timestamp, marker, ..Header::default() };
        header.set_extension(3, Bytes::copy_from_slice(&sequence_number.to_be_bytes())).unwrap();
        (header, payload.into())
    }

    #[test]
    fn one_of_a_sum_is_left_when_the_others_are_taken_away() {
        let source = |n: u16, size: usize| {
            let (header, payload) = packet(n, n.is_multiple_of(2), vec![n as u8; size]);
            SourcePacket::new(&header, &payload, Some(3)).unwrap()
        };
        let (one, two, three) = (source(1, 7), source(2, 900), source(3, 30));
        let mut sum = Sum::default();
        for packet in [&one, &two, &three] {
            sum.add(packet);
        }
        sum.add(&one);
        sum.add(&two);
        assert_eq!(sum.packet(), Some(three));
    }

    #[test]
    fn the_transport_wide_number_does_not_count_and_padding_is_not_protected() {
        let (mut header, payload) = packet(9, true, vec![1, 2, 3]);
        let before = SourcePacket::new(&header, &payload, Some(3)).unwrap();
        header.set_extension(3, Bytes::from_static(&[77, 77])).unwrap();
        assert_eq!(SourcePacket::new(&header, &payload, Some(3)), Some(before));
        header.padding = true;
        assert_eq!(SourcePacket::new(&header, &payload, Some(3)), None);
    }
}
