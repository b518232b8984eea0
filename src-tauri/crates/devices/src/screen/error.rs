//! Why a screen is not captured.

/// Why a screen or window cannot be listed, captured, or captured any longer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScreenError {
    /// There is no screen here, or no way to it.
    #[error("there is no screen to capture ({detail})")]
    NoScreen {
        /// What the system said.
        detail: String,
    },
    /// This program cannot do it on this system yet.
    #[error("screens cannot be captured on {system} yet")]
    Unsupported {
        /// The system's name.
        system: &'static str,
    },
    /// What was chosen is not there.
    #[error("the screen or window is not there any more")]
    Missing,
    /// The window was closed.
    #[error("the window was closed")]
    Closed,
    /// The screen was unplugged or switched off.
    #[error("the screen is gone")]
    Gone,
    /// The system refuses.
    #[error("the system does not let this program record the screen")]
    Denied,
    /// The person has closed the system's picker.
    #[error("nothing was chosen")]
    Cancelled,
    /// The desktop has no portal that shares screens.
    #[error("this desktop has no portal for sharing screens ({detail})")]
    NoPortal {
        /// What the system said.
        detail: String,
    },
    /// There is no PipeWire, by which the portal gives pictures.
    #[error("PipeWire does not answer ({detail})")]
    NoPipeWire {
        /// What the system said.
        detail: String,
    },
    /// The system gives no pictures any more.
    #[error("the system gives no pictures of the screen any more ({detail})")]
    Lost {
        /// What the system said.
        detail: String,
    },
    /// Its pictures are of a kind that is not understood, or something else failed.
    #[error("the screen cannot be captured ({detail})")]
    Failed {
        /// What the system said.
        detail: String,
    },
}
