//! The router between network namespaces: TUN devices, a thread that reads each, and one that carries packets over
//! [`Paths`].

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::paths::Paths;

/// Name of the TUN device in each host.
pub const DEVICE: &str = "ahoy0";
/// host threads -> router; full: the sender waits, as a network card's queue would.
const QUEUE: usize = 4096;

struct Packet {
    from: usize,
    to: usize,
    arrived: Instant,
    bytes: Vec<u8>,
}

/// Opens a device in each host and starts the threads. They end when the devices go with their namespaces, or with the
/// process.
///
/// # Errors
/// When a device cannot be opened.
pub fn start(hosts: &[String], paths: &Arc<Mutex<Paths>>) -> anyhow::Result<()> {
    let (sender, receiver) = sync_channel(QUEUE);
    let mut writers = Vec::new();
    for (place, host) in hosts.iter().enumerate() {
        let device = inside(host, open_device)??;
        writers.push(device.try_clone()?);
        let sender = sender.clone();
        std::thread::spawn(move || read(place, device, &sender));
    }
    let paths = Arc::clone(paths);
    std::thread::spawn(move || route(&receiver, &writers, &paths));
    Ok(())
}

fn read(place: usize, mut device: File, router: &SyncSender<Packet>) {
    go_first();
    let mut buffer = vec![0; 2048];
    while let Ok(length) = device.read(&mut buffer) {
        let bytes = &buffer[..length];
        // IPv4 only (RFC 791: version in the first nibble, destination at 16): hosts are 10.77.0.(place + 1).
        let Some([10, 77, 0, last]) = bytes.get(16..20).filter(|_| bytes[0] >> 4 == 4) else { continue };
        let Some(to) = usize::from(*last).checked_sub(1) else { continue };
        let packet = Packet { from: place, to, arrived: Instant::now(), bytes: bytes.to_vec() };
        if router.send(packet).is_err() {
            return;
        }
    }
}

fn route(packets: &Receiver<Packet>, writers: &[File], paths: &Mutex<Paths>) {
    go_first();
    loop {
        let next = paths.lock().unwrap_or_else(PoisonError::into_inner).next_due();
        let wait = next.map_or(Duration::from_secs(3600), |due| due.saturating_duration_since(Instant::now()));
        let first = match packets.recv_timeout(wait) {
            Ok(packet) => Some(packet),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        // Held only while packets are moved: the bench asks for the records between calls.
        let mut paths = paths.lock().unwrap_or_else(PoisonError::into_inner);
        for packet in first.into_iter().chain(packets.try_iter()) {
            paths.push(packet.from, packet.to, packet.bytes, packet.arrived);
        }
        let now = Instant::now();
        while let Some((to, bytes)) = paths.pop(now) {
            if let Some(mut writer) = writers.get(to) {
                let _ = writer.write(&bytes);
            }
        }
    }
}

/// Two calls keep a small machine busy; the link must not wait for its turn. Where it is refused, the records tell how
/// late packets were.
fn go_first() {
    // SAFETY: a whole sched_param; 0 means this thread.
    unsafe {
        let mut priority: libc::sched_param = std::mem::zeroed();
        priority.sched_priority = 10;
        libc::sched_setscheduler(0, libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, &raw const priority);
    }
}

/// Runs `work` in a thread that has gone into a namespace: sockets it opens and programs it starts belong there.
///
/// # Errors
/// When the namespace cannot be entered.
pub fn inside<T: Send>(host: &str, work: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
    let path = format!("/run/netns/{host}");
    let enter = || {
        let namespace = File::open(&path).with_context(|| path.clone())?;
        // SAFETY: the descriptor is open; this moves only this thread, which ends below.
        let done = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
        anyhow::ensure!(done == 0, "setns: {}", std::io::Error::last_os_error());
        Ok(work())
    };
    std::thread::scope(|scope| scope.spawn(enter).join())
        .unwrap_or_else(|_| Err(anyhow::anyhow!("the thread inside the network namespace panicked")))
}

/// Opens the TUN device of the namespace that this thread is in.
fn open_device() -> anyhow::Result<File> {
    // SAFETY: the path is a C string; the result is checked.
    let descriptor = unsafe { libc::open(c"/dev/net/tun".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
    anyhow::ensure!(descriptor >= 0, "/dev/net/tun: {}", std::io::Error::last_os_error());
    // SAFETY: the descriptor was just opened and belongs to nobody else.
    let device = unsafe { File::from_raw_fd(descriptor) };
    // SAFETY: an all-zero ifreq is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(DEVICE.bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as i16;
    // SAFETY: TUNSETIFF reads and writes one ifreq, which outlives the call.
    let done = unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF as _, &mut request) };
    anyhow::ensure!(done == 0, "TUNSETIFF: {}", std::io::Error::last_os_error());
    Ok(device)
}
