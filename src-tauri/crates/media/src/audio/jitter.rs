//! The audio jitter buffer: keeps packets in order and says what is to be played next.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::delay::DelayEstimator;
pub use super::delay::{MAX_DELAY, MIN_DELAY, START_DELAY};
use super::{BLOCK_SAMPLES, SAMPLE_RATE, samples_to_duration};

/// network -> audio thread; 100 packets = 2 s of 20 ms packets; full: the oldest goes.
pub const CAPACITY: usize = 100;
/// A jump this far in sequence numbers or in time (samples) is a new stream, not a loss.
const JUMP_PACKETS: i64 = 1_000;
const JUMP_SAMPLES: i64 = 10 * SAMPLE_RATE as i64;
/// So many packets played are remembered, to tell a doubled one from a late one.
const REMEMBERED: usize = 64;
/// When nothing came for so long (2 s) the other side has stopped, and what comes next begins afresh.
const IDLE_AFTER: u32 = 2 * SAMPLE_RATE;
/// What the delay exceeds the target by beyond this (300 ms; the audio thread stood still) is cut off at once.
const FAR_TOO_LONG: i64 = SAMPLE_RATE as i64 * 300 / 1_000;
/// A packet of up to this many bytes says that silence begins (DTX), and that nothing may come for long.
const DTX_BYTES: usize = 2;
/// When so many packets in a row (half a second) come too late, everything begins afresh.
const GIVE_UP_AFTER: usize = 25;
/// Sound is waited for until it is this much (100 ms) later than aimed at.
const LATE_ALLOWED: i64 = SAMPLE_RATE as i64 * 100 / 1_000;
/// Invented in one piece.
const PIECE: u32 = BLOCK_SAMPLES as u32;
/// The delay is judged by the least of so many steps (some 300 ms of 20 ms packets), for sound is not asked for evenly.
const STEPS: usize = 16;

/// A packet of sound as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioPacket {
    /// RTP sequence number.
    pub sequence: u16,
    /// RTP timestamp, 48 kHz.
    pub timestamp: u32,
    /// Samples in it, at 48 kHz (from the codec's header).
    pub samples: u32,
    /// How much of the sound right before it can be rebuilt from it, in samples.
    pub covers: u32,
    /// The payload.
    pub data: Vec<u8>,
}

/// What became of a packet on arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// It waits to be played.
    Kept,
    /// Its turn was over: dropped (W3C `packetsDiscarded`).
    Late,
    /// It was there already: dropped.
    Doubled,
    /// It waits, and the oldest was dropped for it.
    Overflowed,
    /// Its number or time is far from the others': everything else was dropped, and a new stream begins.
    Restarted,
}

/// What the audio thread is to do next, each time it has too little decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Decode this packet, and leave out its first `skip` samples, whose time was filled otherwise.
    Packet {
        /// The packet.
        packet: AudioPacket,
        /// Samples to leave out.
        skip: u32,
        /// How long it waited.
        waited: Duration,
    },
    /// Rebuild `samples` samples that begin `before` samples ahead of the packet in [`JitterBuffer::first`], from that.
    Rebuild {
        /// How far ahead of the packet they begin.
        before: u32,
        /// How many to rebuild; at most `before`.
        samples: u32,
    },
    /// Lost for good: invent `samples` of sound in its place.
    Conceal {
        /// The length to invent.
        samples: u32,
    },
    /// Not there yet: invent `samples` of sound, and everything is played that much later.
    Expand {
        /// The length to invent.
        samples: u32,
    },
    /// The other side is silent on purpose (DTX): make `samples` of comfort noise.
    Silence {
        /// The length to make.
        samples: u32,
    },
    /// Nothing came yet, or for long.
    Idle,
}

/// Counts since the start, for the W3C's statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JitterCounts {
    /// Packets that were played.
    pub played: u64,
    /// Packets that came after their turn.
    pub late: u64,
    /// Packets that came twice.
    pub doubled: u64,
    /// Samples whose packet was not there when its turn came although later ones were: rebuilt or invented.
    pub lost_samples: u64,
    /// Packets dropped unplayed because there were too many (a burst after a stall).
    pub shortened: u64,
    /// Times that 10 ms were invented because nothing was there, and the sound played later.
    pub expanded: u64,
}

/// Reorders packets and says what to play. Pure: the time of arrival and of asking are arguments. After it was made, it
/// allocates nothing.
#[derive(Debug)]
pub struct JitterBuffer {
    state: State,
    /// In order of their time; at most [`CAPACITY`].
    packets: VecDeque<Waiting>,
    /// The newest packet's numbers without wrap-round; others are counted from it.
    newest: Option<Place>,
    delay: DelayEstimator,
    counts: JitterCounts,
    /// Sequence numbers played; newest last; at most [`REMEMBERED`], the oldest goes.
    played: VecDeque<i64>,
    /// The delay at the last steps; at most [`STEPS`], the oldest goes.
    steps: VecDeque<i64>,
    /// Packets that came too late, one after the other.
    late_run: usize,
}

#[derive(Debug)]
struct Waiting {
    place: Place,
    packet: AudioPacket,
    arrived: Instant,
}

impl Waiting {
    fn end(&self) -> i64 {
        self.place.time + i64::from(self.packet.samples)
    }
}

/// ```text
/// Empty --first packet, at once--> Playing --nothing for 2 s--> Idle --enough delay--> Playing
/// any --jump--> Empty
/// ```
#[derive(Debug, Clone, Copy)]
enum State {
    Empty,
    Idle,
    Playing(Position),
}

#[derive(Debug, Clone, Copy)]
struct Position {
    /// The time of the next sample to decode.
    time: i64,
    /// The last packet played.
    sequence: i64,
    /// It announced silence.
    silent: bool,
    /// Samples made since without a packet.
    without: u32,
    /// Those of them that made everything later.
    expanded: i64,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    sequence: i64,
    time: i64,
}

impl JitterBuffer {
    /// An empty buffer.
    pub fn new() -> Self {
        Self {
            state: State::Empty,
            packets: VecDeque::with_capacity(CAPACITY + 1),
            newest: None,
            delay: DelayEstimator::new(),
            counts: JitterCounts::default(),
            played: VecDeque::with_capacity(REMEMBERED),
            steps: VecDeque::with_capacity(STEPS),
            late_run: 0,
        }
    }

    /// Whether a packet of this number would follow the newest one: nothing is missing before it.
    pub fn follows(&self, sequence: u16) -> bool {
        self.newest.is_none_or(|newest| sequence == (newest.sequence as u16).wrapping_add(1))
    }

    /// Takes a packet in.
    pub fn insert(&mut self, packet: AudioPacket, now: Instant) -> Inserted {
        let mut place = self.newest.map(|newest| place_of(&packet, newest));
        let jumped = |newest: Place, place: Place| {
            (place.sequence - newest.sequence).abs() > JUMP_PACKETS
                || (place.time - newest.time).abs() > JUMP_SAMPLES && !matches!(self.state, State::Idle)
        };
        // Time may have stood still for the other side while it sent nothing.
        let paused = matches!(self.state, State::Idle)
            && place.is_some_and(|place| {
                let off = self.delay.delay(place.time, now) - self.delay.target_samples();
                !(-FAR_TOO_LONG..=FAR_TOO_LONG).contains(&off)
            });
        let restarted = paused || self.newest.zip(place).is_some_and(|(newest, place)| jumped(newest, place));
        if restarted {
            self.restart();
            place = None;
        }
        let place = place.unwrap_or(Place { sequence: i64::from(packet.sequence), time: i64::from(packet.timestamp) });
        let at = self.packets.partition_point(|waiting| waiting.place.time < place.time);
        if self.packets.get(at).is_some_and(|there| there.place.time == place.time)
            || self.played.contains(&place.sequence)
        {
            self.counts.doubled += 1;
            return Inserted::Doubled;
        }
        // Being late is what the target has to learn from, most of all when it was too much.
        self.delay.on_arrival(place.time, now);
        if let State::Playing(position) = self.state
            && place.time + i64::from(packet.samples) <= position.time
        {
            self.counts.late += 1;
            self.late_run += 1;
            if self.late_run < GIVE_UP_AFTER {
                return Inserted::Late;
            }
            // The network's delay has grown beyond all targets: what comes now is the new normal.
            self.restart();
            return self.insert(packet, now);
        }
        self.late_run = 0;
        self.note_rebuildable(&packet, place, now);
        if self.newest.is_none_or(|newest| place.sequence > newest.sequence) {
            self.newest = Some(place);
        }
        self.packets.insert(at, Waiting { place, packet, arrived: now });
        if self.packets.len() > CAPACITY {
            self.packets.pop_front();
            self.counts.shortened += 1;
            return Inserted::Overflowed;
        }
        if restarted { Inserted::Restarted } else { Inserted::Kept }
    }

    /// Says what to do next. To be asked whenever there is too little decoded sound. `early`: by how many samples it is asked
    /// earlier than it has to be.
    pub fn next(&mut self, early: usize, now: Instant) -> Step {
        match self.state {
            State::Empty => self.begin(now),
            State::Idle => self.resume(now),
            State::Playing(position) => self.play(position, early as i64, now),
        }
    }

    /// Whether the packet that comes next is there.
    pub fn has_next(&self) -> bool {
        match (self.state, self.packets.front()) {
            (State::Playing(position), Some(first)) => first.place.time <= position.time,
            _ => false,
        }
    }

    /// The earliest packet in stock.
    pub fn first(&self) -> Option<&AudioPacket> {
        self.packets.front().map(|waiting| &waiting.packet)
    }

    /// By how many samples the last step was later than aimed at.
    pub fn last_excess(&self) -> i64 {
        self.steps.back().map_or(0, |delay| delay - self.delay.target_samples())
    }

    /// By how many samples sound is played later than aimed at (negative: earlier), by the least delay of the last steps.
    /// `None` while too little is known to shorten anything, or nothing is being played.
    pub fn excess(&self) -> Option<i64> {
        let least = self.steps.iter().copied().min()? - self.delay.target_samples();
        (least < 0 || self.steps.len() >= STEPS).then_some(least)
    }

    /// Decoded sound was made longer by so many samples (or shorter): all is played that much later.
    pub fn on_stretched(&mut self, longer: i64) {
        self.steps.iter_mut().for_each(|delay| *delay += longer);
    }

    /// The delay aimed at.
    pub fn target(&self) -> Duration {
        self.delay.target()
    }

    /// The delay that the network alone asks for.
    pub fn minimum(&self) -> Duration {
        self.delay.minimum()
    }

    /// Aims at so much more than the network asks for; see [`DelayEstimator::set_raise`].
    pub fn set_raise(&mut self, raise: Duration) {
        self.delay.set_raise(raise);
    }

    /// So much more is aimed at now.
    pub fn raise(&self) -> Duration {
        self.delay.raise()
    }

    /// RTP time of the next sample to decode, 48 kHz; `None` while nothing is being played.
    pub fn position(&self) -> Option<u32> {
        match self.state {
            // The low 32 bits are what the wire has.
            State::Playing(position) => Some(position.time as u32),
            State::Empty | State::Idle => None,
        }
    }

    /// The sound in stock.
    pub fn stock(&self) -> Duration {
        samples_to_duration(self.packets.iter().map(|waiting| u64::from(waiting.packet.samples)).sum())
    }

    /// Packets in stock.
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// Whether nothing is in stock.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Counts since the start.
    pub fn counts(&self) -> JitterCounts {
        self.counts
    }

    /// Interarrival jitter (RFC 3550, section 6.4.1), W3C `jitter`.
    pub fn interarrival_jitter(&self) -> Duration {
        self.delay.interarrival_jitter()
    }

    fn restart(&mut self) {
        self.packets.clear();
        let raise = self.delay.raise();
        self.delay = DelayEstimator::new();
        self.delay.set_raise(raise);
        self.state = State::Empty;
        self.newest = None;
        self.played.clear();
        self.steps.clear();
        self.late_run = 0;
    }

    /// Tells the estimator of the lost packets that this one makes up for.
    fn note_rebuildable(&mut self, packet: &AudioPacket, place: Place, now: Instant) {
        let Some(newest) = self.newest else { return };
        let missing = place.sequence - newest.sequence - 1;
        let (covers, length) = (i64::from(packet.covers), i64::from(packet.samples.max(1)));
        // Not more than really fits between: silence that was not sent is no loss.
        for n in 1..=missing.min(covers / length) {
            let time = place.time - n * length;
            if time > newest.time {
                self.delay.on_rebuildable(time, now);
            }
        }
    }

    /// The very first packet is played at once: the delay that the network needs is grown while it sounds.
    fn begin(&mut self, now: Instant) -> Step {
        let Some(first) = self.packets.front() else { return Step::Idle };
        self.start_at(first.place, now)
    }

    fn resume(&mut self, now: Instant) -> Step {
        let target = self.delay.target_samples();
        // Of a burst, the end is played, not all.
        while let Some(second) = self.packets.get(1)
            && self.delay.delay(second.place.time, now) >= target
        {
            self.packets.pop_front();
            self.counts.shortened += 1;
        }
        match self.packets.front() {
            Some(first) if self.delay.delay(first.place.time, now) >= target => self.start_at(first.place, now),
            _ => Step::Idle,
        }
    }

    fn start_at(&mut self, place: Place, now: Instant) -> Step {
        self.steps.clear();
        let position =
            Position { time: place.time, sequence: place.sequence - 1, silent: false, without: 0, expanded: 0 };
        self.state = State::Playing(position);
        self.play(position, 0, now)
    }

    fn play(&mut self, mut position: Position, early: i64, now: Instant) -> Step {
        while self.packets.front().is_some_and(|first| first.end() <= position.time) {
            self.packets.pop_front();
            self.counts.late += 1;
        }
        let delay = self.delay.delay(position.time, now) + early;
        let target = self.delay.target_samples();
        if self.steps.len() >= STEPS {
            self.steps.pop_front();
        }
        self.steps.push_back(delay);
        let Some(first) = self.packets.front() else { return self.play_nothing(position, delay, target) };
        if delay > target + FAR_TOO_LONG {
            position.time += delay - target;
            self.on_stretched(target - delay);
            self.state = State::Playing(position);
            self.counts.shortened +=
                self.packets.iter().filter(|waiting| waiting.end() <= position.time).count() as u64;
            while self.packets.front().is_some_and(|first| first.end() <= position.time) {
                self.packets.pop_front();
            }
            return self.play(position, early, now);
        }
        let gap = first.place.time - position.time;
        if gap <= 0 {
            return self.play_first(position, now);
        }
        if first.place.sequence == position.sequence + 1 {
            return self.play_silence(position, gap, delay - target);
        }
        // What was invented while nothing came stands for what was lost, as far as the delay allows.
        let stands = position.expanded.min(gap).min(delay - target);
        position.expanded = 0;
        if stands > 0 {
            position.time += stands;
            self.on_stretched(-stands);
            self.counts.lost_samples += stands as u64;
            return self.play(position, early, now);
        }
        let (covers, length) = (i64::from(first.packet.covers), i64::from(first.packet.samples.max(1)));
        if gap <= covers {
            // The lost packet that is next; or what is left of it, if a part of its time was filled otherwise.
            let rest = (gap - 1) % length + 1;
            self.counts.lost_samples += rest as u64;
            position.time += rest;
            self.state = State::Playing(position);
            return Step::Rebuild { before: gap as u32, samples: rest as u32 };
        }
        let missing = (gap - covers).min(i64::from(PIECE));
        if position.silent {
            self.play_silence(position, gap - covers, delay - target)
        } else if delay < target {
            self.expand(position)
        } else {
            self.counts.lost_samples += missing as u64;
            self.conceal(position, missing as u32)
        }
    }

    fn play_first(&mut self, mut position: Position, now: Instant) -> Step {
        let Some(Waiting { place, packet, arrived }) = self.packets.pop_front() else { return Step::Idle };
        self.counts.played += 1;
        if self.played.len() >= REMEMBERED {
            self.played.pop_front();
        }
        self.played.push_back(place.sequence);
        let skip = (position.time - place.time) as u32;
        position = Position {
            time: place.time + i64::from(packet.samples),
            sequence: place.sequence,
            silent: packet.data.len() <= DTX_BYTES,
            without: 0,
            expanded: 0,
        };
        self.state = State::Playing(position);
        Step::Packet { packet, skip, waited: now.saturating_duration_since(arrived) }
    }

    fn play_nothing(&mut self, position: Position, delay: i64, target: i64) -> Step {
        if position.without >= IDLE_AFTER {
            self.state = State::Idle;
            self.steps.clear();
            return Step::Idle;
        }
        if position.silent {
            return self.play_silence(position, i64::from(PIECE), delay - target);
        }
        // What is just late is waited for, and said in full. Beyond that, time goes on without it: after a stall the sound
        // goes on where it is by then.
        if delay < target + LATE_ALLOWED { self.expand(position) } else { self.conceal(position, PIECE) }
    }

    /// Silence can be made longer or shorter unheard: by all that the delay is off the target.
    fn play_silence(&mut self, mut position: Position, gap: i64, excess: i64) -> Step {
        position.without = position.without.saturating_add(PIECE);
        let shorter = excess.clamp(0, (gap - i64::from(PIECE)).max(0));
        self.on_stretched(-shorter);
        position.time += shorter;
        let samples = (gap - shorter).clamp(1, i64::from(PIECE));
        if excess < 0 {
            self.on_stretched(samples);
        } else {
            position.time += samples;
        }
        self.state = State::Playing(position);
        Step::Silence { samples: samples as u32 }
    }

    fn expand(&mut self, mut position: Position) -> Step {
        position.without = position.without.saturating_add(PIECE);
        position.expanded += i64::from(PIECE);
        self.state = State::Playing(position);
        self.counts.expanded += 1;
        self.on_stretched(i64::from(PIECE));
        Step::Expand { samples: PIECE }
    }

    fn conceal(&mut self, mut position: Position, samples: u32) -> Step {
        position.without = position.without.saturating_add(samples);
        position.time += i64::from(samples);
        self.state = State::Playing(position);
        Step::Conceal { samples }
    }
}

impl Default for JitterBuffer {
    fn default() -> Self {
        Self::new()
    }
}

fn place_of(packet: &AudioPacket, near: Place) -> Place {
    let sequence = near.sequence + i64::from(packet.sequence.wrapping_sub(near.sequence as u16) as i16);
    // The whole time that has these low 32 bits and lies nearest.
    let time = near.time + i64::from(packet.timestamp.wrapping_sub(near.time as u32) as i32);
    Place { sequence, time }
}
