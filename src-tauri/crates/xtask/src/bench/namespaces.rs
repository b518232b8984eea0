//! Three hosts on one machine: network namespaces joined by a user-space link between TUN devices.
//!
//! Every packet between two hosts waits half their round trip, until [`Lab::arm`] makes the link between hosts 0 and 1 a
//! worse one. Linux only, and only for root.

use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ahoy_testkit::endpoint::{Profile, Rendezvous};
use ahoy_testkit::link::LinkProfile;
use ahoy_testkit::process::{JsonProcess, program};

use super::paths::{Beginning, Paths};
use super::records::LinkRecord;
#[cfg(target_os = "linux")]
use super::router;

/// Whether namespaces can be made here.
pub fn possible() -> bool {
    cfg!(target_os = "linux")
        && Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0\n"))
        && std::path::Path::new("/dev/net/tun").exists()
}

/// Hosts 0 and 1 for the endpoints, host 2 for the rendezvous half way between them.
pub struct Lab {
    hosts: Vec<String>,
    paths: Arc<Mutex<Paths>>,
}

const RENDEZVOUS: usize = 2;

impl Lab {
    /// Makes the hosts; `round_trip` lies between 0 and 1, half of it between each and the rendezvous.
    ///
    /// # Errors
    /// When a namespace or device cannot be made.
    pub fn new(round_trip: Duration) -> anyhow::Result<Self> {
        let delay = move |from: usize, to: usize| {
            if from == RENDEZVOUS || to == RENDEZVOUS { round_trip / 4 } else { round_trip / 2 }
        };
        let hosts: Vec<String> = (0..3).map(|place| format!("ahoy-{}-{place}", std::process::id())).collect();
        let paths = Arc::new(Mutex::new(Paths::new(hosts.len(), delay, Instant::now())));
        // Made first, so that dropping it takes away what was made when a later step fails.
        let lab = Self { hosts, paths };
        for host in &lab.hosts {
            ip(&["netns", "add", host])?;
            ip(&["-n", host, "link", "set", "lo", "up"])?;
        }
        router::start(&lab.hosts, &lab.paths)?;
        for (place, host) in lab.hosts.iter().enumerate() {
            ip(&["-n", host, "addr", "add", &format!("{}/24", address(place)), "dev", router::DEVICE])?;
            ip(&["-n", host, "link", "set", router::DEVICE, "up"])?;
            ip(&["-n", host, "route", "add", "default", "dev", router::DEVICE])?;
        }
        Ok(lab)
    }

    /// From the next RTP packet between hosts 0 and 1 on, the ways there and back are like these, and recorded.
    pub fn arm(&self, there: LinkProfile, back: LinkProfile) {
        self.paths().arm([there, back]);
    }

    /// Waits until media flows and so the armed links begin.
    ///
    /// # Errors
    /// When none does within `limit`.
    pub fn wait_for_media(&self, limit: Duration) -> anyhow::Result<Beginning> {
        let end = Instant::now() + limit;
        loop {
            if let Some(beginning) = self.paths().begun() {
                return Ok(beginning);
            }
            anyhow::ensure!(Instant::now() < end, "no media flowed within {limit:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What passed from host 0 to 1, and back, since the links began.
    pub fn take_records(&self) -> [LinkRecord; 2] {
        self.paths().take_records()
    }

    /// Starts `ahoy-server` on its host.
    ///
    /// # Errors
    /// When it does not say where it listens.
    pub fn start_rendezvous(&self) -> anyhow::Result<Rendezvous> {
        let mut command = Command::new(program("ahoy-server"));
        command.args(["--listen", &format!("{}:7400", address(RENDEZVOUS))]);
        let mut wrapped = self.wrapped(RENDEZVOUS, &command);
        if std::env::var_os("AHOY_LOG").is_none() {
            wrapped.env("AHOY_LOG", "warn");
        }
        let mut process = JsonProcess::start("ahoy-server", &mut wrapped);
        let ready = process.wait_for(|line| line["url"].is_string(), Duration::from_secs(10))?;
        let url = ready["url"].as_str().unwrap_or_default().to_owned();
        Ok(Rendezvous { process, url })
    }

    /// Starts `ahoy-cli --json` on host `place`.
    pub fn start(&self, place: usize, profile: &Profile, arguments: &[&str]) -> JsonProcess {
        let mut command = profile.command();
        command.arg("--json").args(arguments);
        JsonProcess::start(&self.hosts[place], &mut self.wrapped(place, &command))
    }

    /// Runs `work` in a thread on host `place`: sockets it opens and programs it starts belong there.
    ///
    /// # Errors
    /// When the host cannot be entered.
    pub fn inside<T: Send>(&self, place: usize, work: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
        router::inside(&self.hosts[place], work)
    }

    /// `ip netns exec` becomes the program, so the process keeps its number.
    fn wrapped(&self, place: usize, command: &Command) -> Command {
        let mut wrapped = Command::new("ip");
        wrapped.args(["netns", "exec", &self.hosts[place]]).arg(command.get_program()).args(command.get_args());
        wrapped
    }

    fn paths(&self) -> MutexGuard<'_, Paths> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for host in &self.hosts {
            let _ = ip(&["netns", "del", host]);
        }
    }
}

/// The address of host `place`.
pub fn address(place: usize) -> String {
    format!("10.77.0.{}", place + 1)
}

fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("ip").args(arguments).output()?;
    anyhow::ensure!(output.status.success(), "ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[cfg(not(target_os = "linux"))]
mod router {
    use std::sync::{Arc, Mutex};

    use super::Paths;

    pub const DEVICE: &str = "none";

    pub fn start(_: &[String], _: &Arc<Mutex<Paths>>) -> anyhow::Result<()> {
        anyhow::bail!("network namespaces are Linux's")
    }

    pub fn inside<T: Send>(_: &str, _: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
        anyhow::bail!("network namespaces are Linux's")
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
        let output = lab.wrapped(0, &ping).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // "rtt min/avg/max/mdev = 40.1/40.3/40.6/0.1 ms"
        let numbers = text.split(" = ").nth(1).unwrap_or_else(|| panic!("no answer: {text}"));
        let least: f64 = numbers.split('/').next().unwrap().parse().unwrap();
        assert!((40.0..60.0).contains(&least), "the shortest round trip was {least} ms");
    }
}
