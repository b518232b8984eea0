//! Two peers in one process, a signaling path between them that a test can watch and bend, and what they received.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, dead_code, unreachable_pub)]

pub mod pcm;
pub mod relay;

use ahoy_peer::*;
use bytes::Bytes;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Changes a candidate on its way to the other side, or drops it.
pub type Bend = Arc<dyn Fn(Candidate) -> Option<Candidate> + Send + Sync>;

pub fn straight() -> Bend {
    Arc::new(Some)
}

#[derive(Default)]
pub struct Seen {
    pub audio: Mutex<Vec<IncomingAudio>>,
    pub video: Mutex<Vec<IncomingVideo>>,
    pub screen_audio: Mutex<Vec<IncomingAudio>>,
    pub screen: Mutex<Vec<IncomingVideo>>,
    pub events: Mutex<Vec<PeerEvent>>,
}

impl Seen {
    pub fn events<T>(&self, pick: impl Fn(&PeerEvent) -> Option<T>) -> Vec<T> {
        self.events.lock().unwrap().iter().filter_map(pick).collect()
    }

    pub fn ice(&self, wanted: IceState) -> Option<Instant> {
        self.events(|event| match event {
            PeerEvent::Ice { state, at } if *state == wanted => Some(*at),
            _ => None,
        })
        .into_iter()
        .next()
    }

    pub fn connection(&self, wanted: ConnectionState) -> Option<Instant> {
        self.events(|event| match event {
            PeerEvent::Connection { state, at } if *state == wanted => Some(*at),
            _ => None,
        })
        .into_iter()
        .next()
    }

    pub fn connected_times(&self) -> usize {
        self.events(|event| {
            matches!(event, PeerEvent::Connection { state: ConnectionState::Connected, .. }).then_some(())
        })
        .len()
    }

    pub fn key_frames_wanted(&self) -> usize {
        self.events(|event| matches!(event, PeerEvent::KeyFrameWanted).then_some(())).len()
    }

    pub fn failures(&self) -> Vec<FailReason> {
        self.events(|event| match event {
            PeerEvent::Failed(reason) => Some(*reason),
            _ => None,
        })
    }

    pub fn last_stats(&self) -> Option<StatsReport> {
        self.events(|event| match event {
            PeerEvent::Stats(report) => Some((**report).clone()),
            _ => None,
        })
        .pop()
    }

    pub fn pictures(&self) -> Vec<IncomingPicture> {
        let video = self.video.lock().unwrap();
        video
            .iter()
            .filter_map(|v| match v {
                IncomingVideo::Picture(picture) => Some(picture.clone()),
                IncomingVideo::Broken => None,
            })
            .collect()
    }

    pub fn screens(&self) -> Vec<IncomingPicture> {
        let pictures = |video: &IncomingVideo| match video {
            IncomingVideo::Picture(picture) => Some(picture.clone()),
            IncomingVideo::Broken => None,
        };
        self.screen.lock().unwrap().iter().filter_map(pictures).collect()
    }

    pub fn negotiations(&self) -> usize {
        self.events(|event| matches!(event, PeerEvent::NegotiationNeeded).then_some(())).len()
    }

    pub fn screen_keys_wanted(&self) -> usize {
        self.events(|event| matches!(event, PeerEvent::ScreenKeyFrameWanted).then_some(())).len()
    }

    pub fn breaks(&self) -> usize {
        self.video.lock().unwrap().iter().filter(|v| **v == IncomingVideo::Broken).count()
    }

    pub fn sounds(&self) -> usize {
        self.audio.lock().unwrap().len()
    }
}

pub struct End {
    pub peer: Arc<Peer>,
    pub seen: Arc<Seen>,
    pub candidates: mpsc::UnboundedReceiver<Candidate>,
    collector: JoinHandle<()>,
}

/// Prints the stack's log when AHOY_PEER_LOG is set: `AHOY_PEER_LOG=trace cargo test ... -- --nocapture`.
pub fn log_if_asked() {
    struct Print;
    impl log::Log for Print {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            println!("{:.4} {} {} {}", at.as_secs_f64() % 1000.0, record.level(), record.target(), record.args());
        }
        fn flush(&self) {}
    }
    if let Some(level) = std::env::var("AHOY_PEER_LOG").ok().and_then(|level| level.parse().ok()) {
        let _ = log::set_logger(&Print);
        log::set_max_level(level);
    }
}

pub fn config(role: Role) -> PeerConfig {
    PeerConfig { loopback: Loopback::Only, ..PeerConfig::new(role) }
}

pub async fn end(config: PeerConfig) -> End {
    log_if_asked();
    let seen = Arc::new(Seen::default());
    let (events, mut receiver) = mpsc::channel(256);
    let (candidate_out, candidates) = mpsc::unbounded_channel();
    let [audio, video, screen_audio, screen] = std::array::from_fn(|_| Arc::clone(&seen));
    let sinks = Sinks {
        audio: Box::new(move |packet: IncomingAudio| audio.audio.lock().unwrap().push(packet)),
        video: Box::new(move |unit: IncomingVideo| video.video.lock().unwrap().push(unit)),
        screen_audio: Box::new(move |packet: IncomingAudio| screen_audio.screen_audio.lock().unwrap().push(packet)),
        screen: Box::new(move |unit: IncomingVideo| screen.screen.lock().unwrap().push(unit)),
    };
    let peer = Peer::with_sinks(config, events, sinks).await.unwrap();
    let collected = Arc::clone(&seen);
    let collector = tokio::spawn(async move {
        while let Some(event) = receiver.recv().await {
            if let PeerEvent::LocalCandidate(candidate) = &event {
                let _ = candidate_out.send(candidate.clone());
            }
            collected.events.lock().unwrap().push(event);
        }
    });
    End { peer: Arc::new(peer), seen, candidates, collector }
}

impl End {
    /// Closes it and waits for its tasks.
    pub async fn close(self) {
        Arc::into_inner(self.peer).unwrap().close().await;
        tokio::time::timeout(Duration::from_secs(5), self.collector).await.unwrap().unwrap();
    }
}

pub struct Pair {
    pub caller: End,
    pub callee: End,
    trickle: Vec<JoinHandle<()>>,
}

/// Offer, answer, candidates.
pub async fn call(caller: End, callee: End, bend: Bend) -> Pair {
    let (mut caller, mut callee) = (caller, callee);
    let trickle = vec![
        forward(&mut caller, Arc::downgrade(&callee.peer), Arc::clone(&bend)),
        forward(&mut callee, Arc::downgrade(&caller.peer), bend),
    ];
    negotiate(&caller, &callee).await;
    Pair { caller, callee, trickle }
}

fn forward(from: &mut End, to: Weak<Peer>, bend: Bend) -> JoinHandle<()> {
    let (_, empty) = mpsc::unbounded_channel();
    let mut candidates = std::mem::replace(&mut from.candidates, empty);
    tokio::spawn(async move {
        while let Some(candidate) = candidates.recv().await {
            if let (Some(candidate), Some(to)) = (bend(candidate), to.upgrade()) {
                to.add_candidate(candidate).await.unwrap();
            }
        }
    })
}

pub async fn negotiate(offering: &End, answering: &End) {
    let offer = offering.peer.create_offer().await.unwrap();
    answering.peer.set_remote_description(DescriptionKind::Offer, &offer).await.unwrap();
    let answer = answering.peer.create_answer().await.unwrap();
    offering.peer.set_remote_description(DescriptionKind::Answer, &answer).await.unwrap();
}

impl Pair {
    pub async fn new(bend: Bend) -> Self {
        call(end(config(Role::Caller)).await, end(config(Role::Callee)).await, bend).await
    }

    pub async fn connected(self) -> Self {
        for (name, seen) in [("caller", &self.caller.seen), ("callee", &self.callee.seen)] {
            until(name, Duration::from_secs(15), || seen.connection(ConnectionState::Connected).is_some()).await;
        }
        self
    }

    pub fn allow_both(&self) {
        self.caller.peer.allow_media(true);
        self.callee.peer.allow_media(true);
    }

    /// Drops the caller without closing it.
    pub async fn abandon(self) {
        for task in &self.trickle {
            task.abort();
        }
        drop(self.caller);
        self.callee.close().await;
    }

    pub async fn close(self) {
        for task in self.trickle {
            task.abort();
            let _ = task.await;
        }
        self.caller.close().await;
        self.callee.close().await;
    }
}

/// Waits for something to become true; the limit only ends a failing test.
pub async fn until(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A synthetic access unit; its number stands in its first slice.
pub fn unit(number: u32, key: bool, size: usize) -> Bytes {
    let mut out = Vec::with_capacity(size + 64);
    let mut nal = |kind: u8, body: &[u8]| {
        out.extend_from_slice(&[0, 0, 0, 1, kind]);
        out.extend_from_slice(body);
    };
    if key {
        nal(0x67, &[0x42, 0xE0, 0x1F, 0x8C, 0x8D, 0x40]);
        nal(0x68, &[0xCE, 0x3C, 0x80 | 1]);
    }
    // Seven bits a byte with the top one set: no start codes inside.
    let mut body: Vec<u8> = (0..5).map(|n| 0x80 | ((number >> (7 * n)) & 0x7F) as u8).collect();
    body.extend((5..size.max(6) as u32).map(|place| 0x80 | (number.wrapping_mul(31) ^ place.wrapping_mul(7)) as u8));
    nal(if key { 0x65 } else { 0x41 }, &body);
    Bytes::from(out)
}

pub fn number_of(access_unit: &[u8]) -> u32 {
    let slice = access_unit
        .windows(5)
        .position(|w| w[..4] == [0, 0, 0, 1] && matches!(w[4] & 0x1F, 1 | 5))
        .map(|at| &access_unit[at + 5..])
        .unwrap();
    slice[..5].iter().enumerate().map(|(n, byte)| u32::from(byte & 0x7F) << (7 * n)).sum()
}

/// Sends sound and 30 pictures a second for a while, a key frame first and whenever asked, as an engine would.
pub struct Feeder {
    pub sent: u32,
    pub keys: u32,
    pub sounds: u32,
    /// When each picture was handed over.
    pub sent_at: Vec<Instant>,
    wanted: usize,
}

impl Feeder {
    pub fn new() -> Self {
        Self { sent: 0, keys: 0, sounds: 0, sent_at: Vec::new(), wanted: 0 }
    }

    pub async fn run(&mut self, end: &End, duration: Duration, picture_bytes: usize) {
        let (audio, video) = (end.peer.audio_sender(), end.peer.video_sender());
        let start = Instant::now();
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        let (mut next_picture, mut next_sound) = (start, start);
        while start.elapsed() < duration {
            tick.tick().await;
            let now = Instant::now();
            while now >= next_sound {
                next_sound += Duration::from_millis(20);
                let packet = OutgoingAudio {
                    payload: Bytes::from(self.sounds.to_be_bytes().to_vec()),
                    timestamp: self.sounds.wrapping_mul(960),
                    captured: now,
                    voice: true,
                };
                if audio.send(packet) == SendOutcome::Queued {
                    self.sounds += 1;
                }
            }
            while now >= next_picture {
                next_picture += Duration::from_micros(33_333);
                let wanted = end.seen.key_frames_wanted();
                let key = self.keys == 0 || wanted > self.wanted;
                self.wanted = wanted;
                let size = if key { picture_bytes * 5 } else { picture_bytes };
                let unit = OutgoingVideo { access_unit: unit(self.sent, key, size), captured: now, key };
                match video.send(unit) {
                    SendOutcome::Queued => {
                        self.sent += 1;
                        self.sent_at.push(now);
                        self.keys += u32::from(key);
                    }
                    SendOutcome::KeyFrameNeeded | SendOutcome::Held => self.keys = 0,
                    SendOutcome::Dropped(_) | SendOutcome::Closed => {}
                }
            }
        }
    }
}

impl Default for Feeder {
    fn default() -> Self {
        Self::new()
    }
}
