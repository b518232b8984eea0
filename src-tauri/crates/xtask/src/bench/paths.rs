//! What lies between the hosts: an emulated link for each pair and direction, and a record of all that passed between
//! hosts 0 and 1. Time is an argument.
//!
//! ```text
//! quiet (delay only) ── arm ──► armed ── first RTP packet between 0 and 1 ──► begun (the profile's links, recorded)
//! ```
//!
//! So a profile's time zero is the moment the media starts, whoever's media it is: set-up has its own part of the bench.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ahoy_testkit::link::{Fate, Link, LinkProfile};

use super::records::{Flow, LinkRecord, Passage};

/// A packet under way, and its place in its direction's record.
struct Packet {
    bytes: Vec<u8>,
    recorded: Option<usize>,
}

/// When the links of a profile began.
#[derive(Debug, Clone, Copy)]
pub struct Beginning {
    /// On this process's clock.
    pub at: Instant,
    /// On everybody's clock, milliseconds since 1970.
    pub unix_ms: f64,
}

enum State {
    Quiet,
    Armed(Box<[LinkProfile; 2]>),
    Begun(Beginning),
}

/// Every link between some hosts.
pub struct Paths {
    hosts: usize,
    /// By `from * hosts + to`.
    links: Vec<Link<Packet>>,
    /// Replaced links, each with the host it leads to, until what is under way there has come out.
    retired: Vec<(usize, Link<Packet>)>,
    state: State,
    /// From host 0 to 1, and back.
    records: [LinkRecord; 2],
}

impl Paths {
    /// Links that only delay, by `delay(from, to)`.
    pub fn new(hosts: usize, delay: impl Fn(usize, usize) -> Duration, now: Instant) -> Self {
        let quiet = |place: usize| Link::new(only_delay(delay(place / hosts, place % hosts)), now);
        Self {
            hosts,
            links: (0..hosts * hosts).map(quiet).collect(),
            retired: Vec::new(),
            state: State::Quiet,
            records: Default::default(),
        }
    }

    /// From the next RTP packet between hosts 0 and 1 on, the links from 0 to 1 and back are like these, and recorded.
    pub fn arm(&mut self, profiles: [LinkProfile; 2]) {
        self.state = State::Armed(Box::new(profiles));
        self.records = Default::default();
    }

    /// When the armed links began; `None` before.
    pub fn begun(&self) -> Option<Beginning> {
        match &self.state {
            State::Begun(beginning) => Some(*beginning),
            State::Quiet | State::Armed(_) => None,
        }
    }

    /// Takes the records so far; later packets are recorded anew.
    pub fn take_records(&mut self) -> [LinkRecord; 2] {
        std::mem::take(&mut self.records)
    }

    /// An IPv4 packet that `from` sends to `to` at `now`.
    pub fn push(&mut self, from: usize, to: usize, bytes: Vec<u8>, now: Instant) {
        if from == to || from >= self.hosts || to >= self.hosts {
            return;
        }
        let direction = match (from, to) {
            (0, 1) => Some(0),
            (1, 0) => Some(1),
            _ => None,
        };
        if direction.is_some() && is_rtp(&bytes) {
            self.begin(now);
        }
        let length = bytes.len();
        let recorded = direction.zip(self.begun()).map(|(direction, begun)| {
            let since = now.saturating_duration_since(begun.at);
            let passage = Passage { at: since, bytes: length, flow: flow_of(&bytes), fate: Fate::Dropped, out: None };
            (direction, self.records[direction].add(passage))
        });
        let packet = Packet { bytes, recorded: recorded.map(|(_, place)| place) };
        let fate = self.links[from * self.hosts + to].push(packet, length, now);
        if let Some((direction, place)) = recorded {
            self.records[direction].set_fate(place, fate);
        }
    }

    /// The next packet that has come out by now, and for whom.
    pub fn pop(&mut self, now: Instant) -> Option<(usize, Vec<u8>)> {
        for (to, link) in &mut self.retired {
            if let Some(packet) = link.pop(now) {
                return Some((*to, packet.bytes));
            }
        }
        self.retired.retain(|(_, link)| link.next_due().is_some());
        for (place, link) in self.links.iter_mut().enumerate() {
            let due = link.next_due();
            let Some(packet) = link.pop(now) else { continue };
            if let (Some(recorded), State::Begun(begun)) = (packet.recorded, &self.state) {
                let direction = usize::from(place == self.hosts);
                let late = due.map_or(Duration::ZERO, |due| now.saturating_duration_since(due));
                self.records[direction].set_out(recorded, now.saturating_duration_since(begun.at), late);
            }
            return Some((place % self.hosts, packet.bytes));
        }
        None
    }

    /// When the next packet comes out.
    pub fn next_due(&self) -> Option<Instant> {
        self.links.iter().chain(self.retired.iter().map(|(_, link)| link)).filter_map(Link::next_due).min()
    }

    fn begin(&mut self, now: Instant) {
        let State::Armed(profiles) = &self.state else { return };
        let (forward, back) = (Link::new(profiles[0].clone(), now), Link::new(profiles[1].clone(), now));
        for (place, to, new) in [(1, 1, forward), (self.hosts, 0, back)] {
            self.retired.push((to, std::mem::replace(&mut self.links[place], new)));
        }
        let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64() * 1000.0);
        self.state = State::Begun(Beginning { at: now, unix_ms });
    }
}

fn only_delay(delay: Duration) -> LinkProfile {
    LinkProfile::new(None, delay)
}

/// IP protocol, and what lies behind the IPv4 header (RFC 791).
fn behind_ip(packet: &[u8]) -> Option<(u8, &[u8])> {
    let header = usize::from(packet.first()? & 0x0f) * 4;
    Some((*packet.get(9)?, packet.get(header..)?))
}

/// Whether it is RTP and not STUN, DTLS (RFC 7983, 7: the first byte) or RTCP (RFC 5761, 4: the second).
fn is_rtp(packet: &[u8]) -> bool {
    const UDP: u8 = 17;
    let payload = behind_ip(packet).filter(|(protocol, _)| *protocol == UDP).and_then(|(_, udp)| udp.get(8..10));
    payload.is_some_and(|bytes| (128..192).contains(&bytes[0]) && !(64..96).contains(&(bytes[1] & 0x7f)))
}

fn flow_of(packet: &[u8]) -> Flow {
    let Some((protocol, rest)) = behind_ip(packet) else { return Flow::default() };
    let port = |at: usize| rest.get(at..at + 2).map_or(0, |bytes| u16::from_be_bytes([bytes[0], bytes[1]]));
    Flow { protocol, from_port: port(0), to_port: port(2) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn udp(payload: &[u8], length: usize) -> Vec<u8> {
        let mut packet = vec![0; length];
        (packet[0], packet[9]) = (0x45, 17);
        packet[20..24].copy_from_slice(&[0x10, 0x00, 0x20, 0x00]);
        packet[28..28 + payload.len()].copy_from_slice(payload);
        packet
    }

    fn come_out(paths: &mut Paths, now: Instant) -> Vec<usize> {
        std::iter::from_fn(|| paths.pop(now)).map(|(to, _)| to).collect()
    }

    #[test]
    fn a_profile_begins_with_the_first_rtp_packet_and_what_was_under_way_still_comes_out() {
        let start = Instant::now();
        let mut paths = Paths::new(3, |_, _| 20 * MS, start);
        // 1 Mbps: 1250 bytes take 10 ms.
        paths.arm([LinkProfile::new(Some(1_000_000), 50 * MS), LinkProfile::new(Some(500_000), 50 * MS)]);
        paths.push(0, 1, udp(&[0, 1], 100), start); // STUN
        paths.push(0, 1, udp(&[128, 200], 100), start); // RTCP
        assert!(paths.begun().is_none());
        let begin = start + 10 * MS;
        paths.push(1, 0, udp(&[128, 111], 1250), begin);
        paths.push(0, 1, udp(&[128, 111], 1250), begin);
        paths.push(0, 2, udp(&[128, 111], 1250), begin);
        assert_eq!(paths.begun().unwrap().at, begin);
        assert_eq!(come_out(&mut paths, start + 20 * MS), [1, 1], "sent before, on the link that only delays");
        assert_eq!(come_out(&mut paths, begin + 20 * MS), [2]);
        assert_eq!(come_out(&mut paths, begin + 60 * MS), [1]);
        assert_eq!(come_out(&mut paths, begin + 70 * MS), [0]);
        let [forward, back] = paths.take_records();
        assert_eq!(forward.passages().len(), 1);
        assert_eq!(forward.passages()[0].out, Some(60 * MS));
        assert_eq!(forward.passages()[0].flow, Flow { protocol: 17, from_port: 0x1000, to_port: 0x2000 });
        assert_eq!(back.passages()[0].out, Some(70 * MS));
    }
}
