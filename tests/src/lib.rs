//! Helpers shared by the tests from end to end.

pub mod bridge;
#[cfg(target_os = "linux")]
pub mod fresh;
pub mod page;
#[cfg(target_os = "linux")]
pub mod session_bus;
#[cfg(target_os = "linux")]
pub mod window;
