//! A private PulseAudio daemon with virtual devices, so that sound really goes out of one program and into another.
//!
//! Each sink `NAME` swallows what is played into it; the source `NAME_mic` gives it back, as a microphone that hears only
//! that speaker would. (`NAME.monitor` gives the same, but programs hide monitors from people.)

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use anyhow::{Context, bail, ensure};

/// A virtual speaker.
#[derive(Debug, Clone, Copy)]
pub struct Sink<'a> {
    /// Its name in the server.
    pub name: &'a str,
    /// Samples a second.
    pub rate: u32,
    /// Channels.
    pub channels: u8,
}

/// A running daemon; ends when dropped. Its socket, state and everything else lie in an own temporary directory.
#[derive(Debug)]
pub struct Pulse {
    daemon: Child,
    home: PathBuf,
    arguments: Vec<String>,
}

impl Pulse {
    /// Starts a daemon with these sinks; the first sink and its microphone are the defaults.
    ///
    /// # Errors
    /// Where `pulseaudio` is not installed or does not come up within ten seconds.
    pub fn start(sinks: &[Sink<'_>]) -> anyhow::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let home = env::temp_dir().join(format!("ahoy-pulse-{}-{count}", std::process::id()));
        let _ = fs::remove_dir_all(&home);
        fs::create_dir_all(&home)?;
        let mut arguments = Vec::new();
        for Sink { name, rate, channels } in sinks {
            // Without rewinds it works in steps of at most 50 ms; with them, of up to 2 s when nobody asks for less.
            let sink = format!("module-null-sink sink_name={name} rate={rate} channels={channels} norewinds=1");
            let microphone = format!("module-remap-source master={name}.monitor source_name={name}_mic");
            arguments.extend(["-L".to_owned(), sink, "-L".to_owned(), microphone]);
        }
        let daemon = spawn(&home, &arguments)?;
        let mut pulse = Self { daemon, home, arguments };
        pulse.wait_for_socket()?;
        if let Some(first) = sinks.first() {
            pulse.pactl(&["set-default-sink", first.name])?;
            pulse.pactl(&["set-default-source", &format!("{}_mic", first.name)])?;
        }
        Ok(pulse)
    }

    fn wait_for_socket(&mut self) -> anyhow::Result<()> {
        let end = Instant::now() + Duration::from_secs(10);
        while UnixStream::connect(self.home.join("native")).is_err() {
            if let Some(status) = self.daemon.try_wait()? {
                bail!("pulseaudio ended at once: {status}");
            }
            ensure!(Instant::now() < end, "pulseaudio did not open its socket within 10 s");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Starts the daemon again after [`Pulse::kill`], at the same address and with the sinks it began with; what was
    /// loaded since is gone.
    ///
    /// # Errors
    /// When it does not come up within ten seconds.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.kill();
        let _ = fs::remove_file(self.home.join("native"));
        self.daemon = spawn(&self.home, &self.arguments)?;
        self.wait_for_socket()
    }

    /// Loads another virtual speaker `name` (with its microphone `name_mic`, both bearing these properties) and gives the
    /// numbers of the modules, for [`Pulse::unplug`].
    ///
    /// # Errors
    /// When the daemon refuses.
    pub fn plug(&self, sink: Sink<'_>, properties: &str) -> anyhow::Result<[u32; 2]> {
        let Sink { name, rate, channels } = sink;
        let load = |arguments: &[&str]| -> anyhow::Result<u32> {
            Ok(self.pactl(&[&["load-module"], arguments].concat())?.trim().parse()?)
        };
        let (rate, channels) = (format!("rate={rate}"), format!("channels={channels}"));
        let (own, master) = (format!("sink_name={name}"), format!("master={name}.monitor"));
        let (its_mic, sink_properties) =
            (format!("source_name={name}_mic"), format!("sink_properties=\"{properties}\""));
        let source_properties = format!("source_properties=\"{properties}\"");
        let speaker = load(&["module-null-sink", &own, &rate, &channels, "norewinds=1", &sink_properties])?;
        let microphone = load(&["module-remap-source", &master, &its_mic, &source_properties])?;
        Ok([microphone, speaker])
    }

    /// Takes modules away again, as pulling out a plug does.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub fn unplug(&self, modules: &[u32]) -> anyhow::Result<()> {
        for module in modules {
            self.pactl(&["unload-module", &module.to_string()])?;
        }
        Ok(())
    }

    /// The value of `PULSE_SERVER` for programs that shall use this daemon.
    pub fn server(&self) -> String {
        format!("unix:{}", self.home.join("native").display())
    }

    /// Makes a program that is about to be started use this daemon.
    pub fn apply<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("PULSE_SERVER", self.server())
    }

    /// Lets other accounts of this machine use it, too.
    ///
    /// # Errors
    /// When its folder cannot be opened to them.
    pub fn open_to_all(&self) -> anyhow::Result<()> {
        fs::set_permissions(&self.home, fs::Permissions::from_mode(0o711)).context("the folder of the sound server")
    }

    /// Runs `pactl` against this daemon and gives what it prints.
    ///
    /// # Errors
    /// When it fails.
    pub fn pactl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = in_home(&mut Command::new("pactl"), &self.home)
            .args(arguments)
            .output()
            .context("pactl cannot be run; install the package pulseaudio-utils")?;
        ensure!(output.status.success(), "pactl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Streams that play or record now: `(playing, recording)`. A microphone `NAME_mic` is itself one recording of
    /// its monitor while it is used, which is not counted.
    ///
    /// # Errors
    /// When `pactl` fails.
    pub fn streams(&self) -> anyhow::Result<(usize, usize)> {
        let playing = self.pactl(&["list", "short", "sink-inputs"])?.lines().count();
        // Fields: number, source, client, driver, format. The remapping itself has no client.
        let recording = self.pactl(&["list", "short", "source-outputs"])?;
        let of_clients = recording.lines().filter(|line| line.split('\t').nth(2).is_some_and(|client| client != "-"));
        Ok((playing, of_clients.count()))
    }

    /// Stops the daemon in its tracks, as a hanging sound server: connections stand, nothing answers.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn freeze(&self) -> anyhow::Result<()> {
        let status = Command::new("kill").args(["-STOP", &self.daemon.id().to_string()]).status()?;
        ensure!(status.success(), "the daemon could not be stopped");
        Ok(())
    }

    /// Lets a stopped daemon go on.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn thaw(&self) -> anyhow::Result<()> {
        let status = Command::new("kill").args(["-CONT", &self.daemon.id().to_string()]).status()?;
        ensure!(status.success(), "the daemon could not be woken");
        Ok(())
    }

    /// Ends the daemon without a word, as a crash.
    pub fn kill(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.home);
    }
}

fn spawn(home: &Path, arguments: &[String]) -> anyhow::Result<Child> {
    let mut command = Command::new("pulseaudio");
    command
        .args(["-n", "--daemonize=no", "--system=false", "--use-pid-file=no", "--exit-idle-time=-1"])
        .args(["--disable-shm=yes", "--realtime=no", "--high-priority=no", "--log-level=error", "-L"])
        .arg(format!("module-native-protocol-unix auth-anonymous=1 socket={}", home.join("native").display()))
        .args(arguments);
    in_home(&mut command, home)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("pulseaudio cannot be started; install the package pulseaudio")
}

fn in_home<'a>(command: &'a mut Command, home: &Path) -> &'a mut Command {
    command
        .env("HOME", home)
        .env("XDG_RUNTIME_DIR", home)
        .env("XDG_CONFIG_HOME", home)
        .env("PULSE_RUNTIME_PATH", home)
        .env("PULSE_STATE_PATH", home)
        .env("PULSE_SERVER", format!("unix:{}", home.join("native").display()))
        .env_remove("DBUS_SESSION_BUS_ADDRESS")
}
