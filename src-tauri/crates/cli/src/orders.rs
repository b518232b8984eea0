//! What is asked for during a call, a line each on standard input.

use std::io::BufRead;

use ahoy_engine::api::Command as Wish;
use tokio::sync::mpsc;

use crate::args::ShareWord;

/// Lines read ahead; more wait where they come from.
const AHEAD: usize = 16;

/// What the lines may be.
const HELP: &str = "camera on|off, microphone on|off, share WHAT|pause|go-on|off, ask-for-share, refuse-share, hang-up";

/// What a line asks for.
#[derive(Debug)]
pub enum Order {
    /// Something that the engine takes as it is.
    Wish(Wish),
    /// To share something that is to be looked for first.
    Share(ShareWord),
}

/// One line's wish.
///
/// # Errors
/// A sentence for a line that is none of them.
fn order(line: &str) -> Result<Order, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["camera", "on"] => Ok(Order::Wish(Wish::SetCamera { on: true })),
        ["camera", "off"] => Ok(Order::Wish(Wish::SetCamera { on: false })),
        ["microphone", "on"] => Ok(Order::Wish(Wish::SetMicrophone { on: true })),
        ["microphone", "off"] => Ok(Order::Wish(Wish::SetMicrophone { on: false })),
        ["share", "off"] => Ok(Order::Wish(Wish::StopShare)),
        ["share", "pause"] => Ok(Order::Wish(Wish::PauseShare { paused: true })),
        ["share", "go-on"] => Ok(Order::Wish(Wish::PauseShare { paused: false })),
        ["share", what @ ..] if !what.is_empty() => what.join(" ").parse().map(Order::Share),
        ["ask-for-share"] => Ok(Order::Wish(Wish::AskForShare)),
        ["refuse-share"] => Ok(Order::Wish(Wish::RefuseShare)),
        ["hang-up"] => Ok(Order::Wish(Wish::HangUp)),
        _ => Err(format!("\u{201c}{}\u{201d} is not understood. Say one of: {HELP}.", line.trim())),
    }
}

/// Follows standard input until it ends. Closed from then on.
pub fn orders() -> mpsc::Receiver<Result<Order, String>> {
    let (told, heard) = mpsc::channel(AHEAD);
    // A thread of its own that nobody waits for: a read cannot be interrupted, and must not keep the program from ending.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            // What is not text is not understood either.
            let line = line.unwrap_or_else(|error| error.to_string());
            if !line.trim().is_empty() && told.blocking_send(order(&line)).is_err() {
                return;
            }
        }
    });
    heard
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_understood_and_others_refused_with_what_could_be_said() {
        assert!(matches!(order("camera off"), Ok(Order::Wish(Wish::SetCamera { on: false }))));
        assert!(matches!(order("  microphone   on "), Ok(Order::Wish(Wish::SetMicrophone { on: true }))));
        assert!(matches!(order("hang-up"), Ok(Order::Wish(Wish::HangUp))));
        assert!(
            matches!(order("share window:My text"), Ok(Order::Share(ShareWord::Window(title))) if title == "My text")
        );
        assert!(order("share everything").unwrap_err().contains("window:TITLE"));
        for line in ["camera", "camera maybe", "hang up", "\u{0}", "camera off now"] {
            assert!(order(line).unwrap_err().contains(HELP), "{line}");
        }
    }
}
