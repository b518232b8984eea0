//! The command line.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ahoy_engine::api::{DeviceChoice, ShareKind, ShareSource, Voice};
use ahoy_engine::{PictureWish, device_words};
use clap::{Args, Parser, Subcommand, ValueEnum};

/// A whole Ahoy endpoint without a window.
///
/// During `call` and `listen`, lines on standard input are obeyed: camera on|off, microphone on|off,
/// share screen|screen:NAME|window:TITLE|pattern|pause|go-on|off, ask-for-share, refuse-share, hang-up.
#[derive(Debug, Parser)]
#[command(name = "ahoy-cli", version, about)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub common: Common,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print who this profile is, as {"id","card"}; with --name, first say what people call it.
    Id {
        /// What people call this profile.
        #[arg(long)]
        name: Option<String>,
    },
    /// Contacts of this profile.
    Contact {
        #[command(subcommand)]
        command: ContactCommand,
    },
    /// Wait for calls.
    Listen {
        /// Who is answered: everybody, contacts only, or nobody (it only rings).
        #[arg(long, value_enum, default_value_t = Accept::Contacts)]
        accept: Accept,
        /// Let it ring so many seconds before it is answered, as a person would.
        #[arg(long, value_name = "SECONDS", default_value = "0")]
        ring_for: Seconds,
    },
    /// Call somebody: a contact's name, an Ahoy ID, or a contact card's link.
    Call {
        /// Whom.
        who: String,
    },
    /// List cameras, microphones and speakers.
    Devices,
}

/// What to do with contacts.
#[derive(Debug, Subcommand)]
pub enum ContactCommand {
    /// Add somebody by their contact card's link, and tell them.
    Add {
        /// The link.
        card: String,
    },
    /// List contacts.
    List,
}

/// Who is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Accept {
    /// Contacts and strangers.
    All,
    /// Contacts; a stranger's call waits as a request.
    Contacts,
    /// Nobody: it only rings.
    None,
}

/// Taken before and after the subcommand alike.
#[derive(Debug, Args)]
pub struct Common {
    /// Folder of the profile; your own when left out.
    #[arg(long, global = true, value_name = "DIR")]
    pub profile: Option<PathBuf>,
    /// Rendezvous, ws://... or wss://...; for `id` it is remembered.
    #[arg(long, global = true, value_name = "URL")]
    pub server: Option<String>,
    /// End after so many seconds (for `call`, after the answer).
    #[arg(long = "for", global = true, value_name = "SECONDS")]
    pub seconds: Option<Seconds>,
    /// pattern | none | FILE.y4m | device[:ID]
    #[arg(long, global = true, value_parser = device_words::camera)]
    pub camera: Option<DeviceChoice>,
    /// tone[:HZ] | clap | none | FILE.wav | device[:ID]
    #[arg(long, global = true, value_parser = device_words::microphone)]
    pub mic: Option<DeviceChoice>,
    /// What is done to the microphone's sound: usual | off | any of echo,noise,gain,music. Without it: the usual for a
    /// device, nothing for a tone or a file
    #[arg(long, global = true, value_parser = device_words::voice)]
    pub voice: Option<Voice>,
    /// none | FILE.wav | device[:ID]
    #[arg(long, global = true, value_parser = device_words::speaker)]
    pub speaker: Option<DeviceChoice>,
    /// The camera's size, as 1280x720; also that of --video-out.
    #[arg(long, global = true, default_value = "1280x720")]
    pub size: Size,
    /// Pictures a second.
    #[arg(long, global = true, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=120))]
    pub fps: u32,
    /// A line of JSON for each event.
    #[arg(long, global = true)]
    pub json: bool,
    /// With --json: also a line for each picture captured and shown.
    #[arg(long, global = true)]
    pub frames: bool,
    /// Write each picture shown to this Y4M file or named pipe, scaled to --size.
    #[arg(long, global = true, value_name = "FILE")]
    pub video_out: Option<PathBuf>,
    /// With --video-out: only a picture in so many seconds, so that judging pictures costs a call little.
    #[arg(long, global = true, value_name = "SECONDS", default_value = "0")]
    pub video_every: Seconds,
    /// Share this as soon as the call runs: screen | screen:NAME | window:PART-OF-TITLE | pattern
    #[arg(long, global = true, value_name = "WHAT")]
    pub share: Option<ShareWord>,
    /// With --share: the computer's sound, too.
    #[arg(long, global = true)]
    pub share_sound: bool,
    /// Write each picture of what the other side shares to this Y4M file or named pipe, at the size of the first.
    #[arg(long, global = true, value_name = "FILE")]
    pub share_out: Option<PathBuf>,
    /// Write the sound heard to this WAV file or named pipe.
    #[arg(long, global = true, value_name = "FILE")]
    pub audio_out: Option<PathBuf>,
}

impl Common {
    /// What the camera is asked for.
    pub fn picture(&self) -> PictureWish {
        PictureWish { width: self.size.width, height: self.size.height, fps: self.fps }
    }
}

/// What is to be shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShareWord {
    /// The screen of this name, or the first.
    Screen(Option<String>),
    /// The uppermost window with this in its title.
    Window(String),
    /// The test pattern.
    Pattern,
}

impl FromStr for ShareWord {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "screen" => Ok(Self::Screen(None)),
            None if text == "pattern" => Ok(Self::Pattern),
            Some(("screen", name)) if !name.is_empty() => Ok(Self::Screen(Some(name.to_owned()))),
            Some(("window", title)) if !title.is_empty() => Ok(Self::Window(title.to_owned())),
            Some(_) | None => Err("give screen, screen:NAME, window:TITLE or pattern".to_owned()),
        }
    }
}

impl ShareWord {
    /// Its source's identifier among those that there are.
    pub fn find(&self, sources: &[ShareSource]) -> Option<String> {
        let found = match self {
            Self::Pattern => return Some("pattern".to_owned()),
            Self::Screen(name) => sources.iter().find(|source| {
                source.kind == ShareKind::Screen && name.as_ref().is_none_or(|name| *name == source.name)
            }),
            Self::Window(title) => {
                sources.iter().find(|source| source.kind == ShareKind::Window && source.name.contains(title))
            }
        };
        found.map(|source| source.id.clone())
    }
}

/// A length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds(pub Duration);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Beyond some years the clock's own arithmetic would overflow.
        let seconds = text.parse().ok().filter(|seconds| (0.0..=1e8).contains(seconds));
        seconds
            .map(|seconds| Self(Duration::from_secs_f64(seconds)))
            .ok_or_else(|| "write a number of seconds, as 60 or 0.5".to_owned())
    }
}

/// `WIDTHxHEIGHT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    width: u32,
    height: u32,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sides = text.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
        let Some((width, height)) = sides else {
            return Err("write the size as 1280x720".to_owned());
        };
        if (16..=3840).contains(&width) && (16..=2160).contains(&height) {
            Ok(Self { width, height })
        } else {
            Err("the size must be between 16x16 and 3840x2160".to_owned())
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_stand_before_or_after_the_subcommand() {
        for line in [
            ["ahoy-cli", "--profile", "/p", "--json", "--for", "5", "call", "Ben"],
            ["ahoy-cli", "call", "Ben", "--profile", "/p", "--json", "--for", "5"],
        ] {
            let cli = Cli::try_parse_from(line).unwrap();
            assert_eq!((cli.common.json, cli.common.seconds), (true, Some(Seconds(Duration::from_secs(5)))));
            assert!(matches!(cli.command, Command::Call { who } if who == "Ben"));
        }
    }

    #[test]
    fn what_is_shared_is_found_by_kind_and_name() {
        let source = |id: &str, kind, name: &str| ShareSource {
            id: id.to_owned(),
            kind,
            name: name.to_owned(),
            app: None,
            icon: None,
            thumbnail: None,
            width: 1,
            height: 1,
        };
        let sources = [
            source("a", ShareKind::Screen, "DP-1"),
            source("b", ShareKind::Screen, "DP-2"),
            source("c", ShareKind::Window, "Invoice - Firefox"),
        ];
        for (word, id) in [
            ("screen", Some("a")),
            ("screen:DP-2", Some("b")),
            ("screen:Invoice", None),
            ("window:Invoice", Some("c")),
            ("window:DP", None),
            ("pattern", Some("pattern")),
        ] {
            assert_eq!(word.parse::<ShareWord>().unwrap().find(&sources).as_deref(), id, "{word}");
        }
        for nonsense in ["", "window", "window:", "film:x"] {
            assert!(nonsense.parse::<ShareWord>().is_err(), "{nonsense}");
        }
    }

    #[test]
    fn a_size_has_two_sides() {
        assert_eq!("640x360".parse(), Ok(Size { width: 640, height: 360 }));
        assert!("12".parse::<Size>().is_err());
    }
}
