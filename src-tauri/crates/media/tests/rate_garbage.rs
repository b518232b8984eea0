//! Whatever the other side says of our packets: no panic, no growth, a target within its limits.

#![allow(clippy::unwrap_used, missing_docs)]
// A test needs some time to count from; it never looks at it twice.
#![allow(clippy::disallowed_methods)]

use std::time::{Duration, Instant};

use ahoy_media::rate::{
    ClusterId, Estimator, Feedback, Ladder, LadderInput, Pacer, PacketFate, PacketKind, Picture, RateConfig,
    ReportBlock, SentPacket,
};
use ahoy_media::units::{Bitrate, FrameRate};
use proptest::collection::vec;
use proptest::prelude::*;

/// One thing that happens to an estimator.
#[derive(Debug, Clone)]
enum Event {
    /// The clock moves on, or back.
    Wait(i32),
    Send {
        sequence: u16,
        size: usize,
        cluster: Option<u32>,
    },
    Feedback(Vec<(u16, Option<Duration>)>),
    Remb(u64),
    Report(f64, Option<Duration>),
    Demand(u64),
    Timeout,
    Probe,
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        8 => (0_u64..2_000).prop_map(Duration::from_millis),
        1 => any::<u64>().prop_map(Duration::from_micros),
        1 => Just(Duration::MAX),
        1 => Just(Duration::ZERO),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let near = prop_oneof![8 => 0_u16..300, 1 => any::<u16>(), 1 => 65_000_u16..=65_535];
    let size = prop_oneof![8 => 1_usize..1_500, 1 => Just(0_usize), 1 => Just(usize::MAX >> 16)];
    let fates = vec((near.clone(), proptest::option::of(duration())), 0..60);
    prop_oneof![
        4 => (-200_i32..2_000).prop_map(Event::Wait),
        8 => (near, size, proptest::option::of(0_u32..5))
            .prop_map(|(sequence, size, cluster)| Event::Send { sequence, size, cluster }),
        6 => fates.prop_map(Event::Feedback),
        1 => any::<u64>().prop_map(Event::Remb),
        1 => (any::<f64>(), proptest::option::of(duration())).prop_map(|(loss, rtt)| Event::Report(loss, rtt)),
        1 => any::<u64>().prop_map(Event::Demand),
        1 => Just(Event::Timeout),
        1 => Just(Event::Probe),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_feedback_breaks_the_estimator(events in vec(event(), 1..200)) {
        let config = RateConfig::default();
        let mut estimator = Estimator::new(config);
        let mut pacer: Pacer<u32> = Pacer::new(estimator.pacing(Instant::now()));
        let mut now = Instant::now() + Duration::from_secs(10);
        for event in events {
            match event {
                Event::Wait(millis) => {
                    let by = Duration::from_millis(u64::from(millis.unsigned_abs()));
                    now = if millis < 0 { now - by } else { now + by };
                }
                Event::Send { sequence, size, cluster } => estimator.handle_sent(SentPacket {
                    sequence,
                    size,
                    sent_at: now,
                    kind: PacketKind::Video,
                    cluster: cluster.map(ClusterId),
                }),
                Event::Feedback(fates) => {
                    let packets =
                        fates.into_iter().map(|(sequence, arrival)| PacketFate { sequence, arrival }).collect();
                    estimator.handle_feedback(&Feedback { packets }, now);
                }
                Event::Remb(bits) => estimator.handle_remb(Bitrate::bps(bits), now),
                Event::Report(fraction_lost, rtt) => estimator.handle_report(ReportBlock { fraction_lost, rtt }, now),
                Event::Demand(bits) => estimator.set_demand(Bitrate::bps(bits)),
                Event::Timeout => estimator.handle_timeout(now),
                Event::Probe => {
                    if let Some(probe) = estimator.poll_probe(now) {
                        prop_assert!(probe.bytes <= 400_000 && probe.packet <= 1_200, "{probe:?}");
                        pacer.start_probe(probe);
                    }
                }
            }
            let target = estimator.target();
            prop_assert!((config.least..=config.most).contains(&target), "{target}");
            pacer.set_pacing(estimator.pacing(now));
            let _ = pacer.push(PacketKind::Video, 1_200, 1, now);
            let released = std::iter::from_fn(|| pacer.poll(now)).take(1_000).count();
            prop_assert!(released < 1_000, "a burst without end");
            let _ = (estimator.state(), estimator.poll_timeout(), pacer.next_due(now));
        }
    }

    #[test]
    fn feedback_for_packets_never_sent_changes_nothing(fates in vec((0_u16..40_000, 0_u64..5_000), 1..100)) {
        let (mut estimator, now) = (Estimator::new(RateConfig::default()), Instant::now());
        for sequence in 50_000..50_010 {
            let kind = PacketKind::Audio;
            estimator.handle_sent(SentPacket { sequence, size: 100, sent_at: now, kind, cluster: None });
        }
        let before = estimator.target();
        let fate = |&(sequence, at): &(u16, u64)| PacketFate { sequence, arrival: Some(Duration::from_millis(at)) };
        estimator.handle_feedback(&Feedback { packets: fates.iter().map(fate).collect() }, now);
        prop_assert_eq!(estimator.target(), before);
        prop_assert_eq!(estimator.state().unknown_packets, fates.len() as u64);
        prop_assert_eq!(estimator.pacing(now).in_flight, 1_000);
    }

    #[test]
    fn a_remote_that_lies_about_its_window_gets_a_picture_all_the_same(
        window in any::<(u32, u32)>(), source in any::<(u32, u32)>(), rate in any::<u64>(), took in any::<u32>(),
        interval in any::<Option<u32>>(),
    ) {
        let (mut ladder, mut now) = (Ladder::new(), Instant::now());
        let input = LadderInput {
            rate: Bitrate::bps(rate),
            source,
            window: Some(window),
            encode_time: Some(Duration::from_micros(took.into())),
            source_interval: interval.map(|micros| Duration::from_micros(micros.into())),
        };
        for _ in 0..100 {
            now += Duration::from_millis(100);
            match ladder.handle(&input, now) {
                Picture::Paused => prop_assert!(rate < 200_000, "paused with {} bit/s", rate),
                Picture::Send { width, height, frame_rate } => {
                    prop_assert!((2..=source.0.max(2).next_multiple_of(2)).contains(&width), "{} wide", width);
                    prop_assert!((2..=source.1.max(2).next_multiple_of(2)).contains(&height), "{} high", height);
                    prop_assert!(frame_rate <= FrameRate::fps(30));
                }
            }
        }
    }
}

/// A receiver whose clock jumps by an hour, forth and back, and whose sequence numbers skip half the space.
#[test]
fn a_clock_that_jumps_costs_no_rate() {
    let (mut estimator, start) = (Estimator::new(RateConfig::default()), Instant::now());
    let mut sequence = 0_u16;
    for round in 0..200_u64 {
        let now = start + Duration::from_millis(round * 100);
        let clock = match round / 50 {
            1 => Duration::from_secs(7_200),
            2 => Duration::from_secs(3_600),
            _ => Duration::from_secs(5_000),
        };
        let mut packets = Vec::new();
        for n in 0..10 {
            let sent_at = now + Duration::from_millis(n * 10);
            sequence = sequence.wrapping_add(if round % 50 == 49 && n == 0 { 30_000 } else { 1 });
            let kind = PacketKind::Video;
            estimator.handle_sent(SentPacket { sequence, size: 1_250, sent_at, kind, cluster: None });
            packets.push(PacketFate { sequence, arrival: Some(clock + (sent_at - start) + Duration::from_millis(25)) });
        }
        estimator.handle_feedback(&Feedback { packets }, now + Duration::from_millis(150));
    }
    let state = estimator.state();
    println!("{state:?}");
    assert_eq!(state.clock_jumps, 3);
    assert!(state.target >= Bitrate::kbps(900), "{}", state.target);
}
