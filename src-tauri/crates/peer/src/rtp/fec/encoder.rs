//! Makes repair packets of a group of source packets.

use super::SPAN;
use super::code::{self, MOST_REPAIRS};
use super::header::Protects;
use super::source::{SourcePacket, Sum};
use bytes::Bytes;
use std::time::Instant;

#[derive(Debug)]
struct Member {
    sequence: u16,
    left: Instant,
    packet: SourcePacket,
}

/// The group that is open. At most as many packets as its user lets in before it closes the group, and never more than one
/// mask can name: then the oldest goes.
#[derive(Debug)]
pub(super) struct Encoder {
    /// Of the stream that is protected.
    ssrc: u32,
    group: Vec<Member>,
}

impl Encoder {
    pub(super) fn new(ssrc: u32) -> Self {
        Self { ssrc, group: Vec::new() }
    }

    /// A source packet left; its number follows the last one's, or there is a gap.
    pub(super) fn add(&mut self, now: Instant, sequence: u16, packet: SourcePacket) {
        self.group.push(Member { sequence, left: now, packet });
        // Also after a jump, which no mask reaches over.
        self.group.retain(|member| sequence.wrapping_sub(member.sequence) < SPAN);
    }

    pub(super) fn len(&self) -> usize {
        self.group.len()
    }

    /// Leaves out what left before.
    pub(super) fn forget_before(&mut self, moment: Instant) {
        self.group.retain(|member| member.left >= moment);
    }

    pub(super) fn clear(&mut self) {
        self.group.clear();
    }

    /// Closes the group: the payloads of so many repair packets, or fewer for a group with fewer packets.
    pub(super) fn close(&mut self, repairs: usize) -> Vec<Bytes> {
        let group = std::mem::take(&mut self.group);
        let repairs = repairs.min(group.len()).min(MOST_REPAIRS);
        let sets: Vec<u16> = code::sets(repairs).take(group.len()).collect();
        (0..repairs)
            .filter_map(|row| {
                let members =
                    || group.iter().zip(&sets).filter(move |(_, set)| **set >> row & 1 == 1).map(|(member, _)| member);
                let base = members().next()?.sequence;
                let (mut mask, mut sum) = (0_u128, Sum::default());
                for member in members() {
                    mask |= 1 << member.sequence.wrapping_sub(base);
                    sum.add(&member.packet);
                }
                Some(Protects { ssrc: self.ssrc, base, mask }.write(&sum))
            })
            .collect()
    }
}
