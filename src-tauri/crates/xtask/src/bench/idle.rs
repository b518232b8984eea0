//! What waiting for a call costs: `ahoy-cli`, and the program with its window hidden.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ahoy_testkit::display::{Guarded, VirtualDisplay};
use ahoy_testkit::endpoint::{Profile, Rendezvous, ada_and_ben};
use ahoy_testkit::process::{Usage, program, usage_of, usage_of_tree};
use anyhow::Context as _;

use super::{Figure, Goal};

const LIMIT: Duration = Duration::from_secs(30);
/// For what a start has to do once.
const SETTLE: Duration = Duration::from_secs(5);

/// Measures both for so many seconds.
///
/// # Errors
/// When one cannot sign in.
pub fn measure(seconds: u64) -> anyhow::Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let server = Rendezvous::start()?;
    let (_, ben) = ada_and_ben(folder.path(), &server.url)?;
    let mut figures = without_window(&ben, seconds)?;
    if cfg!(target_os = "linux") && program_is_there("ahoy") {
        figures.extend(hidden_window(&ben, &server.url, seconds)?);
    } else {
        figures.push(Figure::left_out("idle", "window hidden", "it is measured on Linux, with `ahoy` built"));
    }
    Ok(figures)
}

fn without_window(profile: &Profile, seconds: u64) -> anyhow::Result<Vec<Figure>> {
    let mut callee = profile.start(&["listen", "--accept", "contacts"]);
    callee.wait_for_event("signed-in", LIMIT)?;
    let id = callee.id();
    let figures = cost("ahoy-cli", seconds, || usage_of(id))?;
    callee.ask_to_end();
    callee.wait(LIMIT)?;
    Ok(figures)
}

fn hidden_window(profile: &Profile, server: &str, seconds: u64) -> anyhow::Result<Vec<Figure>> {
    let display = VirtualDisplay::start(1280, 800)?;
    let before = signed_in(server)?;
    let process = Command::new(program("ahoy"))
        .args(["--hidden", "--server", server, "--profile"])
        .arg(&profile.folder)
        .env("DISPLAY", display.name())
        .env("LIBGL_ALWAYS_SOFTWARE", "1")
        .env("NO_AT_BRIDGE", "1")
        .stderr(Stdio::null())
        .spawn()?;
    let process = Guarded(process);
    let end = Instant::now() + LIMIT;
    while signed_in(server)? <= before {
        anyhow::ensure!(Instant::now() < end, "the hidden window did not sign in within {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    cost("window hidden", seconds, || usage_of_tree(process.0.id()))
}

fn cost(what: &str, seconds: u64, usage: impl Fn() -> Option<Usage>) -> anyhow::Result<Vec<Figure>> {
    std::thread::sleep(SETTLE);
    let usage = || usage().context("the program has ended, or /proc cannot be read");
    let before = usage()?;
    std::thread::sleep(Duration::from_secs(seconds));
    let after = usage()?;
    let share = after.cpu.saturating_sub(before.cpu).as_secs_f64() * 100.0 / seconds as f64;
    Ok(vec![
        Figure::new("idle", format!("{what}: processor, % of a core"), share, Goal::Below(1.0)),
        Figure::new("idle", format!("{what}: memory (PSS), MB"), after.memory as f64 / 1e6, Goal::None),
    ])
}

/// How many people the rendezvous says are signed in.
fn signed_in(server: &str) -> anyhow::Result<u64> {
    let host = server.strip_prefix("ws://").context("the rendezvous is spoken to in the clear")?;
    let mut stream = TcpStream::connect(host)?;
    write!(stream, "GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).context("no answer to a health check")?;
    let health: serde_json::Value = serde_json::from_str(body)?;
    health["signed_in"].as_u64().with_context(|| format!("no count of people: {health}"))
}

fn program_is_there(name: &str) -> bool {
    std::env::var_os("AHOY_BIN_DIR").is_some_and(|folder| std::path::Path::new(&folder).join(name).is_file())
}
