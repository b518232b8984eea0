//! What the program is started with: the same words as `ahoy-cli`'s.

use std::path::{Path, PathBuf};

use ahoy_engine::api::{DeviceChoice, Language, Voice};
use ahoy_engine::{EngineConfig, ProfilePlace, device_words};
use clap::Parser;

/// Video calls that flow directly between two computers.
#[derive(Debug, Parser)]
#[command(name = "ahoy", version)]
pub struct Arguments {
    /// Folder of the profile; without it, the person's own
    #[arg(long, value_name = "DIR")]
    profile: Option<PathBuf>,
    /// Rendezvous for this run, ws:// or wss://
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Camera for this run: pattern, none, FILE.y4m, device, device:ID
    #[arg(long, value_name = "CAMERA", value_parser = device_words::camera)]
    camera: Option<DeviceChoice>,
    /// Microphone for this run: tone, tone:HZ, clap, none, FILE.wav, device, device:ID
    #[arg(long, value_name = "MICROPHONE", value_parser = device_words::microphone)]
    mic: Option<DeviceChoice>,
    /// What is done to the microphone's sound in this run: usual, off, or any of echo,noise,gain,music
    #[arg(long, value_name = "VOICE", value_parser = device_words::voice)]
    voice: Option<Voice>,
    /// Speaker for this run: none, FILE.wav, device, device:ID
    #[arg(long, value_name = "SPEAKER", value_parser = device_words::speaker)]
    speaker: Option<DeviceChoice>,
    /// Start without showing the window, as after signing in to the computer
    #[arg(long)]
    pub hidden: bool,
    /// No icon in the tray: closing the window ends the program
    #[arg(long)]
    pub no_tray: bool,
    /// A contact's link to look at
    #[arg(value_name = "LINK")]
    pub link: Option<String>,
}

impl Arguments {
    /// The profile's folder, where the system has a place for it.
    pub fn folder(&self) -> Option<PathBuf> {
        self.place().folder()
    }

    /// The profile as it was named.
    pub fn profile(&self) -> Option<&Path> {
        self.profile.as_deref()
    }

    fn place(&self) -> ProfilePlace {
        self.profile.clone().map_or(ProfilePlace::Default, ProfilePlace::Folder)
    }

    /// What the engine is to be started with.
    pub fn into_config(self) -> EngineConfig {
        let place = self.place();
        EngineConfig {
            server: self.server,
            camera: self.camera,
            microphone: self.mic,
            voice: self.voice,
            speaker: self.speaker,
            language: Language::system(),
            list_devices: true,
            ..EngineConfig::new(place)
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn config(line: &str) -> EngineConfig {
        Arguments::try_parse_from(line.split(' ')).unwrap().into_config()
    }

    #[test]
    fn without_flags_everything_is_as_remembered() {
        let config = config("ahoy");
        assert_eq!(config.profile, ProfilePlace::Default);
        assert_eq!((config.server, config.camera, config.microphone, config.speaker), (None, None, None, None));
    }

    #[test]
    fn a_link_may_stand_alone_or_behind_flags() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' ')).unwrap();
        assert_eq!(parse("ahoy ahoy://card/x?n=Ada").link.as_deref(), Some("ahoy://card/x?n=Ada"));
        let both = parse("ahoy --hidden --profile p ahoy://card/x");
        assert_eq!((both.link.as_deref(), both.hidden), (Some("ahoy://card/x"), true));
        assert!(Arguments::try_parse_from(["ahoy", "ahoy://a", "ahoy://b"]).is_err());
    }

    #[test]
    fn flags_say_what_differs_in_this_run() {
        let config =
            config("ahoy --profile p --server ws://127.0.0.1:1 --camera pattern --mic tone:660 --speaker none");
        assert_eq!(config.profile, ProfilePlace::Folder("p".into()));
        assert_eq!(config.server.as_deref(), Some("ws://127.0.0.1:1"));
        assert_eq!(config.camera, Some(DeviceChoice::Device { id: "pattern".to_owned() }));
        assert_eq!(config.microphone, Some(DeviceChoice::Device { id: "tone:660".to_owned() }));
        assert_eq!(config.speaker, Some(DeviceChoice::Nothing));
    }
}
