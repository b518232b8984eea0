//! A way that cannot carry pictures: they pause, both sides are told, and they come back with the rate.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ahoy_engine::api::{AnswerKind, CallPhase, Command};
use ahoy_peer::{
    Candidate, ConnectionState, IncomingAudio, IncomingVideo, Loopback, OutgoingAudio, Peer, PeerConfig, PeerEvent,
    Role,
};
use ahoy_protocol::{CallId, Message, Signal, SignalBody};
use common::rogue::{befriended_rogue, invite};
use common::{LIMIT, Person, rendezvous};
use tokio::net::UdpSocket;
use tokio::time::Instant;

/// Sound alone fits into it.
const THIN: u64 = 50_000;
const WIDE: u64 = 20_000_000;
/// What waits longer is dropped, as a router would.
const QUEUE: Duration = Duration::from_millis(300);

/// A way between Ada and the other side whose rate towards the other side can be set, bits per second.
struct Way {
    towards_ada: Arc<UdpSocket>,
    rate: Arc<AtomicU64>,
    tasks: [tokio::task::JoinHandle<()>; 2],
}

impl Way {
    async fn to(other: SocketAddr) -> Self {
        let socket = || async { Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap()) };
        let (towards_ada, towards_other) = (socket().await, socket().await);
        towards_other.connect(other).await.unwrap();
        let rate = Arc::new(AtomicU64::new(WIDE));
        let (ada, told_ada) = tokio::sync::watch::channel(None::<SocketAddr>);
        let out = {
            let (from, to, rate) = (Arc::clone(&towards_ada), Arc::clone(&towards_other), Arc::clone(&rate));
            tokio::spawn(async move {
                let (mut packet, mut free) = ([0; 2000], Instant::now());
                loop {
                    let Ok((length, sender)) = from.recv_from(&mut packet).await else { continue };
                    ada.send_replace(Some(sender));
                    let now = Instant::now();
                    let sent = free.max(now)
                        + Duration::from_secs_f64(length as f64 * 8.0 / rate.load(Ordering::Relaxed) as f64);
                    if sent - now > QUEUE {
                        continue;
                    }
                    free = sent;
                    let (to, bytes) = (Arc::clone(&to), packet[..length].to_vec());
                    tokio::spawn(async move {
                        tokio::time::sleep_until(sent).await;
                        let _ = to.send(&bytes).await;
                    });
                }
            })
        };
        let back = {
            let (from, to) = (Arc::clone(&towards_other), Arc::clone(&towards_ada));
            tokio::spawn(async move {
                let mut packet = [0; 2000];
                loop {
                    let Ok(length) = from.recv(&mut packet).await else { continue };
                    let ada = *told_ada.borrow();
                    if let Some(ada) = ada {
                        let _ = to.send_to(&packet[..length], ada).await;
                    }
                }
            })
        };
        Self { towards_ada, rate, tasks: [out, back] }
    }

    fn set(&self, rate: u64) {
        self.rate.store(rate, Ordering::Relaxed);
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_pause_where_only_sound_fits_and_both_sides_are_told() {
    let server = rendezvous().await;
    let ada = Person::new("Ada", server.url()).await;
    let (mut rogue, to) = befriended_rogue(&ada, server.url()).await;
    let (events, mut happened) = tokio::sync::mpsc::channel(256);
    let config = PeerConfig { loopback: Loopback::Only, media_allowed: true, ..PeerConfig::new(Role::Caller) };
    let nothing = (Box::new(|_: IncomingAudio| {}), Box::new(|_: IncomingVideo| {}));
    let peer = Peer::new(config, events, nothing.0, nothing.1).await.unwrap();
    let offer = peer.create_offer().await.unwrap();
    // Of the other side's addresses, Ada learns only the way's.
    let offer: String =
        offer.lines().filter(|line| !line.starts_with("a=candidate")).map(|line| line.to_owned() + "\r\n").collect();
    let call = [4; 16];
    let sealed = rogue.seal(&to, &invite(call, &offer));
    rogue.send(&to, &sealed).await;
    ada.until_call("the ring", |call| call.phase == CallPhase::Incoming).await;
    ada.wish(Command::Answer { how: AnswerKind::Video });

    let audio = peer.audio_sender();
    let hum = tokio::spawn(async move {
        for round in 0_u32.. {
            let payload = vec![0xf8, 0xff, 0xfe].into();
            let _ = audio.send(OutgoingAudio {
                payload,
                timestamp: round * 960,
                captured: std::time::Instant::now(),
                voice: true,
            });
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let (mut way, mut connected, mut thinned, mut told) = (None::<Way>, false, None, Vec::new());
    let end = Instant::now() + LIMIT * 2;
    while told.last() != Some(&false) || !told.contains(&true) {
        assert!(Instant::now() < end, "connected: {connected}; told so far: {told:?}");
        tokio::select! {
            signal = rogue.signal() => match signal.body {
                SignalBody::Description { sdp, .. } => {
                    let sdp: String =
                        sdp.lines().filter(|line| !line.starts_with("a=candidate")).map(|line| line.to_owned() + "\r\n").collect();
                    peer.set_remote_description(ahoy_peer::DescriptionKind::Answer, &sdp).await.unwrap();
                }
                SignalBody::MediaState { paused, .. } if told.last() != Some(&paused) => {
                    told.push(paused);
                    if paused {
                        let shown = ada.engine.snapshot().borrow().clone();
                        assert!(shown.call.as_ref().is_some_and(|call| call.local.paused), "the person is told, too");
                        way.as_ref().unwrap().set(WIDE);
                    }
                }
                _ => {}
            },
            Some(event) = happened.recv() => match event {
                PeerEvent::LocalCandidate(candidate) if candidate.candidate.contains("typ host") && way.is_none() => {
                    let port = candidate.candidate.split(' ').nth(5).unwrap().parse::<u16>().unwrap();
                    let new = Way::to(SocketAddr::from(([127, 0, 0, 1], port))).await;
                    let through = new.towards_ada.local_addr().unwrap().port();
                    way = Some(new);
                    let Candidate { candidate, mid, index, username_fragment } = candidate;
                    let candidate = candidate.replace(&format!(" {port} "), &format!(" {through} "));
                    let body = SignalBody::Candidate { candidate, mid, index, username_fragment };
                    let sealed = rogue.seal(&to, &Message::Call(Signal { call: CallId(call), sequence: 1, body }));
                    rogue.send(&to, &sealed).await;
                }
                PeerEvent::Connection { state: ConnectionState::Connected, .. } => connected = true,
                _ => {}
            },
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
        if connected && thinned.is_none() {
            way.as_ref().unwrap().set(THIN);
            thinned = Some(Instant::now());
        }
    }
    hum.abort();
    ada.until_call("the picture", |call| !call.local.paused).await;
    assert!(
        ada.engine.snapshot().borrow().call.as_ref().is_some_and(|call| matches!(call.phase, CallPhase::Active { .. }))
    );
    peer.close().await;
    ada.engine.shutdown().await;
    server.shutdown().await;
}
