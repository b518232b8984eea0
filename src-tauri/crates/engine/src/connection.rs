//! One task for each peer connection: carries out the session's commands in order and tells what the connection says.
//!
//! ```text
//! call task ──Work──► connection task ──► Peer
//! call task ◄─Told─── connection task ◄── Peer
//! ```

use std::time::Instant;

use ahoy_peer::{ConnectionState, IceState, Peer, PeerConfig, Sinks, StatsReport};
use ahoy_protocol::DescriptionKind;
use ahoy_session::{Candidate, ConnectionId, PeerCommand, PeerEvent};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::av::{Connected, Incoming};

/// call task -> connection task; full: the call task drops the connection, since a command that is left out breaks it.
/// The session holds at most 64 candidates, so this is not met.
const WORK: usize = 256;
/// Peer -> connection task. Gathering gives some 20 candidates at once.
const EVENTS: usize = 256;

/// What the call task wants of a connection beyond the session's commands.
#[derive(Debug)]
pub(crate) enum Work {
    /// As the session says.
    Command(PeerCommand),
    /// The decoder cannot go on.
    RequestKeyFrame,
    /// The same of the screen that the other side shows.
    RequestScreenKeyFrame,
    /// A shared screen is sent too, with or without sound, or no more.
    Share { picture: bool, sound: bool },
}

/// What a connection tells the call task.
pub(crate) enum Told {
    /// It stands; here are its ends for media.
    Made(Connected),
    /// For the session.
    Session(PeerEvent),
    /// ICE found a way.
    Ice(Instant),
    /// DTLS is up.
    Dtls(Instant),
    /// The other side needs a key frame.
    KeyFrameWanted,
    /// It takes our shared screen, and needs a key frame of it.
    ScreenKeyFrameWanted,
    /// What the encoders together may send, bits per second.
    TargetBitrate(u64),
    /// A second's figures.
    Stats(Box<StatsReport>),
}

/// The call task's end of a connection. Dropping it closes the connection.
pub(crate) struct Connection {
    work: mpsc::Sender<Work>,
    task: JoinHandle<()>,
}

impl Connection {
    /// Starts the task, which makes the connection first.
    pub fn start<P, F>(config: PeerConfig, incoming: Incoming, post: P) -> Self
    where
        P: Fn(Told) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let (work, received) = mpsc::channel(WORK);
        let task = tokio::spawn(run(config, incoming, received, post));
        Self { work, task }
    }

    /// Posts work; false when the queue is full or the connection has failed to be made.
    pub fn order(&self, work: Work) -> bool {
        self.work.try_send(work).is_ok()
    }

    /// Closes it and gives the task to wait for.
    pub fn close(self) -> JoinHandle<()> {
        self.task
    }
}

/// Tells which connection it is in logs.
pub(crate) fn name(id: ConnectionId) -> u64 {
    id.0
}

async fn run<P, F>(config: PeerConfig, incoming: Incoming, mut work: mpsc::Receiver<Work>, post: P)
where
    P: Fn(Told) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let (events, mut happened) = mpsc::channel(EVENTS);
    let Incoming { audio, video, screen, screen_audio } = incoming;
    let sinks = Sinks {
        audio: Box::new(audio),
        video: Box::new(video),
        screen_audio: Box::new(screen_audio),
        screen: Box::new(screen),
    };
    let peer = match Peer::with_sinks(config, events, sinks).await {
        Ok(peer) => peer,
        Err(error) => {
            tracing::warn!(%error, "no connection can be made");
            post(Told::Session(PeerEvent::Failed)).await;
            return;
        }
    };
    let ends = Connected {
        audio: peer.audio_sender(),
        video: peer.video_sender(),
        screen: peer.screen_sender(),
        screen_audio: peer.screen_audio_sender(),
    };
    post(Told::Made(ends)).await;
    let mut driver = Driver { peer, post, own_restart: false, remote_refused: false };
    loop {
        tokio::select! {
            // Commands first: an event of before matters less than what the session wants now.
            biased;
            next = work.recv() => match next {
                None | Some(Work::Command(PeerCommand::Close)) => break,
                Some(Work::Command(command)) => driver.carry_out(command).await,
                Some(Work::RequestKeyFrame) => driver.peer.request_key_frame(),
                Some(Work::RequestScreenKeyFrame) => driver.peer.request_screen_key_frame(),
                Some(Work::Share { picture, sound }) => {
                    if let Err(error) = driver.peer.set_share(picture, sound).await {
                        tracing::warn!(%error, "a share does not begin or end as wished");
                    }
                }
            },
            Some(event) = happened.recv() => driver.tell(event).await,
        }
    }
    // Events that nobody wants any more must not hold up the end.
    drop(happened);
    driver.peer.close().await;
}

struct Driver<P> {
    peer: Peer,
    post: P,
    /// The restart was the session's own wish: the connection's call for an offer is answered already.
    own_restart: bool,
    /// The answer that the session wanted next is void.
    remote_refused: bool,
}

impl<P, F> Driver<P>
where
    P: Fn(Told) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    async fn carry_out(&mut self, command: PeerCommand) {
        match command {
            PeerCommand::Create { .. } | PeerCommand::Close => {}
            PeerCommand::MakeOffer { ice_restart } => {
                if ice_restart {
                    self.own_restart = self.peer.restart_ice().await.is_ok();
                }
                let made = self.peer.create_offer().await;
                self.tell_description(DescriptionKind::Offer, made).await;
            }
            PeerCommand::SetRemoteDescription { kind, sdp } => {
                self.remote_refused = false;
                if let Err(error) = self.peer.set_remote_description(to_peer(kind), &sdp).await {
                    tracing::warn!(%error, "a description is refused");
                    self.remote_refused = true;
                    self.session(PeerEvent::RemoteDescriptionRefused).await;
                }
            }
            PeerCommand::MakeAnswer => {
                if !std::mem::take(&mut self.remote_refused) {
                    let made = self.peer.create_answer().await;
                    self.tell_description(DescriptionKind::Answer, made).await;
                }
            }
            PeerCommand::Rollback => {
                if let Err(error) = self.peer.rollback().await {
                    tracing::debug!(%error, "nothing was rolled back");
                }
            }
            PeerCommand::AddCandidate(candidate) => {
                let Candidate { candidate, mid, index, username_fragment } = candidate;
                let candidate = ahoy_peer::Candidate { candidate, mid, index, username_fragment };
                if let Err(error) = self.peer.add_candidate(candidate).await {
                    tracing::debug!(%error, "a candidate is refused");
                }
            }
            PeerCommand::AllowMedia => self.peer.allow_media(true),
        }
    }

    async fn tell_description(&self, kind: DescriptionKind, made: Result<String, ahoy_peer::PeerError>) {
        self.session(match made {
            Ok(sdp) => PeerEvent::LocalDescription { kind, sdp },
            Err(error) => {
                tracing::warn!(%error, ?kind, "no description is made");
                PeerEvent::LocalDescriptionFailed
            }
        })
        .await;
    }

    async fn tell(&mut self, event: ahoy_peer::PeerEvent) {
        match event {
            ahoy_peer::PeerEvent::LocalCandidate(candidate) => {
                let ahoy_peer::Candidate { candidate, mid, index, username_fragment } = candidate;
                self.session(PeerEvent::LocalCandidate(Candidate { candidate, mid, index, username_fragment })).await;
            }
            ahoy_peer::PeerEvent::Ice { state, at } => {
                if state == IceState::Connected {
                    (self.post)(Told::Ice(at)).await;
                }
            }
            ahoy_peer::PeerEvent::Connection { state, at } => match state {
                ConnectionState::Connected => {
                    (self.post)(Told::Dtls(at)).await;
                    self.session(PeerEvent::Connected).await;
                }
                ConnectionState::Disconnected => self.session(PeerEvent::Disconnected).await,
                ConnectionState::Failed => self.session(PeerEvent::Failed).await,
                ConnectionState::New | ConnectionState::Connecting | ConnectionState::Closed => {}
            },
            ahoy_peer::PeerEvent::KeyFrameWanted => (self.post)(Told::KeyFrameWanted).await,
            ahoy_peer::PeerEvent::ScreenKeyFrameWanted => (self.post)(Told::ScreenKeyFrameWanted).await,
            // The session asks for the first media itself, see `AudioIn::on_first`.
            ahoy_peer::PeerEvent::RemoteTrack { .. } => {}
            ahoy_peer::PeerEvent::NegotiationNeeded => {
                if !std::mem::take(&mut self.own_restart) {
                    self.session(PeerEvent::NegotiationNeeded).await;
                }
            }
            ahoy_peer::PeerEvent::TargetBitrate(bits) => (self.post)(Told::TargetBitrate(bits)).await,
            ahoy_peer::PeerEvent::Stats(report) => (self.post)(Told::Stats(report)).await,
            ahoy_peer::PeerEvent::Failed(reason) => {
                tracing::warn!(?reason, "the connection failed");
                self.session(PeerEvent::Failed).await;
            }
        }
    }

    async fn session(&self, event: PeerEvent) {
        (self.post)(Told::Session(event)).await;
    }
}

fn to_peer(kind: DescriptionKind) -> ahoy_peer::DescriptionKind {
    match kind {
        DescriptionKind::Offer => ahoy_peer::DescriptionKind::Offer,
        DescriptionKind::Answer => ahoy_peer::DescriptionKind::Answer,
    }
}
