//! Echo, noise and gain, measured with something like speech in a small room with two clocks.

#![allow(clippy::unwrap_used, missing_docs)]
// What was measured is worth reading.
#![allow(clippy::print_stdout)]

mod support;

use std::time::Duration;

use ahoy_media::audio::{Block, Level, SILENCE, VoiceProcessor, VoiceSettings, mix};
use ahoy_testkit::{Seeded, seeded};
use proptest::prelude::*;
use support::Voice;
use support::room::{Recording, Room, decibels, part};

const ECHO: VoiceSettings = VoiceSettings { echo: true, ..VoiceSettings::OFF };
const NOISE: VoiceSettings = VoiceSettings { noise: true, ..VoiceSettings::OFF };
const GAIN: VoiceSettings = VoiceSettings { gain: true, ..VoiceSettings::OFF };
/// The voice of the test kit is at -10 dBFS; people are at -20.
const USUAL: f32 = 0.33;

/// A voice at some loudness that begins after some blocks.
fn voice(seed: u64, loudness: f32, after: u32) -> impl FnMut(&mut Block) {
    let (mut voice, mut blocks) = (Voice::new(seed), 0);
    move |block| {
        *block = SILENCE;
        blocks += 1;
        if blocks > after {
            voice.fill(block);
            block.iter_mut().for_each(|sample| *sample *= loudness);
        }
    }
}

fn nobody(block: &mut Block) {
    *block = SILENCE;
}

/// A call in which the far side speaks from the first second on.
fn far_speech(room: &Room, settings: VoiceSettings, seconds: usize) -> (Recording, VoiceProcessor) {
    let mut processor = VoiceProcessor::new(settings);
    let recording = room.run(&mut processor, seconds, voice(3, USUAL, 100), nobody);
    (recording, processor)
}

/// How much less of the echo is sent than came in, decibels.
fn reduction(recording: &Recording, from: f64, to: f64) -> f64 {
    decibels(part(&recording.echo, from, to)) - decibels(part(&recording.sent, from, to))
}

/// Echo after 2 s of far speech, as long as it goes on.
fn assert_gone(name: &str, room: &Room, settings: VoiceSettings) {
    let (recording, processor) = far_speech(room, settings, 20);
    let (all, worst) =
        (reduction(&recording, 3.0, 20.0), (3..20).map(|t| reduction(&recording, t.into(), f64::from(t) + 1.0)));
    let worst = worst.fold(f64::INFINITY, f64::min);
    println!("{name}: echo down {all:.1} dB, in the worst second {worst:.1}; {:?}", processor.counts());
    assert!(all >= 35.0, "{name}: {all:.1} dB");
    let delay = processor.counts().echo_delay.unwrap();
    // The streams are counted in blocks, and a burst is one that has not come yet.
    let coarse = Duration::from_millis(12 + 10 * (room.burst as u64 - 1));
    let drifted = Duration::from_micros((20.0 * room.drift_ppm.abs()) as u64);
    assert!(delay.abs_diff(room.path) < drifted + coarse, "{delay:?}");
    assert!((processor.counts().clock_drift_ppm.unwrap() - room.drift_ppm).abs() < 5.0);
}

#[test]
fn far_speech_is_gone_after_two_seconds_whatever_the_path() {
    for path in [40, 120, 200] {
        assert_gone(&format!("{path} ms"), &Room::of(path), ECHO);
    }
    assert_gone("40 ms, all on", &Room::of(40), VoiceSettings::default());
}

#[test]
fn clocks_that_drift_apart_change_nothing() {
    for (drift_ppm, path) in [(-200.0, 40), (200.0, 200)] {
        assert_gone(&format!("{drift_ppm} ppm"), &Room { drift_ppm, ..Room::of(path) }, ECHO);
    }
}

#[test]
fn a_microphone_that_comes_in_bursts_changes_nothing() {
    assert_gone("bursts of 30 ms", &Room { burst: 3, ..Room::of(120) }, ECHO);
}

/// The far voice as it comes over a network that loses a tenth: packets of 20 ms are missing, and what is played instead is the
/// last one, ever quieter, as long as it lasts.
fn patchy(mut far: impl FnMut(&mut Block)) -> impl FnMut(&mut Block) {
    let (mut chance, mut last, mut blocks, mut lost, mut fade) = (seeded(5), SILENCE, 0_u32, false, 1.0_f32);
    move |block| {
        far(block);
        if blocks.is_multiple_of(2) {
            lost = chance.chance(0.1);
        }
        blocks += 1;
        fade = if lost { fade * 0.7 } else { 1.0 };
        if lost {
            *block = last.map(|sample| sample * fade);
        } else {
            last = *block;
        }
    }
}

#[test]
fn a_tenth_of_the_far_sound_concealed_changes_nothing_whatever_the_clocks() {
    for (drift_ppm, path) in [(0.0, 120), (200.0, 40), (-200.0, 200)] {
        let mut processor = VoiceProcessor::new(ECHO);
        let room = Room { drift_ppm, ..Room::of(path) };
        let recording = room.run(&mut processor, 20, patchy(voice(3, USUAL, 100)), nobody);
        let all = reduction(&recording, 3.0, 20.0);
        println!("10 % loss, {drift_ppm} ppm, {path} ms: echo down {all:.1} dB");
        assert!(all >= 35.0, "{all:.1} dB");
    }
}

#[test]
fn a_path_that_grows_by_80_ms_is_found_again_within_four_seconds() {
    let room = Room { jump: Some((1_000, Duration::from_millis(80))), ..Room::of(60) };
    let (recording, processor) = far_speech(&room, ECHO, 20);
    let (before, after) = (reduction(&recording, 5.0, 10.0), reduction(&recording, 14.0, 20.0));
    println!("80 ms jump: {before:.1} dB before, {after:.1} from 4 s after");
    assert!(before >= 35.0 && after >= 35.0, "{before:.1} {after:.1}");
    assert!(processor.counts().echo_delay.unwrap() > Duration::from_millis(115));
}

/// The gain of `sent` on what `alone` is: how much of the near voice is left, in decibels, while it speaks. What is in
/// `sent` beside it (echo) does not count, for it looks like nothing in `alone`.
fn kept(sent: &[f32], alone: &[f32]) -> f64 {
    let floor = decibels(alone) - 25.0;
    let (mut common, mut energy) = (0.0, 0.0);
    for (sent, alone) in sent.chunks(960).zip(alone.chunks(960)).filter(|(_, alone)| decibels(alone) > floor) {
        common += sent.iter().zip(alone).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        energy += alone.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>();
    }
    20.0 * (common / energy).max(1e-9).log10()
}

/// Both speak from the fifth second on; against the near side alone.
fn double_talk(room: &Room, settings: VoiceSettings, near: f32) -> f64 {
    double_talk_heard_as(room, settings, near, |far| Box::new(voice(3, far, 0)))
}

fn double_talk_heard_as(
    room: &Room,
    settings: VoiceSettings,
    near: f32,
    far_side: impl Fn(f32) -> Box<dyn FnMut(&mut Block)>,
) -> f64 {
    let run = |far: f32| {
        let mut processor = VoiceProcessor::new(settings);
        room.run(&mut processor, 20, far_side(far), voice(77, near, 500)).sent
    };
    let (both, alone) = (run(USUAL), run(0.0));
    -kept(part(&both, 5.0, 20.0), part(&alone, 5.0, 20.0))
}

#[test]
fn the_near_voice_lives_through_double_talk() {
    for (drift_ppm, path) in [(0.0, 40), (0.0, 120), (200.0, 120), (-200.0, 200)] {
        let loss = double_talk(&Room { drift_ppm, ..Room::of(path) }, ECHO, USUAL);
        println!("double talk, {path} ms, {drift_ppm} ppm: near voice down {loss:.1} dB");
        assert!(loss <= 3.0, "{loss:.1} dB");
    }
    let loss = double_talk(&Room::of(120), ECHO, 0.5 * USUAL);
    println!("double talk, near voice 5 dB above the echo: down {loss:.1} dB");
    assert!(loss <= 3.0, "{loss:.1} dB");
}

#[test]
fn the_near_voice_lives_through_double_talk_with_a_far_side_that_loses_a_tenth() {
    for (drift_ppm, path) in [(0.0, 120), (200.0, 40), (-200.0, 200)] {
        let room = Room { drift_ppm, ..Room::of(path) };
        let loss = double_talk_heard_as(&room, ECHO, USUAL, |far| Box::new(patchy(voice(3, far, 0))));
        println!("double talk, 10 % loss, {path} ms, {drift_ppm} ppm: near voice down {loss:.1} dB");
        assert!(loss <= 3.0, "{loss:.1} dB");
    }
}

#[test]
fn music_mode_spares_the_near_sound_and_still_takes_most_of_the_echo() {
    let music = VoiceSettings { music: true, ..VoiceSettings::default() };
    let loss = double_talk(&Room::of(120), music, USUAL);
    let (recording, _) = far_speech(&Room::of(120), music, 15);
    let echo = reduction(&recording, 3.0, 15.0);
    println!("music: near sound down {loss:.1} dB, echo down {echo:.1}");
    assert!(loss <= 1.0 && echo >= 20.0, "{loss:.1} {echo:.1}");
}

/// Runs sound through with nobody at the far side.
fn through(settings: VoiceSettings, seconds: u32, mut source: impl FnMut(&mut Block)) -> (Vec<f32>, Vec<f32>) {
    let mut processor = VoiceProcessor::new(settings);
    let (mut came, mut sent) = (Vec::new(), Vec::new());
    for _ in 0..seconds * 100 {
        let mut block = SILENCE;
        source(&mut block);
        came.extend_from_slice(&block);
        processor.render(&SILENCE);
        processor.capture(&mut block);
        sent.extend_from_slice(&block);
    }
    (came, sent)
}

fn noise(level: f32) -> impl FnMut(&mut Block) {
    let mut chance = Seeded::new(4);
    move |block| block.fill_with(|| level * 3f32.sqrt() * chance.noise())
}

#[test]
fn steady_noise_falls_by_10_db_and_a_voice_in_it_stays() {
    let (came, sent) = through(NOISE, 10, noise(0.003));
    let fall = decibels(part(&came, 2.0, 10.0)) - decibels(part(&sent, 2.0, 10.0));
    let (mut speech, mut hiss) = (voice(4, USUAL, 500), noise(0.003));
    let (_, noisy) = through(NOISE, 20, |block| {
        let mut behind = SILENCE;
        hiss(&mut behind);
        speech(block);
        mix::add(block, &behind);
    });
    let (came, clean) = through(NOISE, 20, voice(4, USUAL, 500));
    let treated = decibels(part(&clean, 6.0, 20.0)) - decibels(part(&came, 6.0, 20.0));
    let loss = -kept(part(&noisy, 6.0, 20.0), part(&clean, 6.0, 20.0)) - treated;
    println!("noise down {fall:.1} dB, a voice in it {loss:.1} dB");
    assert!(fall >= 10.0 && loss <= 2.0, "{fall:.1} {loss:.1}");
}

#[test]
fn a_quiet_voice_is_raised_and_a_loud_one_is_not_cut() {
    let quiet = 10f32.powf((-40.0 + 10.4) / 20.0);
    let (came, sent) = through(GAIN, 15, voice(4, quiet, 0));
    let raised = decibels(part(&sent, 8.0, 15.0)) - decibels(part(&came, 8.0, 15.0));
    println!("a voice at -40 dBFS is raised by {raised:.1} dB");
    assert!((10.0..30.0).contains(&raised), "{raised:.1}");
    let (came, sent) = through(GAIN, 15, voice(4, 1.1, 0));
    let (change, peak) = (decibels(&sent) - decibels(&came), Level::of(&sent).peak);
    println!("a voice at -10 dBFS changes by {change:.1} dB and peaks at {peak:.3}");
    assert!(change.abs() < 1.0 && peak < 0.999);
}

#[test]
fn with_everything_off_each_bit_passes() {
    let mut processor = VoiceProcessor::new(VoiceSettings::OFF);
    let (mut near, mut block) = (voice(6, 4.0, 0), SILENCE);
    for _ in 0..200 {
        near(&mut block);
        let before = block;
        processor.render(&before);
        processor.capture(&mut block);
        assert!(before.iter().zip(&block).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
    block[7] = f32::NAN;
    processor.capture(&mut block);
    assert_eq!(block[7], 0.0);
    assert_eq!(processor.counts(), Default::default());
}

#[test]
fn switching_other_parts_lets_the_canceller_keep_what_it_knows() {
    let room = Room::of(80);
    let mut processor = VoiceProcessor::new(VoiceSettings::default());
    room.run(&mut processor, 10, voice(3, USUAL, 0), nobody);
    let before = processor.counts();
    processor.set_settings(ECHO);
    assert_eq!(processor.counts(), before);
    processor.set_settings(VoiceSettings::OFF);
    assert_eq!(processor.counts().echo_delay, None);
}

/// A rising sine goes in, and is found in what comes out by correlation.
#[test]
fn sound_comes_out_as_much_later_as_is_said() {
    const ALL: VoiceSettings = VoiceSettings { echo: true, noise: true, gain: true, music: false };
    for settings in [ALL, VoiceSettings { noise: false, ..ALL }, VoiceSettings { echo: false, ..ALL }, GAIN] {
        let mut processor = VoiceProcessor::new(settings);
        let sweep = |n: usize| {
            let t = n as f32 / 48_000.0;
            0.2 * (std::f32::consts::TAU * (200.0 + 700.0 * t) * t).sin()
        };
        let mut out = Vec::new();
        for n in 0..200 {
            let mut block: Block = std::array::from_fn(|i| sweep(n * SILENCE.len() + i));
            processor.capture(&mut block);
            out.extend_from_slice(&block);
        }
        let (from, to) = (48_000, 72_000);
        let likeness = |lag: usize| (from..to).map(|n| out[n] * sweep(n - lag)).sum::<f32>();
        let lag = (0..2_000).max_by(|a, b| likeness(*a).total_cmp(&likeness(*b))).unwrap();
        let measured = Duration::from_secs_f64(lag as f64 / 48_000.0);
        println!("{settings:?}: {measured:?}");
        assert!(measured.abs_diff(processor.delay()) <= Duration::from_millis(1), "{settings:?}: {measured:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever comes, and however the calls are mixed: numbers within full scale go out, and nothing panics.
    #[test]
    fn bad_sound_is_survived(
        seed: u64,
        echo: bool,
        noise: bool,
        gain: bool,
        music: bool,
        hint in 0_u64..3_000,
        order in prop::collection::vec((0_u8..7, 0_u8..7, 0_usize..5, 0_usize..5), 1..120),
    ) {
        let mut chance = Seeded::new(seed);
        let mut processor = VoiceProcessor::new(VoiceSettings { echo, noise, gain, music });
        processor.set_delay_hint(Duration::from_millis(hint));
        for (rendered, captured, renders, captures) in order {
            for _ in 0..renders {
                processor.render(&bad(rendered, &mut chance));
            }
            for _ in 0..captures {
                let mut block = bad(captured, &mut chance);
                processor.capture(&mut block);
                prop_assert!(block.iter().all(|sample| sample.is_finite()));
                if echo || ((noise || gain) && !music) {
                    prop_assert!(block.iter().all(|sample| sample.abs() <= 1.0));
                }
            }
        }
        prop_assert_eq!(processor.counts().restarts, 0);
    }
}

fn bad(kind: u8, chance: &mut Seeded) -> Block {
    std::array::from_fn(|n| match kind {
        0 => 0.0,
        1 => chance.noise(),
        2 => f32::from_bits(chance.below(u64::from(u32::MAX)) as u32),
        3 => [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30][n % 4],
        4 => {
            if n / 50 % 2 == 0 {
                1.0
            } else {
                -1.0
            }
        }
        5 => 1e-42,
        _ => 0.001 * chance.noise(),
    })
}
