//! The licences of what the program is built from, for whoever gets it: most of them ask that their text comes along.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use crate::run;

/// Writes the names, versions, licences and licence texts of every crate that the desktop program is linked from; equal
/// texts once.
///
/// # Errors
/// When cargo cannot describe the workspace.
pub fn write(file: &Path, target: Option<&str>) -> anyhow::Result<()> {
    let mut command = run::cargo();
    command.args(["metadata", "--locked", "--format-version", "1", "--filter-platform"]);
    let host = host()?;
    let text = run::quietly(command.arg(target.unwrap_or(&host)))?;
    let notices = notices(&serde_json::from_str(&text)?)?;
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    Ok(std::fs::write(file, notices)?)
}

fn host() -> anyhow::Result<String> {
    let version = run::quietly(std::process::Command::new("rustc").arg("-vV"))?;
    let line = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(line.context("rustc names its host")?.to_owned())
}

fn notices(metadata: &Value) -> anyhow::Result<String> {
    let packages: HashMap<&str, &Value> =
        list(&metadata["packages"]).filter_map(|package| Some((package["id"].as_str()?, package))).collect();
    let nodes: HashMap<&str, &Value> =
        list(&metadata["resolve"]["nodes"]).filter_map(|node| Some((node["id"].as_str()?, node))).collect();
    let root =
        packages.values().find(|package| package["name"] == "ahoy").context("the desktop package is not there")?;
    let mut found = BTreeSet::new();
    let mut open = vec![root["id"].as_str().context("a package has an id")?];
    while let Some(id) = open.pop() {
        if found.insert(id) {
            open.extend(nodes.get(id).into_iter().flat_map(|node| linked(node)));
        }
    }
    // Text -> the crates that come under it.
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut all = "Ahoy is built from these works of others. Their licences follow.\n\n".to_owned();
    for package in found.iter().filter_map(|id| packages.get(id)).filter(|package| !package["source"].is_null()) {
        let name = format!("{} {}", text(&package["name"]), text(&package["version"]));
        writeln!(all, "{name}: {}", package["license"].as_str().unwrap_or("see its text"))?;
        let folder = Path::new(text(&package["manifest_path"])).parent().context("a manifest lies in a folder")?;
        for licence in licence_texts(folder, 0)? {
            texts.entry(licence).or_default().insert(name.clone());
        }
    }
    for (text, names) in texts {
        let names: Vec<String> = names.into_iter().collect();
        write!(all, "\n{}\n{}\n\n{}\n", "-".repeat(80), names.join(", "), text.trim())?;
    }
    Ok(all)
}

/// What is linked in: neither build scripts nor tests, nor procedural macros, which a program does not contain; but those
/// are not told apart here, and too many thanks do no harm.
fn linked(node: &Value) -> impl Iterator<Item = &str> {
    list(&node["deps"])
        .filter(|dependency| list(&dependency["dep_kinds"]).any(|kind| kind["kind"].is_null()))
        .filter_map(|dependency| dependency["pkg"].as_str())
}

/// Below a crate's own folder too, where libraries in C that come inside a crate have theirs.
const DEPTH: usize = 2;

fn licence_texts(folder: &Path, depth: usize) -> anyhow::Result<Vec<String>> {
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let name = entry.file_name().to_string_lossy().to_uppercase();
        if kind.is_dir() && depth < DEPTH {
            texts.extend(licence_texts(&entry.path(), depth + 1)?);
        } else if kind.is_file()
            && ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"].iter().any(|begin| name.starts_with(begin))
            && let Ok(text) = std::fs::read_to_string(entry.path())
        {
            texts.push(text.replace("\r\n", "\n"));
        }
    }
    Ok(texts)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_linked_is_named_and_what_only_builds_is_not() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("LICENSE-MIT"), "Copyright (c) Somebody").unwrap();
        let manifest = folder.path().join("Cargo.toml");
        let package = |name: &str, source: Value| json!({ "id": name, "name": name, "version": "1.0.0", "license": "MIT", "source": source, "manifest_path": manifest });
        let kinds = |kind: Value| json!([{ "kind": kind }]);
        let metadata = json!({
            "packages": [package("ahoy", Value::Null), package("linked", json!("registry")), package("builds", json!("registry")), package("deep", json!("registry"))],
            "resolve": { "nodes": [
                { "id": "ahoy", "deps": [{ "pkg": "linked", "dep_kinds": kinds(Value::Null) }, { "pkg": "builds", "dep_kinds": kinds(json!("build")) }] },
                { "id": "linked", "deps": [{ "pkg": "deep", "dep_kinds": kinds(Value::Null) }] },
                { "id": "builds", "deps": [] }, { "id": "deep", "deps": [] },
            ] },
        });
        let notices = notices(&metadata).unwrap();
        assert!(notices.contains("linked 1.0.0: MIT") && notices.contains("deep 1.0.0: MIT"), "{notices}");
        assert!(!notices.contains("builds") && !notices.contains("ahoy 1"), "{notices}");
        assert_eq!(notices.matches("Copyright (c) Somebody").count(), 1, "equal texts stand once");
    }
}
