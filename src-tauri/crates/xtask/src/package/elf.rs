//! What a Linux program needs of the system, read from the program itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use crate::run;

/// Libraries, and the newest versions of their symbols that are used.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// As `libgtk-3.so.0`.
    pub libraries: BTreeSet<String>,
    /// By library and set, as `("libc.so.6", "GLIBC") -> 2.34`.
    pub versions: BTreeMap<(String, String), Vec<u32>>,
}

impl Needs {
    /// Those of this file.
    ///
    /// # Errors
    /// When binutils are missing or it is no ELF file.
    pub fn of(program: &Path) -> anyhow::Result<Self> {
        Ok(Self::parse(&run::quietly(Command::new("objdump").arg("-p").arg(program))?))
    }

    /// From what `objdump -p` prints: lines `NEEDED name`, and after `required from name:` lines whose last word is a version.
    fn parse(text: &str) -> Self {
        let mut needs = Self::default();
        let mut library = None;
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let ["NEEDED", name] = words.as_slice() {
                needs.libraries.insert((*name).to_owned());
            } else if let ["required", "from", name] = words.as_slice() {
                library = Some(name.trim_end_matches(':').to_owned());
            } else if let (Some(library), Some((set, version))) =
                (&library, words.last().and_then(|word| word.rsplit_once('_')))
                && let Some(version) = numbers(version)
            {
                let newest = needs.versions.entry((library.clone(), set.to_owned())).or_default();
                *newest = std::mem::take(newest).max(version);
            }
        }
        needs
    }

    /// In the words that every RPM system provides, whatever its packages are called.
    pub fn as_rpm(&self) -> Vec<String> {
        let libraries = self.libraries.iter().map(|name| format!("{name}()(64bit)"));
        let versions = self.versions.iter().map(|((library, set), version)| {
            let version: Vec<String> = version.iter().map(u32::to_string).collect();
            format!("{library}({set}_{})(64bit)", version.join("."))
        });
        libraries.chain(versions).collect()
    }
}

/// `2.34` as numbers, which compare as versions do.
pub fn numbers(version: &str) -> Option<Vec<u32>> {
    version.split('.').map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const PRINTED: &str = "
Dynamic Section:
  NEEDED               libgtk-3.so.0
  NEEDED               libc.so.6
  SONAME               ignored.so

Version References:
  required from libc.so.6:
    0x06969187 0x00 12 GLIBC_2.7
    0x069691b4 0x00 04 GLIBC_2.34
    0x09691a75 0x00 03 GLIBC_2.2.5
  required from libstdc++.so.6:
    0x08922974 0x00 05 GLIBCXX_3.4.9
    0x056bafd3 0x00 06 CXXABI_1.3
";

    #[test]
    fn libraries_and_their_newest_versions_are_found() {
        let needs = Needs::parse(PRINTED);
        assert_eq!(needs.libraries.iter().map(String::as_str).collect::<Vec<_>>(), ["libc.so.6", "libgtk-3.so.0"]);
        let glibc = ("libc.so.6".to_owned(), "GLIBC".to_owned());
        assert_eq!(needs.versions[&glibc], [2, 34], "34 is newer than 7");
        assert_eq!(
            needs.as_rpm(),
            [
                "libc.so.6()(64bit)",
                "libgtk-3.so.0()(64bit)",
                "libc.so.6(GLIBC_2.34)(64bit)",
                "libstdc++.so.6(CXXABI_1.3)(64bit)",
                "libstdc++.so.6(GLIBCXX_3.4.9)(64bit)"
            ]
        );
    }
}
