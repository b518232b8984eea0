//! The words by which a command line names devices, the same for every program of Ahoy.

use std::path::Path;

use crate::api::{DeviceChoice, Voice};

/// The pitches that a synthetic tone can have, Hz.
const PITCHES: std::ops::RangeInclusive<f64> = 20.0..=20_000.0;

/// A word that names no device; says which do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("give {0}")]
pub struct UnknownDevice(&'static str);

/// `pattern | none | FILE.y4m | device[:ID]`
///
/// # Errors
/// [`UnknownDevice`] for any other word.
pub fn camera(text: &str) -> Result<DeviceChoice, UnknownDevice> {
    let usual = UnknownDevice("pattern, none, a .y4m file, device or device:ID");
    match text {
        "pattern" => Ok(named(text)),
        _ => choice(text, "y4m").ok_or(usual),
    }
}

/// `tone[:HZ] | clap | none | FILE.wav | device[:ID]`
///
/// # Errors
/// [`UnknownDevice`] for any other word.
pub fn microphone(text: &str) -> Result<DeviceChoice, UnknownDevice> {
    let usual = UnknownDevice("tone, tone:HZ (20 to 20000), clap, none, a .wav file, device or device:ID");
    let pitch = text.strip_prefix("tone:").and_then(|pitch| pitch.parse::<f64>().ok());
    match text {
        "tone" | "clap" => Ok(named(text)),
        _ if pitch.is_some_and(|pitch| PITCHES.contains(&pitch)) => Ok(named(text)),
        _ => choice(text, "wav").ok_or(usual),
    }
}

/// `none | FILE.wav | device[:ID]`
///
/// # Errors
/// [`UnknownDevice`] for any other word.
pub fn speaker(text: &str) -> Result<DeviceChoice, UnknownDevice> {
    choice(text, "wav").ok_or(UnknownDevice("none, a .wav file, device or device:ID"))
}

/// `usual | off |` any of `echo`, `noise`, `gain`, `music` with commas between them
///
/// # Errors
/// [`UnknownDevice`] for any other word.
pub fn voice(text: &str) -> Result<Voice, UnknownDevice> {
    match text {
        "usual" => return Ok(Voice::default()),
        "off" => return Ok(Voice::OFF),
        _ => {}
    }
    text.split(',').try_fold(Voice::OFF, |voice, part| match part {
        "echo" => Ok(Voice { echo_cancellation: true, ..voice }),
        "noise" => Ok(Voice { noise_suppression: true, ..voice }),
        "gain" => Ok(Voice { auto_gain_control: true, ..voice }),
        "music" => Ok(Voice { music: true, ..voice }),
        _ => Err(UnknownDevice("usual, off, or any of echo, noise, gain and music with commas between them")),
    })
}

fn choice(text: &str, extension: &str) -> Option<DeviceChoice> {
    match text {
        "none" => Some(DeviceChoice::Nothing),
        "device" => Some(DeviceChoice::SystemDefault),
        _ => match text.strip_prefix("device:") {
            Some(id) => (!id.is_empty()).then(|| named(id)),
            None => file(text, extension),
        },
    }
}

/// A file by its ending, there or not (when it is opened, it is told of with its path), or a pipe that is there.
fn file(text: &str, extension: &str) -> Option<DeviceChoice> {
    let path = Path::new(text);
    let fits = path.extension().is_some_and(|own| own.eq_ignore_ascii_case(extension));
    let there = || path.metadata().is_ok_and(|about| !about.is_dir());
    let whole = std::path::absolute(path).ok()?;
    (fits || there()).then(|| named(&format!("file:{}", whole.display())))
}

fn named(id: &str) -> DeviceChoice {
    DeviceChoice::Device { id: id.to_owned() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn synthetic_real_and_no_devices_are_told_apart() {
        assert_eq!(camera("pattern"), Ok(named("pattern")));
        assert_eq!(camera("none"), Ok(DeviceChoice::Nothing));
        assert_eq!(camera("device"), Ok(DeviceChoice::SystemDefault));
        assert_eq!(camera("device:v4l2:1"), Ok(named("v4l2:1")));
        assert_eq!(microphone("tone:880"), Ok(named("tone:880")));
        assert_eq!(microphone("clap"), Ok(named("clap")));
        assert_eq!(speaker("device:pulseaudio:a:b"), Ok(named("pulseaudio:a:b")));
    }

    #[test]
    fn files_are_known_by_their_ending_or_by_being_there() {
        assert!(matches!(camera("clip.Y4M"), Ok(DeviceChoice::Device { id }) if id.starts_with("file:/")));
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(speaker(pipe.to_str().unwrap()).is_err());
        std::fs::write(&pipe, b"").unwrap();
        assert_eq!(speaker(pipe.to_str().unwrap()), Ok(named(&format!("file:{}", pipe.display()))));
    }

    #[test]
    fn nonsense_is_refused_with_advice() {
        for (refused, advice) in [
            (camera("tone"), "pattern"),
            (camera(""), ".y4m"),
            (camera("device:"), "device:ID"),
            (microphone("tone:loud"), "tone:HZ"),
            (microphone("tone:5"), "20"),
            (microphone("a.mp3"), ".wav"),
            (speaker("tone"), "none"),
        ] {
            assert!(refused.unwrap_err().to_string().contains(advice));
        }
    }
}
