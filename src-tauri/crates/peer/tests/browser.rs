//! A real Chromium on the other end, headless with its fake devices: it offers and it answers; H.264 and Opus both ways.
//! Skipped with a word where there is no Chromium.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod common;

use ahoy_peer::*;
use bytes::Bytes;
use common::*;
use serde_json::{Value, json};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};

struct Browser(Child, std::path::PathBuf);

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        let _ = std::fs::remove_dir_all(&self.1);
    }
}

fn browser(url: &str) -> Option<Browser> {
    let profile = std::env::temp_dir().join(format!("ahoy-chromium-{}-{}", std::process::id(), rand::random::<u32>()));
    let child = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"])
        .args(["--disable-background-networking", "--disable-component-update"])
        .args(["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"])
        .args(["--autoplay-policy=no-user-gesture-required"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg("--remote-debugging-port=0")
        .arg(url)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    Some(Browser(child, profile))
}

/// The test's HTTP end: the page, its signals in, ours out.
struct Web {
    url: String,
    inbox: mpsc::UnboundedReceiver<Value>,
    outbox: Arc<(Mutex<Vec<Value>>, Notify)>,
    report: Arc<Mutex<Value>>,
}

impl Web {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let (signals, inbox) = mpsc::unbounded_channel();
        let outbox: Arc<(Mutex<Vec<Value>>, Notify)> = Arc::default();
        let report = Arc::new(Mutex::new(Value::Null));
        let (queue, latest) = (Arc::clone(&outbox), Arc::clone(&report));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, signals.clone(), Arc::clone(&queue), Arc::clone(&latest)));
            }
        });
        Self { url, inbox, outbox, report }
    }

    fn send(&self, message: Value) {
        self.outbox.0.lock().unwrap().push(message);
        self.outbox.1.notify_one();
    }

    fn number(&self, entry: &str, field: &str) -> u64 {
        self.report.lock().unwrap()[entry][field].as_u64().unwrap_or(0)
    }
}

async fn serve(
    mut stream: TcpStream,
    signals: mpsc::UnboundedSender<Value>,
    outbox: Arc<(Mutex<Vec<Value>>, Notify)>,
    report: Arc<Mutex<Value>>,
) -> Option<()> {
    let mut request = Vec::new();
    let (head, length) = loop {
        let mut chunk = [0; 4096];
        let size = stream.read(&mut chunk).await.ok().filter(|size| *size > 0)?;
        request.extend_from_slice(&chunk[..size]);
        if let Some(end) = request.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
            let length =
                head.lines().find_map(|l| l.strip_prefix("content-length:")).map_or(0, |l| l.trim().parse().unwrap());
            request.drain(..end + 4);
            break (head, length);
        }
    };
    while request.len() < length {
        let mut chunk = [0; 4096];
        let size = stream.read(&mut chunk).await.ok().filter(|size| *size > 0)?;
        request.extend_from_slice(&chunk[..size]);
    }
    let path = head.split(' ').nth(1)?.to_owned();
    let body = serde_json::from_slice(&request).unwrap_or(Value::Null);
    let (kind, answer) = match path.as_str() {
        "/signal" => {
            signals.send(body).ok()?;
            ("text/plain", String::new())
        }
        "/report" => {
            *report.lock().unwrap() = body;
            ("text/plain", String::new())
        }
        "/poll" => {
            let _ = tokio::time::timeout(Duration::from_secs(5), outbox.1.notified()).await;
            ("application/json", Value::Array(std::mem::take(&mut *outbox.0.lock().unwrap())).to_string())
        }
        "/favicon.ico" => ("text/plain", String::new()),
        _ => ("text/html", include_str!("browser/page.html").to_owned()),
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
        answer.len()
    );
    stream.write_all((head + &answer).as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}

fn candidate_from(message: &Value) -> Candidate {
    let text = |name: &str| message[name].as_str().map(str::to_owned);
    Candidate {
        candidate: text("candidate").unwrap_or_default(),
        mid: text("sdpMid"),
        index: message["sdpMLineIndex"].as_u64().map(|index| index as u16),
        username_fragment: text("usernameFragment"),
    }
}

async fn call_with_browser(browser_offers: bool) {
    let mut web = Web::start().await;
    let role = if browser_offers { "offer" } else { "answer" };
    let Some(chromium) = browser(&format!("{}/?role={role}", web.url)) else {
        println!("there is no chromium: not tried");
        return;
    };
    let mut ours = end(PeerConfig {
        loopback: Loopback::Always,
        media_allowed: true,
        ..PeerConfig::new(if browser_offers { Role::Callee } else { Role::Caller })
    })
    .await;
    if !browser_offers {
        let offer = ours.peer.create_offer().await.unwrap();
        web.send(json!({ "type": "offer", "sdp": offer }));
    }
    let (audio, video) = (ours.peer.audio_sender(), ours.peer.video_sender());
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    let start = Instant::now();
    let mut sent = 0_u32;
    loop {
        let done = ours.seen.pictures().len() > 40
            && ours.seen.sounds() > 80
            && web.number("inbound-rtp-video", "framesDecoded") > 40
            && web.number("inbound-rtp-audio", "packetsReceived") > 80;
        if done {
            break;
        }
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "not within 60 s; received {} pictures and {} sounds; the browser says {}; events {:?}",
            ours.seen.pictures().len(),
            ours.seen.sounds(),
            web.report.lock().unwrap(),
            ours.seen.events.lock().unwrap()
        );
        tokio::select! {
            Some(message) = web.inbox.recv() => match message["type"].as_str() {
                Some("offer") => {
                    let sdp = message["sdp"].as_str().unwrap();
                    ours.peer.set_remote_description(DescriptionKind::Offer, sdp).await.unwrap();
                    let answer = ours.peer.create_answer().await.unwrap();
                    web.send(json!({ "type": "answer", "sdp": answer }));
                }
                Some("answer") => {
                    let sdp = message["sdp"].as_str().unwrap();
                    ours.peer.set_remote_description(DescriptionKind::Answer, sdp).await.unwrap();
                }
                _ => ours.peer.add_candidate(candidate_from(&message["candidate"])).await.unwrap(),
            },
            Some(candidate) = ours.candidates.recv() => if !candidate.candidate.is_empty() {
                web.send(json!({ "candidate": {
                    "candidate": candidate.candidate,
                    "sdpMid": candidate.mid,
                    "sdpMLineIndex": candidate.index,
                }}));
            },
            _ = tick.tick() => {
                sent += 1;
                // Opus, 20 ms of silence.
                let sound = OutgoingAudio { payload: Bytes::from_static(&[0xF8, 0xFF, 0xFE]), timestamp: sent * 960, captured: Instant::now(), voice: true };
                let _ = audio.send(sound);
                if sent.is_multiple_of(2) {
                    let access_unit = pcm::picture(sent / 2, 8, 6, (sent % 200) as u8 + 20);
                    let _ = video.send(OutgoingVideo { access_unit, captured: Instant::now(), key: true });
                }
            }
        }
    }
    let stats = ours.peer.stats().await;
    println!(
        "browser {}: decoded {} pictures of {}x{}, {} sounds; ours: {} pictures ({} key), {} sounds, {} PLI, {} NACKs, RTT {:.4}",
        role,
        web.number("inbound-rtp-video", "framesDecoded"),
        web.number("inbound-rtp-video", "frameWidth"),
        web.number("inbound-rtp-video", "frameHeight"),
        web.number("inbound-rtp-audio", "packetsReceived"),
        ours.seen.pictures().len(),
        stats.inbound_video.key_frames_received,
        ours.seen.sounds(),
        stats.inbound_video.pli_count,
        stats.inbound_video.nack_count,
        stats.remote_inbound_video.round_trip_time,
    );
    assert_eq!(web.number("inbound-rtp-video", "frameWidth"), 128);
    assert!(ours.seen.pictures()[0].key);
    assert_eq!(ours.seen.breaks(), 0);
    drop(chromium);
    ours.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chromium_calls_us() {
    call_with_browser(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn we_call_chromium() {
    call_with_browser(false).await;
}
