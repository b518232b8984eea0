//! A call through real sound servers while every core is busy with something of lower priority: sound must not notice.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ahoy_testkit::endpoint::{Rendezvous, ada_and_ben};
use ahoy_testkit::process::JsonProcess;
use ahoy_testkit::pulse::{Pulse, Sink};
use anyhow::Context as _;
use serde_json::Value;

use super::{Figure, Goal};

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
    let start = |name: &str, place: usize, arguments: &[&str]| {
        let person = if place == 0 { &people.0 } else { &people.1 };
        let mut command = person.command();
        command.arg("--json").args(arguments).args(MEDIA);
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
