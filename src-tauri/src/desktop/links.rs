//! One running copy for each profile, and `ahoy://` links.
//!
//! ```text
//! a click on a link ──► the system starts `ahoy ahoy://card/...`
//!                          ├─ none is running: it becomes the one, and shows the link
//!                          └─ one is running: its arguments go there, and it ends
//! macOS: the system hands the link to the running program, or to the one it starts
//! ```
//! A link is only ever shown: the page for adding opens filled in, and the person decides.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;

use clap::Parser as _;
use tauri::plugin::TauriPlugin;
use tauri::{AppHandle, Manager as _, Wry};

use super::Desk;
use crate::arguments::Arguments;
use crate::windows;

/// Longer than any card; who opens a longer one means no good.
const LONGEST_LINK: usize = 8 * 1024;

/// What sets this profile's copy apart from other profiles' copies, and the same each time; `None` for the person's own.
pub fn profile_mark(profile: Option<&Path>) -> Option<String> {
    let profile = profile?;
    let place = std::path::absolute(profile).unwrap_or_else(|_| profile.to_owned());
    let mut hasher = DefaultHasher::new();
    place.hash(&mut hasher);
    Some(format!("p{:016x}", hasher.finish()))
}

/// Ends a second copy after it has handed over what it was started with. Without D-Bus (on Linux) no copy knows of
/// another; then the profile's lock keeps the second from doing harm, and it says so in its window.
pub fn single_instance(identifier: &str) -> TauriPlugin<Wry> {
    tauri_plugin_single_instance::Builder::new()
        .callback(|app, arguments, _| second_start(app, arguments))
        .dbus_id(identifier)
        .build()
}

fn second_start(app: &AppHandle, arguments: Vec<String>) {
    let asked = Arguments::try_parse_from(arguments).ok();
    let (link, hidden) = asked.map_or((None, false), |asked| (asked.link, asked.hidden));
    match link {
        Some(link) => open(app, link),
        None if hidden => {}
        None => windows::raise_main(app),
    }
}

/// Shows a link that came from outside.
fn open(app: &AppHandle, link: String) {
    first(app, link);
    windows::raise_main(app);
}

/// Keeps the link that the program was started with for its window, which comes by itself.
pub fn first(app: &AppHandle, link: String) {
    if link.len() > LONGEST_LINK {
        tracing::warn!(length = link.len(), "a link was refused for its length");
    } else {
        app.state::<Desk>().change(|shown| shown.link = Some(link));
    }
}

/// Listens for links where the system hands them over, and makes an AppImage, which no package announces, known for them.
pub fn start(app: &AppHandle) {
    use tauri_plugin_deep_link::DeepLinkExt as _;
    #[cfg(target_os = "macos")]
    {
        let app = app.clone();
        app.clone().deep_link().on_open_url(move |event| {
            if let Some(link) = event.urls().first() {
                open(&app, link.to_string());
            }
        });
    }
    if super::appimage().is_some() {
        let app = app.clone();
        // It runs `xdg-mime` and waits for it.
        std::thread::spawn(move || {
            if let Err(error) = app.deep_link().register_all() {
                tracing::info!(%error, "ahoy:// links are not announced to the system");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_has_the_same_mark_each_time_and_another_than_others() {
        assert_eq!(profile_mark(None), None);
        let ada = profile_mark(Some(Path::new("/tmp/ada")));
        assert_eq!(ada, profile_mark(Some(Path::new("/tmp/./ada"))));
        assert_ne!(ada, profile_mark(Some(Path::new("/tmp/ben"))));
        assert!(ada.is_some_and(|mark| mark.starts_with('p') && mark.len() == 17));
    }
}
