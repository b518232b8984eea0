//! Every screen of the interface, laid out by a real browser in both themes, three languages and the sizes that windows have.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use ahoy_testkit::display::Guarded;
use ahoy_testkit::webdriver::{Driver, NO_BROWSER, Session, chromedriver, chromium_capabilities, free_port};
use anyhow::Context as _;

const LIMIT: Duration = Duration::from_secs(60);

/// How a screen is looked at.
struct Look {
    theme: &'static str,
    language: &'static str,
    /// CSS pixels; the window of a call that is small on top has sizes of its own.
    size: (u32, u32),
}

/// The window as it opens, and the smallest: there in the languages with the longer words.
const LOOKS: [Look; 4] = [
    Look { theme: "dark", language: "en", size: (1_040, 700) },
    Look { theme: "light", language: "en", size: (1_040, 700) },
    Look { theme: "dark", language: "de", size: (360, 480) },
    Look { theme: "light", language: "tr", size: (360, 480) },
];

/// What is not as it should be on the screen that is shown, in words.
const JUDGE: &str = r#"
    const wrong = [...window.__gallery.failures];
    const named = (node) => `${node.tagName.toLowerCase()}.${node.className?.baseVal ?? node.className} "${(node.getAttribute('aria-label') ?? node.textContent ?? '').trim().slice(0, 40)}"`;
    const page = document.documentElement;
    if (page.scrollWidth > innerWidth) wrong.push(`the page is ${page.scrollWidth} wide in a window of ${innerWidth}`);
    if (document.body.innerText.trim() === '' && document.querySelector('canvas') === null) wrong.push('nothing is shown');
    const shown = (node) => node.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    for (const node of document.querySelectorAll('button, a, input, select, [role=switch], [role=tab], h1, h2, h3, p, label, li')) {
      if (!shown(node)) continue;
      const box = node.getBoundingClientRect();
      // What only a screen reader is told is a pixel in size.
      if (box.width <= 1 || box.height <= 1) continue;
      if (box.left < -1 || box.right > innerWidth + 1) wrong.push(`${named(node)} reaches from ${box.left} to ${box.right} of ${innerWidth}`);
      const style = getComputedStyle(node);
      const cut = node.scrollWidth > node.clientWidth + 1 && style.overflowX !== 'visible' && style.overflowX !== 'auto' && style.overflowX !== 'scroll';
      if (cut && style.textOverflow !== 'ellipsis' && node.tagName !== 'INPUT') wrong.push(`${named(node)} is cut off`);
    }
    const found = await axe.run(document, { rules: { region: { enabled: false } } });
    for (const violation of found.violations)
      for (const node of violation.nodes) wrong.push(`${violation.id}: ${node.failureSummary.replaceAll('\n', ' ')} ${node.html.slice(0, 120)}`);
    return wrong;
"#;

#[test]
fn every_screen_fits_can_be_read_and_says_no_error() -> anyhow::Result<()> {
    let gallery = Gallery::open()?;
    let mut wrong = Vec::new();
    for scene in gallery.scenes()? {
        for look in &LOOKS {
            for what in gallery.judge(&scene, look)? {
                wrong.push(format!("{scene}, {} {} {:?}: {what}", look.theme, look.language, look.size));
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n{} findings", wrong.join("\n"), wrong.len());
    Ok(())
}

#[test]
fn the_judge_sees_what_is_wrong() -> anyhow::Result<()> {
    let gallery = Gallery::open()?;
    gallery.show("contacts", &LOOKS[2])?;
    let spoil = "const make = (name, style, text) => { const one = document.createElement(name); one.style = style; one.textContent = text; document.querySelector('h1').after(one); };
                 make('button', 'position: fixed; top: 0; left: 300px; width: 200px', 'Too far');
                 make('p', 'color: #777; background: #888', 'Grey on grey');
                 make('p', 'width: 60px; overflow: hidden; white-space: nowrap', 'Longer than the place it has');
                 console.error('a fault');";
    gallery.page.run(spoil, &[])?;
    let wrong = gallery.found()?.join("\n");
    for part in ["a fault", "reaches from 300 to 500 of 360", "color-contrast", "is cut off"] {
        assert!(wrong.contains(part), "{part}: {wrong}");
    }
    Ok(())
}

/// The gallery of all screens in a browser.
struct Gallery {
    page: Session,
    address: String,
    axe: String,
    _driver: Driver,
    _server: Guarded,
    _folders: [tempfile::TempDir; 2],
}

impl Gallery {
    fn open() -> anyhow::Result<Self> {
        let interface = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ui");
        let axe = std::fs::read_to_string(interface.join("node_modules/axe-core/axe.min.js"))
            .context("the interface's packages are not installed; `cargo xtask setup` installs them")?;
        let pages = tempfile::tempdir()?;
        let vite = |arguments: &[&str]| {
            let mut vite = Command::new("node");
            vite.arg("node_modules/vite/bin/vite.js").args(arguments).arg("--outDir").arg(pages.path());
            vite.current_dir(&interface).stdin(Stdio::null()).stdout(Stdio::null());
            vite
        };
        let built = vite(&["build", "--mode", "gallery"])
            .status()
            .context("node could not be started; `cargo xtask setup` says what is missing")?;
        anyhow::ensure!(built.success(), "the gallery could not be built");
        let port = free_port()?;
        let server =
            vite(&["preview", "--host", "127.0.0.1", "--strictPort", "--no-open", "--port", &port.to_string()])
                .spawn()?;
        let server = Guarded(server);
        let driver = Driver::chromium(&chromedriver().context(NO_BROWSER)?)?;
        let profile = tempfile::tempdir()?;
        let page = driver.session(&chromium_capabilities(profile.path(), &[]))?;
        let gallery = Self {
            page,
            address: format!("http://127.0.0.1:{port}/gallery.html"),
            axe,
            _driver: driver,
            _server: server,
            _folders: [pages, profile],
        };
        gallery.wait_for_server()?;
        Ok(gallery)
    }

    fn wait_for_server(&self) -> anyhow::Result<()> {
        let end = std::time::Instant::now() + LIMIT;
        while self.page.open(&self.address).is_err() {
            anyhow::ensure!(std::time::Instant::now() < end, "the interface was not served within {LIMIT:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
        self.page.wait_for("the gallery", "return document.querySelectorAll('figure').length", LIMIT)?;
        Ok(())
    }

    fn scenes(&self) -> anyhow::Result<Vec<String>> {
        let scenes: Vec<String> = serde_json::from_value(self.page.run("return window.__gallery.scenes", &[])?)?;
        anyhow::ensure!(scenes.len() > 30, "there are only {} screens", scenes.len());
        Ok(scenes)
    }

    fn show(&self, scene: &str, look: &Look) -> anyhow::Result<()> {
        let (width, height) = match scene {
            // These have windows of their own, with other sizes.
            name if name.starts_with("mini") && look.size.0 > 500 => (320, 200),
            name if name.starts_with("mini") => (200, 130),
            "incoming-window" | "incoming-sound" => (440, 210),
            _ => look.size,
        };
        self.page.set_viewport(width, height)?;
        self.page.open(&format!("{}?scene={scene}&theme={}&language={}", self.address, look.theme, look.language))?;
        self.page.wait_for(scene, "return document.querySelector('#app')?.childElementCount", LIMIT)?;
        // A scene presses its button after a tenth of a second; and what fades in is judged when it has.
        let still = "await new Promise(done => setTimeout(done, 150));
                     await Promise.allSettled(document.getAnimations().filter(one => one.effect.getComputedTiming().iterations < Infinity).map(one => one.finished));
                     await document.fonts.ready;";
        self.page.run_async(still, &[]).map(drop)
    }

    fn found(&self) -> anyhow::Result<Vec<String>> {
        self.page.run(&self.axe, &[])?;
        Ok(serde_json::from_value(self.page.run_async(JUDGE, &[])?)?)
    }

    fn judge(&self, scene: &str, look: &Look) -> anyhow::Result<Vec<String>> {
        self.show(scene, look)?;
        let found = self.found()?;
        if !found.is_empty() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts/interface");
            std::fs::create_dir_all(&folder)?;
            let name = format!("{scene}-{}-{}-{}.png", look.theme, look.language, look.size.0);
            std::fs::write(folder.join(name), self.page.screenshot()?)?;
        }
        Ok(found)
    }
}
