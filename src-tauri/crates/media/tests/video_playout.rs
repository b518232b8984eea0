//! The frame buffer over networks of every kind, in virtual time: when pictures are shown, and how evenly.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ahoy_media::video::FrameBuffer;
use ahoy_media::video::playout::{Arrival, CODED, DECODED, Inserted};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::SmallRng};

const FPS: u64 = 30;
const SEED: u64 = 20_261_124;

fn ms(millis: f64) -> Duration {
    Duration::from_secs_f64(millis.max(0.0) / 1e3)
}

/// A picture on its way: captured at its number's time, of the RTP time `timestamp`.
#[derive(Debug, Clone, Copy)]
struct Sent {
    number: u64,
    captured: Duration,
    timestamp: u32,
    key: bool,
    /// From capture to whole, by itself.
    way: Duration,
    repaired: bool,
}

#[derive(Debug, Clone, Copy)]
struct Shown {
    number: u64,
    /// From capture to screen, ms.
    latency: f64,
    /// Since the start, ms.
    at: f64,
}

struct World {
    buffer: FrameBuffer<u64, u64>,
    start: Instant,
    /// What decoding one takes.
    decode: Duration,
    shown: Vec<Shown>,
    sent: Vec<Sent>,
    dropped: u64,
    most: (usize, usize),
}

impl World {
    fn new() -> Self {
        Self {
            buffer: FrameBuffer::new(),
            start: Instant::now(),
            decode: Duration::ZERO,
            shown: Vec::new(),
            sent: Vec::new(),
            dropped: 0,
            most: (0, 0),
        }
    }

    /// Lets pictures through the network, in decode order: one that comes before its predecessor waits for it.
    fn run(&mut self, sent: impl IntoIterator<Item = Sent>) {
        self.sent = sent.into_iter().collect();
        let mut arrivals = VecDeque::new();
        let (mut before, mut repaired_until) = (Duration::ZERO, Duration::ZERO);
        for (place, picture) in self.sent.iter().enumerate() {
            let whole = picture.captured + picture.way;
            let at = whole.max(before);
            let repaired = picture.repaired || whole < repaired_until;
            if repaired {
                repaired_until = at;
            }
            before = at;
            arrivals.push_back((at, place, repaired));
        }
        let mut now = self.start;
        loop {
            while let Some(&(at, place, repaired)) = arrivals.front().filter(|(at, ..)| self.start + *at <= now) {
                arrivals.pop_front();
                let Sent { timestamp, key, .. } = self.sent[place];
                let arrival = Arrival { timestamp, key, repaired, at: self.start + at };
                assert_eq!(self.buffer.insert(place as u64, arrival), Inserted::Kept);
            }
            if let Some(due) = self.buffer.next_to_show(now) {
                let (sent, at) = (self.sent[due.picture as usize], now - self.start);
                let latency = (at.as_secs_f64() - sent.captured.as_secs_f64()) * 1e3;
                self.shown.push(Shown { number: sent.number, latency, at: at.as_secs_f64() * 1e3 });
                continue;
            }
            if let Some((unit, place)) = self.buffer.next_to_decode(now) {
                now += self.decode;
                self.buffer.insert_decoded(unit, place);
                let (coded, decoded) = self.buffer.stock();
                self.most = (self.most.0.max(coded), self.most.1.max(decoded));
                continue;
            }
            let arrival = arrivals.front().map(|(at, ..)| self.start + *at);
            let Some(next) = arrival.into_iter().chain(self.buffer.poll_timeout(now)).min() else { break };
            // While a newer one is due the older waits, yet only for its decoding.
            now = next.max(now + Duration::from_micros(if next <= now { 500 } else { 0 }));
        }
        self.dropped += self.buffer.take_dropped();
    }

    fn from(&self, number: u64) -> Vec<Shown> {
        self.shown.iter().copied().filter(|shown| shown.number >= number).collect()
    }
}

/// `count` pictures at 30 a second; `way` says how long each travels and whether it was repaired.
fn pictures(count: u64, mut way: impl FnMut(u64) -> (Duration, bool)) -> Vec<Sent> {
    let each = |number: u64| {
        let (way, repaired) = way(number);
        Sent {
            number,
            captured: Duration::from_nanos(number * 1_000_000_000 / FPS),
            // Begins shortly before the wrap-round.
            timestamp: (u32::MAX - 45_000).wrapping_add((number * 90_000 / FPS) as u32),
            key: number == 0,
            way,
            repaired,
        }
    };
    (0..count).map(each).collect()
}

fn percentile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share) as usize]
}

fn latency(shown: &[Shown], share: f64) -> f64 {
    percentile(shown.iter().map(|shown| shown.latency).collect(), share)
}

/// Standard deviation of the intervals, ms.
fn unevenness(times: &[f64]) -> f64 {
    let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt()
}

fn shown_times(shown: &[Shown]) -> Vec<f64> {
    shown.iter().map(|shown| shown.at).collect()
}

#[test]
fn on_a_lan_hardly_anything_is_added() {
    let mut chance = SmallRng::seed_from_u64(SEED);
    let mut world = World::new();
    world.run(pictures(900, |_| (ms(1.0 + 2.0 * chance.random::<f64>()), false)));
    assert_eq!(world.shown.len(), 900);
    let added: Vec<f64> = world
        .shown
        .iter()
        .map(|shown| shown.latency - world.sent[shown.number as usize].way.as_secs_f64() * 1e3)
        .collect();
    assert!(percentile(added.clone(), 1.0) < 3.0, "{}", percentile(added, 1.0));
}

#[test]
fn over_a_jittery_network_pictures_move_evenly() {
    let mut chance = SmallRng::seed_from_u64(SEED);
    let mut world = World::new();
    world.run(pictures(1_800, |_| (ms(150.0 + 200.0 * chance.random::<f64>()), false)));
    let shown = world.from(300);
    let mut arrived = Vec::new();
    let mut before = 0.0_f64;
    for sent in &world.sent[300..] {
        before = before.max((sent.captured + sent.way).as_secs_f64() * 1e3);
        arrived.push(before);
    }
    let (out, came) = (unevenness(&shown_times(&shown)), unevenness(&arrived));
    eprintln!(
        "intervals: {out:.1} ms about the mean, they came with {came:.1}; latency p50 {:.0}",
        latency(&shown, 0.5)
    );
    assert!(out < came / 4.0, "{out} against {came}");
    assert!(shown.len() as f64 > 0.97 * 1_500.0, "{}", shown.len());
    assert!(latency(&shown, 0.5) < 350.0);
    assert!(world.most.1 <= DECODED);
}

/// 5 % of the packets of pictures of ten packets are lost, and come again after a round trip of 50 ms and some more.
#[test]
fn sporadic_loss_does_not_make_every_picture_late() {
    for (loss, most_p50, least_shown) in [(0.01, 31.0, 0.9), (0.05, 75.0, 0.95), (0.10, 110.0, 0.85)] {
        let mut chance = SmallRng::seed_from_u64(SEED);
        let mut world = World::new();
        world.run(pictures(1_800, |_| {
            let mut again = 0.0_f64;
            for _ in 0..10 {
                let (mut wait, mut first) = (0.0, true);
                while chance.random::<f64>() < loss {
                    wait += if first { 60.0 } else { 70.0 };
                    first = false;
                }
                again = again.max(wait);
            }
            (ms(27.0 + 4.0 * chance.random::<f64>() + again), again > 0.0)
        }));
        let shown = world.from(300);
        let (p50, p95) = (latency(&shown, 0.5), latency(&shown, 0.95));
        eprintln!(
            "{loss}: latency p50 {p50:.0}, p95 {p95:.0}, {} of 1500 shown, delay {:?}",
            shown.len(),
            world.buffer.target()
        );
        let mut came = Vec::new();
        let mut before = 0.0_f64;
        for sent in &world.sent[300..] {
            before = before.max((sent.captured + sent.way).as_secs_f64() * 1e3);
            came.push(before);
        }
        eprintln!(
            "   intervals {:.1} ms about the mean, they came with {:.1}",
            unevenness(&shown_times(&shown)),
            unevenness(&came)
        );
        assert!(p50 < most_p50 && shown.len() as f64 > least_shown * 1_500.0, "{loss}: {p50}, {} shown", shown.len());
    }
}

#[test]
fn a_sender_whose_clock_is_300_ppm_off_is_followed() {
    for ppm in [-300.0, 300.0] {
        let mut chance = SmallRng::seed_from_u64(SEED);
        let mut world = World::new();
        let mut sent = pictures(18_000, |_| (ms(20.0 + 30.0 * chance.random::<f64>()), false));
        for picture in &mut sent {
            picture.captured = picture.captured.mul_f64(1.0 + ppm / 1e6);
        }
        world.run(sent);
        let shown = world.from(600);
        let (early, late) = (latency(&shown[..600], 0.5), latency(&shown[shown.len() - 600..], 0.5));
        assert!((early - late).abs() < 5.0, "{ppm} ppm: {early} ms, and ten minutes later {late}");
        assert!(unevenness(&shown_times(&shown)) < 6.0, "{}", unevenness(&shown_times(&shown)));
    }
}

#[test]
fn a_clock_that_jumps_ahead_or_back_costs_a_moment_and_no_more() {
    for jump in [-1_000_000_000_i64, -400_000, -100_000, 30_000, 400_000, 1_000_000_000] {
        let mut chance = SmallRng::seed_from_u64(SEED);
        let mut world = World::new();
        let mut sent = pictures(1_200, |_| (ms(20.0 + 60.0 * chance.random::<f64>()), false));
        for picture in &mut sent[600..] {
            picture.timestamp = picture.timestamp.wrapping_add(jump as u32);
        }
        world.run(sent);
        let longest = world.shown.windows(2).map(|pair| pair[1].at - pair[0].at).fold(0.0, f64::max);
        assert!(longest < 150.0, "{jump}: nothing was shown for {longest} ms");
        assert!(latency(&world.from(900), 0.5) < 90.0, "{jump}: {}", latency(&world.from(900), 0.5));
        assert!(unevenness(&shown_times(&world.from(1_000))) < 10.0, "{jump}");
    }
}

#[test]
fn after_a_pause_the_first_picture_is_shown_at_once() {
    let mut chance = SmallRng::seed_from_u64(SEED);
    let mut world = World::new();
    let mut sent = pictures(900, |_| (ms(20.0 + 150.0 * chance.random::<f64>()), false));
    for picture in &mut sent[450..] {
        picture.captured += Duration::from_secs(8);
        picture.timestamp = picture.timestamp.wrapping_add(8 * 90_000);
        picture.way = ms(20.0);
    }
    sent[450].key = true;
    world.run(sent);
    let after = world.from(450);
    assert_eq!(after[0].number, 450);
    assert!(latency(&after, 1.0) < 25.0, "{}", latency(&after, 1.0));
}

#[test]
fn behind_a_stall_it_goes_on_with_the_newest_and_skips_to_a_key_picture() {
    // The network holds everything back for 1.2 s; a key picture came meanwhile.
    let mut world = World::new();
    let mut sent = pictures(300, |_| (ms(20.0), false));
    for picture in &mut sent[100..136] {
        picture.way = ms(20.0) + Duration::from_nanos((136 - picture.number) * 1_000_000_000 / FPS);
    }
    sent[120].key = true;
    world.decode = ms(3.0);
    world.run(sent);
    let behind = world.from(100);
    assert!(behind[0].number >= 120, "what lies before the key picture is not decoded: {}", behind[0].number);
    // Sixteen pictures are decoded in 50 ms: something is shown at once, and then the newest of them.
    assert!(behind[0].at < 1e3 * 136.0 / 30.0 + 30.0, "{:?}", behind[0]);
    assert!(behind[1].number >= 135 && behind[1].at < 1e3 * 136.0 / 30.0 + 80.0, "{:?}", behind[1]);
    assert_eq!(behind.len(), 1 + 300 - behind[1].number as usize);
    assert_eq!(world.dropped as usize, 300 - world.shown.len());
}

#[test]
fn a_decoder_that_is_too_slow_still_shows_something_and_asks_for_a_key_picture() {
    let mut buffer = FrameBuffer::<u64, u64>::new();
    let start = Instant::now();
    let (mut now, mut next, mut shown, mut asked) = (start, 0, 0, false);
    while now < start + Duration::from_secs(4) {
        while start + ms(next as f64 * 1e3 / 30.0) <= now {
            let at = start + ms(next as f64 * 1e3 / 30.0);
            let _ =
                buffer.insert(next, Arrival { timestamp: next as u32 * 3_000, key: next == 0, repaired: false, at });
            next += 1;
        }
        shown += u64::from(buffer.next_to_show(now).is_some());
        asked |= buffer.wants_key(now);
        match buffer.next_to_decode(now) {
            Some((unit, place)) => {
                now += ms(50.0);
                buffer.insert_decoded(unit, place);
            }
            None => now += ms(1.0),
        }
    }
    assert!(asked && shown >= 30, "{shown} pictures in 4 s");
}

#[test]
fn the_sound_can_hold_the_picture_back_and_let_it_go_unseen() {
    let mut buffer = FrameBuffer::<u64, u64>::new();
    let start = Instant::now();
    let mut times = Vec::new();
    for number in 0..600_u64 {
        let captured = start + ms(number as f64 * 1e3 / 30.0);
        let (timestamp, at) = (number as u32 * 3_000, captured + ms(20.0));
        assert_eq!(buffer.insert(number, Arrival { timestamp, key: number == 0, repaired: false, at }), Inserted::Kept);
        // Sound asks for 320 ms from capture to screen between the 2nd and the 12th second: more than is held decoded.
        buffer.hold(timestamp, (60..360).contains(&number).then(|| captured + ms(320.0)));
        for step in 0..33 {
            let now = at + ms(f64::from(step));
            if let Some((unit, place)) = buffer.next_to_decode(now) {
                buffer.insert_decoded(unit, place);
            }
            if let Some(due) = buffer.next_to_show(now) {
                let latency = (now - (start + ms(due.picture as f64 * 1e3 / 30.0))).as_secs_f64() * 1e3;
                times.push((due.picture, latency, due.held.as_secs_f64() * 1e3));
            }
        }
    }
    let at = |number: u64| *times.iter().find(|(shown, ..)| *shown >= number).unwrap();
    assert!((at(50).1 - 20.0).abs() < 1.5, "{:?}", at(50));
    assert!((at(300).1 - 320.0).abs() < 1.5 && (at(300).2 - 300.0).abs() < 1.5, "{:?}", at(300));
    assert!((at(590).1 - 20.0).abs() < 1.5 && at(590).2 < 1.5, "{:?}", at(590));
    for pair in times.windows(2) {
        assert!((pair[1].1 - pair[0].1).abs() < 10.0, "a step is seen: {pair:?}");
    }
}

#[test]
fn too_many_pictures_at_once_are_all_forgotten() {
    let mut buffer = FrameBuffer::<u64, u64>::new();
    let now = Instant::now();
    for number in 0..CODED as u64 {
        let arrival = Arrival { timestamp: number as u32 * 3_000, key: false, repaired: false, at: now };
        assert_eq!(buffer.insert(number, arrival), Inserted::Kept);
    }
    let arrival = Arrival { timestamp: 0, key: false, repaired: false, at: now };
    assert_eq!(buffer.insert(99, arrival), Inserted::Overflowed);
    assert_eq!((buffer.stock(), buffer.take_dropped()), ((0, 0), CODED as u64 + 1));
}

proptest! {
    /// Whatever the stamps say: no panic, bounded stock, and nothing waits for longer than it may.
    #[test]
    fn absurd_stamps_neither_panic_nor_stall(
        steps in prop::collection::vec((any::<u32>(), 0_u64..3_000_000, any::<bool>(), any::<bool>(), 0_u8..4, any::<i32>()), 1..400)
    ) {
        let mut buffer = FrameBuffer::<usize, usize>::new();
        let mut now = Instant::now() + Duration::from_secs(3_600);
        let mut last = 0_u32;
        for (number, (random, wait, key, repaired, kind, hold)) in steps.into_iter().enumerate() {
            now += Duration::from_micros(if kind == 0 { wait } else { wait % 50_000 });
            last = if kind == 1 { random } else { last.wrapping_add(random % 9_000) };
            let behind = Duration::from_micros(u64::from(random) % 100_000);
            let at = if kind == 2 { now - behind } else { now };
            let _ = buffer.insert(number, Arrival { timestamp: last, key, repaired, at });
            let asked = Duration::from_micros(u64::from(hold.unsigned_abs()));
            buffer.hold(last, (kind == 3).then(|| if hold < 0 { now - asked.min(Duration::from_secs(3_000)) } else { now + asked }));
            while let Some((unit, place)) = buffer.next_to_decode(now) {
                buffer.insert_decoded(unit, place);
            }
            while buffer.next_to_show(now).is_some() {}
            let (coded, decoded) = buffer.stock();
            prop_assert!(coded <= CODED && decoded <= DECODED);
            if let Some(due) = buffer.poll_timeout(now) {
                prop_assert!(due <= now + Duration::from_millis(2_000), "{:?}", due - now);
            }
            prop_assert!(buffer.target() <= Duration::from_millis(600) && buffer.minimum() <= Duration::from_millis(500));
        }
        // Left alone, everything gets shown.
        for _ in 0..200 {
            now += Duration::from_millis(20);
            while let Some((unit, place)) = buffer.next_to_decode(now) {
                buffer.insert_decoded(unit, place);
            }
            while buffer.next_to_show(now).is_some() {}
        }
        prop_assert_eq!(buffer.stock(), (0, 0));
    }
}
