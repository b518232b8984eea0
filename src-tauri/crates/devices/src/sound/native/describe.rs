//! What a device's own words say of it, where the system has no better.

use cpal::traits::DeviceTrait;
use cpal::{DeviceDescription, DeviceType, InterfaceType};

use crate::{Kind, Link, Reach, Traits};

/// As far as cpal knows: WASAPI tells form and transport, CoreAudio hardly anything, ALSA nothing.
pub(super) fn traits(device: &cpal::Device, kind: Kind) -> Traits {
    let Ok(description) = device.description() else { return Traits::default() };
    let named = |word: &str| description.name().to_ascii_lowercase().contains(word);
    let bluetooth = description.interface_type() == InterfaceType::Bluetooth || named("bluetooth");
    let config = match kind {
        // Only these are asked: on ALSA the question opens the device.
        Kind::Microphone if bluetooth => device.default_input_config().ok(),
        Kind::Speaker if bluetooth => device.default_output_config().ok(),
        Kind::Camera | Kind::Microphone | Kind::Speaker => None,
    };
    let (rate, channels) = config.map_or((u32::MAX, 2), |config| (config.sample_rate(), config.channels()));
    let protocol = if named("hands-free") || named("handsfree") { "handsfree" } else { "" };
    // Windows shows the mode for telephones as a device of its own and by that name.
    let link = link(bluetooth || !protocol.is_empty(), protocol, rate, channels);
    Traits { reach: reach(&description), link, incarnation: 0 }
}

fn reach(description: &DeviceDescription) -> Reach {
    match (description.device_type(), description.interface_type()) {
        (
            DeviceType::Headphones
            | DeviceType::Headset
            | DeviceType::Earpiece
            | DeviceType::Handset
            | DeviceType::HearingAid,
            _,
        ) => Reach::Private,
        (DeviceType::Speaker | DeviceType::Dock, _)
        | (_, InterfaceType::Hdmi | InterfaceType::DisplayPort | InterfaceType::Spdif) => Reach::Room,
        _ => reach_by_name(description.name()),
    }
}

/// Names of ports and devices mostly say it; makers' own names for earphones are not all known here.
pub(super) fn reach_by_name(name: &str) -> Reach {
    let name = name.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if has(&["headphone", "headset", "earphone", "earbud", "earpiece", "airpods", "buds"]) {
        Reach::Private
    } else if has(&["speaker", "hdmi", "displayport", "lineout", "line out", "spdif", "s/pdif"]) {
        Reach::Room
    } else {
        Reach::Unknown
    }
}

/// `protocol` holds the profile's name in whichever system's words. The mode for telephones carries one channel of 8 or
/// 16 kHz, which no music goes at.
pub(super) fn link(bluetooth: bool, protocol: &str, rate: u32, channels: u16) -> Link {
    let says = |words: &[&str]| words.iter().any(|word| protocol.contains(word));
    if !bluetooth {
        Link::Other
    } else if says(&["handsfree", "hands-free", "headset", "hsp", "hfp"]) || (channels == 1 && rate <= 16_000) {
        Link::Telephone
    } else {
        Link::Bluetooth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_headphones_from_loudspeakers_and_say_nothing_of_the_rest() {
        for private in ["analog-output-headphones", "[Out] Headphones", "Ada's AirPods Pro", "Jabra Headset"] {
            assert_eq!(reach_by_name(private), Reach::Private, "{private}");
        }
        for room in ["analog-output-speaker", "MacBook Pro Speakers", "HDMI / DisplayPort 3", "analog-output-lineout"] {
            assert_eq!(reach_by_name(room), Reach::Room, "{room}");
        }
        assert_eq!(reach_by_name("USB Audio Device"), Reach::Unknown);
    }
}
