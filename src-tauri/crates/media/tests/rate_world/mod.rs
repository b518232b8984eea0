//! A call in virtual time: sound and a camera, paced and estimated by the crate's own parts, over an emulated link.

// Each test file uses what it needs.
#![allow(dead_code)]

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use ahoy_media::rate::budget::{AudioPlan, HEADERS, Want, Wants, coder_rate, split};
use ahoy_media::rate::{
    ClusterId, Estimator, Feedback, Ladder, LadderInput, Pacer, PacketFate, PacketKind, Picture, RateConfig, Released,
    SentPacket,
};
use ahoy_media::{Bitrate, FrameRate};
use ahoy_testkit::Seeded;
use ahoy_testkit::link::{Fate, Link, LinkProfile};

pub const MS: Duration = Duration::from_millis(1);
pub const SECOND: Duration = Duration::from_secs(1);

/// What travels forward.
#[derive(Debug, Clone, Copy)]
pub struct Wire {
    sequence: u16,
    kind: PacketKind,
    size: usize,
    frame: u64,
    last_of_frame: bool,
    key: bool,
    captured: Instant,
    again: bool,
    /// Rows of its picture.
    height: u32,
    /// Its place in [`World::passages`].
    place: usize,
}

impl Wire {
    fn new(captured: Instant) -> Self {
        Self {
            sequence: 0,
            kind: PacketKind::Padding,
            size: 0,
            frame: 0,
            last_of_frame: false,
            key: false,
            captured,
            again: false,
            height: 0,
            place: 0,
        }
    }
}

/// A packet's way over the call's own link.
#[derive(Debug, Clone, Copy)]
pub struct Passage {
    pub at: Duration,
    pub size: usize,
    pub fate: Fate,
    /// When it came out, if it did.
    pub out: Option<Duration>,
    /// Of the bulk transfer.
    pub bulk: bool,
}

/// How the call is set up.
#[derive(Debug, Clone)]
pub struct Setup {
    pub forward: LinkProfile,
    pub back_delay: Duration,
    pub feedback_every: Duration,
    /// Loss of feedback itself.
    pub feedback_loss: f64,
    pub camera: Option<Want>,
    /// Of the receiver's clock against ours, in parts per million.
    pub drift: f64,
    /// When a bulk transfer over TCP begins and ends.
    pub bulk: Option<(Duration, Duration)>,
    pub seed: u64,
}

impl Setup {
    /// The seed is 1, or what AHOY_SEED says.
    pub fn new(mut forward: LinkProfile) -> Self {
        let seed = std::env::var("AHOY_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
        forward.seed = seed;
        let back_delay = forward.delay.at(Duration::ZERO);
        let camera = Some(Want { least: Bitrate::kbps(110), most: Bitrate::kbps(3_000) });
        Self { forward, back_delay, feedback_every: 100 * MS, feedback_loss: 0.0, camera, drift: 0.0, bulk: None, seed }
    }
}

/// One millisecond of the call.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub at: Duration,
    pub target: f64,
    /// Of the bottleneck, in ms.
    pub queue: f64,
    /// Bytes that came in this millisecond, padding not counted.
    pub delivered: usize,
}

/// A frame that came whole.
#[derive(Debug, Clone, Copy)]
pub struct Shown {
    pub at: Duration,
    pub latency: Duration,
    pub height: u32,
}

pub struct World {
    pub setup: Setup,
    start: Instant,
    now: Instant,
    pub forward: Link<Wire>,
    back: Link<Feedback>,
    rng: Seeded,
    pub estimator: Estimator,
    pacer: Pacer<Wire>,
    pub ladder: Ladder,
    sequence: u16,
    audio: AudioSource,
    camera: CameraSource,
    receiver: Receiver,
    bulk: Bulk,
    /// Two calls on one bottleneck: what leaves and what arrives goes through here instead of the own link.
    outbox: Option<Vec<Wire>>,
    inbox: VecDeque<(Instant, Wire)>,
    sent: VecDeque<Wire>,
    pub samples: Vec<Sample>,
    pub shown: Vec<Shown>,
    pub passages: Vec<Passage>,
    pub padding: usize,
    pub traces: bool,
}

/// A bulk transfer with Reno's window: one packet more a round trip, half after a loss.
#[derive(Default)]
struct Bulk {
    window: f64,
    in_flight: usize,
    /// When acknowledgements arrive (true) or losses are noticed (false).
    news: VecDeque<(Instant, bool)>,
    recovered: Option<Instant>,
    delivered: usize,
}

struct AudioSource {
    plan: AudioPlan,
    next: Instant,
}

struct CameraSource {
    next: Instant,
    number: u64,
    rate: Bitrate,
    frame_rate: FrameRate,
    height: u32,
    paused: bool,
    /// What frames were too large so far, in bytes; made good by the next ones, as a rate control does.
    debt: f64,
    key_due: bool,
    pub skipped: u64,
    again: f64,
    repair_from: u64,
}

#[derive(Debug, Default)]
struct Arriving {
    packets: usize,
    whole: bool,
    key: bool,
}

#[derive(Default)]
struct Receiver {
    arrivals: Vec<(u16, Duration)>,
    reported_up_to: Option<u16>,
    frames: BTreeMap<u64, Arriving>,
    /// The frame that the decoder needs next.
    needed: u64,
    last_shown: Option<Instant>,
    /// When a request for a key frame reaches the sender, and when the last one left.
    key_wanted: Option<Instant>,
    key_asked: Option<Instant>,
    next_feedback: Option<Instant>,
}

impl World {
    pub fn new(setup: Setup) -> Self {
        // A test needs some time to count from.
        #[allow(clippy::disallowed_methods)]
        let start = Instant::now();
        let config = RateConfig::default();
        let estimator = Estimator::new(config);
        let pacer = Pacer::new(estimator.pacing(start));
        let forward = Link::new(setup.forward.clone(), start);
        let mut back = LinkProfile::new(None, setup.back_delay);
        back.loss = ahoy_testkit::link::Schedule::constant(ahoy_testkit::link::Loss::Random(setup.feedback_loss));
        Self {
            start,
            now: start,
            forward,
            back: Link::new(back, start),
            rng: Seeded::new(setup.seed),
            estimator,
            pacer,
            ladder: Ladder::new(),
            sequence: 65_000,
            audio: AudioSource { plan: AudioPlan::for_share(Bitrate::kbps(64), None), next: start },
            camera: CameraSource {
                next: start,
                number: 0,
                rate: config.start,
                frame_rate: FrameRate::fps(30),
                height: 0,
                paused: true,
                debt: 0.0,
                key_due: true,
                skipped: 0,
                again: 0.0,
                repair_from: 0,
            },
            receiver: Receiver::default(),
            bulk: Bulk { window: 10.0, ..Bulk::default() },
            outbox: None,
            inbox: VecDeque::new(),
            sent: VecDeque::new(),
            samples: Vec::new(),
            shown: Vec::new(),
            passages: Vec::new(),
            padding: 0,
            traces: std::env::var_os("TRACE").is_some(),
            setup,
        }
    }

    pub fn time(&self) -> Duration {
        self.now - self.start
    }

    pub fn run_until(&mut self, end: Duration) {
        while self.time() < end {
            self.step();
        }
    }

    fn step(&mut self) {
        self.now += MS;
        let now = self.now;
        let delivered = self.receive();
        self.transfer();
        while let Some(feedback) = self.back.pop(now) {
            self.estimator.handle_feedback(&feedback, now);
            self.repair(&feedback);
        }
        if let Some(fall) = self.estimator.poll_fall() {
            if self.traces {
                println!("{:?} {fall:?}", self.time());
            }
            self.pacer.clear(PacketKind::Retransmission);
            self.pacer.clear(PacketKind::Video);
            self.abandon();
        }
        if self.receiver.key_wanted.is_some_and(|at| at <= now) {
            self.receiver.key_wanted = None;
            self.abandon();
        }
        if self.estimator.poll_timeout().is_some_and(|due| due <= now) {
            self.estimator.handle_timeout(now);
        }
        self.share_out();
        self.speak();
        self.film();
        self.pacer.set_pacing(self.estimator.pacing(now));
        if let Some(probe) = self.estimator.poll_probe(now) {
            if self.traces {
                println!("{:?} probe {probe:?}", self.time());
            }
            self.pacer.start_probe(probe);
        }
        while let Some(released) = self.pacer.poll(now) {
            self.send(released);
            self.pacer.set_pacing(self.estimator.pacing(now));
        }
        let state = self.estimator.state();
        let sample = Sample {
            at: self.time(),
            target: state.target.as_bps() as f64,
            queue: self.forward.queue_delay(now).as_secs_f64() * 1e3,
            delivered,
        };
        self.samples.push(sample);
        if self.traces && self.samples.len().is_multiple_of(100) {
            println!(
                "{:>6.1} target {:>5.0} acked {:>5.0} loss {:.2} q {:>3.0} (link {:>3.0}) {:?} {:?} drain {} noise {:.0} rtt {:?} probes {}/{} skipped {}",
                self.time().as_secs_f64(),
                sample.target / 1e3,
                state.acked.as_kbps(),
                state.loss,
                state.queue_delay.as_secs_f64() * 1e3,
                sample.queue,
                state.usage,
                state.limited_by,
                state.draining,
                state.delay_noise.as_secs_f64() * 1e3,
                state.rtt.unwrap_or_default(),
                state.probes_passed,
                state.probes,
                self.camera.skipped,
            );
        }
    }

    /// The other transfer on the same bottleneck; its packets are numbered zero frames of kind data.
    fn transfer(&mut self) {
        let Some((from, to)) = self.setup.bulk else { return };
        while let Some((_, arrived)) = self.bulk.news.front().copied().filter(|(at, _)| *at <= self.now) {
            self.bulk.news.pop_front();
            self.bulk.in_flight -= 1;
            if arrived {
                self.bulk.window += 1.0 / self.bulk.window;
            } else if self.bulk.recovered.is_none_or(|until| self.now > until) {
                self.bulk.window = (self.bulk.window / 2.0).max(2.0);
                self.bulk.recovered = Some(self.now + 200 * MS);
            }
        }
        if self.time() < from || self.time() > to {
            return;
        }
        while (self.bulk.in_flight as f64) < self.bulk.window {
            self.bulk.in_flight += 1;
            let wire = Wire { frame: u64::MAX, size: 1_500, ..Wire::new(self.now) };
            if self.pass(wire) == Fate::Dropped {
                let at = self.now + self.setup.back_delay * 2 + self.forward.queue_delay(self.now);
                self.bulk.news.push_back((at, false));
            }
        }
    }

    /// Gives it to the call's own link.
    fn pass(&mut self, mut wire: Wire) -> Fate {
        wire.place = self.passages.len();
        let fate = self.forward.push(wire, wire.size, self.now);
        let bulk = wire.frame == u64::MAX;
        self.passages.push(Passage { at: self.time(), size: wire.size, fate, out: None, bulk });
        fate
    }

    /// Bytes of the other transfer that arrived.
    pub fn bulk_delivered(&self) -> usize {
        self.bulk.delivered
    }

    fn wants(&self) -> Wants {
        let audio = Some(Want { least: Bitrate::kbps(16), most: Bitrate::kbps(64 + 28) });
        Wants { audio, camera: self.setup.camera, camera_paused: self.camera.paused, ..Wants::default() }
    }

    fn share_out(&mut self) {
        let wants = self.wants();
        self.estimator.set_demand(wants.most());
        let shares = split(self.estimator.target(), &wants);
        self.audio.plan = AudioPlan::for_share(shares.audio, Some(self.audio.plan.packet));
        let input = LadderInput {
            rate: shares.camera,
            source: (1280, 720),
            window: None,
            encode_time: None,
            source_interval: None,
        };
        let picture = self.ladder.handle(&input, self.now);
        match picture {
            Picture::Paused => self.camera.paused = true,
            Picture::Send { frame_rate, height, .. } => {
                self.camera.height = height;
                self.camera.key_due |= self.camera.paused;
                self.camera.paused = self.setup.camera.is_none();
                self.camera.frame_rate = frame_rate;
            }
        }
        let share = shares.camera - Bitrate::bps(self.camera.again as u64);
        self.camera.rate = coder_rate(share, self.camera.frame_rate);
    }

    fn speak(&mut self) {
        if self.now < self.audio.next {
            return;
        }
        self.audio.next += self.audio.plan.packet;
        let size = self.audio.plan.bitrate.bytes_in(self.audio.plan.packet) as usize + HEADERS;
        self.push(Wire { kind: PacketKind::Audio, size, ..Wire::new(self.now) });
    }

    fn film(&mut self) {
        if self.now < self.camera.next {
            return;
        }
        self.camera.next += self.camera.frame_rate.interval();
        self.camera.again *= 0.97;
        if self.camera.paused {
            return;
        }
        if !self.pacer.may_encode(PacketKind::Video) {
            self.camera.skipped += 1;
            return;
        }
        let usual = self.camera.rate.bytes_in(self.camera.frame_rate.interval()) as f64;
        // What a rate control aims at, and how well it hits: frames differ by a third.
        let aim = (usual - self.camera.debt * 0.15).clamp(usual * 0.4, usual * 1.5);
        let mut bytes = aim * (1.0 + 0.33 * f64::from(self.rng.noise()));
        let key = std::mem::take(&mut self.camera.key_due);
        if key {
            bytes = usual * 4.0;
        }
        let bytes = bytes.max(60.0);
        self.camera.debt = (self.camera.debt + bytes - usual).clamp(-usual * 5.0, usual * 10.0);
        self.camera.number += 1;
        let (number, captured) = (self.camera.number, self.now);
        let packets = (bytes / 1150.0).ceil() as usize;
        for n in 0..packets {
            let payload = (bytes as usize / packets).max(20);
            let size = payload + HEADERS;
            let (last_of_frame, height) = (n + 1 == packets, self.camera.height);
            let of_camera = Wire { kind: PacketKind::Video, height, ..Wire::new(captured) };
            self.push(Wire { size, frame: number, last_of_frame, key, ..of_camera });
        }
    }

    fn push(&mut self, wire: Wire) {
        let _ = self.pacer.push(wire.kind, wire.size, wire, self.now);
    }

    fn send(&mut self, released: Released<Wire>) {
        let (mut wire, cluster): (Wire, Option<ClusterId>) = match released {
            Released::Packet { payload, cluster, .. } => (payload, cluster),
            Released::Padding { size, cluster } => {
                self.padding += size;
                self.pacer.padded(Some(size), self.now);
                let kind = PacketKind::Padding;
                (Wire { kind, size, ..Wire::new(self.now) }, Some(cluster))
            }
        };
        self.sequence = self.sequence.wrapping_add(1);
        wire.sequence = self.sequence;
        self.estimator.handle_sent(SentPacket {
            sequence: wire.sequence,
            size: wire.size,
            sent_at: self.now,
            kind: wire.kind,
            cluster,
        });
        self.sent.push_back(wire);
        if self.sent.len() > 4_000 {
            self.sent.pop_front();
        }
        match &mut self.outbox {
            Some(outbox) => outbox.push(wire),
            None => {
                let _: Fate = self.pass(wire);
            }
        }
    }

    /// Begins anew with a key frame; what came before it is not repaired any more.
    fn abandon(&mut self) {
        self.camera.key_due = true;
        self.camera.again = 0.0;
        self.camera.repair_from = self.camera.number + 1;
    }

    /// Sends lost video once more, as a NACK would have it.
    fn repair(&mut self, feedback: &Feedback) {
        for fate in feedback.packets.iter().filter(|fate| fate.arrival.is_none()) {
            let Some(wire) = self.sent.iter().rev().find(|wire| wire.sequence == fate.sequence).copied() else {
                continue;
            };
            let repairs = matches!(wire.kind, PacketKind::Video | PacketKind::Retransmission);
            if repairs && wire.frame >= self.camera.repair_from {
                // Smoothed over a second.
                self.camera.again += wire.size as f64 * 8.0 * 0.9;
                self.push(Wire { kind: PacketKind::Retransmission, again: true, ..wire });
            }
        }
    }

    fn receive(&mut self) -> usize {
        let now = self.now;
        let mut bytes = 0;
        // The receiver's clock began long ago and may drift; arrivals are told in quarters of a millisecond.
        let elapsed = self.time().as_secs_f64() * (1.0 + self.setup.drift * 1e-6);
        while let Some((due, wire)) = self.next_arrival() {
            if self.outbox.is_none()
                && let Some(passage) = self.passages.get_mut(wire.place)
            {
                passage.out = Some(due - self.start);
            }
            if wire.frame == u64::MAX {
                self.bulk.delivered += wire.size;
                self.bulk.news.push_back((now + self.setup.back_delay, true));
                continue;
            }
            let early = (now - due).as_secs_f64();
            let stamp = Duration::from_secs_f64(((elapsed - early + 77_777.0) * 4_000.0).floor() / 4_000.0);
            self.receiver.arrivals.push((wire.sequence, stamp));
            if wire.kind != PacketKind::Padding {
                bytes += wire.size;
            }
            if wire.frame > 0 {
                self.take_frame_packet(&wire, due);
            }
        }
        let due = *self.receiver.next_feedback.get_or_insert(self.start + self.setup.feedback_every);
        if now >= due {
            self.receiver.next_feedback = Some(due + self.setup.feedback_every);
            if let Some(feedback) = self.receiver.feedback() {
                self.back.push(feedback, 100, now);
            }
        }
        bytes
    }

    fn next_arrival(&mut self) -> Option<(Instant, Wire)> {
        if self.outbox.is_some() {
            return self.inbox.pop_front();
        }
        let due = self.forward.next_due().filter(|due| *due <= self.now)?;
        self.forward.pop(self.now).map(|wire| (due, wire))
    }

    /// A frame is whole when as many packets came as it has; it is shown when all before it were, or when it is a key
    /// frame.
    fn take_frame_packet(&mut self, wire: &Wire, at: Instant) {
        let first_time = |one: &&Wire| one.frame == wire.frame && !one.again;
        let has = self.sent.iter().rev().take(1_000).filter(first_time).count();
        let complete = self.sent.iter().rev().take(1_000).filter(first_time).any(|one| one.last_of_frame);
        let frame = self.receiver.frames.entry(wire.frame).or_default();
        frame.packets += 1;
        frame.key = wire.key;
        frame.whole = complete && frame.packets >= has;
        let receiver = &mut self.receiver;
        let key = receiver.frames.range(receiver.needed..).rev().find(|(_, frame)| frame.key && frame.whole);
        if let Some((&key, _)) = key {
            receiver.needed = key;
        }
        while receiver.frames.get(&receiver.needed).is_some_and(|frame| frame.whole) {
            let captured = self.sent.iter().rev().find(|one| one.frame == receiver.needed);
            let captured = captured.map(|one| (one.captured, one.height));
            receiver.needed += 1;
            receiver.last_shown = Some(at);
            receiver.key_asked = None;
            if let Some((captured, height)) = captured {
                self.shown.push(Shown { at: at - self.start, latency: at - captured, height });
            }
        }
        let needed = receiver.needed;
        receiver.frames.retain(|number, _| *number >= needed);
        // Repair had its time: ask for a key frame.
        let patience = Duration::from_millis(300) + self.setup.back_delay * 2;
        let stuck = receiver.last_shown.is_some_and(|last| at.saturating_duration_since(last) > patience);
        let asked = receiver.key_asked.is_some_and(|asked| at.saturating_duration_since(asked) < patience);
        if stuck && !asked {
            receiver.key_asked = Some(at);
            receiver.key_wanted = Some(at + self.setup.back_delay);
        }
    }
}

impl Receiver {
    /// All from the last report on, up to the newest; what did not come is lost.
    fn feedback(&mut self) -> Option<Feedback> {
        let newest = self
            .arrivals
            .iter()
            .map(|(sequence, _)| *sequence)
            .reduce(|a, b| if b.wrapping_sub(a) < 0x8000 { b } else { a })?;
        let first = self.reported_up_to.map_or(self.arrivals[0].0, |last| last.wrapping_add(1));
        let mut packets = Vec::new();
        let mut sequence = first;
        if newest.wrapping_sub(first) < 0x8000 {
            loop {
                let arrival = self.arrivals.iter().find(|(number, _)| *number == sequence).map(|(_, at)| *at);
                packets.push(PacketFate { sequence, arrival });
                if sequence == newest {
                    break;
                }
                sequence = sequence.wrapping_add(1);
            }
            self.reported_up_to = Some(newest);
        }
        self.arrivals.clear();
        Some(Feedback { packets })
    }
}

/// What a stretch of the call was like.
#[derive(Debug)]
pub struct Figures {
    /// Share of the capacity that was used by anything but padding.
    pub used: f64,
    pub delivered: Bitrate,
    pub queue: [f64; 3],
    pub latency: [f64; 2],
    pub longest_stop: f64,
    pub fps: f64,
    pub lowest_target: f64,
    pub mean_target: f64,
}

impl World {
    /// Between two times; the queue at p50, p95 and most, the latency of frames at p50 and p95, in ms.
    pub fn figures(&self, from: Duration, to: Duration) -> Figures {
        let samples: Vec<&Sample> = self.samples.iter().filter(|sample| sample.at > from && sample.at <= to).collect();
        let bytes: usize = samples.iter().map(|sample| sample.delivered).sum();
        let carried = self.setup.forward.could_carry(from, to).unwrap_or(u64::MAX);
        let percentile = |values: &mut Vec<f64>, share: f64| {
            values.sort_by(f64::total_cmp);
            values.get(((values.len() as f64 * share) as usize).min(values.len().saturating_sub(1))).copied()
        };
        let mut queue: Vec<f64> = samples.iter().map(|sample| sample.queue).collect();
        let shown: Vec<&Shown> = self.shown.iter().filter(|shown| shown.at > from && shown.at <= to).collect();
        let mut latency: Vec<f64> = shown.iter().map(|shown| shown.latency.as_secs_f64() * 1e3).collect();
        let mut times: Vec<Duration> = shown.iter().map(|shown| shown.at).collect();
        times.sort();
        let gaps = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64());
        let targets = samples.iter().map(|sample| sample.target);
        Figures {
            used: bytes as f64 * 8.0 / carried as f64,
            delivered: Bitrate::of(bytes as u64, to - from),
            queue: [0.5, 0.95, 1.0].map(|share| percentile(&mut queue, share).unwrap_or(0.0)),
            latency: [0.5, 0.95].map(|share| percentile(&mut latency, share).unwrap_or(0.0)),
            longest_stop: gaps.fold(0.0, f64::max),
            fps: shown.len() as f64 / (to - from).as_secs_f64(),
            lowest_target: targets.clone().fold(f64::INFINITY, f64::min),
            mean_target: targets.sum::<f64>() / samples.len().max(1) as f64,
        }
    }

    /// The first time from then on that the target is as wanted.
    pub fn first(&self, from: Duration, wanted: impl Fn(&Sample) -> bool) -> Option<Duration> {
        self.samples.iter().find(|sample| sample.at >= from && wanted(sample)).map(|sample| sample.at - from)
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "used {:.1} % ({}), queue p50/p95/most {:.0}/{:.0}/{:.0} ms, frame p50/p95 {:.0}/{:.0} ms, {:.1} fps, longest stop {:.2} s, target least/mean {:.0}/{:.0} kbps",
            self.used * 100.0,
            self.delivered,
            self.queue[0],
            self.queue[1],
            self.queue[2],
            self.latency[0],
            self.latency[1],
            self.fps,
            self.longest_stop,
            self.lowest_target / 1e3,
            self.mean_target / 1e3,
        )
    }
}

/// Runs several calls over one bottleneck, each from its own time on.
pub fn run_together(calls: &mut [World], starts: &[Duration], profile: LinkProfile, end: Duration) {
    let start = calls[0].start;
    let mut link = Link::new(profile, start);
    let mut now = start;
    while now < start + end {
        now += MS;
        while let Some(due) = link.next_due().filter(|due| *due <= now) {
            let Some((place, wire)) = link.pop(now) else { break };
            let call: &mut World = &mut calls[place];
            call.inbox.push_back((due, wire));
        }
        for (place, call) in calls.iter_mut().enumerate() {
            if now < start + starts[place] {
                continue;
            }
            // All calls count from the same start.
            (call.start, call.now) = (start, now - MS);
            // What was not said before the call began is not said now.
            call.audio.next = call.audio.next.max(now - MS);
            call.camera.next = call.camera.next.max(now - MS);
            call.step();
            for wire in call.outbox.replace(Vec::new()).unwrap_or_default() {
                let _: Fate = link.push((place, wire), wire.size, now);
            }
        }
    }
}
