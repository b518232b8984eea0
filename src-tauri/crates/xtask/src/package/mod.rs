//! `cargo xtask package`: installers of the desktop program for the system that this runs on, checked as far as they can be
//! without installing them, with their sizes and the time from start to window.
//!
//! They hold the desktop program alone: it is the one that wants a menu entry, an icon and a link scheme. `ahoy-cli` and
//! `ahoy-server`, for scripts and machines without a screen, are single files that need no installing; `--programs` packs
//! them.
//!
//! Unproven: everything but .deb and .rpm. AppImage, NSIS, MSI and dmg are made with tools that Tauri's bundler downloads,
//! by `.github/workflows/release.yml`.

mod checks;
mod collect;
mod elf;
mod manifest;
mod notices;
mod start;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};

pub use manifest::{Options as ManifestOptions, run as write_manifest};

use crate::{run, setup};

/// Options of `cargo xtask package`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Install what is missing without asking
    #[arg(long)]
    yes: bool,
    /// Kinds: deb,rpm,appimage on Linux; nsis,msi on Windows; app,dmg on macOS. Without it: deb,rpm; nsis; app,dmg
    #[arg(long, value_delimiter = ',')]
    bundles: Vec<String>,
    /// For another processor than this machine's, as Rust calls it
    #[arg(long, value_name = "TRIPLE")]
    target: Option<String>,
    /// Also pack ahoy-cli and ahoy-server
    #[arg(long)]
    programs: bool,
    /// Copy what was made into this folder, under names that say for which processor it is
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// Install, use and remove the .deb in a fresh Debian of this release, as bookworm (Linux; needs root)
    #[arg(long, value_name = "RELEASE", value_delimiter = ',')]
    try_in: Vec<String>,
}

#[cfg(target_os = "linux")]
const USUAL: &[&str] = &["deb", "rpm"];
#[cfg(windows)]
const USUAL: &[&str] = &["nsis"];
#[cfg(not(any(target_os = "linux", windows)))]
const USUAL: &[&str] = &["app", "dmg"];

/// The release that the tests install into: the oldest Debian that is supported.
pub const OLDEST_DEBIAN: &str = "bookworm";

/// Makes, checks and measures.
///
/// # Errors
/// A sentence with what to do.
pub fn run(options: &Options) -> anyhow::Result<()> {
    setup::ensure(setup::Purpose::Package, options.yes)?;
    let bundles: Vec<&str> =
        if options.bundles.is_empty() { USUAL.to_vec() } else { options.bundles.iter().map(String::as_str).collect() };
    run::must(run::npm().args(["run", "build"]))?;
    let target = options.target.as_deref();
    let mut made = make(&bundles, target)?;
    if options.programs {
        made.push(collect::pack_programs(target)?);
    }
    if let Some(folder) = &options.into {
        made = collect::copy(&made, folder, target)?;
    }
    println!();
    for file in &made {
        println!("{:>7.1} MB  {}", std::fs::metadata(file)?.len() as f64 / 1e6, file.display());
    }
    check(&made, target.is_none())?;
    for release in &options.try_in {
        try_in(deb_of(&made)?, release)?;
    }
    Ok(())
}

/// What `cargo xtask test` does: makes .deb and .rpm, checks and measures them, and uses the .deb in a fresh system.
///
/// # Errors
/// Says what is wrong with them.
pub fn test() -> anyhow::Result<()> {
    crate::icons::are_fresh()?;
    if !cfg!(target_os = "linux") {
        println!("Installers of this system are made and tried by the release workflow only.");
        return Ok(());
    }
    // An earlier step has built it; building it again would only make the programs be linked anew.
    if !run::root().join("ui/dist/index.html").exists() {
        run::must(run::npm().args(["run", "build"]))?;
    }
    let made = make(&["deb", "rpm"], None)?;
    check(&made, true)?;
    try_in(deb_of(&made)?, OLDEST_DEBIAN)
}

fn deb_of(made: &[PathBuf]) -> anyhow::Result<&Path> {
    let deb = made.iter().find(|file| file.extension().is_some_and(|end| end == "deb"));
    deb.map(PathBuf::as_path).context("only a .deb can be tried; add deb to --bundles")
}

/// Builds the program and bundles it; gives the files made.
fn make(bundles: &[&str], target: Option<&str>) -> anyhow::Result<Vec<PathBuf>> {
    let mut build = run::cargo();
    // The feature tells Tauri that the interface is inside and not at a development server.
    build.args([
        "build",
        "--release",
        "--locked",
        "--package",
        "ahoy",
        "--bin",
        "ahoy",
        "--features",
        "tauri/custom-protocol",
    ]);
    let mut bundle = run::tauri();
    bundle.args(["bundle", "--ci", "--bundles", &bundles.join(",")]);
    for command in [&mut build, &mut bundle] {
        command.args(target.map(|target| ["--target", target]).iter().flatten());
    }
    run::must(&mut build)?;
    let release = release_folder(target)?;
    let program = release.join(format!("ahoy{}", std::env::consts::EXE_SUFFIX));
    let notices = release.join("third-party-notices.txt");
    notices::write(&notices, target)?;
    bundle.arg("--config").arg(config(&program, &notices)?.to_string());

    // A workflow without such a secret sets it to nothing, which the bundler would take for a damaged one.
    for name in SECRETS.iter().filter(|name| std::env::var_os(name).is_some_and(|value| value.is_empty())) {
        bundle.env_remove(name);
    }

    let folder = release.join("bundle");
    // Else an older version's files would be taken for this one's.
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    run::must(&mut bundle)?;
    let mut made = Vec::new();
    for kind in std::fs::read_dir(&folder).with_context(|| format!("nothing was made in {}", folder.display()))? {
        for file in std::fs::read_dir(kind?.path())? {
            let file = file?.path();
            let end = file.extension().and_then(|end| end.to_str()).unwrap_or_default();
            if file.is_file() && ["deb", "rpm", "AppImage", "exe", "msi", "dmg", "gz", "sig"].contains(&end) {
                made.push(file);
            }
        }
    }
    made.sort();
    Ok(made)
}

/// What the bundler signs with, from the environment.
const SECRETS: &[&str] = &[
    "TAURI_SIGNING_PRIVATE_KEY",
    "TAURI_SIGNING_PRIVATE_KEY_PASSWORD",
    "TAURI_SIGNING_RPM_KEY",
    "TAURI_SIGNING_RPM_KEY_PASSPHRASE",
    "APPLE_CERTIFICATE",
    "APPLE_CERTIFICATE_PASSWORD",
    "APPLE_SIGNING_IDENTITY",
    "APPLE_ID",
    "APPLE_PASSWORD",
    "APPLE_TEAM_ID",
];

/// Where cargo puts what is built for `target`.
fn release_folder(target: Option<&str>) -> anyhow::Result<PathBuf> {
    run::built(&target.map_or("release".to_owned(), |target| format!("{target}/release")))
}

/// What of the bundle's configuration is known only now: what the program needs, and the key of the updater where the
/// environment has one.
fn config(program: &Path, notices: &Path) -> anyhow::Result<Value> {
    let mut config = json!({});
    if cfg!(target_os = "linux") {
        let files = json!({ "/usr/share/doc/ahoy/third-party-notices.txt": notices });
        let needs = elf::Needs::of(program)?.as_rpm();
        config["bundle"]["linux"] = json!({
            "deb": { "files": files },
            "rpm": { "depends": needs, "files": files },
            "appimage": { "files": files },
        });
    } else {
        config["bundle"]["resources"] = json!({ notices.to_string_lossy(): "third-party-notices.txt" });
    }
    let given = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(thumbprint) = given("AHOY_WINDOWS_THUMBPRINT") {
        config["bundle"]["windows"]["certificateThumbprint"] = json!(thumbprint);
    }
    if given("TAURI_SIGNING_PRIVATE_KEY").is_some() {
        let key = given(UPDATER_KEY).with_context(|| {
            format!("TAURI_SIGNING_PRIVATE_KEY is set but {UPDATER_KEY} is not: set it to the public half, which goes into the program.")
        })?;
        config["bundle"]["createUpdaterArtifacts"] = json!(true);
        config["plugins"]["updater"]["pubkey"] = json!(key);
    }
    Ok(config)
}

/// Names the public half of the key that updates are signed with, read when the program is built.
const UPDATER_KEY: &str = "AHOY_UPDATER_PUBKEY";

fn check(made: &[PathBuf], runs_here: bool) -> anyhow::Result<()> {
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    for file in made {
        match file.extension().and_then(|end| end.to_str()) {
            Some("deb") => {
                let program = checks::deb(file, folder.path())?;
                if runs_here {
                    start::measure(&program)?;
                }
            }
            Some("rpm") => checks::rpm(file)?,
            _ => {}
        }
    }
    Ok(())
}

/// Installs, uses and removes the package in a fresh system; the story is tests/tests/installed.rs.
fn try_in(deb: &Path, release: &str) -> anyhow::Result<()> {
    crate::test::build_programs()?;
    // The whole workspace, so that what the other tests have built is used.
    let test = ["test", "--locked", "--workspace", "--test", "installed", "--", "--ignored", "--nocapture"];
    run::must(
        run::cargo()
            .args(test)
            .env("AHOY_DEB", deb)
            .env("AHOY_RELEASE", release)
            .env("AHOY_FRESH_CACHE", run::tools()?.join("fresh"))
            .env("AHOY_BIN_DIR", run::built("debug")?),
    )
}
