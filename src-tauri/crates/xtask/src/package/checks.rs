//! What can be said of a .deb and an .rpm without installing them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::elf::{Needs, numbers};
use crate::run;

/// Of all files together.
const LARGEST_BYTES: u64 = 30_000_000;

const DESKTOP_FILE: &str = "usr/share/applications/ahoy.desktop";

/// Files without which it would not be found in a menu, drawn, opened by a link, or lawful.
const NEEDED_FILES: &[&str] = &[
    "usr/bin/ahoy",
    DESKTOP_FILE,
    "usr/share/metainfo/io.github.ahoy_call.ahoy.metainfo.xml",
    "usr/share/icons/hicolor/scalable/apps/ahoy.svg",
    "usr/share/icons/hicolor/16x16/apps/ahoy.png",
    "usr/share/icons/hicolor/24x24/apps/ahoy.png",
    "usr/share/icons/hicolor/32x32/apps/ahoy.png",
    "usr/share/icons/hicolor/48x48/apps/ahoy.png",
    "usr/share/icons/hicolor/64x64/apps/ahoy.png",
    "usr/share/icons/hicolor/128x128/apps/ahoy.png",
    "usr/share/icons/hicolor/256x256/apps/ahoy.png",
    "usr/share/icons/hicolor/512x512/apps/ahoy.png",
    "usr/share/doc/ahoy/third-party-notices.txt",
];

/// Checks a .deb and unpacks it below `folder`; gives the program in it.
///
/// # Errors
/// Says what is wrong with it.
pub fn deb(file: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    let (control, tree) = (folder.join("control"), folder.join("tree"));
    run::quietly(Command::new("dpkg-deb").arg("--control").arg(file).arg(&control))?;
    run::quietly(Command::new("dpkg-deb").arg("--extract").arg(file).arg(&tree))?;
    // Nothing of ours runs as root on somebody's machine.
    for entry in std::fs::read_dir(&control)? {
        let name = entry?.file_name();
        anyhow::ensure!(name == "control" || name == "md5sums", "the package runs a script as root: {name:?}");
    }
    for name in NEEDED_FILES.iter().chain(&["usr/share/doc/ahoy/copyright"]) {
        anyhow::ensure!(tree.join(name).is_file(), "the package lacks {name}");
    }
    run::must(Command::new("desktop-file-validate").arg(tree.join(DESKTOP_FILE)))?;
    run::must(Command::new("appstreamcli").args(["validate-tree", "--no-net"]).arg(&tree))?;
    the_links_are_ours(&tree.join("usr/share/applications"))?;

    let bytes = size(&tree)?;
    println!("installed: {:.1} MB (allowed: {} MB)", bytes as f64 / 1e6, LARGEST_BYTES / 1_000_000);
    anyhow::ensure!(bytes < LARGEST_BYTES, "the package is too large");
    let program = tree.join("usr/bin/ahoy");
    let declared = run::quietly(Command::new("dpkg-deb").arg("--field").arg(file).arg("Depends"))?;
    everything_needed_is_declared(&Needs::of(&program)?, &declared)?;
    Ok(program)
}

/// As a desktop does it when something is installed.
fn the_links_are_ours(applications: &Path) -> anyhow::Result<()> {
    run::quietly(Command::new("update-desktop-database").arg(applications))?;
    let cache = std::fs::read_to_string(applications.join("mimeinfo.cache"))?;
    anyhow::ensure!(
        cache.lines().any(|line| line == "x-scheme-handler/ahoy=ahoy.desktop;"),
        "ahoy:// opens nothing: {cache}"
    );
    // Else the next look at the tree's size would count it.
    Ok(std::fs::remove_file(applications.join("mimeinfo.cache"))?)
}

/// Every library that the program names belongs to a declared package, and none of its symbols is newer than the oldest
/// version that is declared good enough.
fn everything_needed_is_declared(needs: &Needs, declared: &str) -> anyhow::Result<()> {
    let packages: Vec<(&str, Option<&str>)> = declared
        .split(',')
        .map(|one| match one.trim().split_once(" (>= ") {
            Some((name, version)) => (name, Some(version.trim_end_matches(')'))),
            None => (one.trim(), None),
        })
        .collect();
    for library in &needs.libraries {
        // The loader itself; its package is that of the C library.
        if library.starts_with("ld-linux") {
            continue;
        }
        let owner = owner(library)?;
        anyhow::ensure!(
            packages.iter().any(|(name, _)| *name == owner),
            "the program needs {library} but tauri.linux.conf.json does not declare {owner} (declared: {declared})"
        );
    }
    for (library, set, package, oldest) in
        [("libc.so.6", "GLIBC", "libc6", None), ("libstdc++.so.6", "GLIBCXX", "libstdc++6", Some(GLIBCXX_OF_GCC_12))]
    {
        let Some(used) = needs.versions.get(&(library.to_owned(), set.to_owned())) else { continue };
        let (_, version) = packages.iter().find(|(name, _)| *name == package).context(package)?;
        let declared =
            version.and_then(numbers).with_context(|| format!("no oldest version of {package} is declared"))?;
        let allowed = oldest.map_or(declared, <[u32]>::to_vec);
        println!("{set}: {used:?} used, {allowed:?} declared");
        anyhow::ensure!(*used <= allowed, "the program uses {set} {used:?}, newer than what is declared: {allowed:?}");
    }
    Ok(())
}

/// GCC numbers its C++ library otherwise than itself (manual of libstdc++, "ABI Policy and Guidelines").
const GLIBCXX_OF_GCC_12: &[u32] = &[3, 4, 30];

/// The Debian package of a library of this system, as it was called before 64-bit time (newer systems know both names).
fn owner(library: &str) -> anyhow::Result<String> {
    let found = run::quietly(Command::new("dpkg-query").args(["--search", &format!("*/{library}")]))?;
    let line =
        found.lines().find(|line| line.ends_with(library)).with_context(|| format!("{library} is in no package"))?;
    let package = line.split([':', ',']).next().unwrap_or(line);
    Ok(package.strip_suffix("t64").unwrap_or(package).to_owned())
}

/// Checks an .rpm.
///
/// # Errors
/// Says what is wrong with it.
pub fn rpm(file: &Path) -> anyhow::Result<()> {
    let ask = |what: &str| run::quietly(Command::new("rpm").args(["--query", "--package", what]).arg(file));
    let files: BTreeSet<String> = ask("--list")?.lines().map(|line| line.trim_start_matches('/').to_owned()).collect();
    for name in
        NEEDED_FILES.iter().chain(&["usr/share/licenses/ahoy/LICENSE-MIT", "usr/share/licenses/ahoy/LICENSE-APACHE"])
    {
        anyhow::ensure!(files.contains(*name), "the .rpm lacks {name}");
    }
    let requires = ask("--requires")?;
    for library in ["libwebkit2gtk-4.1.so.0()(64bit)", "libasound.so.2()(64bit)"] {
        anyhow::ensure!(requires.contains(library), "the .rpm does not require {library}: {requires}");
    }
    let scripts = ask("--scripts")?;
    anyhow::ensure!(scripts.trim().is_empty(), "the .rpm runs scripts as root: {scripts}");
    Ok(())
}

fn size(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.path().symlink_metadata()?;
        bytes += if about.is_dir() { size(&entry.path())? } else { about.len() };
    }
    Ok(bytes)
}
