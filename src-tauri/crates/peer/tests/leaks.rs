//! Connections leave nothing behind. Alone in its program: it counts the whole process's threads and files.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod common;

use common::*;
use std::time::Duration;

#[test]
fn fifty_connections_leave_nothing_behind() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (mut after_five, mut at_end) = ((0, 0, 0), (0, 0, 0));
    runtime.block_on(async {
        for n in 0..50 {
            let pair = Pair::new(straight()).await.connected().await;
            pair.allow_both();
            if n % 3 == 0 {
                Feeder::new().run(&pair.caller, Duration::from_millis(60), 1000).await;
            }
            // Some are dropped without being closed.
            if n % 5 == 4 {
                pair.abandon().await;
            } else {
                pair.close().await;
            }
            if n == 4 {
                after_five = settled().await;
            }
        }
        at_end = settled().await;
    });
    println!("(tasks, threads, file descriptors) after five {after_five:?}, after fifty {at_end:?}");
    assert!(at_end.0 <= after_five.0, "tasks");
    assert!(at_end.1 <= after_five.1, "threads");
    assert!(at_end.2 <= after_five.2, "file descriptors");
}

/// Tasks, threads and file descriptors, once what was dropped has had time to go.
async fn settled() -> (usize, usize, usize) {
    tokio::time::sleep(Duration::from_millis(300)).await;
    let count = |dir: &str| std::fs::read_dir(dir).map(Iterator::count).unwrap_or(0);
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    (tasks, count("/proc/self/task"), count("/proc/self/fd"))
}
