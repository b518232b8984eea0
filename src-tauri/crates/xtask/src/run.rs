//! Running other programs, with sentences when they fail.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

/// The workspace's root.
pub fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(3).expect("xtask lies three folders below the root").to_path_buf()
}

/// Where downloaded and built tools are kept: outside the clone, shared by all clones of this person.
pub fn tools() -> anyhow::Result<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("LOCALAPPDATA").map(PathBuf::from))
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .context("neither XDG_CACHE_HOME nor HOME is set; set one so that tools can be kept there")?;
    Ok(cache.join("ahoy").join("tools"))
}

/// A program found on `PATH`, or in the tools' folder.
pub fn find(name: &str) -> Option<PathBuf> {
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(tools().ok().map(|tools| tools.join("bin")))
        .map(|folder| folder.join(&name))
        .find(|file| file.is_file())
}

/// `cargo` as it runs this program, without what it says of this program: ring's build script is run again when that differs,
/// and half of the tree would be built anew after each change between `cargo xtask` and `cargo`.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    command
}

/// `npm` in the interface's folder.
pub fn npm() -> Command {
    let mut command = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
    command.current_dir(root().join("ui"));
    command
}

/// Tauri's own tool, which comes with the interface's packages.
pub fn tauri() -> Command {
    let mut command = Command::new("node");
    command.arg(root().join("ui/node_modules/@tauri-apps/cli/tauri.js"));
    command
}

/// Runs to the end, showing its output only when it fails.
///
/// # Errors
/// When it cannot be started or fails, with what it said.
pub fn quietly(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("could not start: {}", shown(command)))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    anyhow::ensure!(
        output.status.success(),
        "failed ({}): {}\n{said}{}",
        output.status,
        shown(command),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(said)
}

/// Runs to the end, showing its output.
///
/// # Errors
/// When it cannot be started or fails.
pub fn must(command: &mut Command) -> anyhow::Result<()> {
    println!("$ {}", shown(command));
    let status = command.status().with_context(|| format!("could not start: {}", shown(command)))?;
    anyhow::ensure!(status.success(), "failed ({status}): {}", shown(command));
    Ok(())
}

/// Where `cargo build` puts programs of this profile (`debug` or `release`).
///
/// # Errors
/// When cargo cannot describe the workspace.
pub fn built(profile: &str) -> anyhow::Result<PathBuf> {
    let output = cargo().args(["metadata", "--no-deps", "--format-version", "1"]).output()?;
    anyhow::ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let target = metadata["target_directory"].as_str().context("cargo metadata names the target directory")?;
    Ok(Path::new(target).join(profile))
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
