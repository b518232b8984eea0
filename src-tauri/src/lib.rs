//! The desktop shell: windows and commands of one line each. Everything else is the engine's.
//!
//! ```text
//! webview ──commands──► Shell ──► engine
//! webview ◄──channels── feeds ◄── snapshots, levels, pictures
//! windows ◄── watch on snapshots: the small window of an incoming call, the big one after an answer, the mini window
//! desktop: tray, hotkeys, notifications, links and the rest, each following the same snapshots
//! ```

mod arguments;
mod commands;
mod desktop;
mod pictures;
mod shell;
mod windows;
mod words;

use ahoy_engine::Engine;
use clap::Parser as _;
use tauri::{Manager as _, RunEvent, WindowEvent};
use tracing_subscriber::EnvFilter;

use crate::arguments::Arguments;
use crate::desktop::{Desk, autostart, links, updates};
use crate::shell::Shell;

/// Runs the program until its window is closed. What hinders the engine from starting is said in the window.
///
/// # Panics
/// When the system lets no window be opened at all: there is nobody to tell and nothing to show it in.
pub fn run() {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_env("AHOY_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();

    desktop::crash::watch(arguments.folder().as_deref());
    let mut context = tauri::generate_context!();
    let mark = links::profile_mark(arguments.profile());
    let identifier = match &mark {
        Some(mark) => format!("{}.{mark}", context.config().identifier),
        None => context.config().identifier.clone(),
    };
    // Elsewhere than on Linux the plugin knows copies by the program's identifier only.
    if !cfg!(target_os = "linux") {
        context.config_mut().identifier.clone_from(&identifier);
    }
    let builder = tauri::Builder::default()
        // First: a second copy ends here, before it has opened the profile.
        .plugin(links::single_instance(&identifier))
        .plugin(tauri_plugin_deep_link::init())
        .plugin(autostart::plugin(&arguments))
        .plugin(windows::remembered(arguments.folder().as_deref()));
    #[cfg(not(target_os = "linux"))]
    let builder = builder.plugin(tauri_plugin_notification::init());
    let builder = updates::prepare(builder, &mut context);
    let app = builder
        .manage(Desk::new(arguments.folder()))
        .invoke_handler(tauri::generate_handler![
            commands::command,
            commands::desktop,
            commands::subscribe,
            commands::share_sources,
            commands::quality_after,
            commands::check_link,
            commands::pictures,
            commands::picture_shown,
        ])
        .setup(move |app| {
            let (hidden, icon, link) = (arguments.hidden, !arguments.no_tray, arguments.link.clone());
            let app = app.handle();
            app.manage(Shell::new(Engine::start(arguments.into_config())));
            windows::open_main(app, hidden && link.is_none())?;
            windows::follow_calls(app);
            windows::follow_signals(app);
            links::start(app);
            if let Some(link) = link {
                links::first(app, link);
            }
            desktop::start(app, icon);
            Ok(())
        })
        .build(context)
        .expect("a desktop with a webview: without one there is nothing to show, not even a reason");

    app.run(|app, event| match event {
        RunEvent::WindowEvent { label, event: WindowEvent::CloseRequested { api, .. }, .. }
            if label == windows::MAIN =>
        {
            // It vanishes at once; the goodbye to the other side takes a moment.
            api.prevent_close();
            windows::close_main(app);
        }
        RunEvent::WindowEvent { label, event: WindowEvent::CloseRequested { api, .. }, .. }
            if label == windows::mini::MINI =>
        {
            api.prevent_close();
            windows::mini::dismiss(app);
        }
        RunEvent::ExitRequested { api, code: None, .. } => {
            api.prevent_exit();
            windows::close(app);
        }
        RunEvent::Exit => {
            if let Some(shell) = app.try_state::<Shell>() {
                shell.forget_windows();
            }
        }
        _ => {}
    });
}
