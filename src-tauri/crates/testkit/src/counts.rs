//! What this process holds: for tests that nothing leaks.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

/// What a process holds at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProcessCounts {
    /// Resident memory in bytes (`VmRSS`).
    pub resident_bytes: u64,
    /// Threads.
    pub threads: usize,
    /// Open sockets.
    pub sockets: usize,
    /// Open files of all kinds, sockets among them.
    pub files: usize,
}

impl ProcessCounts {
    /// Of this process. Linux only (`/proc/self`).
    ///
    /// # Errors
    /// Where there is no `/proc`.
    pub fn now() -> io::Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let resident = number(&status, "VmRSS:").ok_or(io::ErrorKind::InvalidData)?;
        let (mut sockets, mut files) = (0, 0);
        for entry in fs::read_dir("/proc/self/fd")? {
            // The directory's own descriptor is gone by the time it is looked at.
            let Ok(target) = fs::read_link(entry?.path()) else { continue };
            files += 1;
            sockets += usize::from(target.to_string_lossy().starts_with("socket:"));
        }
        let threads = fs::read_dir("/proc/self/task")?.count();
        Ok(Self { resident_bytes: resident * 1024, threads, sockets, files })
    }

    /// Looks again until threads and sockets are no more than in `earlier`, or `patience` is over; gives the last look.
    /// (A joined thread can still stand in `/proc` for a moment.)
    ///
    /// # Errors
    /// Where there is no `/proc`.
    pub fn settle(earlier: &Self, patience: Duration) -> io::Result<Self> {
        let end = Instant::now() + patience;
        loop {
            let counts = Self::now()?;
            let settled = counts.threads <= earlier.threads && counts.sockets <= earlier.sockets;
            if settled || Instant::now() >= end {
                return Ok(counts);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The processor time this process has used so far, user and system, all threads. Linux only.
///
/// # Errors
/// Where there is no `/proc`.
pub fn cpu_time() -> io::Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name in brackets may hold spaces: count from behind it (proc(5): utime and stime are fields 14 and 15).
    let rest = stat.rsplit_once(')').ok_or(io::ErrorKind::InvalidData)?.1;
    let ticks: u64 = rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    // Linux shows user space 100 ticks a second on every architecture (USER_HZ).
    Ok(Duration::from_millis(ticks * 10))
}

fn number(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_a_socket_and_memory_are_seen_coming_and_going() {
        let before = ProcessCounts::now().unwrap();
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let memory = std::hint::black_box(vec![1u8; 64 << 20]);
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || wait.recv());
        let during = ProcessCounts::now().unwrap();
        assert!(during.sockets > before.sockets && during.files > before.files && during.threads > before.threads);
        assert!(during.resident_bytes > before.resident_bytes + (50 << 20));
        drop((socket, memory));
        release.send(()).unwrap();
        thread.join().unwrap().unwrap();
        let after = ProcessCounts::settle(&before, Duration::from_secs(5)).unwrap();
        assert!(after.sockets < during.sockets && after.threads < during.threads);
        assert!(after.resident_bytes + (50 << 20) < during.resident_bytes);
        assert!(cpu_time().unwrap() > Duration::ZERO);
    }
}
