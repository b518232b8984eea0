//! Fifty calls in one process, and everything is where it was after the first five.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::time::Duration;

use ahoy_engine::api::{AnswerKind, CallPhase, Command};
use common::{Person, befriend, is_active, is_ended, rendezvous};

const CALLS: usize = 50;
const FIRST: usize = 5;
/// Lists of what happened fill up to their bounds, by some 12 kB a call; one encoder left behind is 7 MB.
const MEMORY_SLACK: usize = 1024 * 1024;

#[derive(Debug, Clone, Copy)]
struct Held {
    threads: usize,
    files: usize,
    /// What is allocated, bytes. Not the resident memory: what the allocator keeps for itself swings by 10 MB.
    memory: usize,
}

fn held() -> Held {
    let count = |folder: &str| std::fs::read_dir(folder).unwrap().count();
    Held { threads: count("/proc/self/task"), files: count("/proc/self/fd"), memory: allocated() }
}

/// By Rust, C and C++ alike.
fn allocated() -> usize {
    // SAFETY: takes nothing and gives plain numbers.
    let used = unsafe { libc::mallinfo2() };
    used.uordblks + used.hblkhd
}

/// Sockets close in tasks of their own, so what is held is looked at until it is down, or for two seconds.
async fn settled(limit: Option<Held>) -> Held {
    let mut now = held();
    for _ in 0..100 {
        if limit
            .is_some_and(|limit| now.threads <= limit.threads && now.files <= limit.files && now.memory <= limit.memory)
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        now = held();
    }
    now
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_fifty_calls_threads_sockets_and_memory_are_where_they_were_after_five() {
    let server = rendezvous().await;
    let (ada, ben) = (Person::new("Ada", server.url()).await, Person::new("Ben", server.url()).await);
    befriend(&ada, &ben).await;
    let mut after_first = None;
    for call in 0..CALLS {
        let (caller, callee) = if call % 2 == 0 { (&ada, &ben) } else { (&ben, &ada) };
        caller.wish(Command::Call { id: callee.id.clone(), video: true });
        callee.until_call("the ring", |call| call.phase == CallPhase::Incoming).await;
        callee.wish(Command::Answer { how: AnswerKind::Video });
        for person in [caller, callee] {
            person.until_call("the call", is_active).await;
        }
        let seen = tokio::time::timeout(common::LIMIT, callee.engine.remote_picture().next()).await;
        assert!(seen.unwrap().is_some());
        let ends = if call % 3 == 0 { callee } else { caller };
        ends.wish(Command::HangUp);
        for person in [caller, callee] {
            person.until_call("the end", is_ended).await;
            person.wish(Command::DismissEnded);
            person.until("the contacts", |shown| shown.call.is_none()).await;
        }
        if call + 1 == FIRST {
            after_first = Some(settled(None).await);
        }
    }
    let before = after_first.unwrap();
    let limit = Held { memory: before.memory + MEMORY_SLACK, ..before };
    let after = settled(Some(limit)).await;
    eprintln!("after {FIRST} calls: {before:?}; after {CALLS}: {after:?}");
    assert!(after.threads <= before.threads, "threads: {before:?}, then {after:?}");
    assert!(after.files <= before.files, "sockets and files: {before:?}, then {after:?}");
    assert!(after.memory <= limit.memory, "memory: {before:?}, then {after:?}");

    let running = held().threads;
    ada.engine.shutdown().await;
    ben.engine.shutdown().await;
    let left = settled(Some(Held { threads: running - 20, files: usize::MAX, memory: usize::MAX })).await;
    assert!(
        left.threads <= running - 20,
        "each engine's ten threads are gone: {running} before, {} after",
        left.threads
    );
    server.shutdown().await;
}
