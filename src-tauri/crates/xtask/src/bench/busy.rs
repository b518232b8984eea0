//! A call through real sound servers while every core is busy with something of lower priority: sound must not notice.
//!
//! The call's programs run as people's do: root might raise the priority of its threads as it likes, so an account without
//! rights is taken where there is one.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ahoy_testkit::endpoint::{Rendezvous, ada_and_ben};
use ahoy_testkit::process::{JsonProcess, program};
use ahoy_testkit::pulse::{Pulse, Sink};
use anyhow::Context as _;
use serde_json::Value;

use super::{Figure, Goal};
use crate::{run, setup};

const LIMIT: Duration = Duration::from_secs(20);
/// Given to the start of the call before anything is counted.
const WARM_UP: Duration = Duration::from_secs(5);
const MEDIA: [&str; 10] =
    ["--camera", "pattern", "--mic", "device", "--speaker", "device", "--size", "1280x720", "--fps", "30"];

/// Programs that only use up time; ended when dropped.
struct Load(Vec<Child>);

impl Load {
    fn start() -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism()?.get();
        let one = || {
            let mut command = Command::new("nice");
            command.args(["-n", "10", "sh", "-c", "while :; do :; done"]).stdin(Stdio::null());
            command.spawn().context("nice cannot be started")
        };
        Ok(Self((0..cores).map(|_| one()).collect::<anyhow::Result<_>>()?))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// An account without rights, for the programs of the call.
struct Ordinary {
    user: String,
    group: String,
    /// `ahoy-cli` where that account may reach it.
    program: PathBuf,
    home: PathBuf,
}

impl Ordinary {
    /// In `home`, which everybody may then pass through; `None` where we are no more ourselves, or there is no such account.
    fn prepare(home: &Path) -> anyhow::Result<Option<Self>> {
        if !setup::is_root() || run::find("setpriv").is_none() {
            return Ok(None);
        }
        let id = |kind: &str| {
            let output =
                Command::new("id").args([kind, "nobody"]).output().ok().filter(|output| output.status.success())?;
            Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        let (Some(user), Some(group)) = (id("-u"), id("-g")) else { return Ok(None) };
        let own = home.join("ahoy-cli");
        fs::copy(program("ahoy-cli"), &own)?;
        for path in [home, &own] {
            fs::set_permissions(path, Permissions::from_mode(0o755))?;
        }
        Ok(Some(Self { user, group, program: own, home: home.to_owned() }))
    }

    /// The same program with the same arguments, as this account.
    fn wrap(&self, command: &Command) -> Command {
        let mut wrapped = Command::new("setpriv");
        wrapped.args(["--clear-groups", "--reuid", &self.user, "--regid", &self.group]);
        wrapped.arg(&self.program).args(command.get_args());
        wrapped.env("HOME", &self.home).env_remove("XDG_RUNTIME_DIR");
        wrapped
    }

    /// Gives it all that lies in its home.
    fn take_over(&self) -> anyhow::Result<()> {
        let owner = format!("{}:{}", self.user, self.group);
        run::must(Command::new("chown").arg("--recursive").arg(owner).arg(&self.home))
    }
}

/// Measures for so many seconds.
///
/// # Errors
/// When there is no PulseAudio, or the call fails.
pub fn measure(seconds: u64) -> anyhow::Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let server = Rendezvous::start()?;
    let people = ada_and_ben(folder.path(), &server.url)?;
    // Each has a speaker and a microphone that hears it, so that there is an echo to take away, too.
    let sound = || Pulse::start(&[Sink { name: "room", rate: 48_000, channels: 2 }]);
    let sounds = [sound()?, sound()?];
    let ordinary = Ordinary::prepare(folder.path())?;
    if let Some(ordinary) = &ordinary {
        ordinary.take_over()?;
        sounds.iter().try_for_each(Pulse::open_to_all)?;
    }
    println!(
        "The call runs as {}.",
        if ordinary.is_some() { "nobody, an account without rights" } else { "ourselves" }
    );
    let start = |name: &str, place: usize, arguments: &[&str]| {
        let person = if place == 0 { &people.0 } else { &people.1 };
        let mut command = person.command();
        command.arg("--json").args(arguments).args(MEDIA);
        if let Some(ordinary) = &ordinary {
            command = ordinary.wrap(&command);
        }
        JsonProcess::start(name, sounds[place].apply(&mut command))
    };
    let mut callee = start("ben", 1, &["listen", "--accept", "contacts"]);
    callee.wait_for_event("signed-in", LIMIT)?;
    let whole = (WARM_UP.as_secs() + seconds + 5).to_string();
    let mut caller = start("ada", 0, &["call", &people.1.id, "--for", &whole]);
    for end in [&mut caller, &mut callee] {
        end.wait_for_event("first-audio", LIMIT)?;
        end.wait_for_event("first-video", LIMIT)?;
    }
    std::thread::sleep(WARM_UP);
    let before = [latest(&mut caller)?, latest(&mut callee)?];
    let load = Load::start()?;
    std::thread::sleep(Duration::from_secs(seconds));
    let after = [latest(&mut caller)?, latest(&mut callee)?];
    drop(load);
    caller.wait_for_event("ended", LIMIT)?;
    let mut figures = Vec::new();
    for (side, (before, after)) in ["caller", "callee"].iter().zip(before.iter().zip(&after)) {
        let more = |path: [&str; 2]| number(after, path) - number(before, path);
        let figure = |what: &str, value, goal| Figure::new("busy", format!("{side}: {what}"), value, goal);
        let played = more(["audioPlayout", "totalSamplesReceived"]);
        figures.extend([
            figure("speaker underruns", more(["audioEncoder", "speakerUnderruns"]), Goal::Below(1.0)),
            figure("microphone overruns", more(["audioEncoder", "microphoneOverruns"]), Goal::Below(1.0)),
            figure("seconds of sound played", played / 48_000.0, Goal::AtLeast(seconds as f64 - 2.0)),
            figure("concealed, %", 100.0 * more(["audioPlayout", "concealedSamples"]) / played, Goal::Below(0.1)),
            figure("pictures a second", more(["videoPlayout", "framesRendered"]) / seconds as f64, Goal::AtLeast(29.0)),
        ]);
    }
    Ok(figures)
}

fn number(stats: &Value, [group, name]: [&str; 2]) -> f64 {
    stats[group][name].as_f64().unwrap_or(0.0)
}

fn latest(end: &mut JsonProcess) -> anyhow::Result<Value> {
    end.events("stats").pop().context("the call says nothing of itself")
}
