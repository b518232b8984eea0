//! A page of small text, shown in a browser's window on a virtual display and shared over emulated links: how soon it can be
//! read at the other side, what it costs to stand still, and how it scrolls.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ahoy_testkit::display::{Guarded, VirtualDisplay};
use ahoy_testkit::endpoint::ada_and_ben;
use ahoy_testkit::link::LinkProfile;
use ahoy_testkit::process::JsonProcess;
use anyhow::Context as _;
use serde_json::Value;

use super::figures::percentile;
use super::namespaces::Lab;
use super::{Figure, Goal};
use crate::run;

const SIZE: (u32, u32) = (1_920, 1_080);
const LIMIT: Duration = Duration::from_secs(30);
/// A LAN's, and a usual one's.
const ROUND_TRIP: Duration = Duration::from_millis(20);

/// Measures; nothing where the programs are not there.
///
/// # Errors
/// When a call fails.
pub fn measure() -> anyhow::Result<Vec<Figure>> {
    for program in ["tesseract", "chromium", "Xvfb", "xdotool"] {
        if run::find(program).is_none() {
            println!("{program} is not there; that part is left out.");
            return Ok(Vec::new());
        }
    }
    let folder = tempfile::tempdir()?;
    let page = page(folder.path())?;
    let mut figures = Vec::new();
    for (kbps, within, goal) in [(1_000, 1.0, 99.0), (300, 2.0, 99.0)] {
        let shared = Shared::new(&page, kbps)?;
        let readable = shared.readable(within)?;
        let name = |what: &str| format!("{kbps} kbps: {what}");
        figures.push(Figure::new(
            "screen",
            name(&format!("words read within {within} s, %")),
            readable.words * 100.0,
            Goal::AtLeast(goal),
        ));
        figures.push(Figure::new(
            "screen",
            name("words read at last, %"),
            readable.at_last * 100.0,
            Goal::AtLeast(99.0),
        ));
        figures.push(Figure::new("screen", name("start to first picture, ms"), readable.first_ms, Goal::Below(700.0)));
        if kbps == 1_000 {
            figures.push(Figure::new(
                "screen",
                "still page: processor of the sender, % of a core",
                readable.cpu,
                Goal::Below(3.0),
            ));
            figures.push(Figure::new("screen", "still page: pictures' rate, kbps", readable.kbps, Goal::Below(10.0)));
        }
    }
    for (kbps, goal) in [(1_500, 15.0), (4_000, 25.0)] {
        let fps = Shared::new(&page, kbps)?.scrolled()?;
        figures.push(Figure::new(
            "screen",
            format!("{kbps} kbps: scrolling, pictures a second"),
            fps,
            Goal::AtLeast(goal),
        ));
    }
    figures.extend(latency()?);
    Ok(figures)
}

/// A long page of words of 10 to 12 pixels.
fn page(folder: &Path) -> anyhow::Result<PathBuf> {
    const WORDS: &str = "the quick brown fox jumps over a lazy dog while seven wizards make toxic brew for an evil queen and king \
        account balance total amount invoice number street window letter table screen share sound picture call other side person";
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let mut text = String::new();
    let mut state = 7_u32;
    for paragraph in 0..160 {
        text += &format!("<p style='font-size:{}px'>", 10 + paragraph % 3);
        for _ in 0..58 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text += words[(state >> 16) as usize % words.len()];
            text.push(' ');
        }
        text += "</p>";
    }
    let html = format!(
        "<!doctype html><meta charset=utf-8><title>Page</title><style>body{{font-family:'DejaVu Sans';color:#111;background:#fff;\
         margin:12px;cursor:none}}p{{margin:3px 0}}</style>{text}<script>const go=(y)=>{{scrollTo(0,y);requestAnimationFrame(()=>\
         go((y+6)%8000))}};addEventListener('keydown',(e)=>{{if(e.key==='s')go(0)}})</script>"
    );
    let file = folder.join("page.html");
    std::fs::write(&file, html)?;
    Ok(file)
}

/// A page on a display, and a call that shares it.
struct Shared {
    display: VirtualDisplay,
    _browser: Guarded,
    _lab: Lab,
    folder: tempfile::TempDir,
    ada: JsonProcess,
    ben: JsonProcess,
}

/// What a page that stands still came to.
struct Readable {
    words: f64,
    at_last: f64,
    first_ms: f64,
    cpu: f64,
    kbps: f64,
}

impl Shared {
    fn new(page: &Path, kbps: u64) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let display = VirtualDisplay::start(SIZE.0, SIZE.1)?;
        let browser = Command::new("chromium")
            .args(["--no-sandbox", "--disable-gpu", "--no-first-run", "--kiosk", "--disable-sync", "--hide-scrollbars"])
            .arg(format!("--user-data-dir={}", folder.path().join("chromium").display()))
            .arg(format!("--app=file://{}", page.display()))
            .env("DISPLAY", display.name())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map(Guarded)
            .context("chromium")?;
        display.wait_for_window("Page", LIMIT)?;
        // Until it has drawn and its own first work is done.
        std::thread::sleep(Duration::from_secs(6));
        let lab = Lab::new(ROUND_TRIP)?;
        let server = lab.start_rendezvous()?;
        let (ada, ben) = ada_and_ben(folder.path(), &server.url)?;
        let quiet = ["--camera", "none", "--mic", "none", "--speaker", "none", "--frames"];
        let film = folder.path().join("seen.y4m").display().to_string();
        let mut listening = lab.start(1, &ben, &[&["listen", "--share-out", &film], &quiet[..]].concat());
        listening.wait_for_event("signed-in", LIMIT)?;
        // SAFETY: programs are started by this thread alone.
        unsafe { std::env::set_var("DISPLAY", display.name()) };
        // SAFETY: as above.
        unsafe { std::env::remove_var("WAYLAND_DISPLAY") };
        let link = LinkProfile::new(Some(kbps * 1_000), ROUND_TRIP / 2);
        lab.arm(link.clone(), link);
        let mut calling = lab.start(0, &ada, &[&["call", &ben.id, "--for", "120"], &quiet[..]].concat());
        calling.wait_for_event("accepted", LIMIT)?;
        calling.wait_for_event("stats", LIMIT)?;
        // The path is known by then.
        std::thread::sleep(Duration::from_secs(4));
        std::mem::forget(server);
        Ok(Self { display, _browser: browser, _lab: lab, folder, ada: calling, ben: listening })
    }

    fn readable(mut self, within: f64) -> anyhow::Result<Readable> {
        let original = self.folder.path().join("original.png");
        self.display.screenshot(&original)?;
        let began_ms = unix_ms();
        self.ada.say("share screen")?;
        let first = self.ben.wait_for_event("share-first-picture", LIMIT)?;
        let first_ms = first["t_ms"].as_f64().unwrap_or(f64::NAN) - began_ms;
        std::thread::sleep(Duration::from_secs(6));
        // From here on the page stands still and sharp.
        let (before, sent) = (self.ada.usage().context("the sender's usage")?, self.sent_bytes()?);
        std::thread::sleep(Duration::from_secs(10));
        let (after, sent_after) = (self.ada.usage().context("the sender's usage")?, self.sent_bytes()?);
        let cpu = (after.cpu - before.cpu).as_secs_f64() * 10.0;
        let kbps = (sent_after - sent) * 8.0 / 10.0 / 1_000.0;
        let shown: Vec<f64> = shown(self.ben.lines());
        let place = shown.iter().rposition(|at| at - began_ms <= within * 1_000.0).unwrap_or(0);
        println!("pictures after {:?} ms", shown.iter().map(|at| (at - began_ms).round()).collect::<Vec<_>>());
        self.ada.say("share off")?;
        std::thread::sleep(Duration::from_secs(1));
        let film = self.folder.path().join("seen.y4m");
        let truth = words(&original)?;
        let rate = |place: usize| -> anyhow::Result<f64> {
            let picture = self.folder.path().join(format!("picture-{place}.pgm"));
            write_picture(&film, place, &picture)?;
            Ok(share_read(&truth, &words(&picture)?))
        };
        let (words, at_last) = (rate(place)?, rate(shown.len().saturating_sub(1))?);
        Ok(Readable { words, at_last, first_ms, cpu, kbps })
    }

    fn sent_bytes(&mut self) -> anyhow::Result<f64> {
        std::thread::sleep(Duration::from_millis(1_100));
        let last = self.ada.lines().iter().rev().find(|line| line["event"] == "stats").context("no statistics")?;
        Ok(last["share"]["outboundVideo"]["bytesSent"].as_f64().unwrap_or(0.0))
    }

    fn scrolled(mut self) -> anyhow::Result<f64> {
        self.ada.say("share screen")?;
        self.ben.wait_for_event("share-first-picture", LIMIT)?;
        std::thread::sleep(Duration::from_secs(5));
        let window = self.display.wait_for_window("Page", LIMIT)?;
        self.display.press(&window, "s")?;
        std::thread::sleep(Duration::from_secs(3));
        let from = unix_ms();
        std::thread::sleep(Duration::from_secs(10));
        let to = unix_ms();
        std::thread::sleep(Duration::from_secs(1));
        let shown = shown(self.ben.lines());
        Ok(shown.iter().filter(|at| (from..to).contains(*at)).count() as f64 / 10.0)
    }
}

fn shown(lines: &[Value]) -> Vec<f64> {
    lines.iter().filter(|line| line["event"] == "share-shown").filter_map(|line| line["shown_ms"].as_f64()).collect()
}

/// Captured to decoded, by the clock in the shared test pattern.
fn latency() -> anyhow::Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let server = ahoy_testkit::endpoint::Rendezvous::start()?;
    let (ada, ben) = ada_and_ben(folder.path(), &server.url)?;
    let quiet = ["--camera", "none", "--mic", "none", "--speaker", "none", "--frames"];
    let mut listening = ben.start(&[&["listen"], &quiet[..]].concat());
    listening.wait_for_event("signed-in", LIMIT)?;
    let mut calling = ada.start(&[&["call", &ben.id, "--for", "20", "--share", "pattern"], &quiet[..]].concat());
    listening.wait_for_event("share-first-picture", LIMIT)?;
    calling.wait_for_event("ended", LIMIT)?;
    let late: Vec<f64> = listening
        .lines()
        .iter()
        .filter(|line| line["event"] == "share-shown")
        .filter_map(|line| Some(line["shown_ms"].as_f64()? - line["captured_ms"].as_f64()?))
        .skip(60)
        .collect();
    Ok(vec![
        Figure::new(
            "screen",
            "720p30 on loopback: captured to decoded p50, ms",
            percentile(&late, 0.5),
            Goal::Below(100.0),
        ),
        Figure::new("screen", "the same, p95, ms", percentile(&late, 0.95), Goal::None),
    ])
}

/// One picture of a film, as a grey one.
fn write_picture(film: &Path, place: usize, into: &Path) -> anyhow::Result<()> {
    use std::io::{BufRead as _, Read as _, Write as _};
    let mut reader = BufReader::new(File::open(film)?);
    let mut header = String::new();
    reader.read_line(&mut header)?;
    let side = |mark: char| header.split(' ').find_map(|word| word.strip_prefix(mark)?.trim().parse::<usize>().ok());
    let (width, height) = side('W').zip(side('H')).context("no Y4M header")?;
    let picture = "FRAME\n".len() + width * height + 2 * width.div_ceil(2) * height.div_ceil(2);
    reader.seek_relative((place * picture + "FRAME\n".len()) as i64)?;
    let mut luma = vec![0; width * height];
    reader.read_exact(&mut luma).with_context(|| format!("the film has no picture {place}"))?;
    // Limited range to full.
    luma.iter_mut().for_each(|y| *y = ((i32::from(*y) - 16) * 255 / 219).clamp(0, 255) as u8);
    let mut file = File::create(into)?;
    writeln!(file, "P5 {width} {height} 255")?;
    Ok(file.write_all(&luma)?)
}

/// What tesseract reads.
fn words(picture: &Path) -> anyhow::Result<Vec<String>> {
    let began = Instant::now();
    let output = Command::new("tesseract").arg(picture).args(["stdout", "--psm", "6", "--dpi", "96"]).output()?;
    anyhow::ensure!(output.status.success(), "tesseract: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).to_lowercase();
    let words: Vec<String> =
        text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| word.len() > 2).map(str::to_owned).collect();
    println!("{} words read in {:.0?}", words.len(), began.elapsed());
    Ok(words)
}

/// The share of the words of the first that are among those of the second, each as often.
fn share_read(truth: &[String], read: &[String]) -> f64 {
    let mut left = std::collections::HashMap::<&str, usize>::new();
    for word in read {
        *left.entry(word).or_default() += 1;
    }
    let found = truth.iter().filter(|word| {
        left.get_mut(word.as_str()).is_some_and(|count| {
            let there = *count > 0;
            *count = count.saturating_sub(1);
            there
        })
    });
    found.count() as f64 / truth.len().max(1) as f64
}

fn unix_ms() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_counts_as_often_as_it_is_there() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(share_read(&words("a a b c"), &words("a b x")), 0.5);
        assert_eq!(share_read(&words("a"), &words("a a a")), 1.0);
        assert_eq!(share_read(&[], &words("a")), 0.0);
    }
}
