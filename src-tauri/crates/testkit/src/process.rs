//! Our own programs as child processes: started, listened to line by line, measured and always ended.

use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::Value;

/// Where the programs under test lie: `AHOY_BIN_DIR`, else beside the running test's own build folder.
///
/// # Panics
/// When the program is not there; the message says how to build it.
pub fn program(name: &str) -> PathBuf {
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let places = [std::env::var_os("AHOY_BIN_DIR").map(PathBuf::from), build_folder()];
    places
        .iter()
        .flatten()
        .map(|folder| folder.join(&name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is not built; run the tests by `cargo xtask test`"))
}

/// `target/<profile>` of the running test program (`target/<profile>/deps/test-hash`).
fn build_folder() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let folder = own.parent()?;
    if folder.ends_with("deps") { folder.parent().map(Path::to_path_buf) } else { Some(folder.to_path_buf()) }
}

/// A child process that writes one JSON object a line on standard output. Killed and waited for when dropped.
#[derive(Debug)]
pub struct JsonProcess {
    name: String,
    child: Child,
    lines: Receiver<Value>,
    seen: Vec<Value>,
    reader: Option<JoinHandle<()>>,
}

/// What a process has used of the machine so far, from `/proc`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// Processor time, user and system.
    pub cpu: Duration,
    /// Proportional set size, bytes.
    pub memory: u64,
}

impl JsonProcess {
    /// Starts `command`; `name` stands in messages. Standard error goes where the parent's goes, unless set before.
    ///
    /// # Panics
    /// When the program cannot be started.
    pub fn start(name: &str, command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} could not be started ({command:?}): {error}"));
        let output = child.stdout.take().expect("standard output was asked for as a pipe");
        let (sender, lines) = channel();
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Ok(value) = serde_json::from_str(&line)
                    && sender.send(value).is_err()
                {
                    return;
                }
            }
        });
        Self { name: name.to_owned(), child, lines, seen: Vec::new(), reader: Some(reader) }
    }

    /// Writes a line to its standard input, which stays open until the process is dropped.
    ///
    /// # Errors
    /// When it does not take it, having ended.
    pub fn say(&mut self, line: &str) -> anyhow::Result<()> {
        let input = self.child.stdin.as_mut().expect("standard input was asked for as a pipe");
        writeln!(input, "{line}").with_context(|| format!("{} does not listen", self.name))
    }

    /// Process ID.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the first line, old or new, that `wanted` accepts.
    ///
    /// # Errors
    /// A sentence with everything seen so far, when `limit` passes or the output ends.
    pub fn wait_for(&mut self, wanted: impl Fn(&Value) -> bool, limit: Duration) -> anyhow::Result<Value> {
        if let Some(line) = self.seen.iter().find(|line| wanted(line)) {
            return Ok(line.clone());
        }
        let end = Instant::now() + limit;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if wanted(&line) {
                        return Ok(line);
                    }
                }
                Err(why) => {
                    let why = match why {
                        RecvTimeoutError::Timeout => format!("did not come within {limit:?}"),
                        RecvTimeoutError::Disconnected => "can no longer come: the output ended".to_owned(),
                    };
                    let events: Vec<_> = self.seen.iter().map(brief).collect();
                    anyhow::bail!("{}: the awaited line {why}; seen: {events:?}", self.name);
                }
            }
        }
    }

    /// Waits for `{"event": name}`.
    ///
    /// # Errors
    /// As [`Self::wait_for`].
    pub fn wait_for_event(&mut self, event: &str, limit: Duration) -> anyhow::Result<Value> {
        self.wait_for(|line| line["event"] == event, limit)
            .map_err(|error| error.context(format!("waiting for \"{event}\"")))
    }

    /// Every line so far.
    pub fn lines(&mut self) -> &[Value] {
        self.seen.extend(self.lines.try_iter());
        &self.seen
    }

    /// Every line so far with this event.
    pub fn events(&mut self, event: &str) -> Vec<Value> {
        self.lines().iter().filter(|line| line["event"] == event).cloned().collect()
    }

    /// Waits for the program's own end and takes in its last lines.
    ///
    /// # Errors
    /// When it does not end within `limit`.
    pub fn wait(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                if let Some(reader) = self.reader.take() {
                    let _ = reader.join();
                }
                self.seen.extend(self.lines.try_iter());
                return Ok(status);
            }
            anyhow::ensure!(Instant::now() < end, "{} did not end within {limit:?}", self.name);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asks the program to end (SIGTERM where there is one).
    pub fn ask_to_end(&mut self) {
        #[cfg(unix)]
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        #[cfg(not(unix))]
        let _ = self.child.kill();
    }

    /// Processor time and memory so far; `None` where the system does not tell or the process has ended.
    pub fn usage(&self) -> Option<Usage> {
        usage_of(self.child.id())
    }
}

impl Drop for JsonProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// Processor time and memory of a process, Linux only.
pub fn usage_of(process: u32) -> Option<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // proc(5): the fields after the parenthesised name; utime and stime are the 14th and 15th of all, in ticks of 10 ms.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    let smaps = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
    let kib: u64 =
        smaps.lines().find_map(|line| line.strip_prefix("Pss:"))?.trim().trim_end_matches(" kB").parse().ok()?;
    Some(Usage { cpu: Duration::from_millis(ticks * 10), memory: kib * 1024 })
}

/// Processor time and memory of a process and all that it started, Linux only: a webview has processes of its own.
pub fn usage_of_tree(root: u32) -> Option<Usage> {
    let parents: Vec<(u32, u32)> =
        std::fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| parent(&entry)).collect();
    let mut tree = vec![root];
    let mut place = 0;
    while let Some(process) = tree.get(place).copied() {
        tree.extend(parents.iter().filter(|(_, parent)| *parent == process).map(|(child, _)| child));
        place += 1;
    }
    let root = usage_of(root)?;
    // Who ended meanwhile counts no more.
    let others = tree[1..].iter().filter_map(|process| usage_of(*process));
    Some(others.fold(root, |sum, one| Usage { cpu: sum.cpu + one.cpu, memory: sum.memory + one.memory }))
}

/// A process of `/proc` and its parent.
fn parent(entry: &std::fs::DirEntry) -> Option<(u32, u32)> {
    let process = entry.file_name().to_str()?.parse().ok()?;
    let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
    Some((process, stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?))
}

/// A line cut to what a message can carry.
fn brief(line: &Value) -> String {
    let text = line.to_string();
    text.char_indices().nth(120).map_or(text.clone(), |(end, _)| format!("{}...", &text[..end]))
}
