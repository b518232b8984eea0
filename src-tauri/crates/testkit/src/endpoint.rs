//! A rendezvous and endpoints as separate processes, with their profiles in a folder of their own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use crate::process::{JsonProcess, program};

/// Longest wait for a program to be ready on a busy machine.
const READY: Duration = Duration::from_secs(30);

/// A running `ahoy-server`.
#[derive(Debug)]
pub struct Rendezvous {
    /// Kept so that it ends with this value.
    pub process: JsonProcess,
    /// `ws://address:port`.
    pub url: String,
}

impl Rendezvous {
    /// Starts one on a free loopback port.
    ///
    /// # Errors
    /// When it does not say where it listens.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(&["--listen", "127.0.0.1:0"])
    }

    /// Starts one with these arguments.
    ///
    /// # Errors
    /// When it does not say where it listens.
    pub fn start_with(arguments: &[&str]) -> anyhow::Result<Self> {
        let mut process = JsonProcess::start("ahoy-server", Command::new(program("ahoy-server")).args(arguments));
        let ready = process.wait_for(|line| line["url"].is_string(), READY)?;
        let url = ready["url"].as_str().context("the server's url is text")?.to_owned();
        Ok(Self { process, url })
    }
}

/// A profile that `ahoy-cli` can run with.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Its folder.
    pub folder: PathBuf,
    /// Ahoy ID.
    pub id: String,
    /// Contact card link.
    pub card: String,
    server: String,
}

impl Profile {
    /// Makes an identity named `name` under `parent`, reachable at `server`.
    ///
    /// # Errors
    /// When `ahoy-cli id` fails.
    pub fn make(parent: &Path, name: &str, server: &str) -> anyhow::Result<Self> {
        let folder = parent.join(name.to_lowercase());
        let output = Command::new(program("ahoy-cli"))
            .args(["--profile".as_ref(), folder.as_os_str()])
            .args(["--server", server, "id", "--name", name])
            .output()?;
        anyhow::ensure!(output.status.success(), "ahoy-cli id: {}", String::from_utf8_lossy(&output.stderr));
        let printed: Value = serde_json::from_slice(&output.stdout).context("ahoy-cli id prints JSON")?;
        let text = |key: &str| printed[key].as_str().map(str::to_owned).with_context(|| format!("no {key}: {printed}"));
        Ok(Self { folder, id: text("id")?, card: text("card")?, server: server.to_owned() })
    }

    /// Adds a contact.
    ///
    /// # Errors
    /// When `ahoy-cli contact add` fails.
    pub fn add_contact(&self, card: &str) -> anyhow::Result<()> {
        let output = self.command().args(["contact", "add", card]).output()?;
        anyhow::ensure!(output.status.success(), "ahoy-cli contact add: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// `ahoy-cli` with this profile and server; add what it shall do.
    pub fn command(&self) -> Command {
        let mut command = Command::new(program("ahoy-cli"));
        command.arg("--profile").arg(&self.folder).args(["--server", &self.server]);
        command
    }

    /// Starts `ahoy-cli --json` with these arguments.
    pub fn start(&self, arguments: &[&str]) -> JsonProcess {
        let name = self.folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        JsonProcess::start(&name, self.command().arg("--json").args(arguments))
    }
}

/// Ada and Ben: two profiles that are each other's contacts.
///
/// # Errors
/// When a profile cannot be made.
pub fn ada_and_ben(parent: &Path, server: &str) -> anyhow::Result<(Profile, Profile)> {
    let ada = Profile::make(parent, "Ada", server)?;
    let ben = Profile::make(parent, "Ben", server)?;
    ada.add_contact(&ben.card)?;
    ben.add_contact(&ada.card)?;
    Ok((ada, ben))
}
