//! Key combinations as text: `Control+Alt+KeyM`, with the code names of the W3C's UI Events.

use tauri_plugin_global_shortcut::{Code, Modifiers, Shortcut};

use super::HotkeyProblem;

/// Reads a combination.
///
/// # Errors
/// [`HotkeyProblem::Unknown`] for what is no key, [`HotkeyProblem::Bare`] for one that typing needs.
pub fn read(keys: &str) -> Result<Shortcut, HotkeyProblem> {
    let shortcut: Shortcut = keys.parse().map_err(|_| HotkeyProblem::Unknown)?;
    // Shift alone makes capitals: it keeps no key from being needed.
    let held = shortcut.mods.intersects(Modifiers::CONTROL | Modifiers::ALT | Modifiers::SUPER | Modifiers::META);
    if held || stands_alone(shortcut.key) { Ok(shortcut) } else { Err(HotkeyProblem::Bare) }
}

/// Keys that no text is made of.
fn stands_alone(key: Code) -> bool {
    let name = key.to_string();
    let function = name.strip_prefix('F').is_some_and(|number| number.parse::<u8>().is_ok());
    function || name.starts_with("Media") || matches!(key, Code::Pause | Code::ScrollLock | Code::PrintScreen)
}

/// The combination in the words of the freedesktop.org shortcuts specification; `None` for a key without a keysym there.
#[cfg(target_os = "linux")]
pub fn trigger(shortcut: &Shortcut) -> Option<String> {
    let mut words = Vec::new();
    let held = [
        (Modifiers::CONTROL, "CTRL"),
        (Modifiers::ALT, "ALT"),
        (Modifiers::SHIFT, "SHIFT"),
        (Modifiers::SUPER | Modifiers::META, "LOGO"),
    ];
    words.extend(
        held.iter().filter(|(modifier, _)| shortcut.mods.intersects(*modifier)).map(|(_, word)| (*word).to_owned()),
    );
    words.push(keysym(shortcut.key)?);
    Some(words.join("+"))
}

/// Names of xkbcommon's keysyms.
#[cfg(target_os = "linux")]
fn keysym(key: Code) -> Option<String> {
    let name = key.to_string();
    if let Some(letter) = name.strip_prefix("Key") {
        return Some(letter.to_ascii_lowercase());
    }
    if let Some(digit) = name.strip_prefix("Digit") {
        return Some(digit.to_owned());
    }
    if let Some(digit) = name.strip_prefix("Numpad").filter(|rest| rest.len() == 1) {
        return Some(format!("KP_{digit}"));
    }
    if name.strip_prefix('F').is_some_and(|number| number.parse::<u8>().is_ok()) {
        return Some(name);
    }
    let keysym = match key {
        Code::Space => "space",
        Code::Enter => "Return",
        Code::Tab => "Tab",
        Code::Escape => "Escape",
        Code::Backspace => "BackSpace",
        Code::Delete => "Delete",
        Code::Insert => "Insert",
        Code::Home => "Home",
        Code::End => "End",
        Code::PageUp => "Page_Up",
        Code::PageDown => "Page_Down",
        Code::ArrowUp => "Up",
        Code::ArrowDown => "Down",
        Code::ArrowLeft => "Left",
        Code::ArrowRight => "Right",
        Code::Pause => "Pause",
        Code::ScrollLock => "Scroll_Lock",
        Code::PrintScreen => "Print",
        Code::Comma => "comma",
        Code::Period => "period",
        Code::Slash => "slash",
        Code::Minus => "minus",
        Code::Equal => "equal",
        _ => return None,
    };
    Some(keysym.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_typing_needs_are_refused_bare() {
        assert_eq!(read("KeyM").unwrap_err(), HotkeyProblem::Bare);
        assert_eq!(read("Shift+KeyM").unwrap_err(), HotkeyProblem::Bare);
        assert_eq!(read("Space").unwrap_err(), HotkeyProblem::Bare);
        assert!(read("Control+Alt+KeyM").is_ok());
        assert!(read("F9").is_ok());
        assert!(read("Shift+F12").is_ok());
        assert!(read("Pause").is_ok());
    }

    #[test]
    fn nonsense_is_no_key() {
        for keys in ["", "+", "Control+", "Control", "KeyMM", "Control+KeyM+KeyN", "日本"] {
            assert_eq!(read(keys).unwrap_err(), HotkeyProblem::Unknown, "{keys:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_desktop_is_told_in_its_own_words() {
        let told = |keys: &str| trigger(&read(keys).unwrap());
        assert_eq!(told("Control+Alt+KeyM").as_deref(), Some("CTRL+ALT+m"));
        assert_eq!(told("Shift+Super+Digit1").as_deref(), Some("SHIFT+LOGO+1"));
        assert_eq!(told("F9").as_deref(), Some("F9"));
        assert_eq!(told("Control+Space").as_deref(), Some("CTRL+space"));
    }
}
