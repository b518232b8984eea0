//! How much of a voice has to be invented on bad networks, what that costs in delay, and whether a tone stays pure.

#![allow(clippy::unwrap_used, missing_docs)]
// A test needs some time to count from; it never looks at it twice.
#![allow(clippy::disallowed_methods)]
// What was measured is worth reading.
#![allow(clippy::print_stdout)]

mod support;

use std::f64::consts::TAU;
use std::time::Duration;

use ahoy_media::Bitrate;
use ahoy_media::audio::{
    AudioPlayout, Inserted, OpusDecoder, OpusEncoder, OpusSettings, PacketDuration, SAMPLE_RATE, SILENCE,
};
use ahoy_testkit::{Seeded, seeded};
use support::{Bursts, Heard, Source, listen, millis};

/// One way of a round trip of 50 ms.
const WAY: Duration = Duration::from_millis(25);

fn told(loss: u8) -> OpusSettings {
    OpusSettings { packet_loss: loss, ..OpusSettings::default() }
}

#[test]
fn of_a_voice_at_5_10_and_20_percent_loss_hardly_anything_is_invented() {
    for (percent, allowed, delay) in [(5, 0.3, 60.0), (10, 0.5, 80.0), (20, 1.5, 130.0)] {
        let mut chance = seeded(5);
        let network = |_| (!chance.chance(f64::from(percent) / 100.0)).then_some(WAY);
        let heard = listen(60, Source::voice(3), told(percent), 0.0, network);
        heard.report(&format!("{percent} % loss"));
        assert!(heard.concealed() <= allowed && heard.delay() <= delay);
        let counts = heard.playout.counts();
        // What was lost was said again, not left out.
        assert!((counts.dred_samples + counts.fec_samples) / 960 > u64::from(heard.lost) * 9 / 10, "{counts:?}");
    }
}

#[test]
fn of_a_voice_whose_losses_come_in_runs_hardly_anything_is_invented() {
    for (run, kbps, allowed) in [(2.0, 32, 0.6), (3.0, 32, 1.0), (4.0, 32, 2.0), (4.0, 48, 1.5)] {
        let mut bursts = Bursts::new(8, 0.1, run);
        let network = |_| (!bursts.lost()).then_some(WAY);
        let settings = OpusSettings { bitrate: Bitrate::kbps(kbps), ..told(10) };
        let heard = listen(90, Source::voice(3), settings, 0.0, network);
        heard.report(&format!("10 % loss in runs of {run}, {kbps} kbps"));
        assert!(heard.concealed() <= allowed && heard.delay() <= 220.0);
    }
}

#[test]
fn jitter_of_100_ms_costs_delay_and_no_sound() {
    let mut chance = seeded(11);
    let heard = listen(60, Source::voice(3), told(0), 0.0, |_| Some(WAY + millis(chance.below(100))));
    heard.report("100 ms jitter");
    assert!(heard.concealed() <= 0.5 && heard.delay() <= 110.0);
}

#[test]
fn on_a_clean_local_network_sound_comes_at_once_and_is_hardly_held_back() {
    let mut chance = seeded(12);
    let network = |_| Some(Duration::from_micros(300 + chance.below(1_500)));
    let heard = listen(60, Source::voice(3), told(0), 0.0, network);
    heard.report("clean");
    assert!(heard.delay() <= 30.0);
    assert_eq!(heard.playout.counts().concealed_samples, 0);
    let tone = listen(2, Source::tone(440.0), told(0), 0.0, |_| Some(millis(1)));
    let first = tone.samples.iter().position(|sample| sample.abs() > 0.05).unwrap();
    // 20 ms are collected for the first packet, the codec looks 6.5 ms ahead, and blocks are 10 ms long.
    assert!(first <= 40 * 48, "{first} samples");
}

// In packets of 60 ms the codec often leaves no room for deep redundancy, so more is invented there.
#[test]
fn packets_of_40_and_60_ms_are_repaired_too() {
    for (duration, allowed) in [(PacketDuration::Ms40, 1.5), (PacketDuration::Ms60, 8.0)] {
        let mut chance = seeded(13);
        let settings = OpusSettings { duration, ..told(10) };
        let heard = listen(40, Source::voice(3), settings, 0.0, |_| (!chance.chance(0.1)).then_some(WAY));
        heard.report(&format!("10 % loss, {duration:?}"));
        assert!(heard.concealed() <= allowed && heard.delay() <= 200.0);
    }
}

#[test]
fn silence_that_is_not_sent_is_comfort_noise_and_not_concealment() {
    let settings = OpusSettings { dtx: true, ..told(0) };
    let mut chance = seeded(14);
    let heard = listen(60, Source::pausing(3), settings, 0.0, |_| Some(WAY + millis(chance.below(20))));
    heard.report("dtx");
    assert!(heard.unsent > 800, "{} of {} packets were not sent", heard.unsent, heard.packets);
    assert!(heard.concealed() <= 0.5);
    // The background goes on in the pauses, neither gone nor louder: from 1 s into each to its end.
    for pause in (0..14).map(|n| (n * 4 + 3) * 48_000) {
        let pause = &heard.samples[pause..pause + 43_200];
        let level = (pause.iter().map(|sample| sample * sample).sum::<f32>() / pause.len() as f32).sqrt();
        assert!((0.000_05..0.002).contains(&level), "{level}");
    }
}

/// What the CPU does for a pull, not what the clock shows: `cargo test -- --ignored --nocapture cost`.
#[test]
#[ignore = "measures, and proves nothing"]
fn cost_of_a_pull() {
    let used = || -> u64 {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    };
    for loss in [0, 5, 20] {
        let mut chance = seeded(5);
        let mut encoder = OpusEncoder::new(told(loss)).unwrap();
        let (mut source, mut packets, mut coding) = (Source::voice(3), Vec::new(), 0);
        for _ in 0..6_000 {
            let mut block = SILENCE;
            source.fill(&mut block);
            let before = used();
            let packet = encoder.push(&block).unwrap().map(|packet| packet.data.to_vec());
            coding += used() - before;
            packets.push(packet.map(|data| (!chance.chance(f64::from(loss) / 100.0)).then_some(data)));
        }
        let mut playout = AudioPlayout::new().unwrap();
        let (start, before, mut number) = (std::time::Instant::now(), used(), 0_u16);
        for (n, packet) in (0_u32..).zip(packets) {
            let now = start + Duration::from_millis(10) * n;
            if let Some(packet) = packet {
                number = number.wrapping_add(1);
                if let Some(data) = packet {
                    playout.push(number, u32::from(number) * 960, data, now).unwrap();
                }
            }
            let mut block = SILENCE;
            playout.pull(&mut block, now);
        }
        let (pulling, coding) = ((used() - before) / 6_000_000, coding / 6_000_000);
        println!("{loss} % loss: {pulling} us of CPU for 10 ms, pushes included; {coding} us to code them");
    }
}

#[test]
fn what_is_rebuilt_from_deep_redundancy_is_what_was_said_and_when() {
    let mut encoder = OpusEncoder::new(told(20)).unwrap();
    let (mut whole, mut holed) = (OpusDecoder::new().unwrap(), OpusDecoder::new().unwrap());
    let (mut source, mut packets) = (Source::voice(9), Vec::new());
    for _ in 0..4_000 {
        let mut block = SILENCE;
        source.fill(&mut block);
        packets.extend(encoder.push(&block).unwrap().map(|packet| packet.data.to_vec()));
    }
    // Of each ten packets the last four are lost.
    let (mut said, mut heard, mut rebuilt) = (Vec::new(), Vec::new(), Vec::new());
    for (n, packet) in packets.iter().enumerate() {
        let mut sound = [0.0; 960];
        whole.decode(packet, &mut sound).unwrap();
        said.extend_from_slice(&sound);
        let lost = n % 10 >= 6;
        if lost {
            let Some(carrier) = packets.get(n / 10 * 10 + 10) else { break };
            let before = (10 - n % 10) * 960;
            if n >= 20 {
                assert!(holed.load_dred(carrier, 5 * 960) >= before, "packet {n}");
                holed.decode_dred(before, 960, &mut sound).unwrap();
            }
        } else {
            holed.decode(packet, &mut sound).unwrap();
        }
        heard.extend_from_slice(&sound);
        rebuilt.push(lost && n >= 20);
    }
    // The loudness in steps of 2.5 ms, one against the other, with one moved in time.
    let loudness = |sound: &[f32]| -> Vec<f64> {
        let level = |few: &[f32]| few.iter().map(|sample| f64::from(sample * sample)).sum::<f64>();
        sound.chunks_exact(120).map(|few| (level(few) / 120.0 + 1e-7).log10()).collect()
    };
    let (said, heard) = (loudness(&said), loudness(&heard));
    let alike = |shift: i64| {
        let at = |n: usize| said.get((n as i64 + shift) as usize).copied();
        let pairs: Vec<(f64, f64)> =
            (0..heard.len()).filter(|n| rebuilt[n / 8]).filter_map(|n| at(n).map(|said| (said, heard[n]))).collect();
        let mean = |pick: fn(&(f64, f64)) -> f64| pairs.iter().map(pick).sum::<f64>() / pairs.len() as f64;
        let (one, other) = (mean(|pair| pair.0), mean(|pair| pair.1));
        let (mut product, mut first, mut second) = (0.0, 0.0, 0.0);
        for pair in &pairs {
            product += (pair.0 - one) * (pair.1 - other);
            first += (pair.0 - one).powi(2);
            second += (pair.1 - other).powi(2);
        }
        product / (first * second).sqrt()
    };
    let best = (-16..=16).max_by(|one, other| alike(*one).total_cmp(&alike(*other))).unwrap();
    println!("alike to {:.3}, best {:.3} with {} ms", alike(0), alike(best), best as f64 * 2.5);
    assert!(best.abs() <= 2 && alike(0) > 0.8);
}

/// The tone's phase against a steady one, in degrees, and its level, in each 10 ms.
fn phases(samples: &[f32], frequency: f64) -> Vec<(f64, f64)> {
    let step = TAU * frequency / f64::from(SAMPLE_RATE);
    let look = |(piece, samples): (usize, &[f32])| {
        let (mut re, mut im, mut weight) = (0.0, 0.0, 0.0);
        for (n, sample) in samples.iter().enumerate() {
            let window = 0.5 - 0.5 * (TAU * (n as f64 + 0.5) / samples.len() as f64).cos();
            let angle = (piece * samples.len() + n) as f64 * step;
            re += f64::from(*sample) * window * angle.cos();
            im += f64::from(*sample) * window * angle.sin();
            weight += window;
        }
        (im.atan2(re).to_degrees(), 2.0 * re.hypot(im) / weight)
    };
    samples.chunks_exact(480).enumerate().map(look).collect()
}

/// The largest jump of phase from one 10 ms to the next, in degrees, and the least and greatest level.
fn purity(heard: &Heard, frequency: f64) -> (f64, f64, f64) {
    let phases = phases(&heard.samples[96_000..], frequency);
    let jump = |two: &[(f64, f64)]| ((two[1].0 - two[0].0 + 540.0).rem_euclid(360.0) - 180.0).abs();
    let levels = phases.iter().map(|(_, level)| *level);
    (
        phases.windows(2).map(jump).fold(0.0, f64::max),
        levels.clone().fold(f64::MAX, f64::min),
        levels.fold(0.0, f64::max),
    )
}

#[test]
fn ten_minutes_of_clocks_that_drift_apart_leave_a_tone_pure_and_the_delay_small() {
    let settings = OpusSettings { bitrate: Bitrate::kbps(64), complexity: 1, fec: false, ..told(0) };
    for ppm in [-300.0, 300.0] {
        let heard = listen(600, Source::tone(440.0), settings, ppm, |_| Some(WAY));
        heard.report(&format!("{ppm} ppm"));
        let (jump, least, most) = purity(&heard, 440.0);
        println!("{ppm} ppm: phase jumps by {jump:.1} degrees at most, level {least:.3} to {most:.3}");
        assert!(jump < 12.0 && least > 0.42 && most < 0.58);
        let counts = heard.playout.counts();
        assert_eq!(counts.concealed_samples, 0);
        // 300 ppm of 600 s are 8,640 samples.
        let (slower, faster) = (counts.inserted_samples_for_deceleration, counts.removed_samples_for_acceleration);
        assert!((7_000..11_000).contains(&slower.abs_diff(faster)), "{counts:?}");
        assert!(heard.delay() <= 35.0 && heard.playout.jitter().stock() <= millis(60));
    }
}

#[test]
fn a_delay_that_grows_and_shrinks_for_good_is_followed_by_stretching() {
    let settings = OpusSettings { bitrate: Bitrate::kbps(64), complexity: 1, ..told(0) };
    // From second 5 on the way takes 80 ms more; from second 10 on no longer.
    let network = |n| Some(if (250..500).contains(&n) { WAY + millis(80) } else { WAY });
    let heard = listen(30, Source::tone(440.0), settings, 0.0, network);
    heard.report("80 ms more, then less");
    let counts = heard.playout.counts();
    assert!(counts.concealed_samples <= 48 * 120, "{counts:?}");
    assert!(counts.removed_samples_for_acceleration >= 48 * 60, "{counts:?}");
    let (jump, least, most) = {
        let late = Heard { samples: heard.samples[6 * 48_000..].to_vec(), ..heard };
        purity(&late, 440.0)
    };
    println!("phase jumps by {jump:.1} degrees at most, level {least:.3} to {most:.3}");
    assert!(jump < 20.0 && least > 0.4 && most < 0.6);
}

#[test]
fn a_network_whose_delay_leaps_beyond_all_targets_is_heard_again_within_a_second() {
    let network = |n| Some(if n < 250 { WAY } else { WAY + millis(1_500) });
    let heard = listen(15, Source::tone(440.0), told(0), 0.0, network);
    heard.report("1.5 s more");
    // What was sent from second 5 on comes from 6.5 on.
    let from = |second: f64| (second * 48_000.0) as usize;
    assert!(heard.samples[from(7.5)..].chunks(480).all(|block| block.iter().any(|sample| sample.abs() > 0.3)));
}

#[test]
fn doubled_and_late_packets_are_told_apart() {
    let mut rng = Seeded::new(1);
    let mut encoder = OpusEncoder::new(told(0)).unwrap();
    let mut playout = AudioPlayout::new().unwrap();
    let start = std::time::Instant::now();
    let (mut source, mut packets) = (Source::voice(rng.below(100)), Vec::new());
    while packets.len() < 20 {
        let mut block = SILENCE;
        source.fill(&mut block);
        packets.extend(encoder.push(&block).unwrap().map(|packet| packet.data.to_vec()));
    }
    let mut put = |n: u16, at: u64| {
        let data = packets[usize::from(n)].clone();
        let put = playout.push(n, u32::from(n) * 960, data, start + millis(at)).unwrap();
        let mut block = SILENCE;
        playout.pull(&mut block, start + millis(at));
        playout.pull(&mut block, start + millis(at + 10));
        put
    };
    assert_eq!((put(0, 0), put(0, 20), put(1, 40)), (Inserted::Kept, Inserted::Doubled, Inserted::Kept));
    for n in 3..15 {
        put(n, 40 + u64::from(n) * 20);
    }
    assert_eq!((put(2, 360), put(14, 380)), (Inserted::Late, Inserted::Doubled));
    let counts = playout.jitter_counts();
    assert_eq!((counts.late, counts.doubled), (1, 2));
}
