//! `cargo xtask manifest`: `latest.json`, which tells running copies where a newer version is and how it is signed.
//!
//! Its form is that of Tauri's updater: for each kind of installation (`linux-x86_64-deb`) the file's address and its
//! signature, and for each system and processor (`linux-x86_64`) those of the kind that fits everywhere.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use data_encoding::BASE64;
use serde_json::{Value, json};

/// Options of `cargo xtask manifest`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Folder with the release's files and, beside each, its signature (NAME.sig); latest.json is written there
    folder: PathBuf,
    /// Where the files will be found: the address without their names
    #[arg(long)]
    url: String,
    /// The release's tag, which must be v and the version in Cargo.toml
    #[arg(long)]
    tag: String,
    /// When it was made, as 2026-11-25T12:00:00Z
    #[arg(long)]
    date: String,
}

/// Writes it.
///
/// # Errors
/// When a signature has no file, a file no known kind, or nothing is signed.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    anyhow::ensure!(
        options.tag == format!("v{version}"),
        "The tag {} is not that of version {version} in Cargo.toml. Change one of them.",
        options.tag
    );
    let manifest = manifest(&options.folder, &options.url, version, &options.date)?;
    let file = options.folder.join("latest.json");
    std::fs::write(&file, format!("{manifest:#}\n"))?;
    println!("{}\n{manifest:#}", file.display());
    Ok(())
}

fn manifest(folder: &Path, url: &str, version: &str, date: &str) -> anyhow::Result<Value> {
    let mut platforms = serde_json::Map::new();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))? {
        names.extend(entry?.file_name().into_string().ok());
    }
    names.sort();
    for signature in names.iter().filter(|name| name.ends_with(".sig")) {
        let name = signature.trim_end_matches(".sig");
        anyhow::ensure!(names.iter().any(|other| other == name), "{signature} signs {name}, which is not there");
        let kind = Kind::of(name).with_context(|| format!("{name} is of no kind that is updated"))?;
        let signature = std::fs::read_to_string(folder.join(signature))?;
        signs_this_version(signature.trim(), version).with_context(|| format!("the signature of {name}"))?;
        let place = json!({ "signature": signature.trim(), "url": format!("{}/{name}", url.trim_end_matches('/')) });
        let keys = [Some(format!("{}-{}", kind.platform, kind.installer)), kind.usual.then(|| kind.platform.clone())];
        for key in keys.into_iter().flatten() {
            anyhow::ensure!(!platforms.contains_key(&key), "two files are signed for {key}; {name} is the second");
            platforms.insert(key, place.clone());
        }
    }
    anyhow::ensure!(!platforms.is_empty(), "nothing in {} is signed", folder.display());
    Ok(json!({ "version": version, "pub_date": date, "platforms": platforms }))
}

/// Running copies take an update only when its signature also covers the version that is announced, so that nobody can pass
/// an old release off as a new one. The version stands in minisign's trusted comment: `timestamp:1 TAB file:a TAB version:1.2.3`.
fn signs_this_version(signature: &str, version: &str) -> anyhow::Result<()> {
    let text =
        String::from_utf8(BASE64.decode(signature.as_bytes()).context("it is no base64")?).context("it is no text")?;
    let trusted = text.lines().find_map(|line| line.strip_prefix("trusted comment: ")).context("it says nothing")?;
    let signed = trusted.split('\t').find_map(|field| field.strip_prefix("version:")).context("it names no version")?;
    anyhow::ensure!(signed == version, "it is for version {signed}, not {version}");
    Ok(())
}

/// What a file installs on.
#[derive(Debug, PartialEq, Eq)]
struct Kind {
    platform: String,
    installer: &'static str,
    /// It is what a copy gets that does not know how it was installed.
    usual: bool,
}

impl Kind {
    /// By the names that Tauri's bundler gives.
    fn of(name: &str) -> Option<Self> {
        let (system, installer, usual) = if name.ends_with(".deb") {
            ("linux", "deb", false)
        } else if name.ends_with(".rpm") {
            ("linux", "rpm", false)
        } else if name.ends_with(".AppImage") {
            ("linux", "appimage", true)
        } else if name.ends_with("-setup.exe") {
            ("windows", "nsis", true)
        } else if name.ends_with(".msi") {
            ("windows", "msi", false)
        } else if name.ends_with(".app.tar.gz") {
            ("darwin", "app", true)
        } else {
            return None;
        };
        let processors = [
            ("x86_64", "x86_64"),
            ("amd64", "x86_64"),
            ("x64", "x86_64"),
            ("aarch64", "aarch64"),
            ("arm64", "aarch64"),
        ];
        let (_, processor) = processors.iter().find(|(said, _)| name.contains(said))?;
        Some(Self { platform: format!("{system}-{processor}"), installer, usual })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// As Tauri's tool writes them.
    fn signature(name: &str, version: &str) -> String {
        let text =
            format!("untrusted comment: u\nRUR=\ntrusted comment: timestamp:1\tfile:{name}\tversion:{version}\nY1x=\n");
        BASE64.encode(text.as_bytes())
    }

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        folder
    }

    #[test]
    fn each_installation_finds_its_own_kind_and_an_unknown_one_the_usual() {
        let files = [
            "ahoy_0.1.0_amd64.deb",
            "ahoy-0.1.0-1.x86_64.rpm",
            "ahoy_0.1.0_amd64.AppImage",
            "Ahoy_0.1.0_x64-setup.exe",
            "Ahoy_0.1.0_x64_en-US.msi",
            "Ahoy_0.1.0_aarch64.app.tar.gz",
            "Ahoy_0.1.0_x86_64.app.tar.gz",
        ];
        let signed: Vec<(String, String)> = files
            .iter()
            .flat_map(|name| {
                [((*name).to_owned(), String::new()), (format!("{name}.sig"), signature(name, "0.1.0") + "\n")]
            })
            .collect();
        let signed: Vec<(&str, &str)> =
            signed.iter().map(|(name, content)| (name.as_str(), content.as_str())).collect();
        let folder = folder(&[&signed[..], &[("Ahoy_0.1.0_aarch64.dmg", ""), ("SHA256SUMS", "")]].concat());
        let manifest = manifest(folder.path(), "https://example.org/v0.1.0/", "0.1.0", "2026-11-25T12:00:00Z").unwrap();
        let found: Vec<&str> = manifest["platforms"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            found,
            [
                "darwin-aarch64",
                "darwin-aarch64-app",
                "darwin-x86_64",
                "darwin-x86_64-app",
                "linux-x86_64",
                "linux-x86_64-appimage",
                "linux-x86_64-deb",
                "linux-x86_64-rpm",
                "windows-x86_64",
                "windows-x86_64-msi",
                "windows-x86_64-nsis",
            ]
        );
        let usual = &manifest["platforms"]["linux-x86_64"];
        assert_eq!(usual["url"], "https://example.org/v0.1.0/ahoy_0.1.0_amd64.AppImage");
        assert_eq!(usual["signature"], signature("ahoy_0.1.0_amd64.AppImage", "0.1.0"));
    }

    #[test]
    fn what_would_strand_somebody_is_refused() {
        let refused = |files: &[(&str, &str)]| {
            format!("{:#}", manifest(folder(files).path(), "https://example.org", "0.1.0", "now").unwrap_err())
        };
        assert!(refused(&[("ahoy_0.1.0_amd64.deb", "")]).contains("nothing"));
        assert!(refused(&[("ahoy_0.1.0_amd64.deb.sig", "s")]).contains("not there"));
        let signed = |by: &str| refused(&[("a_amd64.deb", ""), ("a_amd64.deb.sig", by)]);
        assert!(signed(" ").contains("says nothing"));
        assert!(signed("?").contains("no base64"));
        assert!(signed(&BASE64.encode(b"trusted comment: timestamp:1\n")).contains("no version"));
        assert!(signed(&signature("a_amd64.deb", "0.0.9")).contains("for version 0.0.9"));
        let good = signature("any", "0.1.0");
        let unknown = refused(&[("Ahoy.app.tar.gz", ""), ("Ahoy.app.tar.gz.sig", &good)]);
        assert!(unknown.contains("no kind"), "for which processor? {unknown}");
        let two =
            ["a_amd64.deb", "a_amd64.deb.sig", "b_amd64.deb", "b_amd64.deb.sig"].map(|name| (name, good.as_str()));
        assert!(refused(&two).contains("second"));
    }
}
