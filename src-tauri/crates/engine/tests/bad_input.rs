//! What a damaged, hostile or unlucky world does to an engine: a sentence, or a refusal that is counted; never a panic.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::path::Path;
use std::time::Duration;

use ahoy_engine::api::{AnswerKind, CallPhase, Command, DeviceChoice, NoticeTone};
use ahoy_engine::{Engine, EngineConfig, Happened, ProfilePlace, StartError};
use ahoy_protocol::{CallId, DescriptionKind, Identity, Message, Signal, SignalBody, seal};
use common::rogue::{Rogue, befriended_rogue, invite};
use common::{Person, befriend, config, is_active, rendezvous};

async fn notice(person: &Person, key: &str) -> String {
    let shown = person.until(key, |shown| shown.notices.iter().any(|notice| notice.sentence.key == key)).await;
    shown.notices.iter().find(|notice| notice.sentence.key == key).unwrap().sentence.text.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_link_gets_a_sentence() {
    let server = rendezvous().await;
    let ada = Person::new("Ada", server.url()).await;
    let ben = Person::new("Ben", server.url()).await;
    let mut link = ben.card();
    let last = link.pop().unwrap();
    link.push(if last == '0' { '1' } else { '0' });
    ada.wish(Command::AddContact { link });
    let said = notice(&ada, "contact.link-damaged").await;
    assert!(said.contains("damaged") && said.contains("Copy it again"), "{said}");
    assert!(ada.engine.snapshot().borrow().contacts.is_empty());
    ada.wish(Command::AddContact { link: ada.card() });
    notice(&ada, "contact.link-own").await;
    for person in [ada, ben] {
        person.engine.shutdown().await;
    }
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_of_an_unknown_version_asks_for_an_update() {
    let server = rendezvous().await;
    let ada = Person::new("Ada", server.url()).await;
    // A whole link of version 2: the checksum fits, as PROTOCOL.md has it.
    use sha2::Digest;
    let mut bytes = vec![2_u8, 1, 2, 3];
    let sum = sha2::Sha256::new().chain_update(b"ahoy card\0").chain_update(&bytes).finalize();
    bytes.extend_from_slice(&sum[..5]);
    ada.wish(Command::AddContact { link: format!("ahoy://card/{}", base32(&bytes)) });
    assert!(notice(&ada, "contact.link-newer").await.contains("Update"));
    ada.engine.shutdown().await;
    server.shutdown().await;
}

fn base32(bytes: &[u8]) -> String {
    let alphabet = b"0123456789abcdefghjkmnpqrstvwxyz";
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let letter = |bits: &[u8]| {
        let value = (0..5).fold(0, |value, bit| value << 1 | usize::from(*bits.get(bit).unwrap_or(&0)));
        char::from(alphabet[value])
    };
    bits.chunks(5).map(letter).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_copy_of_the_same_profile_gets_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let config = EngineConfig::new(ProfilePlace::Folder(folder.path().to_owned()));
    let first = Engine::start(config.clone()).unwrap();
    let refused = Engine::start(config.clone()).unwrap_err();
    assert!(matches!(refused, StartError::Profile(_)));
    assert!(refused.to_string().contains("already running"), "{refused}");
    first.shutdown().await;
    Engine::start(config).unwrap().shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_camera_is_said_and_the_call_goes_on_with_sound() {
    let server = rendezvous().await;
    let folder = tempfile::tempdir().unwrap();
    let mut without = config(folder.path(), server.url());
    without.camera = Some(DeviceChoice::Device { id: "v4l2:nowhere".to_owned() });
    let (mut ada, ben) = (Person::with("Ada", without).await, Person::new("Ben", server.url()).await);
    befriend(&ada, &ben).await;
    ada.wish(Command::Call { id: ben.id.clone(), video: true });
    let event = ada.event("the problem", |event| matches!(event, Happened::DeviceProblem { .. })).await;
    let Happened::DeviceProblem { sentence } = event.what else { unreachable!() };
    assert!(sentence.to_lowercase().contains("camera"), "{sentence}");
    ben.until_call("the ring", |call| call.phase == CallPhase::Incoming).await;
    ben.wish(Command::Answer { how: AnswerKind::Audio });
    ada.until_call("the call", is_active).await;
    ben.until_call("the truth about the camera", |call| !call.remote.camera && call.remote.microphone).await;
    let problem = ada.engine.snapshot().borrow().devices.camera.problem.clone();
    assert!(problem.is_some());
    for person in [ada, ben] {
        person.engine.shutdown().await;
    }
    server.shutdown().await;
}

/// A tiny file system of its own, when this is allowed here.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` for whoever is not root; those may mount nothing, and CI's containers are root's.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=192k,mode=700", "tmpfs"])
            .arg(folder.path())
            .status();
        let disk = mounted.is_ok_and(|status| status.success()).then_some(Self(folder));
        let user = std::process::Command::new("id").arg("-u").output();
        let root = user.is_ok_and(|user| user.stdout.starts_with(b"0\n"));
        assert!(disk.is_some() || !root, "root may mount a file system");
        disk
    }

    fn fill(&self) {
        use std::io::Write;
        let mut file = std::fs::File::create(self.0.path().join("ballast")).unwrap();
        while file.write_all(&[7; 512]).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.0.path().join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).status();
    }
}

fn contact_link(number: u8) -> String {
    let id = Identity::from_seed([number; 32]).id();
    ahoy_protocol::ContactCard { id, name: format!("Contact {number}"), servers: vec![] }.to_link()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_contacts_are_kept_in_memory_and_written_when_there_is_room() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("left out: this needs the right to mount a file system");
        return;
    };
    let server = rendezvous().await;
    let profile = disk.0.path().join("profile");
    let ada = Person::with("Ada", config(&profile, server.url())).await;
    disk.fill();
    for number in 1..=40 {
        ada.wish(Command::AddContact { link: contact_link(number) });
    }
    assert!(notice(&ada, "store.full").await.contains("Free some space"));
    ada.until("all contacts in memory", |shown| shown.contacts.len() == 40).await;
    disk.free();
    // The next change is written together with what waits.
    ada.wish(Command::SetName { name: "Ada L.".to_owned() });
    notice(&ada, "store.back").await;
    ada.engine.shutdown().await;
    let again = Engine::start(config(&profile, server.url())).unwrap();
    let shown = again.snapshot().borrow().clone();
    assert_eq!((shown.contacts.len(), shown.me.name.as_deref()), (40, Some("Ada L.")));
    again.shutdown().await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_full_from_the_start_lets_the_program_run_and_says_so() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("left out: this needs the right to mount a file system");
        return;
    };
    disk.fill();
    let engine = Engine::start(EngineConfig::new(ProfilePlace::Folder(disk.0.path().join("profile")))).unwrap();
    let shown = engine.snapshot().borrow().clone();
    assert!(shown.notices.iter().any(|notice| notice.tone == NoticeTone::Warning), "{:?}", shown.notices);
    assert!(!shown.me.id.is_empty());
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_and_damaged_envelopes_ring_nobody() {
    let server = rendezvous().await;
    let ada = Person::new("Ada", server.url()).await;
    let (mut rogue, to) = befriended_rogue(&ada, server.url()).await;
    let good = rogue.seal(&to, &invite([1; 16], "v=0"));
    // Sealed by somebody else than the signed-in sender, altered, of another version, cut off, and no envelope at all.
    let mallory = Identity::generate();
    rogue.send(&to, &seal(&mallory, &to, &invite([2; 16], "v=0"), 0).unwrap()).await;
    for change in [0, 40, good.len() - 1] {
        let mut altered = good.clone();
        altered[change] ^= 0x40;
        rogue.send(&to, &altered).await;
    }
    rogue.send(&to, &good[..100]).await;
    rogue.send(&to, b"no envelope").await;
    // What is genuine still comes through, so the others were seen and refused before it.
    let request = Identity::generate();
    let card = ahoy_protocol::ContactCard { id: request.id(), name: "Cem".to_owned(), servers: vec![] };
    let mut cem = Rogue::sign_in(server.url(), request).await;
    let sealed = cem.seal(&to, &Message::ContactRequest { card: card.to_link() });
    cem.send(&to, &sealed).await;
    let shown = ada.until("the genuine request", |shown| !shown.requests.is_empty()).await;
    assert_eq!((shown.requests.len(), &shown.call), (1, &None));
    let refused = [("envelope-forged", 2), ("envelope-newer", 2), ("envelope-too-short", 1), ("sender-mismatch", 1)];
    let refused = refused.map(|(reason, count)| (reason.to_owned(), count)).into();
    assert_eq!(shown.refused, refused, "each was counted by its reason");
    ada.engine.shutdown().await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replayed_invitation_does_not_ring_again_not_even_after_a_restart() {
    let server = rendezvous().await;
    let folder = tempfile::tempdir().unwrap();
    let mut ada = Person::with("Ada", config(folder.path(), server.url())).await;
    let (mut rogue, to) = befriended_rogue(&ada, server.url()).await;
    // A contact's offer is read while it rings, and this one is none: the call may end before a snapshot shows it ringing.
    let sealed = rogue.seal(&to, &invite([1; 16], "v=0\r\n"));
    rogue.send(&to, &sealed).await;
    ada.event("the ring", |event| matches!(event, Happened::Incoming { .. })).await;
    ada.wish(Command::Answer { how: AnswerKind::Decline });
    ada.until_call("the end", common::is_ended).await;
    ada.wish(Command::DismissEnded);
    ada.until("the contacts", |shown| shown.call.is_none()).await;
    ada.engine.shutdown().await;

    let mut ada = Person::with("Ada", config(folder.path(), server.url())).await;
    rogue.send(&to, &sealed).await;
    let fresh = rogue.seal(&to, &invite([2; 16], "v=0\r\n"));
    rogue.send(&to, &fresh).await;
    let rung = ada.event("the fresh ring", |event| matches!(event, Happened::Incoming { .. })).await;
    assert!(matches!(rung.what, Happened::Incoming { .. }));
    let call = ada.until_call("the fresh call", |_| true).await;
    assert_eq!(call.call_id, "02".repeat(16), "the replayed one did not ring");
    // The fresh one, with a description that is none, may be over already and stand there too.
    let shown = ada.engine.snapshot().borrow().clone();
    let replayed = shown.history.iter().filter(|entry| entry.call_id == "01".repeat(16)).count();
    assert_eq!(replayed, 1, "the replayed one came to nothing: {:?}", shown.history);
    ada.engine.shutdown().await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_sdp_and_candidates_end_in_a_sentence() {
    let server = rendezvous().await;
    let ada = Person::new("Ada", server.url()).await;
    let (mut rogue, to) = befriended_rogue(&ada, server.url()).await;
    // As caller.
    let sealed = rogue.seal(&to, &invite([1; 16], "this is no session description \u{1F4A5}"));
    rogue.send(&to, &sealed).await;
    ada.until_call("the ring or its end", |call| call.phase == CallPhase::Incoming || common::is_ended(call)).await;
    ada.wish(Command::Answer { how: AnswerKind::Video });
    let ended = ada.until_call("the end", common::is_ended).await;
    let CallPhase::Ended { sentence, .. } = ended.phase else { unreachable!() };
    assert!(sentence.text.ends_with('.'), "{sentence:?}");
    ada.wish(Command::DismissEnded);
    ada.until("the contacts", |shown| shown.call.is_none()).await;

    // As callee: an answer, and candidates, that are none.
    ada.wish(Command::Call { id: rogue.identity.id().to_string(), video: true });
    let call = loop {
        let signal = rogue.signal().await;
        if matches!(signal.body, SignalBody::Invite { .. }) {
            break signal.call;
        }
    };
    let say = |rogue: &Rogue, sequence, body| rogue.seal(&to, &Message::Call(Signal { call, sequence, body }));
    let bodies = [
        SignalBody::Ringing,
        SignalBody::Candidate {
            candidate: "candidate:garbage".to_owned(),
            mid: Some("9".to_owned()),
            index: Some(77),
            username_fragment: None,
        },
        SignalBody::Description {
            kind: DescriptionKind::Answer,
            sdp: "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\nm=".to_owned(),
        },
        SignalBody::Accept { video: true },
    ];
    for (sequence, body) in (0..).zip(bodies) {
        let sealed = say(&rogue, sequence, body);
        rogue.send(&to, &sealed).await;
    }
    let ended = ada.until_call("the second end", common::is_ended).await;
    assert!(matches!(ended.phase, CallPhase::Ended { .. }));
    // And it still works with somebody decent.
    ada.wish(Command::DismissEnded);
    let ben = Person::new("Ben", server.url()).await;
    befriend(&ada, &ben).await;
    ada.wish(Command::Call { id: ben.id.clone(), video: true });
    ben.until_call("the ring", |call| call.phase == CallPhase::Incoming).await;
    ben.wish(Command::Answer { how: AnswerKind::Video });
    ada.until_call("the call", is_active).await;
    for person in [ada, ben] {
        person.engine.shutdown().await;
    }
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_sends_garbage_sound_and_pictures_harms_nobody() {
    let server = rendezvous().await;
    let ada = Person::new("Ada", server.url()).await;
    let (mut rogue, to) = befriended_rogue(&ada, server.url()).await;
    let (events, mut happened) = tokio::sync::mpsc::channel(256);
    let nothing = |_: ahoy_peer::IncomingAudio| {};
    let config = ahoy_peer::PeerConfig {
        loopback: ahoy_peer::Loopback::Only,
        media_allowed: true,
        ..ahoy_peer::PeerConfig::new(ahoy_peer::Role::Caller)
    };
    let peer = ahoy_peer::Peer::new(config, events, Box::new(nothing), Box::new(|_: ahoy_peer::IncomingVideo| {}));
    let peer = peer.await.unwrap();
    let offer = peer.create_offer().await.unwrap();
    let call = [3; 16];
    let sealed = rogue.seal(&to, &invite(call, &offer));
    rogue.send(&to, &sealed).await;
    ada.until_call("the ring", |call| call.phase == CallPhase::Incoming).await;
    ada.wish(Command::Answer { how: AnswerKind::Video });

    let (audio, video) = (peer.audio_sender(), peer.video_sender());
    let garbage = tokio::spawn(async move {
        let mut noise: u32 = 1;
        let mut bytes = move |length: usize| -> Vec<u8> {
            let next = || {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (noise >> 24) as u8
            };
            std::iter::repeat_with(next).take(length).collect()
        };
        for round in 0_u32..150 {
            let payload = bytes(1 + round as usize * 7 % 1200).into();
            let timestamp = round.wrapping_mul(0x1357_9bdf);
            let _ = audio.send(ahoy_peer::OutgoingAudio {
                payload,
                timestamp,
                captured: std::time::Instant::now(),
                voice: true,
            });
            // An IDR slice by its first bytes, and noise by the rest.
            let mut unit = vec![0, 0, 0, 1, 0x67, 0x42, 0xe0, 0x1f, 0, 0, 0, 1, 0x68, 0, 0, 0, 1, 0x65];
            unit.extend(bytes(3000));
            let captured = std::time::Instant::now();
            let _ = video.send(ahoy_peer::OutgoingVideo { access_unit: unit.into(), captured, key: true });
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let mut sequence = 0;
    let mut connected = false;
    while !garbage.is_finished() {
        tokio::select! {
            signal = rogue.signal() => match signal.body {
                SignalBody::Description { sdp, .. } => {
                    peer.set_remote_description(ahoy_peer::DescriptionKind::Answer, &sdp).await.unwrap();
                }
                SignalBody::Candidate { candidate, mid, index, username_fragment } => {
                    let _ = peer.add_candidate(ahoy_peer::Candidate { candidate, mid, index, username_fragment }).await;
                }
                _ => {}
            },
            Some(event) = happened.recv() => match event {
                ahoy_peer::PeerEvent::LocalCandidate(candidate) => {
                    sequence += 1;
                    let ahoy_peer::Candidate { candidate, mid, index, username_fragment } = candidate;
                    let body = SignalBody::Candidate { candidate, mid, index, username_fragment };
                    let sealed = rogue.seal(&to, &Message::Call(Signal { call: CallId(call), sequence, body }));
                    rogue.send(&to, &sealed).await;
                }
                ahoy_peer::PeerEvent::Connection { state: ahoy_peer::ConnectionState::Connected, .. } => connected = true,
                _ => {}
            },
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
    }
    assert!(connected, "the garbage went over a real connection");
    // The engine is alive: it hangs up, and rings again for the next.
    ada.wish(Command::HangUp);
    ada.until_call("the end", common::is_ended).await;
    peer.close().await;
    ada.engine.shutdown().await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_no_picture_is_said_by_its_name() {
    let server = rendezvous().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broken.y4m");
    std::fs::write(&file, b"YUV4MPEG2 W-1\n").unwrap();
    let mut with_file = config(&folder.path().join("profile"), server.url());
    with_file.camera = Some(DeviceChoice::Device { id: format!("file:{}", file.display()) });
    let mut ada = Person::with("Ada", with_file).await;
    ada.wish(Command::Preview { on: true });
    let event = ada.event("the problem", |event| matches!(event, Happened::DeviceProblem { .. })).await;
    let Happened::DeviceProblem { sentence } = event.what else { unreachable!() };
    assert!(sentence.contains(Path::new("broken.y4m").to_str().unwrap()), "{sentence}");
    ada.engine.shutdown().await;
    server.shutdown().await;
}
