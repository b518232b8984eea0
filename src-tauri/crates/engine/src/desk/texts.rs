//! Facts of other crates in the API's terms and in sentences.

use ahoy_devices::{DeviceError, Kind};
use ahoy_protocol::{AhoyId, LinkError};

use crate::api::{DeviceKind, Direction, EndReason};
use crate::role::Saying;
use crate::words::Phrase;

pub(super) fn end_reason(reason: ahoy_session::EndReason) -> EndReason {
    match reason {
        ahoy_session::EndReason::HungUp => EndReason::HungUp,
        ahoy_session::EndReason::RemoteHungUp => EndReason::RemoteHungUp,
        ahoy_session::EndReason::Cancelled => EndReason::Cancelled,
        ahoy_session::EndReason::Missed => EndReason::Missed,
        ahoy_session::EndReason::NoAnswer => EndReason::NoAnswer,
        ahoy_session::EndReason::Declined => EndReason::Declined,
        ahoy_session::EndReason::DeclinedHere => EndReason::DeclinedHere,
        ahoy_session::EndReason::Busy => EndReason::Busy,
        ahoy_session::EndReason::Unreachable => EndReason::Unreachable,
        ahoy_session::EndReason::NotSignedIn => EndReason::NotSignedIn,
        ahoy_session::EndReason::NoConnection => EndReason::NoConnection,
        ahoy_session::EndReason::ConnectionLost => EndReason::ConnectionLost,
        ahoy_session::EndReason::Incompatible => EndReason::Incompatible,
        ahoy_session::EndReason::Failed => EndReason::Failed,
    }
}

pub(super) fn ended(reason: EndReason, name: String) -> Phrase {
    match reason {
        EndReason::HungUp => Phrase::EndedHungUp {},
        EndReason::RemoteHungUp => Phrase::EndedRemoteHungUp { name },
        EndReason::Cancelled => Phrase::EndedCancelled {},
        EndReason::Missed => Phrase::EndedMissed { name },
        EndReason::NoAnswer => Phrase::EndedNoAnswer { name },
        EndReason::Declined => Phrase::EndedDeclined { name },
        EndReason::DeclinedHere => Phrase::EndedDeclinedHere {},
        EndReason::Busy => Phrase::EndedBusy { name },
        EndReason::Unreachable => Phrase::EndedUnreachable { name },
        EndReason::NotSignedIn => Phrase::EndedNotSignedIn {},
        EndReason::NoConnection => Phrase::EndedNoConnection { name },
        EndReason::ConnectionLost => Phrase::EndedConnectionLost { name },
        EndReason::Incompatible => Phrase::EndedIncompatible { name },
        EndReason::Failed => Phrase::EndedFailed {},
    }
}

pub(super) fn direction(direction: ahoy_session::Direction) -> Direction {
    match direction {
        ahoy_session::Direction::Outgoing => Direction::Outgoing,
        ahoy_session::Direction::Incoming => Direction::Incoming,
    }
}

pub(super) fn kind(kind: DeviceKind) -> Kind {
    match kind {
        DeviceKind::Camera => Kind::Camera,
        DeviceKind::Microphone => Kind::Microphone,
        DeviceKind::Speaker => Kind::Speaker,
    }
}

pub(super) fn device_kind(kind: Kind) -> DeviceKind {
    match kind {
        Kind::Camera => DeviceKind::Camera,
        Kind::Microphone => DeviceKind::Microphone,
        Kind::Speaker => DeviceKind::Speaker,
    }
}

/// How somebody is called who has given no name: the beginning of their ID.
pub(super) fn short_name(id: &AhoyId) -> String {
    id.to_string().chars().take(9).collect()
}

/// What there is to tell of a role's device.
pub(super) fn of_device(kind: Kind, saying: &Saying) -> Phrase {
    match saying.clone() {
        Saying::Fallback { lost, used } => match kind {
            Kind::Camera => Phrase::CameraFallback { lost, used },
            Kind::Microphone => Phrase::MicrophoneFallback { lost, used },
            Kind::Speaker => Phrase::SpeakerFallback { lost, used },
        },
        Saying::Instead { failing, used } => match kind {
            Kind::Camera => Phrase::CameraInstead { failing, used },
            Kind::Microphone => Phrase::MicrophoneInstead { failing, used },
            Kind::Speaker => Phrase::SpeakerInstead { failing, used },
        },
        Saying::Returned { used } => match kind {
            Kind::Camera => Phrase::CameraReturned { used },
            Kind::Microphone => Phrase::MicrophoneReturned { used },
            Kind::Speaker => Phrase::SpeakerReturned { used },
        },
        Saying::Held { lost, offered } => Phrase::SpeakerHeld { lost, offered },
        Saying::Failed(error) => device_problem(kind, &error),
        Saying::Stalled => match kind {
            Kind::Camera => Phrase::CameraLost {},
            Kind::Microphone => Phrase::MicrophoneLost {},
            Kind::Speaker => Phrase::SpeakerLost {},
        },
    }
}

fn device_problem(kind: Kind, error: &DeviceError) -> Phrase {
    match kind {
        Kind::Camera => camera_problem(error),
        Kind::Microphone => microphone_problem(error),
        Kind::Speaker => speaker_problem(error),
    }
}

fn camera_problem(error: &DeviceError) -> Phrase {
    match error {
        DeviceError::NotFound { id: None, .. } | DeviceError::NoSystem { .. } => Phrase::CameraNone {},
        DeviceError::NotFound { id: Some(_), .. } => Phrase::CameraMissing {},
        DeviceError::Busy { .. } => Phrase::CameraBusy {},
        DeviceError::Denied { .. } if cfg!(windows) => Phrase::CameraDeniedWindows {},
        DeviceError::Denied { .. } if cfg!(target_os = "macos") => Phrase::CameraDeniedMacos {},
        DeviceError::Denied { .. } => Phrase::CameraDeniedLinux {},
        DeviceError::Unsupported { .. } => Phrase::CameraFormat {},
        DeviceError::Lost { .. } => Phrase::CameraLost {},
        DeviceError::Hung { .. } => Phrase::CameraFailed {},
        DeviceError::File { path, detail, .. } => Phrase::CameraFile { file: path.clone(), why: detail.clone() },
    }
}

fn microphone_problem(error: &DeviceError) -> Phrase {
    match error {
        DeviceError::NotFound { id: None, .. } | DeviceError::NoSystem { .. } => Phrase::MicrophoneNone {},
        DeviceError::NotFound { id: Some(_), .. } => Phrase::MicrophoneMissing {},
        DeviceError::Busy { .. } => Phrase::MicrophoneBusy {},
        DeviceError::Denied { .. } if cfg!(windows) => Phrase::MicrophoneDeniedWindows {},
        DeviceError::Denied { .. } if cfg!(target_os = "macos") => Phrase::MicrophoneDeniedMacos {},
        DeviceError::Denied { .. } => Phrase::MicrophoneDeniedLinux {},
        DeviceError::Unsupported { .. } => Phrase::MicrophoneFormat {},
        DeviceError::Lost { .. } => Phrase::MicrophoneLost {},
        DeviceError::Hung { .. } => Phrase::MicrophoneFailed {},
        DeviceError::File { path, detail, .. } => Phrase::MicrophoneFile { file: path.clone(), why: detail.clone() },
    }
}

fn speaker_problem(error: &DeviceError) -> Phrase {
    match error {
        DeviceError::NotFound { id: None, .. } | DeviceError::NoSystem { .. } => Phrase::SpeakerNone {},
        DeviceError::NotFound { id: Some(_), .. } => Phrase::SpeakerMissing {},
        DeviceError::Busy { .. } => Phrase::SpeakerBusy {},
        DeviceError::Denied { .. } => Phrase::SpeakerDenied {},
        DeviceError::Unsupported { .. } => Phrase::SpeakerFormat {},
        DeviceError::Lost { .. } => Phrase::SpeakerLost {},
        DeviceError::Hung { .. } => Phrase::SpeakerFailed {},
        DeviceError::File { path, detail, .. } => Phrase::SpeakerFile { file: path.clone(), why: detail.clone() },
    }
}

impl From<LinkError> for Phrase {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::NotALink => Phrase::LinkNone {},
            LinkError::Damaged => Phrase::LinkDamaged {},
            LinkError::NewerVersion => Phrase::LinkNewer {},
            LinkError::Contents => Phrase::LinkContents {},
        }
    }
}
