//! What becomes of an accepted call when its way, or its negotiation, meets trouble.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use ahoy_protocol::{ShareKind, ShareState, SignalBody};
use ahoy_session::*;
use common::{Signalling, World, ms, secs};

fn running(seed: u64) -> World {
    let mut world = World::new(2, seed);
    world.call(0, 1);
    world.run(secs(1));
    world.answer(1);
    world.run(secs(1));
    assert!(world.active(0) && world.active(1));
    world
}

fn raise(world: &mut World, end: usize, event: PeerEvent) {
    let connection = *world.ends[end].pcs.keys().next_back().unwrap();
    world.input(end, Input::Peer { connection, event });
}

fn offers(world: &World) -> (usize, usize) {
    let offers = |end: usize| world.ends[end].pcs.values().map(|pc| pc.offers).sum();
    (offers(0), offers(1))
}

fn assert_settled(world: &World) {
    for end in &world.ends {
        assert!(end.pcs.values().all(|pc| pc.signalling == Signalling::Stable));
    }
}

#[test]
fn without_a_way_the_call_ends_after_twenty_seconds() {
    let mut world = World::new(2, 1);
    world.way = false;
    world.call(0, 1);
    world.run(secs(1));
    world.answer(1);
    world.run(secs(19));
    assert_eq!(world.view(0).phase, Phase::Connecting);
    world.run(secs(2));
    for end in 0..2 {
        assert_eq!(world.reasons(end), [EndReason::NoConnection]);
    }
    world.assert_nothing_leaks();
}

#[test]
fn a_lost_way_that_comes_back_is_found_again_by_a_restart() {
    let mut world = running(2);
    world.break_way();
    world.run(secs(10));
    assert!(matches!(world.view(0).phase, Phase::Reconnecting { .. }));
    assert!(matches!(world.view(1).phase, Phase::Reconnecting { .. }));
    let since = world.ends[0].session.state();
    world.mend_way();
    world.run(secs(6));
    assert!(world.active(0) && world.active(1));
    match (since, world.view(0).phase) {
        (State::InCall(CallView { phase: Phase::Reconnecting { since: a, .. }, .. }), Phase::Active { since: b }) => {
            assert_eq!(a, b, "the duration goes on");
        }
        other => panic!("{other:?}"),
    }
    assert!(offers(&world).0 >= 2);
    assert_settled(&world);
}

#[test]
fn a_way_lost_for_thirty_seconds_is_given_up() {
    let mut world = running(3);
    world.break_way();
    world.run(secs(33));
    for end in 0..2 {
        assert_eq!(world.reasons(end), [EndReason::ConnectionLost]);
    }
    world.assert_nothing_leaks();
}

#[test]
fn a_peer_that_vanishes_altogether_is_given_up() {
    let mut world = running(4);
    world.break_way();
    world.eat = Box::new(|from, _| from == 1);
    world.run(secs(33));
    assert_eq!(world.reasons(0), [EndReason::ConnectionLost]);
}

#[test]
fn an_early_connection_that_fails_keeps_ringing_and_is_tried_again_after_the_answer() {
    let mut world = World::new(2, 5);
    world.way = false;
    world.call(0, 1);
    world.run(secs(5));
    raise(&mut world, 0, PeerEvent::Failed);
    raise(&mut world, 1, PeerEvent::Failed);
    assert_eq!((world.view(0).phase, world.view(1).phase), (Phase::Ringing, Phase::Incoming));
    world.answer(1);
    world.run(secs(1));
    assert_eq!(offers(&world).0, 2, "an ICE restart");
    world.mend_way();
    world.run(secs(2));
    assert!(world.active(0) && world.active(1));
}

#[test]
fn an_early_connection_is_closed_when_the_call_is_declined() {
    let mut world = World::new(2, 6);
    world.call(0, 1);
    world.run(secs(5));
    assert!(world.ends.iter().all(|end| end.pcs.len() == 1));
    world.command(1, Command::Decline);
    world.run(secs(1));
    world.assert_nothing_leaks();
}

#[test]
fn a_call_in_which_nobody_sends_anything_still_runs() {
    let mut world = World::new(2, 7);
    world.silent = true;
    world.call(0, 1);
    world.run(secs(1));
    world.answer(1);
    world.run(secs(4));
    assert!(world.active(0) && world.active(1));
}

#[test]
fn either_side_may_negotiate_anew() {
    for end in 0..2 {
        let mut world = running(8);
        raise(&mut world, end, PeerEvent::NegotiationNeeded);
        world.run(secs(1));
        assert_settled(&world);
        assert_eq!(world.ends[1 - end].pcs.values().next().unwrap().answers, if end == 0 { 2 } else { 1 });
        assert!(world.active(0) && world.active(1));
    }
}

#[test]
fn colliding_offers_end_in_both_being_negotiated() {
    for gap in [0, 2, 5, 15, 24, 30, 50] {
        for first in 0..2 {
            let mut world = running(9);
            let before = offers(&world);
            raise(&mut world, first, PeerEvent::NegotiationNeeded);
            world.run(ms(gap));
            raise(&mut world, 1 - first, PeerEvent::NegotiationNeeded);
            world.run(secs(3));
            assert_settled(&world);
            let after = offers(&world);
            assert!(after.0 > before.0, "the caller's offer, gap {gap}");
            assert!(after.1 > before.1, "the callee's offer, gap {gap}");
            assert_eq!(world.ends[0].pcs.values().next().unwrap().rollbacks, 0, "the impolite side never yields");
            assert!(world.active(0) && world.active(1));
        }
    }
}

#[test]
fn colliding_restarts_are_one() {
    let mut world = running(10);
    world.command(0, Command::NetworkChanged);
    world.command(1, Command::NetworkChanged);
    world.run(secs(3));
    assert_settled(&world);
    assert_eq!(world.ends[1].pcs.values().next().unwrap().rollbacks, 1);
    assert_eq!(offers(&world), (2, 1), "the callee does not offer again");
    assert!(world.active(0) && world.active(1));
}

#[test]
fn a_lost_offer_and_a_lost_answer_are_said_again() {
    for lost in 0..2 {
        let mut world = running(11);
        let mut once = true;
        world.eat = Box::new(move |from, signal| {
            from == lost && matches!(signal.body, SignalBody::Description { .. }) && std::mem::take(&mut once)
        });
        raise(&mut world, 0, PeerEvent::NegotiationNeeded);
        world.run(secs(1));
        assert_ne!(world.ends[0].pcs.values().next().unwrap().signalling, Signalling::Stable);
        world.run(secs(2));
        assert_settled(&world);
        assert_eq!(offers(&world).0, 2);
    }
}

#[test]
fn a_garbled_later_offer_harms_nothing() {
    let mut world = running(12);
    let call = world.view(0).call;
    let body = SignalBody::Description { kind: ahoy_protocol::DescriptionKind::Offer, sdp: "garbage".into() };
    world.inject(0, 1, ahoy_protocol::Signal { call, sequence: 900, body }, ms(0));
    world.run(secs(2));
    assert!(world.active(0) && world.active(1));
    assert_eq!(world.ends[0].session.counters().descriptions_refused, 1);
    assert_settled(&world);
}

#[test]
fn mute_and_camera_are_told_and_an_older_word_does_not_undo_a_newer() {
    let mut world = running(13);
    world.carrier.delay_ms = (5, 400);
    for n in 0..20 {
        world.command(
            0,
            Command::SetMedia(MediaOn { microphone: n % 2 == 0, camera: n % 3 == 0, ..MediaOn::default() }),
        );
        world.run(ms(3));
    }
    world.run(secs(2));
    assert_eq!(world.view(1).remote, MediaOn::default());
}

#[test]
fn a_share_is_told_with_the_media_and_asking_for_one_begins_none() {
    let mut world = running(16);
    let share = ShareState { kind: ShareKind::Window, sound: true, paused: false };
    world.command(0, Command::SetMedia(MediaOn { share: Some(share), ..MediaOn::default() }));
    world.command(1, Command::Share(ShareSignal::Request));
    world.run(secs(1));
    assert_eq!(world.view(1).remote.share, Some(share));
    assert_eq!(world.ends[0].shares, [ShareSignal::Request]);
    assert_eq!(world.view(0).remote.share, None, "nothing is shown before somebody wants to");
    world.command(0, Command::Share(ShareSignal::Refused));
    world.run(secs(1));
    assert_eq!(world.ends[1].shares, [ShareSignal::Refused]);
    world.command(0, Command::SetMedia(MediaOn::default()));
    world.run(secs(1));
    assert_eq!(world.view(1).remote.share, None);
}

#[test]
fn nobody_is_asked_to_share_before_the_call_is_accepted() {
    let mut world = World::new(2, 17);
    world.call(0, 1);
    world.run(secs(1));
    world.command(0, Command::Share(ShareSignal::Request));
    let call = world.view(0).call;
    let sequence = 40;
    world.inject(1, 0, ahoy_protocol::Signal { call, sequence, body: SignalBody::ShareRequest }, ms(0));
    world.run(secs(1));
    assert!(world.ends[1].shares.is_empty());
    assert_eq!(world.ends[0].session.counters().refused_commands, 1);
    assert_eq!(world.ends[1].session.counters().out_of_place, 1);
}

#[test]
fn someone_who_missed_the_end_is_told_again() {
    let mut world = running(14);
    world.eat = Box::new(|from, signal| from == 0 && matches!(signal.body, SignalBody::HangUp { .. }));
    world.command(0, Command::HangUp);
    world.run(secs(1));
    world.eat = Box::new(|_, _| false);
    assert!(world.active(1));
    world.command(1, Command::SetMedia(MediaOn::default()));
    world.run(secs(1));
    assert_eq!(world.reasons(1), [EndReason::RemoteHungUp]);
    world.assert_nothing_leaks();
}

#[test]
fn someone_whose_program_crashed_may_call_again_once_the_old_call_has_lost_its_way() {
    let mut world = running(15);
    world.ends[0].session = Session::new(world.ends[0].id);
    world.ends[0].pcs.clear();
    world.break_way();
    world.run(secs(4));
    world.mend_way();
    world.call(0, 1);
    world.run(ms(60));
    assert_eq!(world.view(1).phase, Phase::Incoming);
    assert_eq!(world.reasons(1), [EndReason::ConnectionLost]);
}
