//! Replayed, late, and badly clocked envelopes.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use ahoy_protocol::limits::{
    CLOCK_RIGHT_MS, CLOCK_TOLERANCE_MS, MAILBOX_AGE_MS, REMEMBERED, REMEMBERED_FROM_ONE, REMEMBERED_SENDERS, RING_MS,
};
use ahoy_protocol::{Age, AhoyId, Arrival, Opened, ReplayError, ReplayGuard, SignalBody};
use common::{call, id_of, invite};
use proptest::prelude::*;

const NOW: u64 = 1_800_000_000_000;
const MINUTE: u64 = 60_000;

fn envelope(from: AhoyId, number: u32, sent_ms: u64) -> Opened {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    Opened { from, id, sent_ms, message: call(invite()) }
}

proptest! {
    #[test]
    fn nothing_is_let_in_twice(
        steps in prop::collection::vec((0..4_u8, 0..40_u32, -400_000_i64..400_000, any::<bool>(), 0..200_000_u64), 1..200)
    ) {
        let mut guard = ReplayGuard::default();
        let mut let_in = std::collections::HashSet::new();
        let mut now = NOW;
        for (sender, number, skew, live, pause) in steps {
            now += pause;
            let opened = envelope(id_of(sender), number, now.saturating_add_signed(skew));
            let arrival = if live { Arrival::Live } else { Arrival::Kept };
            if guard.admit(&opened, arrival, now).is_ok() {
                prop_assert!(let_in.insert((sender, number)));
            }
        }
    }

    #[test]
    fn no_time_panics_and_live_is_never_refused_for_its_time(sent: u64, then: u64, now: u64, later: u64) {
        let mut guard = ReplayGuard::default();
        prop_assert!(guard.admit(&envelope(id_of(1), 1, sent), Arrival::Live, now).is_ok());
        prop_assert!(guard.admit(&envelope(id_of(1), 2, then), Arrival::Live, later).is_ok() || then <= sent);
        let _ = guard.admit(&envelope(id_of(1), 3, sent), Arrival::Kept, later);
        let _ = guard.admit(&envelope(id_of(2), 4, then), Arrival::Kept, now);
    }
}

#[test]
fn a_doubled_envelope_is_refused_however_it_comes_again() {
    let mut guard = ReplayGuard::default();
    let opened = envelope(id_of(1), 1, NOW);
    assert!(guard.admit(&opened, Arrival::Live, NOW + 20).is_ok());
    assert_eq!(guard.admit(&opened, Arrival::Live, NOW + 20), Err(ReplayError::Doubled));
    assert_eq!(guard.admit(&opened, Arrival::Kept, NOW + MAILBOX_AGE_MS - 1), Err(ReplayError::Doubled));
    // The same number from somebody else is another envelope.
    assert!(guard.admit(&envelope(id_of(2), 1, NOW), Arrival::Live, NOW).is_ok());
    assert_eq!(guard.len(), 2);
}

#[test]
fn a_doubled_envelope_is_refused_after_a_restart() {
    let mut guard = ReplayGuard::default();
    let opened = envelope(id_of(1), 1, NOW);
    guard.admit(&opened, Arrival::Live, NOW).unwrap();
    let saved = serde_json::to_string(&guard).unwrap();
    let mut loaded: ReplayGuard = serde_json::from_str(&saved).unwrap();
    assert_eq!(loaded.admit(&opened, Arrival::Live, NOW + 10), Err(ReplayError::Doubled));
}

#[test]
fn mail_is_let_in_for_as_long_as_mailboxes_keep_it() {
    let kept = |sent: u64| ReplayGuard::default().admit(&envelope(id_of(1), 1, sent), Arrival::Kept, NOW);
    let oldest = NOW - MAILBOX_AGE_MS - CLOCK_TOLERANCE_MS;
    assert_eq!(kept(NOW - MAILBOX_AGE_MS), Ok(Age { age_ms: MAILBOX_AGE_MS, clock_behind_ms: 0 }));
    assert!(kept(oldest).is_ok());
    assert_eq!(kept(oldest - 1), Err(ReplayError::TooOld));
    assert_eq!(kept(0), Err(ReplayError::TooOld));
    assert_eq!(kept(NOW + CLOCK_TOLERANCE_MS), Ok(Age { age_ms: 0, clock_behind_ms: 0 }));
    assert_eq!(kept(NOW + CLOCK_TOLERANCE_MS + 1), Err(ReplayError::FromTheFuture));
    assert_eq!(kept(u64::MAX), Err(ReplayError::FromTheFuture));
}

#[test]
fn an_invitation_that_has_rung_out_is_a_missed_call_and_an_old_decline_is_still_a_decline() {
    let mut guard = ReplayGuard::default();
    let fresh = guard.admit(&envelope(id_of(1), 1, NOW - RING_MS), Arrival::Kept, NOW).unwrap();
    let stale = guard.admit(&envelope(id_of(1), 2, NOW - RING_MS - 1), Arrival::Kept, NOW).unwrap();
    assert!(!fresh.is_stale(&call(invite())));
    assert!(stale.is_stale(&call(invite())));
    assert!(!stale.is_stale(&call(SignalBody::Decline)));
}

#[test]
fn a_wrong_clock_does_not_stop_a_live_call_from_ringing() {
    for wrong_by in [
        -(365 * 24 * 60 * MINUTE as i64),
        -10 * MINUTE as i64,
        -2 * MINUTE as i64,
        2 * MINUTE as i64,
        10 * MINUTE as i64,
    ] {
        let mut guard = ReplayGuard::default();
        let mut at = |number, now: u64| {
            let opened = envelope(id_of(1), number, now.saturating_add_signed(-wrong_by));
            guard.admit(&opened, Arrival::Live, now).unwrap()
        };
        // At once, and again the next day.
        for (number, now) in [(1, NOW), (2, NOW + 300), (3, NOW + 24 * 60 * MINUTE)] {
            let age = at(number, now);
            assert_eq!(age, Age { age_ms: 0, clock_behind_ms: wrong_by });
            assert!(!age.is_stale(&call(invite())));
        }
    }
}

#[test]
fn a_clock_that_is_put_right_is_believed_again() {
    let mut guard = ReplayGuard::default();
    let admit = |guard: &mut ReplayGuard, number, sent, now| {
        guard.admit(&envelope(id_of(1), number, sent), Arrival::Live, now).unwrap()
    };
    assert_eq!(admit(&mut guard, 1, NOW + 10 * MINUTE, NOW).clock_behind_ms, -(10 * MINUTE as i64));
    let right = admit(&mut guard, 2, NOW + 11 * MINUTE, NOW + 11 * MINUTE + CLOCK_RIGHT_MS);
    assert_eq!(right, Age { age_ms: CLOCK_RIGHT_MS, clock_behind_ms: 0 });
}

#[test]
fn a_live_invitation_held_up_by_a_sleeping_computer_is_a_missed_call() {
    let mut guard = ReplayGuard::default();
    // Ben's clock was seen to be right.
    guard.admit(&envelope(id_of(1), 1, NOW), Arrival::Live, NOW + 40).unwrap();
    let slept = guard.admit(&envelope(id_of(1), 2, NOW + MINUTE), Arrival::Live, NOW + 31 * MINUTE).unwrap();
    assert_eq!(slept, Age { age_ms: 30 * MINUTE, clock_behind_ms: 0 });
    assert!(slept.is_stale(&call(invite())));
    // The same with a clock known to be ten minutes behind.
    let mut guard = ReplayGuard::default();
    guard.admit(&envelope(id_of(1), 1, NOW - 10 * MINUTE), Arrival::Live, NOW).unwrap();
    let slept = guard.admit(&envelope(id_of(1), 2, NOW - 9 * MINUTE), Arrival::Live, NOW + 31 * MINUTE).unwrap();
    assert_eq!(slept, Age { age_ms: 30 * MINUTE, clock_behind_ms: 10 * MINUTE as i64 });
}

#[test]
fn what_had_to_be_forgotten_cannot_come_again() {
    let mut guard = ReplayGuard::default();
    let from = id_of(1);
    let count = REMEMBERED_FROM_ONE as u32 + 10;
    for number in 0..count {
        guard.admit(&envelope(from, number, NOW + u64::from(number)), Arrival::Live, NOW + u64::from(number)).unwrap();
    }
    assert_eq!(guard.len(), REMEMBERED_FROM_ONE);
    let now = NOW + u64::from(count);
    for number in 0..count {
        let again = guard.admit(&envelope(from, number, NOW + u64::from(number)), Arrival::Live, now);
        assert_eq!(again, Err(if number < 10 { ReplayError::TooOld } else { ReplayError::Doubled }), "{number}");
    }
    // Nobody else is touched by it.
    assert!(guard.admit(&envelope(id_of(2), 0, NOW - MINUTE), Arrival::Live, now).is_ok());
}

#[test]
fn memory_is_bounded_and_whoever_sends_most_loses_most() {
    let mut guard = ReplayGuard::default();
    let senders: Vec<AhoyId> = (0..20).map(id_of).collect();
    let mut number = 0;
    guard.admit(&envelope(id_of(200), 0, NOW), Arrival::Live, NOW).unwrap();
    for round in 0..REMEMBERED_FROM_ONE as u64 {
        for from in &senders {
            number += 1;
            guard.admit(&envelope(*from, number, NOW + round), Arrival::Live, NOW + round).unwrap();
        }
        assert!(guard.len() <= REMEMBERED);
    }
    assert_eq!(guard.len(), REMEMBERED);
    assert_eq!(guard.admit(&envelope(id_of(200), 0, NOW), Arrival::Live, NOW), Err(ReplayError::Doubled));
}

#[test]
fn too_many_senders_push_out_the_one_heard_least_recently() {
    let mut guard = ReplayGuard::default();
    for number in 0..=REMEMBERED_SENDERS as u32 {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&number.to_be_bytes());
        let from = ahoy_protocol::Identity::from_seed(seed).id();
        guard.admit(&envelope(from, 1, NOW + u64::from(number)), Arrival::Live, NOW + u64::from(number)).unwrap();
    }
    assert_eq!(guard.len(), REMEMBERED_SENDERS);
    let first = ahoy_protocol::Identity::from_seed([0; 32]).id();
    assert_eq!(guard.admit(&envelope(first, 1, NOW), Arrival::Live, NOW + 9999), Err(ReplayError::TooOld));
}

#[test]
fn after_two_weeks_ids_are_let_go_without_refusing_anything_new() {
    let mut guard = ReplayGuard::default();
    guard.admit(&envelope(id_of(1), 1, NOW), Arrival::Live, NOW).unwrap();
    let later = NOW + MAILBOX_AGE_MS + 2 * CLOCK_TOLERANCE_MS + 1;
    guard.admit(&envelope(id_of(1), 2, later - MAILBOX_AGE_MS), Arrival::Kept, later).unwrap();
    assert_eq!(guard.len(), 1);
    assert_eq!(guard.admit(&envelope(id_of(1), 1, NOW), Arrival::Live, later), Err(ReplayError::TooOld));
}
