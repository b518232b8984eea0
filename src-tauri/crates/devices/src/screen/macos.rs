//! macOS: not captured yet. Whoever looks for screens is told so.

use super::{ScreenError, Screens};

pub(super) fn screens() -> Result<Box<dyn Screens>, ScreenError> {
    Err(ScreenError::Unsupported { system: "macOS" })
}
