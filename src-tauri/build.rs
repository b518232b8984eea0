//! Embeds the interface, the icons and what each window may ask of the shell.

fn main() {
    let commands = &[
        "command",
        "desktop",
        "subscribe",
        "quality_after",
        "check_link",
        "share_sources",
        "pictures",
        "picture_shown",
    ];
    let attributes = tauri_build::Attributes::new()
        .capabilities_path_pattern("src-tauri/capabilities/**/*")
        .app_manifest(tauri_build::AppManifest::new().commands(commands));
    if let Err(error) = tauri_build::try_build(attributes) {
        println!("cargo:warning=The window could not be prepared: {error:#}");
        println!("cargo:warning=Build the interface first: npm --prefix ui ci && npm --prefix ui run build");
        std::process::exit(1);
    }
}
