//! Thousands of random lives of three endpoints, and signals no program of ours would send.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod common;

use std::time::Duration;

use ahoy_protocol::{CallId, DescriptionKind, HangUpReason, Signal, SignalBody};
use ahoy_session::*;
use common::{Carrier, GOOD, Rng, World, ms, secs};

/// Prints the seed when a run panics.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with seed {}", self.0);
        }
    }
}

fn any_relation(rng: &mut Rng) -> Relation {
    match rng.below(12) {
        0 => Relation::Stranger,
        1 => Relation::Blocked,
        2..5 => Relation::Contact { early: false },
        _ => Relation::Contact { early: true },
    }
}

fn step(world: &mut World, rng: &mut Rng) {
    let ends = world.ends.len();
    let end = usize::try_from(rng.below(ends as u64)).unwrap();
    let other = (end + 1 + usize::try_from(rng.below(ends as u64 - 1)).unwrap()) % ends;
    match rng.below(22) {
        0..4 => {
            world.call(end, other);
        }
        4 => {
            world.call(end, other);
            world.run(ms(rng.below(40)));
            world.call(other, end);
        }
        5..11 => world.answer(end),
        11 => world.command(end, Command::Decline),
        12..14 => world.command(end, Command::HangUp),
        14 => {
            let media = MediaOn { microphone: rng.percent(50), camera: rng.percent(50), ..MediaOn::default() };
            world.command(end, Command::SetMedia(media));
        }
        15 => world.command(end, Command::NetworkChanged),
        16..18 => {
            let open = world.ends[end].pcs.iter().find(|(_, pc)| !pc.closed).map(|(id, _)| *id);
            if let Some(connection) = open {
                world.input(end, Input::Peer { connection, event: PeerEvent::NegotiationNeeded });
            }
        }
        18 => world.break_way(),
        19 => world.mend_way(),
        20 => world.sign_out(end),
        _ => world.sign_in(end),
    }
}

fn life(seed: u64) {
    let _seed = Seed(seed);
    let mut rng = Rng::new(seed);
    let mut world = World::new(2 + usize::try_from(seed % 2).unwrap(), seed);
    let ends = world.ends.len();
    for a in 0..ends {
        for b in 0..ends {
            let relation = any_relation(&mut rng);
            world.relate(a, b, relation);
        }
    }
    if !seed.is_multiple_of(5) {
        world.carrier = Carrier {
            delay_ms: (1, 1 + rng.below(600)),
            lost: rng.below(25),
            refused: rng.below(15),
            doubled: rng.below(30),
        };
    }
    for _ in 0..25 {
        step(&mut world, &mut rng);
        let pause = match rng.below(4) {
            0 => rng.below(50),
            1 => rng.below(1_000),
            2 => rng.below(8_000),
            _ => rng.below(40_000),
        };
        world.run(ms(pause));
    }
    // Everything works again: what is not running well must come to its end by its own timers.
    world.carrier = GOOD;
    world.mend_way();
    for end in 0..ends {
        world.sign_in(end);
    }
    world.run(secs(100));
    for end in 0..ends {
        let State::InCall(view) = world.ends[end].session.state() else { continue };
        assert!(matches!(view.phase, Phase::Active { .. }), "end {end} is left {:?}", view.phase);
        let other = world.ends.iter().position(|e| e.id == view.peer).unwrap();
        let there = world.view(other);
        assert_eq!((there.call, there.peer), (view.call, world.ends[end].id), "two ends in different calls");
        assert!(matches!(there.phase, Phase::Active { .. }));
    }
    for end in 0..ends {
        world.command(end, Command::HangUp);
    }
    world.run(secs(2));
    world.assert_nothing_leaks();
    for end in &world.ends {
        let mut calls: Vec<_> = end.ended.iter().map(|ended| ended.call).collect();
        calls.sort();
        calls.dedup();
        assert_eq!(calls.len(), end.ended.len(), "a call ended twice");
    }
}

#[test]
fn random_lives_end_in_agreement() {
    if let Ok(seed) = std::env::var("SEED") {
        return life(seed.parse().unwrap());
    }
    for seed in 0..4_000 {
        life(seed);
    }
}

fn any_body(rng: &mut Rng) -> SignalBody {
    let text = |rng: &mut Rng| match rng.below(4) {
        0 => String::new(),
        1 => "garbage".to_owned(),
        2 => format!("a=ice-ufrag:{}\r\n", rng.below(4)),
        _ => "x".repeat(usize::try_from(rng.below(2000)).unwrap()),
    };
    let kind = if rng.percent(50) { DescriptionKind::Offer } else { DescriptionKind::Answer };
    match rng.below(14) {
        0 => SignalBody::Invite { name: text(rng), video: rng.percent(50), offer: text(rng) },
        1 => SignalBody::Ringing,
        2 => SignalBody::Accept { video: rng.percent(50) },
        3 if rng.percent(20) => SignalBody::Decline,
        4 if rng.percent(20) => SignalBody::Busy,
        5 if rng.percent(20) => SignalBody::Cancel,
        6 if rng.percent(20) => SignalBody::HangUp {
            reason: match rng.below(4) {
                0 => HangUpReason::Person,
                1 => HangUpReason::ConnectionLost,
                2 => HangUpReason::Closing,
                _ => HangUpReason::Incompatible,
            },
        },
        7 | 8 => SignalBody::Description { kind, sdp: text(rng) },
        9 | 10 => SignalBody::Candidate {
            candidate: text(rng),
            mid: None,
            index: None,
            username_fragment: rng.percent(50).then(|| text(rng)),
        },
        11 => SignalBody::ShareRequest,
        12 => SignalBody::ShareRefused,
        _ => SignalBody::MediaState {
            microphone: rng.percent(50),
            camera: rng.percent(50),
            paused: rng.percent(10),
            reduced: rng.percent(10),
            view: None,
            share: None,
        },
    }
}

fn any_event(rng: &mut Rng) -> PeerEvent {
    let kind = if rng.percent(50) { DescriptionKind::Offer } else { DescriptionKind::Answer };
    match rng.below(10) {
        0..4 => PeerEvent::LocalDescription { kind, sdp: "v=0".into() },
        4 => PeerEvent::LocalDescriptionFailed,
        5 => PeerEvent::RemoteDescriptionRefused,
        6 => PeerEvent::Connected,
        7 => PeerEvent::MediaFlowing,
        8 => PeerEvent::Disconnected,
        _ => PeerEvent::NegotiationNeeded,
    }
}

#[test]
fn no_signal_in_any_order_makes_it_panic_or_grow() {
    for seed in 0..300 {
        let _seed = Seed(seed);
        let mut rng = Rng::new(seed);
        let (me, peers) = (common::identity(0), [common::identity(1), common::identity(2), common::identity(3)]);
        let mut session = Session::new(me);
        let mut now = World::new(0, 0).now;
        let mut open = Vec::new();
        for _ in 0..2_000 {
            let call = CallId([u8::try_from(rng.below(6)).unwrap(); 16]);
            let peer = peers[usize::try_from(rng.below(3)).unwrap()];
            let input = match rng.below(20) {
                0 => {
                    Input::Command(Command::Call { peer, call, name: "me".into(), video: true, early: rng.percent(50) })
                }
                1 => Input::Command(Command::Answer { video: true }),
                2 => Input::Delivery { ticket: SendTicket(rng.below(4_000)), outcome: Delivery::Failed },
                3..7 => Input::Peer {
                    connection: open.last().copied().unwrap_or(ConnectionId(1)),
                    event: any_event(&mut rng),
                },
                _ => {
                    let sequence = match rng.below(8) {
                        0 => u32::MAX,
                        1 => u32::try_from(rng.below(3_000)).unwrap(),
                        _ => u32::try_from(rng.below(40)).unwrap(),
                    };
                    let age = if rng.percent(90) { Duration::ZERO } else { Duration::MAX };
                    let body = any_body(&mut rng);
                    let signal = Signal { call, sequence, body };
                    Input::Signal(Received { from: peer, signal, relation: any_relation(&mut rng), age })
                }
            };
            session.handle(input, now);
            let mut outputs = 0;
            loop {
                match session.poll(now) {
                    Output::Wait { until } => {
                        assert!(until.is_none_or(|at| at > now && at <= now + secs(70)));
                        break;
                    }
                    Output::Peer { connection, command: PeerCommand::Create { .. } } => open.push(connection),
                    Output::Peer { connection, command: PeerCommand::Close } => {
                        assert_eq!(open.pop(), Some(connection));
                    }
                    Output::Peer { .. }
                    | Output::Send { .. }
                    | Output::Ring(_)
                    | Output::StrangerRequest { .. }
                    | Output::MissedCall(_)
                    | Output::Share(_)
                    | Output::Ended(_)
                    | Output::Changed => {}
                }
                outputs += 1;
                assert!(outputs < 600, "one input gave more than every bounded queue together holds");
            }
            assert!(open.len() <= 1);
            now += ms(rng.below(300));
        }
        session.handle(Input::Command(Command::Closing), now);
        while !matches!(session.poll(now), Output::Wait { .. }) {}
        assert_eq!(session.state(), State::Closed);
    }
}
