//! The files of a release in one folder, from each system the same way.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::release_folder;
use crate::run;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Builds `ahoy-cli` and `ahoy-server` and packs them with their licences.
///
/// # Errors
/// When they do not build.
pub fn pack_programs(target: Option<&str>) -> anyhow::Result<PathBuf> {
    let mut build = run::cargo();
    build.args(["build", "--release", "--locked", "--package", "ahoy-cli", "--package", "ahoy-server", "--bins"]);
    run::must(build.args(target.map(|target| ["--target", target]).iter().flatten()))?;
    let release = release_folder(target)?;
    let name = format!("ahoy-programs_{VERSION}_{}_{}", std::env::consts::OS, processor(target));
    let folder = release.join(&name);
    std::fs::create_dir_all(&folder)?;
    for program in ["ahoy-cli", "ahoy-server"] {
        let file = format!("{program}{}", std::env::consts::EXE_SUFFIX);
        std::fs::copy(release.join(&file), folder.join(&file))?;
    }
    for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
        std::fs::copy(run::root().join(licence), folder.join(licence))?;
    }
    std::fs::copy(release.join("third-party-notices.txt"), folder.join("third-party-notices.txt"))?;
    let archive = release.join(format!("{name}.tar.gz"));
    // Every system that builds Ahoy has a tar.
    run::must(Command::new("tar").arg("-czf").arg(&archive).arg("-C").arg(&release).arg(&name))?;
    Ok(archive)
}

/// Copies the files; gives where they are then.
///
/// # Errors
/// When the folder cannot be written.
pub fn copy(files: &[PathBuf], folder: &Path, target: Option<&str>) -> anyhow::Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let mut copies = Vec::new();
    for file in files {
        let name = file.file_name().and_then(|name| name.to_str()).context("a bundle has a name")?;
        let copy = folder.join(released_name(name, processor(target)));
        std::fs::copy(file, &copy).with_context(|| format!("{} cannot be written", copy.display()))?;
        copies.push(copy);
    }
    Ok(copies)
}

/// The bundler calls the updater's archive for macOS alike on both processors.
fn released_name(name: &str, processor: &str) -> String {
    match name.split_once(".app.tar.gz") {
        Some((program, end)) => format!("{program}_{VERSION}_{processor}.app.tar.gz{end}"),
        None => name.to_owned(),
    }
}

fn processor(target: Option<&str>) -> &str {
    target.and_then(|target| target.split('-').next()).unwrap_or(std::env::consts::ARCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_macs_do_not_overwrite_each_other() {
        assert_eq!(released_name("Ahoy.app.tar.gz", "aarch64"), format!("Ahoy_{VERSION}_aarch64.app.tar.gz"));
        assert_eq!(released_name("Ahoy.app.tar.gz.sig", "x86_64"), format!("Ahoy_{VERSION}_x86_64.app.tar.gz.sig"));
        assert_eq!(released_name("ahoy_0.1.0_amd64.deb", "x86_64"), "ahoy_0.1.0_amd64.deb");
        assert_eq!(processor(Some("aarch64-apple-darwin")), "aarch64");
    }
}
