//! What a person chose for one role, in the order of their last words.

use ahoy_devices::{DeviceId, DeviceInfo};

use crate::api::DeviceChoice;

/// Choices kept for each role; the oldest go.
pub(crate) const CHOICES_KEPT: usize = 16;

/// A choice with the name that the device had then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remembered {
    pub choice: DeviceChoice,
    pub label: String,
}

/// The newest choice first: it is the one that counts, and those after it are whom to fall back to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ranking(Vec<Remembered>);

impl Ranking {
    /// Newest first.
    pub fn new(choices: impl IntoIterator<Item = Remembered>) -> Self {
        Self(choices.into_iter().collect())
    }

    /// What counts; the system's default for who never chose.
    pub fn choice(&self) -> &DeviceChoice {
        self.0.first().map_or(&DeviceChoice::SystemDefault, |first| &first.choice)
    }

    /// From now on this one counts, and the one before comes second.
    pub fn choose(&mut self, choice: DeviceChoice, label: String) {
        self.0.retain(|old| old.choice != choice);
        self.0.insert(0, Remembered { choice, label });
        self.0.truncate(CHOICES_KEPT);
    }

    /// Takes over what the chosen devices are called now.
    pub fn learn(&mut self, devices: &[DeviceInfo]) {
        for old in &mut self.0 {
            if let DeviceChoice::Device { id } = &old.choice
                && let Some(device) = devices.iter().find(|device| device.id.as_str() == id)
            {
                old.label.clone_from(&device.label);
            }
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Remembered> {
        self.0.iter()
    }

    /// What the chosen device was called.
    pub fn label(&self) -> &str {
        self.0.first().map_or("", |first| &first.label)
    }

    /// A chosen device among those that are there: by its identifier; or by its name, where one only has it and that one
    /// was not chosen for itself, since a camera in another socket has another identifier and is the same to a person.
    pub fn find<'a>(&self, id: &str, label: &str, devices: &'a [DeviceInfo]) -> Option<&'a DeviceInfo> {
        if let Some(device) = devices.iter().find(|device| device.id.as_str() == id) {
            return Some(device);
        }
        let ranked = |device: &DeviceInfo| {
            self.0.iter().any(|old| matches!(&old.choice, DeviceChoice::Device { id } if device.id.as_str() == id))
        };
        let mut same = devices.iter().filter(|device| !device.synthetic && !label.is_empty() && device.label == label);
        same.next().filter(|device| same.next().is_none() && !ranked(device))
    }
}

/// Whether it is made by this program, and so always there.
pub(super) fn is_synthetic(id: &str) -> bool {
    DeviceId::from(id).is_synthetic()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ahoy_devices::Traits;

    fn named(id: &str) -> DeviceChoice {
        DeviceChoice::Device { id: id.to_owned() }
    }

    fn device(id: &str, label: &str) -> DeviceInfo {
        DeviceInfo {
            id: id.into(),
            label: label.to_owned(),
            is_default: false,
            synthetic: false,
            traits: Traits::default(),
        }
    }

    #[test]
    fn the_last_choice_counts_and_a_repeated_one_is_there_once() {
        let mut ranking = Ranking::default();
        assert_eq!(ranking.choice(), &DeviceChoice::SystemDefault);
        for id in ["a", "b", "a", "c"] {
            ranking.choose(named(id), id.to_uppercase());
        }
        let order: Vec<_> = ranking.iter().map(|old| old.label.as_str()).collect();
        assert_eq!((ranking.choice(), order), (&named("c"), vec!["C", "A", "B"]));
        for number in 0..40 {
            ranking.choose(named(&number.to_string()), String::new());
        }
        assert_eq!(ranking.iter().count(), CHOICES_KEPT);
    }

    #[test]
    fn a_camera_in_another_socket_is_the_same_camera_unless_there_are_two_of_its_kind() {
        let mut ranking = Ranking::default();
        ranking.choose(named("usb-1"), "Webcam".to_owned());
        let moved = [device("usb-2", "Webcam"), device("pci", "Integrated")];
        assert_eq!(ranking.find("usb-1", "Webcam", &moved), Some(&moved[0]));
        let two = [device("usb-2", "Webcam"), device("usb-3", "Webcam")];
        assert_eq!(ranking.find("usb-1", "Webcam", &two), None);
        ranking.choose(named("usb-2"), "Webcam".to_owned());
        assert_eq!(ranking.find("usb-1", "Webcam", &moved), None, "that is another one, chosen for itself");
        assert_eq!(ranking.find("usb-1", "", &[device("usb-9", "")]), None);
    }
}
