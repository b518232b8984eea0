//! What is left of a crash: a file in the profile, offered at the next start to be looked at, copied or deleted. Nothing is
//! ever sent.
//!
//! It holds where the program stopped, its version and the system; no names, no texts. A message is kept only when it is a
//! literal of the source, because others may carry what a person typed.

use std::fmt::Write as _;
use std::panic::PanicHookInfo;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use ts_rs::TS;

use super::Desk;

const FOLDER: &str = "crashes";
/// More tell nothing new, and fill the disk of who starts it again and again.
const KEPT: usize = 5;
/// A file that somebody made longer is not shown.
const LONGEST: u64 = 256 * 1024;

/// A crash report as the window shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct CrashReport {
    /// When, Unix ms.
    #[ts(type = "number")]
    pub at_ms: u64,
    /// All that it says.
    pub text: String,
}

/// Writes a report whenever a thread panics from now on, and then lets happen what happened before.
pub fn watch(profile: Option<&Path>) {
    let Some(folder) = profile.map(|profile| profile.join(FOLDER)) else { return };
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // Said in the log only: a report that cannot be written is no reason to stop otherwise than one would.
        if let Err(error) = write(&folder, &report(panic)) {
            tracing::warn!(%error, "the crash report cannot be written");
        }
        before(panic);
    }));
}

/// The newest report of a profile.
pub fn newest(profile: &Path) -> Option<CrashReport> {
    let (at_ms, path) = reports(&profile.join(FOLDER)).pop()?;
    if std::fs::metadata(&path).ok()?.len() > LONGEST {
        return None;
    }
    Some(CrashReport { at_ms, text: std::fs::read_to_string(path).ok()? })
}

/// Deletes all of them: who has seen the newest is done with the others.
pub fn delete(desk: &Desk) {
    if let Some(folder) = desk.folder()
        && let Err(error) = std::fs::remove_dir_all(folder.join(FOLDER))
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "the crash reports cannot be deleted");
    }
    desk.change(|shown| shown.crash = None);
}

fn report(panic: &PanicHookInfo<'_>) -> String {
    let mut text = format!(
        "Ahoy {} stopped where it should not have.\nSystem: {} {}\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH
    );
    let thread = std::thread::current();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "Thread: {}", thread.name().unwrap_or("without a name"));
    if let Some(place) = panic.location() {
        let _ = writeln!(text, "Place: {}:{}:{}", source(place.file()), place.line(), place.column());
    }
    let message = panic.payload().downcast_ref::<&'static str>().copied();
    let _ = writeln!(text, "Message: {}", message.unwrap_or("(left out: it may hold what was typed)"));
    text.push_str("\nAddresses are relative to the program's start.\n");
    text.push_str(&frames());
    text
}

/// A path in the sources without the folders of whoever built them.
fn source(file: &str) -> &str {
    let known = ["src-tauri", "library", "registry/src"];
    known
        .iter()
        .find_map(|part| file.find(part).map(|at| &file[at..]))
        .unwrap_or_else(|| Path::new(file).file_name().and_then(|name| name.to_str()).unwrap_or("?"))
}

/// One line for each frame: its name, or where it lies in the program, which the symbols kept with a release turn into one.
fn frames() -> String {
    // A function of this program whose place the symbols tell: what lies before or after it can be found from there.
    let anchor = watch as *const () as usize;
    let mut lines = String::new();
    for (number, frame) in backtrace::Backtrace::new().frames().iter().enumerate() {
        let ip = frame.ip() as usize;
        let (sign, distance) = if ip >= anchor { ('+', ip - anchor) } else { ('-', anchor - ip) };
        let names: Vec<_> =
            frame.symbols().iter().filter_map(|symbol| symbol.name()).map(|name| format!("{name:#}")).collect();
        let name = if names.is_empty() { "?".to_owned() } else { names.join(" < ") };
        let _ = writeln!(lines, "{number:3}  crash::watch {sign} {distance:#x}  {name}");
    }
    lines
}

fn write(folder: &Path, text: &str) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    std::io::Write::write_all(&mut options.open(folder.join(format!("{at}.txt")))?, text.as_bytes())?;
    let old = reports(folder);
    for (_, path) in old.iter().take(old.len().saturating_sub(KEPT)) {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

/// Time and place of each, oldest first.
fn reports(folder: &Path) -> Vec<(u64, PathBuf)> {
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter_map(|path| Some((path.file_name()?.to_str()?.strip_suffix(".txt")?.parse().ok()?, path)))
        .collect();
    found.sort();
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A panic hook is the whole process's: the panic happens in a copy of this test.
    #[test]
    fn a_panic_leaves_where_it_was_and_nothing_of_what_was_typed() {
        const HERE: &str = "AHOY_TEST_CRASH_FOLDER";
        if let Some(profile) = std::env::var_os(HERE) {
            watch(Some(Path::new(&profile)));
            let typed = "Ben's secret".to_owned();
            let _ = std::thread::Builder::new()
                .name("worker".to_owned())
                .spawn(move || panic!("wrong: {typed}"))
                .unwrap()
                .join();
            for _ in 0..KEPT {
                std::thread::sleep(std::time::Duration::from_millis(2));
                let _ = std::thread::spawn(|| panic!("a literal")).join();
            }
            return;
        }
        let profile = std::env::temp_dir().join(format!("ahoy-crash-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&profile);
        let name = "desktop::crash::tests::a_panic_leaves_where_it_was_and_nothing_of_what_was_typed";
        let ran = std::process::Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact"])
            .env(HERE, &profile)
            .output()
            .unwrap();
        assert!(ran.status.success());
        let all = reports(&profile.join(FOLDER));
        assert_eq!(all.len(), KEPT, "old ones go");
        let newest = newest(&profile).unwrap();
        assert!(newest.text.contains("Message: a literal"), "{}", newest.text);
        assert!(newest.text.contains("crash.rs:"), "{}", newest.text);
        assert!(newest.text.contains("desktop::crash"), "a debug build names its frames: {}", newest.text);
        assert!(!all.iter().any(|(_, path)| std::fs::read_to_string(path).unwrap().contains("secret")));
        assert_eq!(super::newest(Path::new("/nowhere")), None);
        std::fs::remove_dir_all(&profile).unwrap();
    }

    #[test]
    fn a_place_names_no_folder_of_the_builder() {
        assert_eq!(source("/home/ben/ahoy/src-tauri/src/lib.rs"), "src-tauri/src/lib.rs");
        assert_eq!(source("/home/ben/.cargo/registry/src/x/y.rs"), "registry/src/x/y.rs");
        assert_eq!(source("/rustc/abc/library/core/src/option.rs"), "library/core/src/option.rs");
        assert_eq!(source("/home/ben/else.rs"), "else.rs");
    }
}
