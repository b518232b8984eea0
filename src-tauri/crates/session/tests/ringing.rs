//! From the first click to the answer, or to whatever comes instead.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use ahoy_protocol::{CallId, SignalBody};
use ahoy_session::*;
use common::{World, ms, secs};

const EARLY_OFF: Relation = Relation::Contact { early: false };

fn accept(body: &SignalBody) -> bool {
    matches!(body, SignalBody::Accept { .. })
}
fn candidate(body: &SignalBody) -> bool {
    matches!(body, SignalBody::Candidate { .. })
}
fn description(body: &SignalBody) -> bool {
    matches!(body, SignalBody::Description { .. })
}

#[test]
fn a_call_is_made_rings_is_answered_and_hung_up() {
    let mut world = World::new(2, 1);
    let id = world.call(0, 1);
    assert_eq!(world.view(0).phase, Phase::Calling);
    assert_eq!(world.ends[0].tone, None, "no ringing tone before it really rings");
    world.run(ms(100));
    assert_eq!((world.view(0).phase, world.view(1).phase), (Phase::Ringing, Phase::Incoming));
    assert_eq!((world.ends[0].tone, world.ends[1].tone), (Some(Tone::Outgoing), Some(Tone::Incoming)));
    assert_eq!(world.view(1).peer_name.as_deref(), Some("end 0"));
    world.run(secs(5));
    world.answer(1);
    world.run(ms(300));
    assert!(world.active(0) && world.active(1));
    assert_eq!((world.view(0).call, world.view(1).call), (id, id));
    assert_eq!(world.view(0).remote, MediaOn { microphone: true, camera: true, ..MediaOn::default() });
    world.run(secs(600));
    world.command(0, Command::HangUp);
    world.run(secs(1));
    assert_eq!((world.reasons(0), world.reasons(1)), (vec![EndReason::HungUp], vec![EndReason::RemoteHungUp]));
    let media = world.ends[1].ended[0].media_since.unwrap();
    assert!(world.now - media > secs(600));
    world.assert_nothing_leaks();
}

#[test]
fn contacts_connect_while_it_rings_so_that_media_flows_at_once() {
    let mut world = World::new(2, 2);
    world.call(0, 1);
    world.run(secs(2));
    assert!(world.ends.iter().all(|end| end.pcs.values().all(|pc| pc.connected && !pc.allowed)));
    world.answer(1);
    world.run(ms(85)); // One way of the signal and the first packet.
    assert!(world.active(0) && world.active(1));
}

#[test]
fn a_callee_who_does_not_connect_early_shows_nothing_before_the_answer() {
    let mut world = World::new(2, 3);
    world.relate(1, 0, EARLY_OFF);
    world.call(0, 1);
    world.run(secs(3));
    assert!(world.ends[1].pcs.is_empty());
    assert_eq!(world.signals(1, candidate) + world.signals(1, description), 0);
    world.answer(1);
    world.run(secs(1));
    assert!(world.active(0) && world.active(1));
}

#[test]
fn a_caller_who_does_not_connect_early_holds_back_its_candidates_until_the_answer() {
    let mut world = World::new(2, 4);
    world.relate(0, 1, EARLY_OFF);
    world.call(0, 1);
    world.run(secs(3));
    assert_eq!(world.signals(0, candidate), 0);
    assert_eq!(world.ends[0].pcs.values().map(|pc| pc.added).sum::<usize>(), 0, "no checks towards the callee");
    world.answer(1);
    world.run(secs(1));
    assert!(world.active(0) && world.active(1));
    assert_eq!(world.signals(0, candidate), 3);
}

#[test]
fn unanswered_it_stops_after_sixty_seconds_on_both_sides() {
    let mut world = World::new(2, 5);
    world.call(0, 1);
    world.run(secs(59));
    assert_eq!(world.view(1).phase, Phase::Incoming);
    world.run(secs(2));
    assert_eq!((world.reasons(0), world.reasons(1)), (vec![EndReason::NoAnswer], vec![EndReason::Missed]));
    world.assert_nothing_leaks();
}

#[test]
fn a_callee_whose_caller_vanished_stops_ringing_by_itself() {
    let mut world = World::new(2, 6);
    world.call(0, 1);
    world.run(secs(1));
    world.eat = Box::new(|from, _| from == 0);
    world.command(0, Command::HangUp);
    world.run(secs(61));
    assert_eq!(world.view(1).phase, Phase::Incoming);
    world.run(secs(5));
    assert_eq!(world.reasons(1), [EndReason::Missed]);
    world.assert_nothing_leaks();
}

#[test]
fn a_refusal_and_a_cancellation_reach_the_other_side() {
    let mut world = World::new(2, 7);
    world.call(0, 1);
    world.run(secs(1));
    world.command(1, Command::Decline);
    world.run(secs(1));
    assert_eq!((world.reasons(0), world.reasons(1)), (vec![EndReason::Declined], vec![EndReason::DeclinedHere]));
    world.call(0, 1);
    world.run(secs(1));
    world.command(0, Command::HangUp);
    world.run(secs(1));
    assert_eq!(world.reasons(0)[1], EndReason::Cancelled);
    assert_eq!(world.reasons(1)[1], EndReason::Missed);
    world.assert_nothing_leaks();
}

#[test]
fn a_third_person_hears_busy_and_the_running_call_goes_on() {
    let mut world = World::new(3, 8);
    world.call(0, 1);
    world.run(secs(1));
    world.answer(1);
    world.run(secs(1));
    world.call(2, 1);
    world.run(secs(1));
    assert_eq!(world.reasons(2), [EndReason::Busy]);
    assert_eq!(world.ends[1].missed.len(), 1);
    assert!(world.active(0) && world.active(1) && world.ends[1].tone.is_none());
}

#[test]
fn somebody_offline_is_unreachable_at_once_and_sees_a_missed_call_later() {
    let mut world = World::new(2, 9);
    world.sign_out(1);
    let id = world.call(0, 1);
    world.run(secs(1));
    assert_eq!(world.reasons(0), [EndReason::Unreachable]);
    world.run(secs(3600));
    world.sign_in(1);
    world.run(secs(1));
    assert_eq!(world.ends[1].missed.iter().map(|missed| missed.call).collect::<Vec<_>>(), [id]);
    assert!(world.ends[1].ended.is_empty());
    world.assert_nothing_leaks();
}

#[test]
fn somebody_back_within_the_minute_is_not_left_ringing_for_a_caller_who_gave_up() {
    let mut world = World::new(2, 10);
    world.sign_out(1);
    world.call(0, 1);
    world.run(secs(10));
    world.sign_in(1);
    world.run(secs(1));
    assert!(world.idle(1));
    assert_eq!(world.reasons(1).len() + world.ends[1].missed.len(), 1);
    world.assert_nothing_leaks();
}

#[test]
fn without_a_sign_in_the_caller_is_told_so() {
    let mut world = World::new(2, 11);
    world.sign_out(0);
    world.call(0, 1);
    world.run(secs(1));
    assert_eq!(world.reasons(0), [EndReason::NotSignedIn]);
    world.run(secs(60));
    world.assert_nothing_leaks();
}

#[test]
fn when_both_call_at_once_one_call_results_whoever_was_first() {
    for (seed, ids) in [(12, (1, 2)), (13, (2, 1))] {
        for gap in [0, 3, 6, 10, 24] {
            let mut world = World::new(2, seed);
            world.call_as(0, 1, CallId([ids.0; 16]));
            world.run(ms(gap));
            world.call_as(1, 0, CallId([ids.1; 16]));
            world.run(secs(2));
            assert!(world.active(0) && world.active(1), "gap {gap}");
            assert_eq!(world.view(0).call, world.view(1).call);
            assert_eq!(world.view(0).direction, Direction::Outgoing);
            assert!(world.ends[0].ended.is_empty() && world.ends[1].ended.is_empty());
            world.command(1, Command::HangUp);
            world.run(secs(1));
            world.assert_nothing_leaks();
        }
    }
}

#[test]
fn calling_someone_whose_call_rings_here_answers_it() {
    let mut world = World::new(2, 14);
    world.call(0, 1);
    world.run(secs(1));
    world.call(1, 0);
    world.run(secs(1));
    assert!(world.active(0) && world.active(1));
}

#[test]
fn an_answer_that_crosses_the_cancellation_ends_quietly_on_both_sides() {
    let mut world = World::new(2, 15);
    world.call(0, 1);
    world.run(secs(1));
    world.command(0, Command::HangUp);
    world.answer(1);
    world.run(secs(1));
    assert_eq!((world.reasons(0), world.reasons(1)), (vec![EndReason::Cancelled], vec![EndReason::RemoteHungUp]));
    world.assert_nothing_leaks();
}

#[test]
fn two_hang_ups_that_cross_are_one_end() {
    let mut world = World::new(2, 16);
    world.call(0, 1);
    world.run(secs(1));
    world.answer(1);
    world.run(secs(1));
    world.command(0, Command::HangUp);
    world.command(1, Command::HangUp);
    world.run(secs(5));
    assert_eq!((world.reasons(0), world.reasons(1)), (vec![EndReason::HungUp], vec![EndReason::HungUp]));
    world.assert_nothing_leaks();
}

#[test]
fn a_stranger_waits_quietly_and_hears_nothing() {
    let mut world = World::new(2, 17);
    world.relate(1, 0, Relation::Stranger);
    world.call(0, 1);
    world.run(secs(30));
    assert_eq!(world.view(0).phase, Phase::Calling);
    assert_eq!(world.ends[1].strangers.len(), 1, "one request however often the invitation is sent");
    assert!(world.idle(1) && world.ends[1].sent.is_empty() && world.ends[1].pcs.is_empty());
    world.run(secs(31));
    assert_eq!(world.reasons(0), [EndReason::NoAnswer]);
    world.assert_nothing_leaks();
}

#[test]
fn someone_blocked_is_not_even_a_request() {
    let mut world = World::new(2, 18);
    world.relate(1, 0, Relation::Blocked);
    world.call(0, 1);
    world.run(secs(61));
    assert!(world.ends[1].strangers.is_empty() && world.ends[1].missed.is_empty() && world.ends[1].sent.is_empty());
    assert_eq!(world.reasons(0), [EndReason::NoAnswer]);
}

#[test]
fn a_cancellation_that_overtakes_its_invitation_leaves_a_missed_call_and_no_ringing() {
    let mut world = World::new(2, 19);
    world.call(0, 1);
    world.run(ms(6));
    let invite = world.ends[0].sent[0].1.clone();
    world.eat = Box::new(|_, _| true);
    let mut world2 = World::new(2, 19);
    let cancel = ahoy_protocol::Signal { sequence: 1, body: SignalBody::Cancel, ..invite.clone() };
    world2.inject(1, 0, cancel, ms(0));
    world2.inject(1, 0, invite.clone(), ms(50));
    world2.inject(1, 0, invite, ms(50));
    assert!(world2.idle(1));
    assert_eq!(world2.ends[1].missed.len(), 1);
}

#[test]
fn a_signal_in_the_name_of_someone_else_is_refused() {
    let mut world = World::new(3, 20);
    world.call(0, 1);
    world.run(secs(1));
    let call = world.view(0).call;
    for body in [SignalBody::Cancel, SignalBody::Decline, SignalBody::Accept { video: true }] {
        world.inject(0, 2, ahoy_protocol::Signal { call, sequence: 9, body: body.clone() }, ms(0));
        world.inject(1, 2, ahoy_protocol::Signal { call, sequence: 9, body }, ms(0));
    }
    assert_eq!((world.view(0).phase, world.view(1).phase), (Phase::Ringing, Phase::Incoming));
    assert_eq!(world.ends[0].session.counters().not_the_peer, 3);
}

#[test]
fn a_lost_acceptance_is_said_again() {
    let mut world = World::new(2, 21);
    world.call(0, 1);
    world.run(secs(1));
    let mut once = true;
    world.eat = Box::new(move |_, signal| accept(&signal.body) && std::mem::take(&mut once));
    world.answer(1);
    world.run(secs(3));
    assert!(world.active(0) && world.active(1));
}

#[test]
fn an_acceptance_before_the_answer_description_is_understood() {
    let mut world = World::new(2, 22);
    world.call(0, 1);
    let mut once = true;
    world.eat = Box::new(move |_, signal| description(&signal.body) && std::mem::take(&mut once));
    world.run(secs(1));
    world.answer(1);
    world.run(secs(1));
    assert_eq!(world.view(0).phase, Phase::Connecting);
    world.run(secs(3)); // The invitation comes again, and the answer with it.
    assert!(world.active(0) && world.active(1));
}

#[test]
fn a_garbled_offer_ends_with_incompatible_on_both_sides() {
    let mut world = World::new(2, 23);
    world.call(0, 1);
    world.run(ms(6));
    let mut invite = world.ends[0].sent[0].1.clone();
    if let SignalBody::Invite { offer, .. } = &mut invite.body {
        *offer = "garbage".into();
    }
    world.eat = Box::new(|from, signal| from == 0 && signal.sequence == 0);
    let mut other = World::new(2, 23);
    other.inject(1, 0, invite, ms(20));
    other.run(secs(1));
    assert_eq!(other.reasons(1), [EndReason::Incompatible]);
    other.assert_nothing_leaks();
}

#[test]
fn closing_the_program_ends_the_call_and_takes_no_other() {
    let mut world = World::new(2, 24);
    world.call(0, 1);
    world.run(secs(1));
    world.command(1, Command::Closing);
    world.run(secs(1));
    assert_eq!((world.reasons(0), world.reasons(1)), (vec![EndReason::Unreachable], vec![EndReason::Missed]));
    world.call(0, 1);
    world.run(secs(1));
    assert_eq!(world.ends[1].session.state(), State::Closed);
    world.run(secs(60));
    world.assert_nothing_leaks();
}
