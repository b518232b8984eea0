//! `cargo xtask test`: every check and test there is, each by its own runner, and one closing table.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::{package, run, setup};

/// Options of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Install what is missing without asking
    #[arg(long)]
    yes: bool,
    /// Run only the steps whose name contains one of these
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Go on after a failed step
    #[arg(long)]
    keep_going: bool,
}

type Step = (&'static str, fn() -> anyhow::Result<()>);

const STEPS: &[Step] = &[
    ("format", format),
    ("interface", interface),
    ("lints", lints),
    ("fuzz-targets", fuzz_targets_build),
    ("dependencies", dependencies),
    ("types", types_are_fresh),
    ("crates", crates),
    ("end-to-end", end_to_end),
    ("package", package::test),
];

/// Run only when they are named, until they have passed once: the package's call in a fresh system has not been made yet.
const ONLY_WHEN_NAMED: &[&str] = &["package"];

/// Sets up, then runs the steps in order.
///
/// # Errors
/// Names the steps that failed.
pub fn run(options: &Options) -> anyhow::Result<()> {
    setup::ensure(setup::Purpose::Test, options.yes)?;
    let mut done: Vec<(&str, Duration, anyhow::Result<()>)> = Vec::new();
    for (name, step) in STEPS {
        if !options.only.is_empty() && !options.only.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        if options.only.is_empty() && ONLY_WHEN_NAMED.contains(name) {
            continue;
        }
        println!("\n== {name}");
        let start = Instant::now();
        let result = step();
        let failed = result.is_err();
        done.push((name, start.elapsed(), result));
        if failed && !options.keep_going {
            break;
        }
    }
    println!("\n== summary");
    for (name, took, result) in &done {
        let verdict = result.as_ref().map_or_else(|error| format!("FAILED: {error:#}"), |()| "ok".to_owned());
        println!("{name:<14} {:>6.1} s  {verdict}", took.as_secs_f64());
    }
    let failed: Vec<_> = done.iter().filter(|(_, _, result)| result.is_err()).map(|(name, ..)| *name).collect();
    anyhow::ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    anyhow::ensure!(!done.is_empty(), "no step has such a name; there are: {}", STEPS.map_names());
    Ok(())
}

trait Names {
    fn map_names(&self) -> String;
}

impl Names for [Step] {
    fn map_names(&self) -> String {
        self.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }
}

fn format() -> anyhow::Result<()> {
    run::must(run::cargo().args(["fmt", "--all", "--check"]))
}

fn interface() -> anyhow::Result<()> {
    run::must(run::npm().args(["run", "build"]))?;
    run::must(run::npm().arg("test"))
}

fn lints() -> anyhow::Result<()> {
    run::must(run::cargo().args(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))
}

/// They run only with a nightly compiler; that they still build is checked with any.
fn fuzz_targets_build() -> anyhow::Result<()> {
    run::must(run::cargo().args(["check", "--quiet", "--locked", "--manifest-path", "src-tauri/fuzz/Cargo.toml"]))
}

fn dependencies() -> anyhow::Result<()> {
    // Offline, because the advisories and the index are not always reachable; so the crates of every system must be here.
    run::must(run::cargo().args(["fetch", "--locked", "--quiet"]))?;
    let tool = run::find("cargo-deny").context("cargo-deny is not there although it was installed")?;
    run::must(Command::new(tool).args(["--offline", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"]))
}

fn types_are_fresh() -> anyhow::Result<()> {
    let fresh = tempfile::tempdir()?;
    export_types(fresh.path())?;
    let kept = run::root().join("ui/src/gen");
    let same = read_folder(fresh.path())? == read_folder(&kept)?;
    anyhow::ensure!(
        same,
        "ui/src/gen is not what the engine's and the shell's types say; run `cargo xtask gen` and commit the result"
    );
    Ok(())
}

/// Writes `ui/src/gen` anew.
///
/// # Errors
/// When the engine or the shell does not build or the folder cannot be written.
pub fn generate_types() -> anyhow::Result<()> {
    let kept = run::root().join("ui/src/gen");
    if kept.exists() {
        std::fs::remove_dir_all(&kept)?;
    }
    export_types(&kept)
}

fn export_types(into: &Path) -> anyhow::Result<()> {
    run::must(
        run::cargo()
            // The whole workspace, like every other step: with fewer packages, the features of what they share would be others,
            // and half of it be built once more.
            .args(["test", "--quiet", "--workspace", "--exclude", "ahoy-tests", "--lib", "export_bindings"])
            .env("TS_RS_EXPORT_DIR", into),
    )
}

/// Names and contents, sorted.
fn read_folder(folder: &Path) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            let inner = read_folder(&entry.path())?;
            files.extend(
                inner
                    .into_iter()
                    .map(|(name, content)| (format!("{}/{name}", entry.file_name().to_string_lossy()), content)),
            );
        } else {
            files.push((entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path())?));
        }
    }
    files.sort();
    Ok(files)
}

fn crates() -> anyhow::Result<()> {
    run::must(run::cargo().args(["test", "--workspace", "--exclude", "ahoy-tests", "--locked", "--no-fail-fast"]))
}

/// Builds the programs that the calls from end to end are made with.
///
/// # Errors
/// When they do not build.
pub fn build_programs() -> anyhow::Result<()> {
    run::must(run::cargo().args([
        "build",
        "--locked",
        "--package",
        "ahoy",
        "--package",
        "ahoy-cli",
        "--package",
        "ahoy-server",
        "--bins",
    ]))
}

fn end_to_end() -> anyhow::Result<()> {
    // The window carries the interface as it was last built: run by itself, this step tried an old one.
    run::must(run::npm().args(["run", "build"]))?;
    build_programs()?;
    // One at a time: each of them is a call with two encoders, and there may be two cores.
    let mut tests: Vec<String> = read_folder(&run::root().join("tests/tests"))?
        .into_iter()
        .filter_map(|(name, _)| name.strip_suffix(".rs").map(str::to_owned))
        .flat_map(|name| ["--test".to_owned(), name])
        .collect();
    tests.extend(["--", "--test-threads=1"].map(str::to_owned));
    run::must(
        run::cargo()
            .args(["test", "--locked", "--workspace", "--no-fail-fast"])
            .args(tests)
            .env("AHOY_BIN_DIR", run::built("debug")?),
    )
}
