//! How a voice sounds at the other end: PESQ of recorded speech, by the package `pesq` (PyPI) in an environment of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::run;

const SCRIPT: &str = include_str!("speech.py");
/// Debian's package with short recordings of a person, and what it holds.
const RECORDINGS: &str = "alsa-utils";
const FOLDER: &str = "usr/share/sounds/alsa";

/// Recorded speech, and what rates it.
pub struct Speech {
    python: PathBuf,
    script: PathBuf,
    /// 48 kHz, mono, to be sent in a loop.
    pub file: PathBuf,
}

impl Speech {
    /// Fetches and builds what is missing, once for all clones.
    ///
    /// # Errors
    /// When Python, the packages or the recordings cannot be had.
    pub fn prepare() -> anyhow::Result<Self> {
        let folder = run::tools()?.join("speech");
        std::fs::create_dir_all(&folder)?;
        let python = folder.join("python/bin/python");
        let script = folder.join("speech.py");
        std::fs::write(&script, SCRIPT)?;
        if !folder.join("ready").exists() {
            let python3 = run::find("python3").context("python3 is not there")?;
            quiet(Command::new(python3).args(["-m", "venv"]).arg(folder.join("python")))?;
            let pip = |packages: &[&str]| {
                let install = ["-m", "pip", "install", "--quiet", "--no-build-isolation"];
                quiet(Command::new(&python).args(install).args(packages))
            };
            // The package is built by what is installed beside it: with a numpy of its own choice it would not load.
            pip(&["numpy<3", "cython<4", "setuptools<82", "wheel"])?;
            pip(&["pesq==0.0.4"])?;
            std::fs::write(folder.join("ready"), "")?;
        }
        let file = folder.join("speech.wav");
        if !file.exists() {
            let recordings = recordings(&folder)?;
            quiet(Command::new(&python).arg(&script).arg("join").arg(&file).args(recordings))?;
        }
        Ok(Self { python, script, file })
    }

    /// PESQ, wideband, 1 (bad) to 4.6, of what was heard (WAV, or base64 of 16-bit samples at 48 kHz) of [`Self::file`].
    ///
    /// # Errors
    /// When the recording is too short or not one.
    pub fn rate(&self, heard: &Path) -> anyhow::Result<f64> {
        let text = quiet(Command::new(&self.python).arg(&self.script).arg("rate").arg(&self.file).arg(heard))?;
        text.trim().parse().with_context(|| format!("the rating says {text:?}"))
    }
}

/// A person's recordings: the system's, or those of Debian's package, unpacked into the folder.
fn recordings(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let own = Path::new("/").join(FOLDER);
    let unpacked = folder.join(FOLDER);
    if !own.exists() && !unpacked.exists() {
        quiet(Command::new("apt-get").args(["download", RECORDINGS]).current_dir(folder))?;
        let package = std::fs::read_dir(folder)?.flatten().map(|entry| entry.path());
        let package = package.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "deb"));
        let package = package.context("apt-get downloaded nothing")?;
        quiet(Command::new("dpkg-deb").arg("--extract").arg(package).arg(folder))?;
    }
    let place = if own.exists() { own } else { unpacked };
    let mut files: Vec<PathBuf> = std::fs::read_dir(place)?.flatten().map(|entry| entry.path()).collect();
    // One of them is noise.
    files.retain(|path| !path.ends_with("Noise.wav"));
    files.sort();
    anyhow::ensure!(!files.is_empty(), "{RECORDINGS} holds no recordings");
    Ok(files)
}

/// What it prints; with its errors as the error.
fn quiet(command: &mut Command) -> anyhow::Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("{program} cannot be started"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let last = errors.lines().last().unwrap_or_default();
    anyhow::ensure!(output.status.success(), "{program} failed ({}): {last}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
