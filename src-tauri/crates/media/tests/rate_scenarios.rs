//! Bandwidth estimation, pacing and sharing on emulated links: what a call makes of them, in figures.
//!
//! `cargo test -p ahoy-media --test rate_scenarios -- --nocapture` prints the figures; `TRACE=1` a line each 100 ms.

// The figures are what this file is for.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod rate_world;

use std::time::Duration;

use ahoy_testkit::link::{LinkProfile, Loss, Schedule};
use rate_world::{MS, SECOND, Setup, World, run_together};

const MBPS: u64 = 1_000_000;

fn world(profile: LinkProfile) -> World {
    World::new(Setup::new(profile))
}

#[test]
fn a_good_link_carries_720p_within_a_second_of_the_start() {
    let mut call = world(LinkProfile::new(Some(20 * MBPS), 25 * MS));
    call.run_until(10 * SECOND);
    let at = call.first(Duration::ZERO, |sample| sample.target >= 1.5e6).unwrap();
    // The target must hold, and the picture must make use of it.
    let kept = call.figures(3 * SECOND, 10 * SECOND);
    println!("20 Mbps, 50 ms: 1.5 Mbps after {at:?}; {kept}");
    assert!(at <= 3 * SECOND);
    assert!(kept.lowest_target >= 1.5e6 && kept.delivered.as_kbps() >= 1_500, "{kept}");
}

#[test]
fn rfc_8867_5_1_is_used_well_without_a_queue() {
    let mut profile = LinkProfile::new(Some(MBPS), 50 * MS);
    profile.capacity = profile
        .capacity
        .then(40 * SECOND, Some(2_500_000))
        .then(60 * SECOND, Some(600_000))
        .then(80 * SECOND, Some(MBPS));
    let mut call = world(profile);
    call.run_until(100 * SECOND);
    let all = call.figures(Duration::ZERO, 100 * SECOND);
    println!("RFC 8867 5.1: {all}");
    for (from, to) in [(0, 40), (40, 60), (60, 80), (80, 100)] {
        println!("  {from:>2}..{to:<3} {}", call.figures(from * SECOND, to * SECOND));
    }
    assert!(all.used >= 0.85, "{all}");
    assert!(all.queue[1] <= 60.0, "{all}");
}

#[test]
fn a_deep_fall_is_answered_within_a_round_trip_and_200_ms_and_a_rise_in_seconds() {
    for phase in 0..10 {
        let mut profile = LinkProfile::new(Some(2_500_000), 25 * MS);
        let fall = 20 * SECOND + phase * 10 * MS;
        let rise = fall + 30 * SECOND;
        profile.capacity = profile.capacity.then(fall, Some(250_000)).then(rise, Some(2_500_000));
        let mut call = world(profile);
        call.run_until(rise + 30 * SECOND);
        let answered = call.first(fall, |sample| sample.target <= 0.3e6).unwrap();
        let low = call.figures(fall, rise);
        let high = call.figures(rise + 5 * SECOND, rise + 30 * SECOND);
        println!("2.5 -> 0.25 Mbps, 50 ms (phase {phase}): answered after {answered:?}; {low}");
        println!("  from 5 s after the rise: {high}");
        assert!(answered <= 250 * MS, "{answered:?}");
        assert!(high.used >= 0.85, "{high}");
    }
}

#[test]
fn random_loss_is_not_congestion() {
    for share in [0.05, 0.1, 0.2] {
        let mut profile = LinkProfile::new(Some(10 * MBPS), 25 * MS);
        profile.loss = Schedule::constant(Loss::Random(share));
        let mut call = world(profile);
        call.run_until(45 * SECOND);
        let figures = call.figures(5 * SECOND, 45 * SECOND);
        println!("random loss {:.0} %: {figures}", share * 100.0);
        assert!(figures.lowest_target >= 2e6, "{figures}");
    }
}

#[test]
fn bursty_loss_is_not_congestion() {
    let mut profile = LinkProfile::new(Some(10 * MBPS), 25 * MS);
    profile.loss = Schedule::constant(Loss::bursts(0.1, 4.0));
    let mut call = world(profile);
    call.run_until(45 * SECOND);
    let figures = call.figures(5 * SECOND, 45 * SECOND);
    println!("bursty loss 10 %: {figures}");
    assert!(figures.mean_target >= 2e6, "{figures}");
}

#[test]
fn at_60_kbps_sound_alone_leaves_no_queue() {
    let mut setup = Setup::new(LinkProfile::new(Some(60_000), 25 * MS));
    setup.camera = None;
    let mut call = World::new(setup);
    call.run_until(60 * SECOND);
    let figures = call.figures(5 * SECOND, 60 * SECOND);
    println!("60 kbps, sound alone: {figures}");
    println!("  the start: {}", call.figures(Duration::ZERO, 5 * SECOND));
    assert!(figures.queue[1] < 40.0, "{figures}");
}

#[test]
fn a_300_kbps_link_carries_sound_and_a_small_picture() {
    let mut call = world(LinkProfile::new(Some(300_000), 25 * MS));
    call.run_until(60 * SECOND);
    let figures = call.figures(5 * SECOND, 60 * SECOND);
    println!("300 kbps: {figures}");
    println!("  the start: {}", call.figures(Duration::ZERO, 5 * SECOND));
    assert!(figures.used >= 0.85 && figures.queue[1] <= 60.0, "{figures}");
}

#[test]
fn a_queue_too_short_to_be_seen_in_the_delay_is_seen_in_the_loss() {
    let mut profile = LinkProfile::new(Some(MBPS), 25 * MS);
    profile.queue_time = Some(30 * MS);
    let mut call = world(profile);
    call.run_until(60 * SECOND);
    let figures = call.figures(10 * SECOND, 60 * SECOND);
    let counts = call.forward.counts();
    let dropped = counts.dropped as f64 / counts.pushed as f64;
    println!("1 Mbps with a queue of 30 ms: {figures}; dropped {:.1} %", dropped * 100.0);
    assert!(figures.used >= 0.7 && dropped < 0.1, "{figures}");
}

#[test]
fn a_long_path_with_jitter_keeps_its_rate() {
    let mut profile = LinkProfile::new(Some(4 * MBPS), 250 * MS);
    profile.jitter = 100 * MS;
    let mut call = world(profile);
    call.run_until(60 * SECOND);
    let figures = call.figures(10 * SECOND, 60 * SECOND);
    println!("250 ms and 100 ms of jitter, 4 Mbps: {figures}");
    assert!(figures.mean_target >= 1e6, "{figures}");
}

#[test]
fn a_clock_that_drifts_and_feedback_that_gets_lost_change_little() {
    let mut setup = Setup::new(LinkProfile::new(Some(MBPS), 50 * MS));
    (setup.drift, setup.feedback_loss) = (300.0, 0.1);
    let mut call = World::new(setup);
    call.run_until(60 * SECOND);
    let figures = call.figures(5 * SECOND, 60 * SECOND);
    println!("1 Mbps, 300 ppm, a tenth of feedback lost: {figures}");
    assert!(figures.used >= 0.8 && figures.queue[1] <= 80.0, "{figures}");
}

#[test]
fn a_longer_path_from_now_on_is_no_queue() {
    let mut profile = LinkProfile::new(Some(2 * MBPS), 25 * MS);
    profile.delay = profile.delay.then(20 * SECOND, 125 * MS);
    let mut call = world(profile);
    call.run_until(60 * SECOND);
    let figures = call.figures(30 * SECOND, 60 * SECOND);
    println!("2 Mbps, the path grows by 100 ms: {figures}");
    assert!(figures.used >= 0.7, "{figures}");
}

#[test]
fn other_round_trips_and_feedback_intervals_work_as_well() {
    for (delay, every) in [(5, 100), (5, 50), (25, 50), (25, 250), (150, 100), (150, 50)] {
        let mut setup = Setup::new(LinkProfile::new(Some(1_500_000), delay * MS));
        setup.feedback_every = every * MS;
        let mut call = World::new(setup);
        call.run_until(40 * SECOND);
        let figures = call.figures(5 * SECOND, 40 * SECOND);
        println!("1.5 Mbps, {delay} ms, feedback each {every} ms: {figures}");
        assert!(figures.used >= 0.8 && figures.queue[1] <= 90.0, "{figures}");
    }
}

#[test]
fn an_outage_of_five_seconds_is_got_over_in_a_second_or_two() {
    let mut profile = LinkProfile::new(Some(2 * MBPS), 25 * MS);
    profile.capacity = profile.capacity.then(20 * SECOND, Some(0)).then(25 * SECOND, Some(2 * MBPS));
    let mut call = world(profile);
    call.run_until(50 * SECOND);
    let back = call.first(25 * SECOND, |sample| sample.target >= 1.2e6);
    let figures = call.figures(30 * SECOND, 50 * SECOND);
    assert!(figures.longest_stop < 0.5, "{figures}");
    println!("an outage of 5 s: 1.2 Mbps again after {back:?}; from 5 s on {figures}");
    assert!(back.unwrap() <= 2 * SECOND && figures.used >= 0.8, "{figures}");
}

#[test]
fn heavy_loss_leaves_a_picture() {
    let mut profile = LinkProfile::new(Some(10 * MBPS), 25 * MS);
    profile.loss = Schedule::constant(Loss::Random(0.3));
    let mut call = world(profile);
    call.run_until(45 * SECOND);
    let figures = call.figures(5 * SECOND, 45 * SECOND);
    println!("random loss 30 %: {figures}");
    assert!(figures.mean_target >= 1e6, "{figures}");
}

#[test]
fn beside_a_bulk_transfer_it_keeps_a_share_and_afterwards_takes_all() {
    let mut setup = Setup::new(LinkProfile::new(Some(2 * MBPS), 50 * MS));
    setup.bulk = Some((20 * SECOND, 80 * SECOND));
    let mut call = World::new(setup);
    call.run_until(110 * SECOND);
    let beside = call.figures(30 * SECOND, 80 * SECOND);
    let after = call.figures(85 * SECOND, 110 * SECOND);
    println!("beside TCP on 2 Mbps: {beside}; TCP carried {} bytes; after it: {after}", call.bulk_delivered());
    assert!(beside.delivered.as_kbps() >= 200 && after.used >= 0.8, "{beside}; {after}");
}

#[test]
fn a_camera_switched_on_later_gets_its_rate_at_once() {
    let mut setup = Setup::new(LinkProfile::new(Some(5 * MBPS), 25 * MS));
    let camera = setup.camera.take();
    let mut call = World::new(setup);
    call.run_until(30 * SECOND);
    call.setup.camera = camera;
    call.run_until(45 * SECOND);
    let at = call.first(30 * SECOND, |sample| sample.target >= 1.5e6);
    let figures = call.figures(33 * SECOND, 45 * SECOND);
    println!("sound for 30 s, then the camera: 1.5 Mbps after {at:?}; {figures}");
    assert!(at.unwrap() <= 3 * SECOND && figures.delivered.as_kbps() >= 1_500, "{figures}");
}

#[test]
fn two_calls_on_one_link_share_it() {
    // The second half minute of RFC 8867, 5.4, with two flows.
    let profile = LinkProfile::new(Some(3 * MBPS), 50 * MS);
    let mut calls = [world(profile.clone()), world(profile.clone())];
    run_together(&mut calls, &[Duration::ZERO, 20 * SECOND], profile, 80 * SECOND);
    let [first, second] = [0, 1].map(|place: usize| calls[place].figures(40 * SECOND, 80 * SECOND));
    println!("two calls on 3 Mbps: {first}\n  and {second}");
    let (least, most) = (first.used.min(second.used), first.used.max(second.used));
    assert!(least + most >= 0.8, "{first}; {second}");
    assert!(least >= 0.2, "{first}; {second}");
}

#[test]
fn rfc_8867_5_2_starves_neither_of_two_calls() {
    const PARTS: [(u32, u32, u64); 5] =
        [(0, 25, 4_000), (25, 50, 2_000), (50, 75, 3_500), (75, 100, 1_000), (100, 125, 2_000)];
    let mut worst = [1.0_f64; PARTS.len()];
    for seed in 1..=16 {
        let mut profile = LinkProfile::new(Some(PARTS[0].2 * 1_000), 50 * MS);
        profile.seed = seed;
        for (from, _, kbps) in PARTS {
            profile.capacity = profile.capacity.then(from * SECOND, Some(kbps * 1_000));
        }
        let mut calls = [world(profile.clone()), world(profile.clone())];
        run_together(&mut calls, &[Duration::ZERO, seed as u32 * 37 * MS], profile, 125 * SECOND);
        for (worst, (from, to, _)) in worst.iter_mut().zip(PARTS) {
            // Some time to find to each other.
            let [first, second] = [0, 1].map(|place: usize| calls[place].figures((from + 10) * SECOND, to * SECOND));
            *worst = worst.min(first.used.min(second.used) / (first.used + second.used));
        }
    }
    println!("RFC 8867 5.2, the smaller share of 16 runs: {worst:.2?}");
    assert!(worst.iter().all(|share| *share >= 0.1), "{worst:.2?}");
}
