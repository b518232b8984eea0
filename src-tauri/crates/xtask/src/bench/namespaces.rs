//! Three hosts on one machine: network namespaces joined by a user-space link between TUN devices, which delays.
//!
//! Every packet between two hosts waits half their round trip. Linux only, and only for root.

use std::process::Command;
use std::time::Duration;

use ahoy_testkit::endpoint::{Profile, Rendezvous};
use ahoy_testkit::process::{JsonProcess, program};

/// Whether namespaces can be made here.
pub fn possible() -> bool {
    cfg!(target_os = "linux")
        && Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0\n"))
        && std::path::Path::new("/dev/net/tun").exists()
}

/// Hosts 0 and 1 for the endpoints, host 2 for the rendezvous half way between them.
pub struct Lab {
    hosts: Vec<String>,
    _link: link::Link,
}

const RENDEZVOUS: usize = 2;

impl Lab {
    /// Makes the hosts; `round_trip` lies between 0 and 1, half of it between each and the rendezvous.
    ///
    /// # Errors
    /// When a namespace or device cannot be made.
    pub fn new(round_trip: Duration) -> anyhow::Result<Self> {
        let hosts: Vec<String> = (0..3).map(|place| format!("ahoy-{}-{place}", std::process::id())).collect();
        for host in &hosts {
            ip(&["netns", "add", host])?;
            ip(&["-n", host, "link", "set", "lo", "up"])?;
        }
        let delay = move |from: usize, to: usize| {
            if from == RENDEZVOUS || to == RENDEZVOUS { round_trip / 4 } else { round_trip / 2 }
        };
        let link = link::Link::start(&hosts, delay)?;
        for (place, host) in hosts.iter().enumerate() {
            ip(&["-n", host, "addr", "add", &format!("{}/24", address(place)), "dev", link::DEVICE])?;
            ip(&["-n", host, "link", "set", link::DEVICE, "up"])?;
            ip(&["-n", host, "route", "add", "default", "dev", link::DEVICE])?;
        }
        Ok(Self { hosts, _link: link })
    }

    /// Starts `ahoy-server` on its host.
    ///
    /// # Errors
    /// When it does not say where it listens.
    pub fn start_rendezvous(&self) -> anyhow::Result<Rendezvous> {
        let mut command = Command::new(program("ahoy-server"));
        command.args(["--listen", &format!("{}:7400", address(RENDEZVOUS))]);
        let mut process = JsonProcess::start("ahoy-server", &mut self.inside(RENDEZVOUS, &command));
        let ready = process.wait_for(|line| line["url"].is_string(), Duration::from_secs(10))?;
        let url = ready["url"].as_str().unwrap_or_default().to_owned();
        Ok(Rendezvous { process, url })
    }

    /// Starts `ahoy-cli --json` on host `place`.
    pub fn start(&self, place: usize, profile: &Profile, arguments: &[&str]) -> JsonProcess {
        let mut command = profile.command();
        command.arg("--json").args(arguments);
        JsonProcess::start(&self.hosts[place], &mut self.inside(place, &command))
    }

    /// `ip netns exec` becomes the program, so the process keeps its number.
    fn inside(&self, place: usize, command: &Command) -> Command {
        let mut wrapped = Command::new("ip");
        wrapped.args(["netns", "exec", &self.hosts[place]]).arg(command.get_program()).args(command.get_args());
        wrapped
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for host in &self.hosts {
            let _ = ip(&["netns", "del", host]);
        }
    }
}

fn address(place: usize) -> String {
    format!("10.77.0.{}", place + 1)
}

fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("ip").args(arguments).output()?;
    anyhow::ensure!(output.status.success(), "ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[cfg(not(target_os = "linux"))]
mod link {
    use std::time::Duration;

    pub const DEVICE: &str = "none";

    pub struct Link;

    impl Link {
        pub fn start(_: &[String], _: impl Fn(usize, usize) -> Duration + Send + 'static) -> anyhow::Result<Self> {
            anyhow::bail!("network namespaces are Linux's")
        }
    }
}

#[cfg(target_os = "linux")]
mod link {
    use std::collections::VecDeque;
    use std::fs::File;
    use std::io::{Read as _, Write as _};
    use std::os::fd::{AsRawFd as _, FromRawFd as _};
    use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
    use std::time::{Duration, Instant};

    use anyhow::Context as _;

    /// Name of the TUN device in each host.
    pub const DEVICE: &str = "ahoy0";
    /// host threads -> router; full: the sender waits, as a network card's queue would.
    const QUEUE: usize = 4096;

    /// The router between the hosts. Its threads end when the devices go with their namespaces, or with the process.
    pub struct Link;

    struct Packet {
        from: usize,
        to: usize,
        arrived: Instant,
        bytes: Vec<u8>,
    }

    impl Link {
        pub fn start(
            hosts: &[String],
            delay: impl Fn(usize, usize) -> Duration + Send + 'static,
        ) -> anyhow::Result<Self> {
            let (sender, receiver) = sync_channel(QUEUE);
            let mut writers = Vec::new();
            for (place, host) in hosts.iter().enumerate() {
                let device = open_inside(host)?;
                writers.push(device.try_clone()?);
                let sender = sender.clone();
                std::thread::spawn(move || read(place, device, &sender));
            }
            std::thread::spawn(move || route(&receiver, &writers, &delay));
            Ok(Self)
        }
    }

    fn read(place: usize, mut device: File, router: &SyncSender<Packet>) {
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

    fn route(packets: &Receiver<Packet>, writers: &[File], delay: &dyn Fn(usize, usize) -> Duration) {
        // One queue for each delay would do; one for each pair keeps every path first in, first out.
        let hosts = writers.len();
        let mut paths: Vec<VecDeque<(Instant, Vec<u8>)>> = (0..hosts * hosts).map(|_| VecDeque::new()).collect();
        loop {
            let next = paths.iter().filter_map(|path| path.front().map(|(due, _)| *due)).min();
            let wait = next.map_or(Duration::from_secs(3600), |due| due.saturating_duration_since(Instant::now()));
            match packets.recv_timeout(wait) {
                Ok(packet) if packet.to < hosts && packet.to != packet.from => {
                    let due = packet.arrived + delay(packet.from, packet.to);
                    paths[packet.from * hosts + packet.to].push_back((due, packet.bytes));
                }
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = Instant::now();
            for (place, path) in paths.iter_mut().enumerate() {
                while path.front().is_some_and(|(due, _)| *due <= now) {
                    if let Some((_, bytes)) = path.pop_front() {
                        let _ = (&writers[place % hosts]).write(&bytes);
                    }
                }
            }
        }
    }

    /// Opens a TUN device inside a namespace, from a thread that goes there and ends.
    fn open_inside(host: &str) -> anyhow::Result<File> {
        let path = format!("/run/netns/{host}");
        std::thread::spawn(move || {
            let namespace = File::open(&path).with_context(|| path.clone())?;
            // SAFETY: the descriptor is open; this moves only this thread, which ends below.
            anyhow::ensure!(
                unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) } == 0,
                "setns: {}",
                std::io::Error::last_os_error()
            );
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
        })
        .join()
        .map_err(|_| anyhow::anyhow!("opening the TUN device panicked"))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_take_the_round_trip_that_was_asked_for() {
        if !possible() {
            println!("not run: needs root and network namespaces");
            return;
        }
        let lab = Lab::new(Duration::from_millis(40)).unwrap();
        let mut ping = Command::new("ping");
        ping.args(["-q", "-c", "5", "-i", "0.2", &address(1)]);
        let output = lab.inside(0, &ping).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // "rtt min/avg/max/mdev = 40.1/40.3/40.6/0.1 ms"
        let numbers = text.split(" = ").nth(1).unwrap_or_else(|| panic!("no answer: {text}"));
        let least: f64 = numbers.split('/').next().unwrap().parse().unwrap();
        assert!((40.0..60.0).contains(&least), "the shortest round trip was {least} ms");
    }
}
