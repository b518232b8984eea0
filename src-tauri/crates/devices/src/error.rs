//! Why a device does not work, in sentences a person can act on.

use std::time::Duration;

use crate::Kind;

/// Why a device could not be listed, opened or kept. Its text is a sentence with the next step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// There is no such device now, or (without `id`) none of its kind at all.
    #[error("{}", not_found(*.kind, .id.as_deref()))]
    NotFound {
        /// What was looked for.
        kind: Kind,
        /// Its identifier; `None` when the system's default was asked for.
        id: Option<String>,
    },
    /// Another program holds it.
    #[error("Another program is using the {kind}. Close that program and try again, or choose another {kind}.")]
    Busy {
        /// Which kind of device.
        kind: Kind,
    },
    /// The system refuses.
    #[error("The system does not let Ahoy use the {kind}. {}", allow(*.kind))]
    Denied {
        /// Which kind of device.
        kind: Kind,
    },
    /// It offers no format that can be used, or the identifier means nothing.
    #[error("This {kind} cannot be used here ({detail}). Choose another {kind}.")]
    Unsupported {
        /// Which kind of device.
        kind: Kind,
        /// What does not fit, for a person who asks.
        detail: String,
    },
    /// No sound server or camera system runs at all.
    #[error("No {} is running ({detail}). Start it, or restart the computer, and try again.", system(*.kind))]
    NoSystem {
        /// Which kind of device.
        kind: Kind,
        /// What the system said.
        detail: String,
    },
    /// It did not answer in time while being opened or listed.
    #[error("The {kind} did not answer within {} s. Unplug it and plug it in again, or choose another {kind}.", .waited.as_secs())]
    Hung {
        /// Which kind of device.
        kind: Kind,
        /// How long was waited.
        waited: Duration,
    },
    /// It went away while it ran.
    #[error("The {kind} was disconnected ({detail}). Plug it in again or choose another {kind}.")]
    Lost {
        /// Which kind of device.
        kind: Kind,
        /// What the system said.
        detail: String,
    },
    /// A file that acts as a device cannot be read or written.
    #[error("The file {path} cannot serve as a {kind}: {detail}. Check the file and choose it again.")]
    File {
        /// Which kind of device.
        kind: Kind,
        /// The file.
        path: String,
        /// What is wrong with it.
        detail: String,
    },
}

fn not_found(kind: Kind, id: Option<&str>) -> String {
    match id {
        Some(_) => format!("The chosen {kind} is not connected. Plug it in or choose another {kind}."),
        None => format!("No {kind} was found. Connect one, or choose one in the settings."),
    }
}

fn system(kind: Kind) -> &'static str {
    match kind {
        Kind::Camera => "camera system",
        Kind::Microphone | Kind::Speaker => "sound system",
    }
}

fn allow(kind: Kind) -> &'static str {
    if cfg!(target_os = "macos") {
        match kind {
            Kind::Camera => "Allow it in System Settings, Privacy & Security, Camera.",
            Kind::Microphone => "Allow it in System Settings, Privacy & Security, Microphone.",
            Kind::Speaker => "Choose another speaker.",
        }
    } else if cfg!(windows) {
        match kind {
            Kind::Camera => "Allow it in Settings, Privacy & security, Camera.",
            Kind::Microphone => "Allow it in Settings, Privacy & security, Microphone.",
            Kind::Speaker => "Choose another speaker.",
        }
    } else {
        match kind {
            Kind::Camera => "Add your user to the group \"video\" and sign in again.",
            Kind::Microphone | Kind::Speaker => "Add your user to the group \"audio\" and sign in again.",
        }
    }
}
