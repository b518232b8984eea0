//! The desktop shell: windows and commands of one line each. Everything else is the engine's.
//!
//! ```text
//! webview ──commands──► Shell ──► engine
//! webview ◄──channels── feeds ◄── snapshots, levels, pictures
//! windows ◄── watch on snapshots: the small window of an incoming call, the big one after an answer
//! ```

mod arguments;
mod commands;
mod pictures;
mod shell;
mod windows;
mod words;

use ahoy_engine::Engine;
use clap::Parser as _;
use tauri::{Manager as _, RunEvent, WindowEvent};
use tracing_subscriber::EnvFilter;

use crate::arguments::Arguments;
use crate::shell::Shell;

/// Runs the program until its window is closed. What hinders the engine from starting is said in the window.
///
/// # Panics
/// When the system lets no window be opened at all: there is nobody to tell and nothing to show it in.
pub fn run() {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_env("AHOY_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();

    let shell = Shell::new(Engine::start(arguments.into_config()));
    let app = tauri::Builder::default()
        .manage(shell)
        .invoke_handler(tauri::generate_handler![
            commands::command,
            commands::subscribe,
            commands::quality_after,
            commands::check_link,
            commands::pictures,
            commands::picture_shown,
        ])
        .setup(|app| {
            windows::open_main(app.handle())?;
            windows::follow_calls(app.handle());
            windows::follow_signals(app.handle());
            Ok(())
        })
        .build(tauri::generate_context!())
        .expect("a desktop with a webview: without one there is nothing to show, not even a reason");

    app.run(|app, event| match event {
        RunEvent::WindowEvent { label, event: WindowEvent::CloseRequested { api, .. }, .. }
            if label == windows::MAIN =>
        {
            // It vanishes at once; the goodbye to the other side takes a moment.
            api.prevent_close();
            windows::close(app);
        }
        RunEvent::ExitRequested { api, code: None, .. } => {
            api.prevent_exit();
            windows::close(app);
        }
        RunEvent::Exit => app.state::<Shell>().forget_windows(),
        _ => {}
    });
}
