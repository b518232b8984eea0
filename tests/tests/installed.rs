//! The .deb on a system that has never seen it: installed by apt, used for a call under a virtual display, removed.
//!
//! The system has no sound server, no D-Bus, no keychain, no camera and none of the packages that are only recommended.
//!
//! `cargo xtask package --try-in bookworm` makes the package and runs this; it needs root. Screenshots go to
//! `tests/artifacts`.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "tests may stop at the first surprise")]
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use ahoy_testkit::display::{Guarded, VirtualDisplay};
use ahoy_testkit::endpoint::{Profile, Rendezvous};
use ahoy_testkit::process::JsonProcess;
use ahoy_testkit::tone::amplitude_at;
use ahoy_tests::fresh::{FreshSystem, PERSON, Who};
use anyhow::Context as _;

const LIMIT: Duration = Duration::from_secs(60);

#[test]
#[ignore = "`cargo xtask package --try-in RELEASE` makes what is installed here"]
fn a_fresh_system_takes_the_package_makes_a_call_and_gives_it_back() -> anyhow::Result<()> {
    let given = |name: &str| std::env::var_os(name).with_context(|| format!("{name} is not set"));
    let (deb, cache) = (PathBuf::from(given("AHOY_DEB")?), PathBuf::from(given("AHOY_FRESH_CACHE")?));
    let release = given("AHOY_RELEASE")?.into_string().unwrap();

    let start = Instant::now();
    let step = |what: &str| println!("{:>6.1} s  {what}", start.elapsed().as_secs_f64());
    let system = FreshSystem::new(&release, &cache)?;
    step(&format!("a fresh {release}"));
    let ours = install(&system, &deb)?;
    step(&format!("installed: {} files and folders", ours.len()));
    let before: BTreeSet<String> = system.paths()?.difference(&ours).cloned().collect();

    let trial = Trial { system: &system, display: VirtualDisplay::start(1024, 740)?, release: &release };
    trial.starts_for_a_newcomer_and_ends_when_its_window_is_closed()?;
    step("started for a newcomer, closed");
    trial.answers_a_call()?;
    step("answered a call");

    system.as_root(&["apt-get", "purge", "--yes", "--quiet=2", "ahoy"])?;
    let after = system.paths()?;
    step("removed");
    let differ = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
        one.difference(other).filter(|path| !is_bookkeeping(path)).cloned().collect::<Vec<_>>()
    };
    assert_eq!(differ(&after, &before), Vec::<String>::new(), "left behind");
    assert_eq!(differ(&before, &after), Vec::<String>::new(), "taken away that was others'");
    let named: Vec<_> = after.iter().filter(|path| path.to_lowercase().contains("ahoy")).collect();
    assert_eq!(named, Vec::<&String>::new(), "left behind under our name");
    // A person's identity and contacts are theirs: removing the program must not lose them.
    assert!(system.path(&format!("{DATA}/identity.key")).exists(), "the person's identity is gone");
    Ok(())
}

/// Where the profile is when nobody says otherwise.
const DATA: &str = "/home/ben/.local/share/ahoy";

/// What apt and dpkg write about what they did, and an index of icons that others' triggers make anew each time, or take away
/// with the last icon.
fn is_bookkeeping(path: &str) -> bool {
    path == "/usr/share/icons/hicolor/icon-theme.cache"
        || ["/var/lib/dpkg/", "/var/lib/apt/", "/var/log/", "/var/cache/apt/", "/var/cache/debconf/"]
            .iter()
            .any(|begin| path.starts_with(begin))
            && !path.contains("ahoy")
}

/// Installs as a person would, with what is declared and no more; gives what belongs to the package.
fn install(system: &FreshSystem, deb: &Path) -> anyhow::Result<BTreeSet<String>> {
    let inside = "/root/package.deb";
    std::fs::copy(deb, system.path(inside))?;
    system.as_root(&["apt-get", "update", "--quiet=2"])?;
    system.as_root(&["apt-get", "install", "--yes", "--quiet=2", "--no-install-recommends", inside])?;
    std::fs::remove_file(system.path(inside))?;
    let damaged = system.as_root(&["dpkg", "--verify", "ahoy"])?;
    anyhow::ensure!(damaged.trim().is_empty(), "installed otherwise than packed: {damaged}");
    let listed = system.as_root(&["dpkg", "--listfiles", "ahoy"])?;
    let owned = system.as_root(&[&["dpkg", "--search"], &listed.lines().collect::<Vec<_>>()[..]].concat())?;
    // Folders that others use too are not ours alone: `ahoy, firefox: /usr/share/applications`.
    let mut ours: BTreeSet<String> =
        owned.lines().filter_map(|line| line.strip_prefix("ahoy: ")).map(str::to_owned).collect();
    anyhow::ensure!(ours.contains("/usr/bin/ahoy"), "dpkg does not know the program: {owned}");
    for kind in ["list", "md5sums"] {
        ours.insert(format!("/var/lib/dpkg/info/ahoy.{kind}"));
    }
    Ok(ours)
}

struct Trial<'a> {
    system: &'a FreshSystem,
    display: VirtualDisplay,
    release: &'a str,
}

impl Trial<'_> {
    fn starts_for_a_newcomer_and_ends_when_its_window_is_closed(&self) -> anyhow::Result<()> {
        let mut program = self.program(&[])?;
        let window = self.display.wait_for_window("^Ahoy$", LIMIT)?;
        self.wait_until("the first screen is drawn", || Ok(self.colours()? > 20))?;
        self.picture("first-start")?;
        self.display.press(&window, "alt+F4")?;
        let status = ended(&mut program)?;
        anyhow::ensure!(status.success(), "closing the window ended the program with {status}");
        anyhow::ensure!(self.system.path(DATA).join("identity.key").exists(), "no identity was made in {DATA}");
        Ok(())
    }

    /// Somebody outside calls; Enter answers. Each end must have the other's moving pattern and tone.
    fn answers_a_call(&self) -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let server = Rendezvous::start()?;
        let ada = Profile::make(folder.path(), "Ada", &server.url)?;
        // The profile that the newcomer's start has made, given a name and a friend.
        let home = folder.path().join(PERSON);
        std::os::unix::fs::symlink(self.system.path(DATA), &home)?;
        let ben = Profile::make(folder.path(), "Ben", &server.url)?;
        ada.add_contact(&ben.card)?;
        ben.add_contact(&ada.card)?;
        self.system.give_to_person(DATA)?;

        let mut program =
            self.program(&["--server", &server.url, "--camera", "pattern", "--mic", "tone:660", "--speaker", "none"])?;
        let window = self.display.wait_for_window("^Ahoy$", LIMIT)?;
        let heard = folder.path().join("heard.wav");
        let mut caller = ada.start(&[
            "call",
            "Ben",
            "--for",
            // Until told otherwise: a busy machine may take long to draw.
            "120",
            "--frames",
            "--camera",
            "pattern",
            "--size",
            "640x360",
            "--mic",
            "tone:440",
            "--speaker",
            "none",
            "--audio-out",
            heard.to_str().unwrap(),
        ]);
        caller.wait_for_event("ringing", LIMIT)?;
        self.picture("ringing")?;
        self.press_until_accepted(&window, &mut caller)?;
        caller.wait_for_event("first-video", LIMIT)?;
        let number = |line: &serde_json::Value| line["number"].as_i64().filter(|_| line["event"] == "shown");
        let first = caller.wait_for(|line| number(line).is_some(), LIMIT)?;
        let shown = self.moves()?;
        self.picture("call")?;
        // Some seconds of sound, if moving was seen soon.
        let enough = number(&first).unwrap_or(0) + 150;
        caller.wait_for(|line| number(line).is_some_and(|number| number > enough), LIMIT)?;
        caller.say("hang-up")?;
        let ended_call = caller.wait_for_event("ended", LIMIT)?;
        assert_eq!(ended_call["reason"], "hung-up");
        assert!(caller.wait(LIMIT)?.success());

        let numbers: Vec<i64> = caller.events("shown").iter().filter_map(|line| line["number"].as_i64()).collect();
        println!("          {} pictures at the caller, {shown} pixels of theirs moved here", numbers.len());
        assert!(numbers.len() > 60, "only {} of its pictures came", numbers.len());
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "the pattern does not move on: {numbers:?}");
        the_tone_is(&heard, 660.0);
        self.display.press(&window, "alt+F4")?;
        let status = ended(&mut program)?;
        anyhow::ensure!(status.success(), "closing the window ended the program with {status}");
        Ok(())
    }

    /// The ring may reach the screen a little after the caller is told of it.
    fn press_until_accepted(&self, window: &str, caller: &mut JsonProcess) -> anyhow::Result<()> {
        let mut answer = Ok(serde_json::Value::Null);
        for _ in 0..10 {
            self.display.press(window, "Return")?;
            answer = caller.wait_for_event("accepted", Duration::from_secs(3));
            if answer.is_ok() {
                break;
            }
        }
        answer.map(drop)
    }

    fn program(&self, arguments: &[&str]) -> anyhow::Result<Guarded> {
        let mut command = self.system.command(Who::Person, ["ahoy"].iter().chain(arguments));
        command.env("DISPLAY", self.display.name()).env("LIBGL_ALWAYS_SOFTWARE", "1");
        // Outside of the system's own environment, which `command` has emptied, nothing is added.
        Ok(Guarded(command.spawn().context("the program could not be started")?))
    }

    fn picture(&self, name: &str) -> anyhow::Result<()> {
        self.display.screenshot(&artifacts()?.join(format!("installed-{}-{name}.png", self.release)))
    }

    fn wait_until(&self, what: &str, done: impl Fn() -> anyhow::Result<bool>) -> anyhow::Result<()> {
        let end = Instant::now() + LIMIT;
        while !done()? {
            if Instant::now() > end {
                self.picture("failed")?;
                anyhow::bail!("{what}: not within {LIMIT:?}");
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    /// How many colours are in the window, below its title: an empty one has one.
    fn colours(&self) -> anyhow::Result<usize> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("now.png");
        self.display.screenshot(&file)?;
        let inside = ["-crop", "960x600+32+64", "-format", "%k", "info:"];
        let output = Command::new("convert").arg(&file).args(inside).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
    }

    /// Waits until much of the screen changes again and again, which only the other side's pattern does: one screen after
    /// another changes it once. Gives how many pixels, at least.
    fn moves(&self) -> anyhow::Result<u64> {
        const IN_A_ROW: usize = 4;
        let folder = tempfile::tempdir()?;
        let files = ["one.png", "two.png"].map(|name| folder.path().join(name));
        let changes = std::cell::RefCell::new(Vec::new());
        self.wait_until("the other's picture moves", || {
            self.display.screenshot(&files[0])?;
            std::thread::sleep(Duration::from_millis(200));
            self.display.screenshot(&files[1])?;
            // The count goes to standard error, as 12345 or 1.2e+06; the exit code only says that they differ.
            let output =
                Command::new("compare").args(["-metric", "AE", "-fuzz", "10%"]).args(&files).arg("null:").output()?;
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            let differ = text.split_whitespace().next().and_then(|word| word.parse::<f64>().ok());
            let differ = differ.with_context(|| format!("compare said {text:?}"))? as u64;
            let mut changes = changes.borrow_mut();
            if differ > 20_000 {
                changes.push(differ);
            } else {
                changes.clear();
            }
            Ok(changes.len() >= IN_A_ROW)
        })?;
        changes.into_inner().into_iter().min().context("there were some")
    }
}

fn artifacts() -> anyhow::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn ended(program: &mut Guarded) -> anyhow::Result<ExitStatus> {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(status) = program.0.try_wait()? {
            return Ok(status);
        }
        anyhow::ensure!(Instant::now() < end, "the program did not end within {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A second from the middle of what was heard holds this tone and hardly anything else.
fn the_tone_is(file: &Path, hertz: f64) {
    let mut reader = hound::WavReader::open(file).unwrap();
    let spec = reader.spec();
    let scale = (1u32 << (spec.bits_per_sample - 1)) as f32;
    let samples: Vec<f32> = match spec.sample_format {
        hound::SampleFormat::Int => reader.samples::<i32>().map(|sample| sample.unwrap() as f32 / scale).collect(),
        hound::SampleFormat::Float => reader.samples::<f32>().map(Result::unwrap).collect(),
    };
    let mono: Vec<f32> = samples.into_iter().step_by(usize::from(spec.channels)).collect();
    assert!(mono.len() > 3 * spec.sample_rate as usize, "only {} samples were heard", mono.len());
    let middle = &mono[mono.len() / 2..][..spec.sample_rate as usize];
    let power = middle.iter().map(|sample| f64::from(sample * sample)).sum::<f64>() / middle.len() as f64;
    let tone = amplitude_at(middle, spec.sample_rate, hertz).powi(2) / 2.0;
    assert!(power > 1e-4, "what was heard is silent");
    assert!(tone / power > 0.8, "{hertz} Hz carries only {:.0} % of the sound", tone / power * 100.0);
}
