//! The desktop program.
// A console window beside the real one would only startle; while developing, it shows the log.
#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

fn main() {
    ahoy_desktop::run();
}
