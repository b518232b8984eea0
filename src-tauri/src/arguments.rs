//! What the program is started with: the same words as `ahoy-cli`'s.

use std::path::{Path, PathBuf};

use ahoy_engine::api::DeviceChoice;
use ahoy_engine::{EngineConfig, ProfilePlace};
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
    #[arg(long, value_name = "CAMERA", value_parser = camera)]
    camera: Option<DeviceChoice>,
    /// Microphone for this run: tone, tone:HZ, none, FILE.wav, device, device:ID
    #[arg(long, value_name = "MICROPHONE", value_parser = sound)]
    mic: Option<DeviceChoice>,
    /// Speaker for this run: none, FILE.wav, device, device:ID
    #[arg(long, value_name = "SPEAKER", value_parser = sound)]
    speaker: Option<DeviceChoice>,
}

impl Arguments {
    /// What the engine is to be started with.
    pub fn into_config(self) -> EngineConfig {
        let place = self.profile.map_or(ProfilePlace::Default, ProfilePlace::Folder);
        EngineConfig {
            server: self.server,
            camera: self.camera,
            microphone: self.mic,
            speaker: self.speaker,
            list_devices: true,
            ..EngineConfig::new(place)
        }
    }
}

/// A word that names no device, with those that do.
#[derive(Debug, Clone, PartialEq, Eq)]
struct UnknownDevice(&'static str);

impl std::fmt::Display for UnknownDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "give {}", self.0)
    }
}

impl std::error::Error for UnknownDevice {}

fn camera(text: &str) -> Result<DeviceChoice, UnknownDevice> {
    match text {
        "pattern" => Ok(named("pattern")),
        _ => choice(text, "y4m").ok_or(UnknownDevice("pattern, none, a file that ends in .y4m, device or device:ID")),
    }
}

fn sound(text: &str) -> Result<DeviceChoice, UnknownDevice> {
    let hertz = text.strip_prefix("tone:").and_then(|rest| rest.parse::<f64>().ok());
    if text == "tone" || hertz.is_some_and(|value| (20.0..=20_000.0).contains(&value)) {
        return Ok(named(text));
    }
    choice(text, "wav")
        .ok_or(UnknownDevice("tone, tone:HZ (20 to 20000), none, a file that ends in .wav, device or device:ID"))
}

fn choice(text: &str, extension: &str) -> Option<DeviceChoice> {
    match text {
        "none" => Some(DeviceChoice::Nothing),
        "device" => Some(DeviceChoice::SystemDefault),
        _ => text.strip_prefix("device:").map(named).or_else(|| file(text, extension)),
    }
}

fn file(text: &str, extension: &str) -> Option<DeviceChoice> {
    let path = Path::new(text);
    let fits = path.extension().is_some_and(|own| own.eq_ignore_ascii_case(extension));
    let whole = std::path::absolute(path).ok()?;
    fits.then(|| DeviceChoice::Device { id: format!("file:{}", whole.display()) })
}

fn named(id: &str) -> DeviceChoice {
    DeviceChoice::Device { id: id.to_owned() }
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
    fn flags_say_what_differs_in_this_run() {
        let config =
            config("ahoy --profile p --server ws://127.0.0.1:1 --camera pattern --mic tone:660 --speaker none");
        assert_eq!(config.profile, ProfilePlace::Folder("p".into()));
        assert_eq!(config.server.as_deref(), Some("ws://127.0.0.1:1"));
        assert_eq!(config.camera, Some(named("pattern")));
        assert_eq!(config.microphone, Some(named("tone:660")));
        assert_eq!(config.speaker, Some(DeviceChoice::Nothing));
    }

    #[test]
    fn devices_and_files_are_told_apart() {
        assert_eq!(camera("device"), Ok(DeviceChoice::SystemDefault));
        assert_eq!(sound("device:pulseaudio:a:b"), Ok(named("pulseaudio:a:b")));
        assert!(matches!(camera("clip.Y4M"), Ok(DeviceChoice::Device { id }) if id.starts_with("file:")));
    }

    #[test]
    fn nonsense_is_refused_with_advice() {
        for (refusal, advice) in [
            (camera("tone"), "pattern"),
            (sound("tone:loud"), "tone:HZ"),
            (sound("tone:5"), "20"),
            (sound("a.mp3"), ".wav"),
        ] {
            assert!(refusal.unwrap_err().to_string().contains(advice));
        }
    }
}
