//! Installs what is missing, asking first. Only Debian and Ubuntu can be set up by themselves; elsewhere it says what
//! to install.

use std::io::{IsTerminal as _, Write as _};
use std::process::Command;

use ahoy_testkit::webdriver::{NO_BROWSER, chromedriver};
use anyhow::Context as _;

use crate::run;

/// Options of `cargo xtask setup`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Install without asking
    #[arg(long)]
    pub yes: bool,
}

/// What the machine is to be made ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Building `ahoy-cli` and `ahoy-server`.
    BuildHeadless,
    /// Building everything, and running windows under Xvfb when there is no display.
    Demo,
    /// Building everything, and making and measuring packages.
    Package,
    /// Everything that tests and benches use.
    Test,
}

/// Assembler for the codecs, and headers of sound, camera and D-Bus.
const HEADLESS: &[&str] = &[
    "build-essential",
    "pkg-config",
    "nasm",
    "cmake",
    "clang",
    "libclang-dev",
    "libasound2-dev",
    "libpulse-dev",
    "libdbus-1-dev",
];
/// Headers of the webview.
const DESKTOP: &[&str] = &["libwebkit2gtk-4.1-dev", "libgtk-3-dev", "librsvg2-dev", "libayatana-appindicator3-dev"];
/// A display without a screen, and pictures of it.
const VIRTUAL_DISPLAY: &[&str] = &["xvfb", "openbox", "imagemagick", "xdotool", "dbus-x11", "fonts-dejavu-core"];
/// What checks packages, and makes a fresh system to install them in.
const PACKAGING: &[&str] = &["binutils", "desktop-file-utils", "appstream", "rpm", "debootstrap"];
/// Real counterparts of the tests: a sound server, a TURN server, drivers of windows, network tools.
const COUNTERPARTS: &[&str] = &[
    "pulseaudio",
    "pulseaudio-utils",
    "coturn",
    "webkit2gtk-driver",
    // Of which old Ubuntu has no part named dbus-daemon.
    "dbus",
    "x11-utils",
    "tesseract-ocr",
    "at-spi2-core",
    "iproute2",
    "iputils-ping",
];
/// Ubuntu has these only as one snap; there any Chromium or Chrome with its driver on `PATH` will do, too.
const BROWSER: &[&str] = &["chromium", "chromium-driver"];

/// Versions are pinned so that a new release of a tool cannot break a build by itself.
const TOOLS: &[(&str, &str)] = &[("tauri-driver", "2.1.0"), ("cargo-deny", "0.20.2")];

const OLDEST_NODE: (u32, u32) = (20, 19);

/// Makes the machine ready.
///
/// # Errors
/// A sentence with what to install, when it cannot be done here, was refused, or failed.
pub fn ensure(purpose: Purpose, yes: bool) -> anyhow::Result<()> {
    match std::env::consts::OS {
        "linux" => {
            install_packages(&missing_packages(purpose)?, yes)?;
            if purpose == Purpose::Test && chromedriver().is_none() && is_ubuntu() {
                install_snap(yes)?;
            }
        }
        "macos" => need_programs(
            &["clang", "cmake"],
            "Install Xcode's command line tools (`xcode-select --install`) and CMake (`brew install cmake`).",
        )?,
        "windows" => need_programs(
            &["nasm", "cmake"],
            "Install NASM and CMake (`winget install NASM.NASM Kitware.CMake`) and Visual Studio's C++ build tools, then open a new terminal.",
        )?,
        other => anyhow::bail!("Ahoy is built on Linux, macOS and Windows; this is {other}."),
    }
    if purpose != Purpose::BuildHeadless {
        need_node()?;
        install_interface_packages()?;
    }
    if purpose == Purpose::Test {
        install_tools()?;
    }
    Ok(())
}

fn missing_packages(purpose: Purpose) -> anyhow::Result<Vec<&'static str>> {
    let mut wanted = HEADLESS.to_vec();
    if purpose != Purpose::BuildHeadless {
        wanted.extend(DESKTOP);
        if purpose != Purpose::Demo || !has_display() {
            wanted.extend(VIRTUAL_DISPLAY);
        }
        if purpose != Purpose::Demo {
            wanted.extend(PACKAGING);
        }
    }
    if purpose == Purpose::Test {
        wanted.extend(COUNTERPARTS);
        if chromedriver().is_none() && !is_ubuntu() {
            wanted.extend(BROWSER);
        }
    }
    if run::find("dpkg-query").is_none() {
        println!(
            "This system has no dpkg. Make sure that these, under your system's names, are there: {}",
            wanted.join(" ")
        );
        return Ok(Vec::new());
    }
    let mut missing = Vec::new();
    for package in wanted {
        let output = Command::new("dpkg-query").args(["-W", "-f=${Status}", package]).output()?;
        if !String::from_utf8_lossy(&output.stdout).contains("install ok installed") {
            missing.push(package);
        }
    }
    Ok(missing)
}

fn install_packages(missing: &[&str], yes: bool) -> anyhow::Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let apt = run::find("apt-get")
        .with_context(|| format!("Install these packages, then try again: {}", missing.join(" ")))?;
    let asks_for_root = !is_root();
    let by_hand = format!(
        "{}apt-get install --no-install-recommends {}",
        if asks_for_root { "sudo " } else { "" },
        missing.join(" ")
    );
    println!("Ahoy needs these Debian packages:\n  {}", missing.join(" "));
    anyhow::ensure!(yes || agreed()?, "Nothing was installed. Install them yourself, then try again:\n  {by_hand}");
    anyhow::ensure!(
        !asks_for_root || run::find("sudo").is_some(),
        "Installing needs root, and there is no sudo here. Do this as root, then try again:\n  apt-get update && apt-get install \
         --no-install-recommends {}",
        missing.join(" ")
    );
    let privileged = || {
        let mut command = if asks_for_root { Command::new("sudo") } else { Command::new("env") };
        command.arg("DEBIAN_FRONTEND=noninteractive").arg(&apt);
        command
    };
    run::must(privileged().args(["update", "-qq"]))?;
    run::must(privileged().args(["install", "-y", "-qq", "--no-install-recommends"]).args(missing))
        .with_context(|| format!("The packages could not be installed. Try it yourself:\n  {by_hand}"))
}

/// Ubuntu's Chromium, its driver with it.
fn install_snap(yes: bool) -> anyhow::Result<()> {
    println!("The tests call a browser, and Ubuntu has Chromium as a snap.");
    let by_hand = "Install it yourself, then try again:\n  sudo snap install chromium";
    anyhow::ensure!(run::find("snap").is_some(), "There is no snap here. {NO_BROWSER}");
    anyhow::ensure!(yes || agreed()?, "Nothing was installed. {by_hand}");
    let mut command = if is_root() { Command::new("snap") } else { Command::new("sudo") };
    if !is_root() {
        command.arg("snap");
    }
    run::must(command.args(["install", "chromium"])).context(by_hand)
}

fn agreed() -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        println!("Nobody can be asked here; `--yes` installs without asking.");
        return Ok(false);
    }
    print!("Install them now? [Y/n] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "" | "y" | "yes"))
}

fn need_programs(programs: &[&str], advice: &str) -> anyhow::Result<()> {
    let missing: Vec<_> = programs.iter().filter(|name| run::find(name).is_none()).copied().collect();
    anyhow::ensure!(missing.is_empty(), "Missing: {}. {advice}", missing.join(", "));
    Ok(())
}

fn need_node() -> anyhow::Result<()> {
    let advice = format!("Install Node.js {}.{} or newer, then try again.", OLDEST_NODE.0, OLDEST_NODE.1);
    let output =
        Command::new("node").arg("--version").output().with_context(|| format!("Node.js was not found. {advice}"))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut parts = text.trim_start_matches('v').split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    anyhow::ensure!(version >= OLDEST_NODE, "Node.js {text} is too old. {advice}");
    Ok(())
}

/// `npm ci`, unless the lock file was already carried out here.
fn install_interface_packages() -> anyhow::Result<()> {
    let ui = run::root().join("ui");
    let lock = std::fs::read(ui.join("package-lock.json")).context("ui/package-lock.json is missing")?;
    let mark = ui.join("node_modules").join(".ahoy-lock");
    if std::fs::read(&mark).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    run::must(run::npm().args(["ci", "--no-audit", "--no-fund"]))?;
    std::fs::write(mark, lock)?;
    Ok(())
}

fn install_tools() -> anyhow::Result<()> {
    let folder = run::tools()?;
    for (name, version) in TOOLS {
        let mark = folder.join(format!("{name}-{version}"));
        if run::find(name).is_some() && (mark.exists() || !folder.join("bin").join(name).exists()) {
            continue;
        }
        // Unoptimised: they run for seconds, and building them well takes minutes.
        run::must(
            run::cargo()
                .args(["install", "--locked", "--debug", "--force", "--root"])
                .arg(&folder)
                .arg(format!("{name}@{version}")),
        )?;
        std::fs::write(mark, "")?;
    }
    Ok(())
}

/// Whether windows can be shown to a person.
pub fn has_display() -> bool {
    !cfg!(target_os = "linux")
        || ["DISPLAY", "WAYLAND_DISPLAY"]
            .iter()
            .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

fn is_ubuntu() -> bool {
    std::fs::read_to_string("/etc/os-release").is_ok_and(|text| text.lines().any(|line| line == "ID=ubuntu"))
}

/// Whether this is root, who may do what people may not.
pub fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0\n"))
}
