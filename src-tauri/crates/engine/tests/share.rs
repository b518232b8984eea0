//! Two people show each other screens and windows: the test pattern, and windows of a real X server.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod common;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ahoy_engine::Happened;
use ahoy_engine::api::{
    AnswerKind, Call, CallPhase, Command, LocalShare, RemoteShare, ShareAsked, ShareChoice, ShareKind, SharePicker,
};
use ahoy_engine::media::pattern;
use common::{Person, befriend, config, is_active, is_ended, rendezvous};

/// What a person saw of the other's screen: numbers, how late, and the size.
#[derive(Default)]
struct Seen {
    shown: Vec<(u32, f64)>,
    size: (u32, u32),
    /// Sizes of the other's camera.
    camera: Vec<(u32, u32)>,
}

async fn person(name: &str, server: &str) -> (Person, Arc<Mutex<Seen>>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let seen = Arc::new(Mutex::new(Seen::default()));
    let mut config = config(folder.path(), server);
    config.picture.width = 640;
    config.picture.height = 360;
    let (screen, camera) = (Arc::clone(&seen), Arc::clone(&seen));
    config.taps.screen_shown = Some(Arc::new(move |frame, _| {
        let mut seen = screen.lock().unwrap();
        seen.size = (frame.picture.width, frame.picture.height);
        if let Some(reading) = pattern::read(&frame.picture) {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() * 1e3;
            seen.shown.push((reading.number, now - reading.unix_ms as f64));
        }
    }));
    config.taps.shown = Some(Arc::new(move |frame, _| {
        camera.lock().unwrap().camera.push((frame.picture.width, frame.picture.height));
    }));
    (Person::with(name, config).await, seen, folder)
}

async fn call(ada: &Person, ben: &Person) {
    befriend(ada, ben).await;
    ada.wish(Command::Call { id: ben.id.clone(), video: true });
    ben.until_call("the ring", |call| call.phase == CallPhase::Incoming).await;
    ben.wish(Command::Answer { how: AnswerKind::Video });
    for person in [ada, ben] {
        person.until_call("the call", is_active).await;
    }
}

fn start(id: &str) -> Command {
    Command::StartShare { source: ShareChoice::Source { id: id.to_owned() }, sound: false }
}

fn shows(call: &Call) -> bool {
    matches!(call.share.local, LocalShare::Showing { .. })
}

fn sees(call: &Call) -> bool {
    matches!(call.share.remote, RemoteShare::Showing { .. })
}

fn why(call: &Call) -> Option<&str> {
    match &call.share.local {
        LocalShare::Off { why } => why.as_ref().map(|why| why.key.as_str()),
        LocalShare::Starting { .. } | LocalShare::Showing { .. } | LocalShare::Interrupted { .. } => None,
    }
}

async fn seconds(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_screen_is_shown_paused_taken_away_and_shown_again_beside_a_small_camera() {
    let server = rendezvous().await;
    let (mut ada, _, _ada) = person("Ada", server.url()).await;
    let (mut ben, seen, _ben) = person("Ben", server.url()).await;
    ada.wish(start("pattern"));
    ada.until("a word about the missing call", |shown| shown.notices.iter().any(|n| n.sentence.key == "share.no-call"))
        .await;
    call(&ada, &ben).await;
    seconds(2.0).await;
    for round in 0..2 {
        seen.lock().unwrap().shown.clear();
        let began = Instant::now();
        ada.wish(start("pattern"));
        ben.event("the first picture", |event| matches!(event, Happened::ShareFirstPicture { .. })).await;
        println!("round {round}: first picture after {:?}", began.elapsed());
        ada.event("it is told", |event| matches!(event, Happened::ShareStarted { .. })).await;
        ada.until_call("it shows", shows).await;
        let call = ben.until_call("it is seen", sees).await;
        assert_eq!(call.share.remote, RemoteShare::Showing { kind: ShareKind::Screen, sound: false, paused: false });
        seconds(3.0).await;
        {
            let mut seen = seen.lock().unwrap();
            assert_eq!(seen.size, (1_280, 720), "at its own size");
            let mut late: Vec<f64> = seen.shown.iter().map(|(_, late)| *late).collect();
            late.sort_by(f64::total_cmp);
            println!("{} pictures, p50 {:.0} ms late", late.len(), late[late.len() / 2]);
            assert!(late.len() > 8, "{} pictures in 3 s", late.len());
            assert!(seen.shown.windows(2).all(|two| two[1].0 >= two[0].0), "in order");
            let camera = seen.camera.last().copied().unwrap();
            assert!(camera.0 <= 320 && camera.1 <= 180, "the camera is {camera:?} beside a screen");
            seen.shown.clear();
        }
        ada.wish(Command::PauseShare { paused: true });
        ben.until_call("the pause", |call| matches!(call.share.remote, RemoteShare::Showing { paused: true, .. }))
            .await;
        seconds(0.5).await;
        seen.lock().unwrap().shown.clear();
        seconds(1.0).await;
        assert!(seen.lock().unwrap().shown.is_empty(), "nothing moves in a pause");
        ada.wish(Command::PauseShare { paused: false });
        seconds(1.5).await;
        assert!(seen.lock().unwrap().shown.len() > 5, "it goes on");
        ada.wish(Command::StopShare);
        ben.until_call("the end", |call| call.share.remote == RemoteShare::Off).await;
        let ended = ada.event("the end", |event| matches!(event, Happened::ShareEnded { .. })).await;
        assert!(matches!(ended.what, Happened::ShareEnded { sentence: None }));
        seconds(0.5).await;
        seen.lock().unwrap().shown.clear();
        seconds(0.7).await;
        assert!(seen.lock().unwrap().shown.is_empty(), "nothing comes after the end");
        assert!(ben.engine.remote_screen().take().is_none());
    }
    let camera = || seen.lock().unwrap().camera.last().copied().unwrap();
    let end = Instant::now() + Duration::from_secs(30);
    while camera().0 < 640 && Instant::now() < end {
        seconds(0.2).await;
    }
    assert_eq!(camera(), (640, 360), "the camera is large again");
    ada.wish(start("pattern"));
    ada.until_call("it shows", shows).await;
    ada.wish(Command::HangUp);
    let ended = ada.until_call("the end", is_ended).await;
    assert_eq!(why(&ended), Some("share.call-ended"));
    for person in [ada, ben] {
        person.engine.shutdown().await;
    }
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_show_at_once_and_a_wish_begins_nothing_by_itself() {
    let server = rendezvous().await;
    let (mut ada, at_ada, _ada) = person("Ada", server.url()).await;
    let (ben, at_ben, _ben) = person("Ben", server.url()).await;
    call(&ada, &ben).await;
    ben.wish(Command::AskForShare);
    ada.event("the wish", |event| matches!(event, Happened::ShareWanted { .. })).await;
    ada.until_call("the wish", |call| call.share.wanted).await;
    ben.until_call("it waits", |call| call.share.asked == ShareAsked::Waiting).await;
    seconds(0.5).await;
    assert!(at_ben.lock().unwrap().shown.is_empty(), "nothing is shown because somebody asks");
    ada.wish(Command::RefuseShare);
    let refused = ben.until_call("no", |call| matches!(call.share.asked, ShareAsked::Refused { .. })).await;
    let ShareAsked::Refused { sentence } = &refused.share.asked else { unreachable!() };
    assert!(sentence.text.contains("Ada"), "{}", sentence.text);
    ada.wish(start("pattern"));
    ben.wish(start("pattern"));
    for person in [&ada, &ben] {
        person.until_call("both see and show", |call| shows(call) && sees(call)).await;
    }
    seconds(2.0).await;
    for seen in [&at_ada, &at_ben] {
        let shown = seen.lock().unwrap().shown.len();
        println!("{shown} pictures");
        assert!(shown > 10, "{shown} pictures");
    }
    assert_eq!(ben.until_call("the wish is over", |_| true).await.share.asked, ShareAsked::No);
    // A locked screen ends one of the two.
    ada.wish(Command::ScreenLocked);
    let locked = ada.until_call("the lock", |call| why(call).is_some()).await;
    assert_eq!(why(&locked), Some("share.locked"));
    ben.until_call("only Ben shows", |call| call.share.remote == RemoteShare::Off && shows(call)).await;
    ada.wish(Command::StopShare);
    ada.until_call("it was read", |call| call.share.local == LocalShare::Off { why: None }).await;
    for person in [ada, ben] {
        person.engine.shutdown().await;
    }
    server.shutdown().await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_window_is_chosen_by_its_thumbnail_shown_and_its_end_is_told() {
    use ahoy_testkit::display::{Guarded, VirtualDisplay};
    let display = VirtualDisplay::start(1_280, 720).unwrap();
    // SAFETY: no other test of this program looks for a display.
    unsafe { std::env::set_var("DISPLAY", display.name()) };
    // SAFETY: as above.
    unsafe { std::env::remove_var("WAYLAND_DISPLAY") };
    // SAFETY: as above.
    unsafe { std::env::remove_var("XDG_SESSION_TYPE") };
    let window = std::process::Command::new("xmessage")
        .args(["-title", "Invoice", "-geometry", "500x300+50+50", "Pay at once"])
        .env("DISPLAY", display.name())
        .spawn()
        .unwrap();
    let window = Guarded(window);
    display.wait_for_window("Invoice", Duration::from_secs(40)).unwrap();
    let server = rendezvous().await;
    let (ada, _, _ada) = person("Ada", server.url()).await;
    let (ben, seen, _ben) = person("Ben", server.url()).await;
    call(&ada, &ben).await;
    ada.wish(Command::ListShareSources { on: true });
    let mut sources = ada.engine.share_sources();
    let found =
        sources.wait_for(|found| found.sources.iter().any(|source| source.name == "Invoice")).await.unwrap().clone();
    assert_eq!(found.picker, SharePicker::Own);
    let invoice = found.sources.iter().find(|source| source.name == "Invoice").unwrap();
    assert_eq!((invoice.kind, found.sources[0].kind), (ShareKind::Window, ShareKind::Screen));
    assert!(
        found.sources.iter().all(|source| source.thumbnail.as_ref().unwrap().starts_with("data:image/jpeg;base64,"))
    );
    assert_eq!(ben.until_call("any", |_| true).await.share.remote, RemoteShare::Off, "looking shows nothing");
    ada.wish(start(&invoice.id));
    ada.wish(Command::ListShareSources { on: false });
    let call = ada.until_call("it shows", shows).await;
    let LocalShare::Showing { what, .. } = &call.share.local else { unreachable!() };
    assert_eq!((what.kind, what.name.as_str()), (ShareKind::Window, "Invoice"));
    ben.until_call("it is seen", sees).await;
    seconds(2.0).await;
    assert_eq!(seen.lock().unwrap().size, (500, 300));
    drop(window);
    let closed = ada.until_call("the end", |call| why(call).is_some()).await;
    assert_eq!(why(&closed), Some("share.window-closed"));
    ben.until_call("the end there", |call| call.share.remote == RemoteShare::Off).await;
    // The same again: it is not there any more.
    ada.wish(start(&invoice.id));
    let gone = ada.until_call("it is gone", |call| why(call) == Some("share.missing")).await;
    assert_eq!(why(&gone), Some("share.missing"));
    for person in [ada, ben] {
        person.engine.shutdown().await;
    }
    server.shutdown().await;
}
