//! Helpers shared by the tests from end to end.

pub mod bridge;
pub mod page;
