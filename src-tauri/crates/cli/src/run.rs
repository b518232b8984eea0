//! The subcommands.

use std::time::Duration;

use ahoy_engine::api::{
    AnswerKind, CallPhase, Command as Wish, DeviceChoice, EndReason, Language, RendezvousState, ShareChoice,
    SharePicker, ShareSources, Snapshot,
};
use ahoy_engine::{
    ContactCard, DeviceKind, Engine, EngineConfig, EngineHandle, Event, Happened, ProfilePlace, Strangers,
};
use anyhow::{Context, bail};
use serde_json::json;
use tokio::sync::{Mutex, broadcast, mpsc};
use tokio::time::{Instant, sleep_until, timeout};

use crate::args::{Accept, Cli, Command, Common, ContactCommand, ShareWord};
use crate::orders::{Order, orders};
use crate::out::Printer;
use crate::recorder::{Recorder, Wanted};

/// For what a rendezvous answers at once.
const PATIENCE: Duration = Duration::from_secs(10);
/// A contact's request is kept by the rendezvous; without one it goes out at the next start.
const INTRODUCTION: Duration = Duration::from_secs(3);

pub async fn run(cli: Cli) -> anyhow::Result<()> {
    let Cli { command, common } = cli;
    match command {
        Command::Id { name } => id(&common, name).await,
        Command::Contact { command: ContactCommand::Add { card } } => contact_add(&common, &card).await,
        Command::Contact { command: ContactCommand::List } => contact_list(&common).await,
        Command::Devices => {
            devices(common.json);
            Ok(())
        }
        Command::Listen { accept, ring_for } => endpoint(&common, Role::Listen(accept, ring_for.0)).await,
        Command::Call { who } => endpoint(&common, Role::Call(who)).await,
    }
}

fn config(common: &Common) -> EngineConfig {
    let profile = common.profile.clone().map_or(ProfilePlace::Default, ProfilePlace::Folder);
    let mut config = EngineConfig::new(profile);
    config.server.clone_from(&common.server);
    config.camera = common.camera.clone();
    config.microphone = common.mic.clone();
    config.voice = common.voice;
    config.speaker = common.speaker.clone();
    config.picture = common.picture();
    config.language = Language::system();
    config
}

/// For the commands that need no device.
fn quiet(common: &Common) -> EngineConfig {
    let nothing = Some(DeviceChoice::Nothing);
    EngineConfig { camera: nothing.clone(), microphone: nothing.clone(), speaker: nothing, ..config(common) }
}

async fn id(common: &Common, name: Option<String>) -> anyhow::Result<()> {
    let engine = Engine::start(quiet(common))?;
    let outcome = async {
        if let Some(server) = &common.server {
            engine.command(Wish::SetServer { url: server.clone() })?;
        }
        if let Some(name) = &name {
            engine.command(Wish::SetName { name: name.clone() })?;
        }
        let wanted = name.as_deref().map(str::trim);
        let server = common.server.as_deref().map(|server| server.trim().trim_end_matches('/'));
        let shown = settle(&engine, |shown| {
            let card = ContactCard::from_link(&shown.me.card_link);
            let there = |server: &str| card.as_ref().is_ok_and(|card| card.servers.iter().any(|known| known == server));
            wanted.is_none_or(|name| shown.me.name.as_deref() == Some(name)) && server.is_none_or(there)
        })
        .await?;
        print_line(&json!({ "id": shown.me.id, "card": shown.me.card_link }).to_string());
        Ok(())
    }
    .await;
    engine.shutdown().await;
    outcome
}

async fn contact_add(common: &Common, card: &str) -> anyhow::Result<()> {
    let engine = Engine::start(quiet(common))?;
    let outcome = async {
        let parsed = ContactCard::from_link(card)?;
        let mut snapshots = engine.snapshot();
        // The request goes out best when there is a rendezvous; the contact is kept in any case.
        let signed_in = snapshots.wait_for(|shown| shown.rendezvous != RendezvousState::Connecting);
        let _ = timeout(INTRODUCTION, signed_in).await;
        engine.command(Wish::AddContact { link: card.to_owned() })?;
        let id = parsed.id.to_string();
        let shown = settle(&engine, |shown| shown.contacts.iter().any(|contact| contact.id == id)).await?;
        let contact =
            shown.contacts.iter().find(|contact| contact.id == id).context("The contact was not kept. Try again.")?;
        if common.json {
            print_line(&json!({ "id": contact.id, "name": contact.name }).to_string());
        } else {
            print_line(&format!("{} is now a contact.", contact.name));
        }
        Ok(())
    }
    .await;
    engine.shutdown().await;
    outcome
}

async fn contact_list(common: &Common) -> anyhow::Result<()> {
    let engine = Engine::start(quiet(common))?;
    let shown = engine.snapshot().borrow().clone();
    for contact in &shown.contacts {
        if common.json {
            print_line(&json!({ "id": contact.id, "name": contact.name, "blocked": contact.blocked }).to_string());
        } else {
            print_line(&format!("{}  {}", contact.name, contact.id));
        }
    }
    engine.shutdown().await;
    Ok(())
}

/// Waits until the snapshot shows it; a warning that comes instead is the error.
async fn settle(engine: &EngineHandle, done: impl Fn(&Snapshot) -> bool) -> anyhow::Result<std::sync::Arc<Snapshot>> {
    let mut snapshots = engine.snapshot();
    let before: Vec<u32> = snapshots.borrow().notices.iter().map(|notice| notice.id).collect();
    let refused = |shown: &Snapshot| {
        let new = shown.notices.iter().filter(|notice| !before.contains(&notice.id));
        new.filter(|notice| notice.tone == ahoy_engine::api::NoticeTone::Warning)
            .map(|notice| notice.sentence.text.clone())
            .next_back()
    };
    let waited = timeout(PATIENCE, snapshots.wait_for(|shown| done(shown) || refused(shown).is_some())).await;
    let shown = waited.context("Ahoy does not answer. Try again.")??.clone();
    match refused(&shown) {
        Some(sentence) if !done(&shown) => bail!(sentence),
        Some(_) | None => Ok(shown),
    }
}

fn devices(json: bool) {
    for (kind, name) in
        [(DeviceKind::Camera, "camera"), (DeviceKind::Microphone, "microphone"), (DeviceKind::Speaker, "speaker")]
    {
        let listing = ahoy_engine::list_devices(kind);
        if let Some(problem) = &listing.problem {
            if json {
                print_line(&json!({ "kind": name, "problem": problem.to_string() }).to_string());
            } else {
                print_line(&format!("{name}: {problem}"));
            }
        }
        for device in listing.devices {
            if json {
                let (default, synthetic) = (device.is_default, device.synthetic);
                let line = json!({ "kind": name, "id": device.id.to_string(), "label": device.label, "default": default, "synthetic": synthetic });
                print_line(&line.to_string());
            } else {
                let mark = if device.is_default { " (default)" } else { "" };
                print_line(&format!("{name}: {}  {}{mark}", device.id, device.label));
            }
        }
    }
}

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn print_line(line: &str) {
    println!("{line}");
}

enum Role {
    Listen(Accept, Duration),
    Call(String),
}

/// `listen` and `call`.
async fn endpoint(common: &Common, role: Role) -> anyhow::Result<()> {
    let printer = Printer::new(common.json);
    let wanted = Wanted {
        frames: common.frames && common.json,
        video: common.video_out.clone().map(|path| (path, common.video_every.0)),
        share: common.share_out.clone(),
        audio: common.audio_out.clone(),
    };
    let recorder = Recorder::start(printer.clone(), wanted, common.picture())?;
    let mut config = config(common);
    config.taps = recorder.taps();
    if matches!(role, Role::Listen(Accept::All, _)) {
        config.strangers = Strangers::Ring;
    }
    let engine = Engine::start(config)?;
    let mut events = engine.events();
    for notice in &engine.snapshot().borrow().notices {
        tell(&notice.sentence.text);
    }
    let share = Mutex::new(common.share.clone());
    let told = Told { printer, engine: &engine, orders: Mutex::new(orders()), share, share_sound: common.share_sound };
    let limit = common.seconds.map(|seconds| seconds.0);
    let outcome = match &role {
        Role::Listen(accept, ring) => told.listen(&mut events, *accept, *ring, limit).await,
        Role::Call(who) => told.call(&mut events, who, limit).await,
    };
    // The goodbye's own `ended` is printed too.
    let mut rest = engine.events();
    let printer = told.printer.clone();
    let in_call = in_call(&engine.snapshot().borrow());
    engine.shutdown().await;
    while let Ok(event) = rest.try_recv() {
        if in_call {
            print_event(&printer, &event);
        }
    }
    recorder.close();
    outcome
}

#[expect(clippy::print_stderr, reason = "a person runs this program")]
fn tell(sentence: &str) {
    eprintln!("{sentence}");
}

fn in_call(shown: &Snapshot) -> bool {
    shown.call.as_ref().is_some_and(|call| !matches!(call.phase, CallPhase::Ended { .. }))
}

fn runs(shown: &Snapshot) -> bool {
    shown.call.as_ref().is_some_and(|call| matches!(call.phase, CallPhase::Active { .. }))
}

struct Told<'a> {
    printer: Printer,
    engine: &'a EngineHandle,
    orders: Mutex<mpsc::Receiver<Result<Order, String>>>,
    /// To be shared as soon as the call runs.
    share: Mutex<Option<ShareWord>>,
    share_sound: bool,
}

impl Told<'_> {
    async fn listen(
        &self,
        events: &mut broadcast::Receiver<Event>,
        accept: Accept,
        ring_for: Duration,
        limit: Option<Duration>,
    ) -> anyhow::Result<()> {
        let end = limit.map(|limit| Instant::now() + limit);
        if !self.printer.is_json() {
            let shown = self.engine.snapshot().borrow().clone();
            self.printer.line(&format!("Waiting for calls. Others add you by this link:\n{}", shown.me.card_link));
        }
        let mut answer_at = None;
        loop {
            let until = [end, answer_at].into_iter().flatten().min();
            let Some(event) = self.next(events, until).await? else {
                if answer_at.is_none_or(|at| at > Instant::now()) {
                    return Ok(());
                }
                answer_at = None;
                self.engine.command(Wish::Answer { how: AnswerKind::Video })?;
                continue;
            };
            print_event(&self.printer, &event);
            match event.what {
                Happened::Incoming { .. } if accept != Accept::None => answer_at = Some(Instant::now() + ring_for),
                Happened::Ended { .. } => answer_at = None,
                _ => {}
            }
        }
    }

    async fn call(
        &self,
        events: &mut broadcast::Receiver<Event>,
        who: &str,
        length: Option<Duration>,
    ) -> anyhow::Result<()> {
        let id = self.find(who)?;
        let mut snapshots = self.engine.snapshot();
        let signed_in = snapshots.wait_for(|shown| shown.rendezvous != RendezvousState::Connecting);
        let shown =
            timeout(PATIENCE, signed_in).await.context("The rendezvous does not answer. Check its address.")??.clone();
        if let RendezvousState::Offline { why } = &shown.rendezvous {
            bail!(why.text.clone());
        }
        self.engine.command(Wish::Call { id, video: true })?;
        let mut end = None;
        let mut accepted = false;
        loop {
            let Some(event) = self.next(events, end).await? else {
                self.engine.command(Wish::HangUp)?;
                self.wait_for_end(events).await?;
                return if accepted { Ok(()) } else { bail!("Nobody answered. Try again later.") };
            };
            print_event(&self.printer, &event);
            match event.what {
                Happened::Accepted => {
                    accepted = true;
                    end = length.map(|length| Instant::now() + length);
                }
                Happened::Ended { reason, sentence, .. } => {
                    let well = matches!(reason, EndReason::HungUp | EndReason::RemoteHungUp);
                    return if well { Ok(()) } else { bail!(sentence) };
                }
                _ => {}
            }
        }
    }

    async fn wait_for_end(&self, events: &mut broadcast::Receiver<Event>) -> anyhow::Result<()> {
        let limit = Some(Instant::now() + PATIENCE);
        while let Some(event) = self.next(events, limit).await? {
            print_event(&self.printer, &event);
            if matches!(event.what, Happened::Ended { .. }) {
                break;
            }
        }
        Ok(())
    }

    /// The next event, while what standard input asks for is done; `None` when the time is over or the person pressed Ctrl-C.
    async fn next(
        &self,
        events: &mut broadcast::Receiver<Event>,
        end: Option<Instant>,
    ) -> anyhow::Result<Option<Event>> {
        let mut orders = self.orders.lock().await;
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                order = next_order(&mut orders) => {
                    match order {
                        Ok(Order::Wish(wish)) => self.engine.command(wish)?,
                        Ok(Order::Share(what)) => self.start_share(&what).await?,
                        Err(sentence) => tell(&sentence),
                    }
                    continue;
                }
                () = at(end) => return Ok(None),
                () = interrupted() => return Ok(None),
            };
            if runs(&self.engine.snapshot().borrow())
                && let Some(what) = self.share.lock().await.take()
            {
                self.start_share(&what).await?;
            }
            match event {
                Ok(event) => return Ok(Some(event)),
                Err(broadcast::error::RecvError::Lagged(missed)) => tell(&format!("{missed} events were left out.")),
                Err(broadcast::error::RecvError::Closed) => bail!("Ahoy has ended unexpectedly. Start it again."),
            }
        }
    }

    /// Looks for what is to be shared, as a person looks through a list, and begins.
    async fn start_share(&self, what: &ShareWord) -> anyhow::Result<()> {
        let mut sources = self.engine.share_sources();
        let mut id = what.find(&[]);
        if id.is_none() {
            self.engine.command(Wish::ListShareSources { on: true })?;
            let looked = |found: &std::sync::Arc<ShareSources>| {
                found.problem.is_some() || what.find(&found.sources).is_some() || found.picker == SharePicker::System
            };
            let found =
                timeout(PATIENCE, sources.wait_for(looked)).await.ok().and_then(Result::ok).map(|it| it.clone());
            self.engine.command(Wish::ListShareSources { on: false })?;
            match found {
                Some(found) if found.picker == SharePicker::System => {
                    let sound = self.share_sound;
                    return Ok(self.engine.command(Wish::StartShare { source: ShareChoice::System, sound })?);
                }
                Some(found) => {
                    if let Some(problem) = &found.problem {
                        tell(&problem.text);
                    }
                    id = what.find(&found.sources);
                }
                None => tell("There is nothing of that name to share. Give another screen or window."),
            }
        }
        if let Some(id) = id {
            let source = ShareChoice::Source { id };
            self.engine.command(Wish::StartShare { source, sound: self.share_sound })?;
        }
        Ok(())
    }

    /// An ID or a link is used as it is; a name must be one contact's.
    fn find(&self, who: &str) -> anyhow::Result<String> {
        let shown = self.engine.snapshot().borrow().clone();
        let lower = who.to_lowercase();
        let named: Vec<_> = shown.contacts.iter().filter(|contact| contact.name.to_lowercase() == lower).collect();
        match named.as_slice() {
            [contact] => Ok(contact.id.clone()),
            [] if ContactCard::from_link(who).is_ok() || who.parse::<ahoy_engine::AhoyId>().is_ok() => {
                Ok(who.to_owned())
            }
            [] if who.contains("ahoy://") => Err(ContactCard::from_link(who)
                .err()
                .map_or_else(|| anyhow::anyhow!("This link cannot be used. Copy it again."), anyhow::Error::from)),
            [] => bail!(
                "No contact is called \u{201c}{who}\u{201d}. Give a contact's name, an Ahoy ID, or a contact card's link."
            ),
            [..] => bail!("Several contacts are called \u{201c}{who}\u{201d}. Give the Ahoy ID."),
        }
    }
}

/// Waits for ever once standard input has ended.
async fn next_order(orders: &mut mpsc::Receiver<Result<Order, String>>) -> Result<Order, String> {
    match orders.recv().await {
        Some(order) => order,
        None => std::future::pending().await,
    }
}

async fn at(end: Option<Instant>) {
    match end {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Ctrl-C, or being told to end.
async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminated.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

fn print_event(printer: &Printer, event: &Event) {
    let say = |name: &str, more, sentence: &str| printer.event(event.t_ms, name, more, sentence);
    let nothing = || json!({});
    match &event.what {
        Happened::SignedIn { server } => {
            say("signed-in", json!({ "server": server }), &format!("Signed in at {server}."))
        }
        Happened::Calling => say("calling", nothing(), "Calling..."),
        Happened::Ringing => say("ringing", nothing(), "It rings."),
        Happened::Incoming { peer, name, video } => {
            say("incoming", json!({ "peer": peer, "name": name, "video": video }), &format!("{name} calls."));
        }
        Happened::Accepted => say("accepted", nothing(), "Accepted."),
        Happened::IceConnected => say("ice-connected", nothing(), ""),
        Happened::DtlsConnected => say("dtls-connected", nothing(), ""),
        Happened::FirstAudio => say("first-audio", nothing(), "Sound is here."),
        Happened::FirstVideo { width, height } => {
            say("first-video", json!({ "width": width, "height": height }), "A picture is here.");
        }
        Happened::Stats(stats) => {
            let figures = serde_json::to_value(stats).unwrap_or_default();
            say("stats", figures, "");
        }
        Happened::Ended { call_id, reason, sentence } => {
            say("ended", json!({ "call": call_id, "reason": reason, "sentence": sentence }), sentence);
        }
        Happened::Missed { peer, name } => {
            say("missed", json!({ "peer": peer, "name": name }), &format!("You missed a call from {name}."));
        }
        Happened::Request { peer, name } => {
            say("request", json!({ "peer": peer, "name": name }), &format!("{name} would like to talk to you."));
        }
        Happened::DeviceProblem { sentence } => say("device-problem", json!({ "sentence": sentence }), sentence),
        Happened::DeviceReturned { sentence } => say("device-returned", json!({ "sentence": sentence }), sentence),
        Happened::ShareStarted { what } => {
            say("share-started", json!({ "what": what }), &format!("{what} is shared."));
        }
        Happened::ShareEnded { sentence } => {
            let more = json!({ "sentence": sentence });
            say("share-ended", more, sentence.as_deref().unwrap_or("Nothing is shared any more."));
        }
        Happened::RemoteShare { on: true } => {
            say("remote-share", json!({ "on": true }), "A screen is shared with you.")
        }
        Happened::RemoteShare { on: false } => {
            say("remote-share", json!({ "on": false }), "No screen is shared with you any more.");
        }
        Happened::ShareFirstPicture { width, height } => {
            say("share-first-picture", json!({ "width": width, "height": height }), "The shared screen is here.");
        }
        Happened::ShareWanted { name } => {
            say("share-wanted", json!({ "name": name }), &format!("{name} asks you to share your screen."));
        }
        // Tones are for ears.
        Happened::Ring(_) => {}
    }
}
