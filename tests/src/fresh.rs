//! A fresh Debian in a folder of its own: debootstrap's smallest, and one person with a home.
//!
//! What runs in it has namespaces for its mounts and processes, so that neither outlives the command, however that ends.
//! It shares the network with this machine, and the sockets of its virtual displays.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

/// The person in it.
pub const PERSON: &str = "ben";
const PERSON_ID: u32 = 1000;

/// Who runs a command in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The administrator.
    Root,
    /// [`PERSON`], who may do nothing special.
    Person,
}

/// A system that is thrown away when dropped.
#[derive(Debug)]
pub struct FreshSystem {
    root: PathBuf,
    /// Packages downloaded before, so that a second run need not.
    archives: PathBuf,
    _folder: tempfile::TempDir,
}

/// Arguments: root, archives, user:group, and the command. The shell stays, so that it is the first process of the
/// namespace and the command an ordinary one, with the usual meaning of signals.
const ENTER: &str = r#"
set -e
root=$1 archives=$2 who=$3; shift 3
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=0755 tmpfs "$root/run"
mkdir -p /tmp/.X11-unix "$root/tmp/.X11-unix"
mount --bind /tmp/.X11-unix "$root/tmp/.X11-unix"
mount --bind "$archives" "$root/var/cache/apt/archives"
set +e
chroot --userspec="$who" "$root" "$@"
exit $?
"#;

impl FreshSystem {
    /// A copy of the smallest system of this release, which is made in `cache` when it is not there yet.
    ///
    /// # Errors
    /// When this is not root, or debootstrap fails.
    pub fn new(release: &str, cache: &Path) -> anyhow::Result<Self> {
        anyhow::ensure!(is_root(), "Making a fresh system needs root. Run this again as root.");
        let archives = cache.join(format!("archives-{release}"));
        std::fs::create_dir_all(archives.join("partial"))?;
        let base = cache.join(format!("base-{release}"));
        if !base.exists() {
            make_base(release, &base, &archives)?;
        }
        let folder = tempfile::tempdir()?;
        let root = folder.path().join("root");
        must(Command::new("cp").args(["--archive", "--reflink=auto"]).arg(&base).arg(&root))?;
        // The resolver may have changed since the copy was made.
        std::fs::copy("/etc/resolv.conf", root.join("etc/resolv.conf"))?;
        Ok(Self { root, archives, _folder: folder })
    }

    /// A path of the system as seen from outside.
    pub fn path(&self, inside: &str) -> PathBuf {
        self.root.join(inside.trim_start_matches('/'))
    }

    /// A command in the system.
    pub fn command<S: AsRef<OsStr>>(&self, who: Who, words: impl IntoIterator<Item = S>) -> Command {
        let (id, home) = match who {
            Who::Root => (0, "/root".to_owned()),
            Who::Person => (PERSON_ID, format!("/home/{PERSON}")),
        };
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"])
            .args(["sh", "-c", ENTER, "enter"])
            .arg(&self.root)
            .arg(&self.archives)
            .arg(format!("{id}:{id}"))
            .args(words)
            // Nothing of this machine's settings.
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", home)
            .env("LANG", "C.UTF-8")
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    /// Runs a command as root to its end; gives what it printed.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub fn as_root(&self, words: &[&str]) -> anyhow::Result<String> {
        must(&mut self.command(Who::Root, words))
    }

    /// Gives a folder below the person's home to the person.
    ///
    /// # Errors
    /// When it is not there.
    pub fn give_to_person(&self, inside: &str) -> anyhow::Result<()> {
        must(Command::new("chown").args(["--recursive", &format!("{PERSON_ID}:{PERSON_ID}")]).arg(self.path(inside)))
            .map(drop)
    }

    /// Every path in it, but those in the person's home.
    ///
    /// # Errors
    /// When the tree cannot be read.
    pub fn paths(&self) -> anyhow::Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        walk(&self.root, "", &mut found)?;
        Ok(found)
    }
}

fn walk(folder: &Path, inside: &str, found: &mut BTreeSet<String>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{inside}/{}", entry.file_name().to_string_lossy());
        if path != format!("/home/{PERSON}") {
            // The kind by the entry itself: a link into this machine's tree must not be followed.
            if entry.file_type()?.is_dir() {
                walk(&entry.path(), &path, found)?;
            }
            found.insert(path);
        }
    }
    Ok(())
}

/// Whole or not there at all: it is renamed when it is ready.
fn make_base(release: &str, base: &Path, archives: &Path) -> anyhow::Result<()> {
    let beside = base.with_extension(format!("{}.part", std::process::id()));
    let made = fill_base(release, &beside, archives).and_then(|()| Ok(std::fs::rename(&beside, base)?));
    if made.is_err() {
        let _ = std::fs::remove_dir_all(&beside);
    }
    made
}

fn fill_base(release: &str, base: &Path, archives: &Path) -> anyhow::Result<()> {
    must(
        Command::new("debootstrap")
            .args(["--variant=minbase", &format!("--cache-dir={}", archives.display()), release])
            .arg(base),
    )
    .context("debootstrap could not make a fresh system")?;
    must(Command::new("chroot").arg(base).args(["useradd", "--create-home", "--uid", &PERSON_ID.to_string(), PERSON]))?;
    // Thrown away anyhow, so nothing need be safe on the disk; and no service may be started on this machine.
    std::fs::write(base.join("etc/dpkg/dpkg.cfg.d/unsafe-io"), "force-unsafe-io\n")?;
    let policy = base.join("usr/sbin/policy-rc.d");
    std::fs::write(&policy, "#!/bin/sh\nexit 101\n")?;
    must(Command::new("chmod").arg("755").arg(&policy))?;
    for entry in std::fs::read_dir(base.join("var/cache/apt/archives"))? {
        let path = entry?.path();
        if path.is_file() {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn must(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("{:?} could not be started", command.get_program()))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    anyhow::ensure!(
        output.status.success(),
        "failed ({}): {:?}\n{said}{}",
        output.status,
        command.get_args().collect::<Vec<_>>(),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(said)
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0\n"))
}
