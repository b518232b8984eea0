//! The connection itself.

use crate::handler::{Handler, Life};
use crate::interceptor::lock;
use crate::outgoing::Outgoing;
use crate::runtime::{PeerRuntime, Poke};
use crate::sending::{Sending, Tracks};
use crate::stage::{AudioLane, LocalStream, RemoteStreams, RepairStreams, Stage, VideoLane};
use crate::{
    AudioSender, AudioSink, Candidate, CandidateType, DescriptionKind, FailReason, MediaKind, PeerConfig, PeerError,
    PeerEvent, Source, StatsReport, VideoSender, VideoSink, setup, stats_report,
};
use rtc::peer_connection::configuration::RTCOfferOptions;
use rtc::peer_connection::transport::RTCDtlsTransportState;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::peer_connection::{PeerConnection, RTCIceCandidateInit, RTCSessionDescription, StatsSelector};
use webrtc::rtp_transceiver::RtpSender;

/// A description longer than this is none of ours: a call's has some 3 kB.
const MAX_SDP_BYTES: usize = 60_000;
/// Candidates that came before their description; an honest side sends some ten.
const MAX_EARLY_CANDIDATES: usize = 64;
const MAX_CANDIDATE_BYTES: usize = 1024;
const STATS_INTERVAL: Duration = Duration::from_secs(1);

/// What the statistics task shares with the handle.
struct Inner {
    connection: Box<dyn PeerConnection>,
    /// Through which the DTLS transport is asked for its state.
    sender: Arc<dyn RtpSender>,
    outgoing: Arc<Outgoing>,
    stage: Arc<Mutex<Stage>>,
    life: Arc<Life>,
    poke: Arc<Poke>,
    created: Instant,
}

impl Inner {
    /// The other side has closed DTLS. The stack tells nobody, and its statistics stay at "connected".
    async fn closed_by_other(&self) -> bool {
        match self.sender.transport().await {
            Ok(Some(dtls)) => matches!(dtls.state().await, Ok(RTCDtlsTransportState::Closed)),
            Ok(None) | Err(_) => false,
        }
    }

    async fn stats(&self) -> StatsReport {
        let now = Instant::now();
        let stack = self.connection.get_stats(now, StatsSelector::None).await;
        let (stats, share, uplink) = {
            let stage = lock(&self.stage);
            let share = stage.is_negotiated(Source::Share).then(|| stage.stats(Source::Share));
            (stage.stats(Source::Call), share, stage.rate_state())
        };
        let report = stats_report::build((now - self.created).as_secs_f64(), &stack, stats, share, uplink);
        let (rtcp, stun) =
            (report.remote_inbound_video.round_trip_time_measurements, report.candidate_pair.current_round_trip_time);
        // Until receiver reports come, the connectivity checks know better than a guess.
        if rtcp == 0 && stun > 0.0 && stun.is_finite() {
            lock(&self.stage).set_rtt(Duration::from_secs_f64(stun.min(10.0)));
        }
        report
    }
}

/// One WebRTC connection of a call of two.
///
/// Owned by the call task. Every method may be called at any time; what does not fit the state is refused with a sentence.
/// [`Peer::close`] ends its tasks and sockets; dropping it does the same a little later.
pub struct Peer {
    inner: Option<Arc<Inner>>,
    outgoing: Arc<Outgoing>,
    stage: Arc<Mutex<Stage>>,
    events: mpsc::Sender<PeerEvent>,
    /// The next offer restarts ICE.
    restart: AtomicBool,
    /// The offer on its way does.
    restarting: AtomicBool,
    early: Mutex<Vec<Candidate>>,
    /// Of what may be shared.
    share_tracks: Tracks,
    sharing: tokio::sync::Mutex<Sharing>,
    tasks: Vec<JoinHandle<()>>,
}

/// The senders of what is shared now.
#[derive(Default)]
struct Sharing {
    video: Option<Arc<dyn RtpSender>>,
    audio: Option<Arc<dyn RtpSender>>,
}

/// Where received media goes.
pub struct Sinks {
    /// Voices.
    pub audio: Box<dyn AudioSink>,
    /// Camera pictures.
    pub video: Box<dyn VideoSink>,
    /// The sound of a shared screen.
    pub screen_audio: Box<dyn AudioSink>,
    /// Pictures of a shared screen.
    pub screen: Box<dyn VideoSink>,
}

impl std::fmt::Debug for Sinks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sinks").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer").field("outgoing", &self.outgoing).finish_non_exhaustive()
    }
}

impl Peer {
    /// A peer for a call without shared screens: see [`Peer::with_sinks`].
    ///
    /// # Errors
    /// [`PeerError::NoNetwork`] when no socket can be opened.
    pub async fn new(
        config: PeerConfig,
        events: mpsc::Sender<PeerEvent>,
        audio: Box<dyn AudioSink>,
        video: Box<dyn VideoSink>,
    ) -> Result<Self, PeerError> {
        let screen_audio = Box::new(|_: crate::IncomingAudio| {});
        let screen = Box::new(|_: crate::IncomingVideo| {});
        Self::with_sinks(config, events, Sinks { audio, video, screen_audio, screen }).await
    }

    /// Opens the sockets. Nothing is sent before a local description is made. Must be called within a tokio runtime.
    ///
    /// `events` should hold at least 64; see [`PeerEvent`] for what is forgotten when it is full.
    ///
    /// # Errors
    /// [`PeerError::NoNetwork`] when no socket can be opened.
    pub async fn with_sinks(
        config: PeerConfig,
        events: mpsc::Sender<PeerEvent>,
        sinks: Sinks,
    ) -> Result<Self, PeerError> {
        let created = Instant::now();
        let outgoing = Arc::new(Outgoing::default());
        outgoing.allow(config.media_allowed);
        let [audio_ssrc, video_ssrc, rtx, fec, share_audio, share_video, share_rtx, share_fec] = distinct_ssrcs();
        let repair = RepairStreams { rtx, fec };
        let share_repair = RepairStreams { rtx: share_rtx, fec: share_fec };
        let audio = [
            AudioLane::new(sinks.audio, LocalStream::new(audio_ssrc, None)),
            AudioLane::new(sinks.screen_audio, LocalStream::new(share_audio, None)),
        ];
        let video = [
            VideoLane::new(sinks.video, LocalStream::new(video_ssrc, Some(repair))),
            VideoLane::new(sinks.screen, LocalStream::new(share_video, Some(share_repair))),
        ];
        let stage = Arc::new(Mutex::new(Stage::new(Arc::clone(&outgoing), events.clone(), audio, video, created)));
        let poke = Arc::new(Poke::default());
        poke.set_relaying(has_relay(&config));
        let life = Arc::new(Life::new(events.clone(), Arc::clone(&outgoing)));
        let handler = Arc::new(Handler {
            life: Arc::clone(&life),
            stage: Arc::clone(&stage),
            poke: Arc::clone(&poke),
            negotiated: AtomicBool::new(false),
        });
        let connection = setup::connection(
            &config,
            PeerRuntime { poke: Arc::clone(&poke), life: Arc::clone(&life) },
            handler,
            &stage,
        )
        .await?;
        life.begin();
        let tracks = Tracks {
            audio: setup::track(Source::Call, MediaKind::Audio, audio_ssrc, None),
            video: setup::track(Source::Call, MediaKind::Video, video_ssrc, Some(repair)),
        };
        let share_tracks = Tracks {
            audio: setup::track(Source::Share, MediaKind::Audio, share_audio, None),
            video: setup::track(Source::Share, MediaKind::Video, share_video, Some(share_repair)),
        };
        let mut sender = None;
        for track in [&tracks.audio, &tracks.video] {
            let track: Arc<dyn TrackLocal> = Arc::clone(track) as Arc<dyn TrackLocal>;
            match connection.add_track(track).await {
                Ok(added) => sender = Some(added),
                Err(error) => {
                    outgoing.close();
                    let _ = connection.close().await;
                    return Err(PeerError::Internal(error.to_string()));
                }
            }
        }
        let sender = sender.expect("two tracks were added above");
        let inner = Arc::new(Inner {
            connection,
            sender,
            outgoing: Arc::clone(&outgoing),
            stage: Arc::clone(&stage),
            life,
            poke,
            created,
        });
        let sending = Sending::new(Arc::clone(&outgoing), Arc::clone(&stage), [tracks, share_tracks.clone()]);
        let tasks = vec![tokio::spawn(sending.run()), tokio::spawn(tell_stats(Arc::clone(&inner), events.clone()))];
        Ok(Self {
            inner: Some(inner),
            outgoing,
            stage,
            events,
            restart: AtomicBool::new(false),
            restarting: AtomicBool::new(false),
            early: Mutex::new(Vec::new()),
            share_tracks,
            sharing: tokio::sync::Mutex::default(),
            tasks,
        })
    }

    fn connection(&self) -> Result<&dyn PeerConnection, PeerError> {
        match &self.inner {
            Some(inner) if !self.outgoing.is_closed() => Ok(&*inner.connection),
            _ => Err(PeerError::Closed),
        }
    }

    /// Makes an offer and takes it as the local description; gathering of candidates begins. After
    /// [`Peer::restart_ice`] it restarts ICE.
    ///
    /// # Errors
    /// [`PeerError::WrongState`] while another offer is unanswered.
    pub async fn create_offer(&self) -> Result<String, PeerError> {
        let connection = self.connection()?;
        if connection.pending_local_description().await.is_some()
            || connection.pending_remote_description().await.is_some()
        {
            return Err(PeerError::WrongState("another offer is unanswered".to_owned()));
        }
        let ice_restart = self.restart.swap(false, Ordering::AcqRel);
        let offer = connection.create_offer(Some(RTCOfferOptions { ice_restart })).await.map_err(internal)?;
        self.restarting.store(ice_restart, Ordering::Release);
        let sdp = offer.sdp.clone();
        connection.set_local_description(offer).await.map_err(internal)?;
        Ok(sdp)
    }

    /// Takes the other side's description (SDP). Candidates that came before it are applied now.
    ///
    /// # Errors
    /// [`PeerError::BadDescription`] for what is no usable description, [`PeerError::WrongState`] for an answer without an
    /// offer, or an offer while our own is unanswered: [`Peer::rollback`] first, or ignore it (RFC 8829; perfect negotiation).
    pub async fn set_remote_description(&self, kind: DescriptionKind, sdp: &str) -> Result<(), PeerError> {
        let connection = self.connection()?;
        let ours_pending = connection.pending_local_description().await.is_some();
        match (kind, ours_pending) {
            (DescriptionKind::Answer, false) => {
                return Err(PeerError::WrongState("an answer came without an offer".to_owned()));
            }
            (DescriptionKind::Offer, true) => {
                return Err(PeerError::WrongState("both sides offered at once".to_owned()));
            }
            (DescriptionKind::Answer, true) | (DescriptionKind::Offer, false) => {}
        }
        check_sdp(sdp)?;
        let bad = |error: webrtc::error::Error| PeerError::BadDescription(error.to_string());
        let description = match kind {
            DescriptionKind::Offer => RTCSessionDescription::offer(sdp.to_owned()),
            DescriptionKind::Answer => RTCSessionDescription::answer(sdp.to_owned()),
        }
        .map_err(bad)?;
        // Before the streams appear, so that each is known.
        lock(&self.stage).set_remote_streams(RemoteStreams::read(sdp));
        connection.set_remote_description(description).await.map_err(bad)?;
        let early = std::mem::take(&mut *self.early());
        for candidate in early {
            if let Err(error) = self.add_candidate(candidate).await {
                tracing::warn!(%error, "an early candidate was refused");
            }
        }
        Ok(())
    }

    /// Answers the offer that was taken, and takes the answer as the local description.
    ///
    /// # Errors
    /// [`PeerError::WrongState`] without an offer.
    pub async fn create_answer(&self) -> Result<String, PeerError> {
        let connection = self.connection()?;
        if connection.pending_remote_description().await.is_none() {
            return Err(PeerError::WrongState("there is no offer to answer".to_owned()));
        }
        let answer = connection.create_answer(None).await.map_err(internal)?;
        let sdp = answer.sdp.clone();
        connection.set_local_description(answer).await.map_err(internal)?;
        Ok(sdp)
    }

    /// Takes back our unanswered offer. If it was to restart ICE, [`PeerEvent::NegotiationNeeded`] comes again.
    ///
    /// # Errors
    /// [`PeerError::WrongState`] when there is none.
    pub async fn rollback(&self) -> Result<(), PeerError> {
        let connection = self.connection()?;
        if connection.pending_local_description().await.is_none() {
            return Err(PeerError::WrongState("there is no offer to take back".to_owned()));
        }
        let back = RTCSessionDescription::rollback(None).map_err(internal)?;
        connection.set_local_description(back).await.map_err(internal)?;
        if self.restarting.swap(false, Ordering::AcqRel) {
            self.restart_ice().await?;
        }
        Ok(())
    }

    /// Takes a candidate of the other side. It may come before the description; up to 64 then wait.
    ///
    /// # Errors
    /// [`PeerError::BadCandidate`] for what is none. Others are not touched by it.
    pub async fn add_candidate(&self, candidate: Candidate) -> Result<(), PeerError> {
        let connection = self.connection()?;
        // The end of candidates changes nothing: checks go on until they time out.
        if candidate.candidate.is_empty() {
            return Ok(());
        }
        if candidate.candidate.len() > MAX_CANDIDATE_BYTES {
            return Err(PeerError::BadCandidate("it is too long".to_owned()));
        }
        if connection.remote_description().await.is_none() {
            let mut early = self.early();
            if early.len() >= MAX_EARLY_CANDIDATES {
                return Err(PeerError::BadCandidate("too many came before the call description".to_owned()));
            }
            early.push(candidate);
            return Ok(());
        }
        let line = candidate.candidate.strip_prefix("candidate:").unwrap_or(&candidate.candidate);
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        // Browsers send both of these: TCP, which we do not speak, and names of multicast DNS, which we cannot resolve;
        // their host is reached by what it sends to us. The stack would open a TCP connection to wherever it is told.
        let (transport, address) =
            (words.get(2).copied().unwrap_or_default(), words.get(4).copied().unwrap_or_default());
        if transport.eq_ignore_ascii_case("tcp") || address.ends_with(".local") {
            return Ok(());
        }
        rtc::ice::candidate::unmarshal_candidate(line).map_err(|error| PeerError::BadCandidate(error.to_string()))?;
        let init = RTCIceCandidateInit {
            candidate: candidate.candidate,
            sdp_mid: candidate.mid,
            sdp_mline_index: candidate.index,
            username_fragment: candidate.username_fragment,
            url: None,
        };
        connection.add_ice_candidate(init).await.map_err(|error| PeerError::BadCandidate(error.to_string()))?;
        if let Some(inner) = &self.inner {
            inner.poke.wake();
        }
        Ok(())
    }

    fn early(&self) -> std::sync::MutexGuard<'_, Vec<Candidate>> {
        self.early.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Makes the next offer restart ICE on the interfaces that are there then, and says so by
    /// [`PeerEvent::NegotiationNeeded`].
    ///
    /// # Errors
    /// [`PeerError::Closed`].
    pub async fn restart_ice(&self) -> Result<(), PeerError> {
        self.connection()?;
        self.restart.store(true, Ordering::Release);
        self.events.send(PeerEvent::NegotiationNeeded).await.map_err(|_| PeerError::Closed)
    }

    /// The accept gate. Until it is opened no media leaves and what arrives is dropped; ICE and DTLS come up regardless.
    /// Opening it makes [`PeerEvent::KeyFrameWanted`] follow once connected; the other side is asked for a key frame as soon
    /// as a packet of its picture arrives.
    pub fn allow_media(&self, allowed: bool) {
        let before = self.outgoing.is_allowed();
        self.outgoing.allow(allowed);
        if allowed && !before && self.outgoing.is_connected() {
            lock(&self.stage).tell_key_frame(Source::Call, Instant::now());
        }
    }

    /// Adds a shared screen to what is sent, with or without sound, or takes it away; [`PeerEvent::NegotiationNeeded`] follows
    /// where that changes anything. Its pictures are held until it is negotiated.
    ///
    /// # Errors
    /// [`PeerError::Closed`], and [`PeerError::Internal`] when the stack refuses.
    pub async fn set_share(&self, picture: bool, sound: bool) -> Result<(), PeerError> {
        let connection = self.connection()?;
        let mut sharing = self.sharing.lock().await;
        let Sharing { video, audio } = &mut *sharing;
        for (wanted, sender, track) in
            [(picture, video, &self.share_tracks.video), (picture && sound, audio, &self.share_tracks.audio)]
        {
            match (wanted, sender.take()) {
                (true, None) => {
                    let track: Arc<dyn TrackLocal> = Arc::clone(track) as Arc<dyn TrackLocal>;
                    *sender = Some(connection.add_track(track).await.map_err(internal)?);
                }
                (false, Some(gone)) => connection.remove_track(&gone).await.map_err(internal)?,
                (true, there @ Some(_)) => *sender = there,
                (false, None) => {}
            }
        }
        Ok(())
    }

    /// Where the audio thread puts its packets.
    pub fn audio_sender(&self) -> AudioSender {
        AudioSender(Arc::clone(&self.outgoing), Source::Call)
    }

    /// Where the video-send thread puts its pictures.
    pub fn video_sender(&self) -> VideoSender {
        VideoSender(Arc::clone(&self.outgoing), Source::Call)
    }

    /// Where the sound of a shared screen goes.
    pub fn screen_audio_sender(&self) -> AudioSender {
        AudioSender(Arc::clone(&self.outgoing), Source::Share)
    }

    /// Where the pictures of a shared screen go.
    pub fn screen_sender(&self) -> VideoSender {
        VideoSender(Arc::clone(&self.outgoing), Source::Share)
    }

    /// Asks the other side for a key frame (PLI, RFC 4585, 6.3.1); at most one leaves each 300 ms or two round trips, and it
    /// is asked again until a key frame comes.
    pub fn request_key_frame(&self) {
        self.outgoing.request_key(Source::Call);
    }

    /// The same of the screen that the other side shares.
    pub fn request_screen_key_frame(&self) {
        self.outgoing.request_key(Source::Share);
    }

    /// The figures now; the same come each second as [`PeerEvent::Stats`].
    pub async fn stats(&self) -> StatsReport {
        match &self.inner {
            Some(inner) => inner.stats().await,
            None => StatsReport::default(),
        }
    }

    /// What the encoders together may send now, bits per second.
    pub fn target_bitrate(&self) -> u64 {
        lock(&self.stage).target()
    }

    /// Ends the connection, its tasks and sockets; returns when they are gone. The other side is told (DTLS close).
    pub async fn close(mut self) {
        self.outgoing.close();
        for task in std::mem::take(&mut self.tasks) {
            task.abort();
            let _ = task.await;
        }
        if let Some(inner) = self.inner.take() {
            shut(inner).await;
        }
    }
}

async fn shut(inner: Arc<Inner>) {
    if let Err(error) = inner.connection.close().await {
        tracing::debug!(%error, "closing the connection");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.outgoing.close();
        for task in self.tasks.drain(..) {
            task.abort();
        }
        // Closing needs the runtime; without one its tasks are gone already.
        if let (Some(inner), Ok(runtime)) = (self.inner.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(shut(inner));
        }
    }
}

/// Once a second, while connected.
async fn tell_stats(inner: Arc<Inner>, events: mpsc::Sender<PeerEvent>) {
    let mut path_changes = 0;
    let mut tick = tokio::time::interval(STATS_INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if inner.outgoing.is_closed() {
            return;
        }
        if inner.life.handshake_overdue(Instant::now()) {
            inner.life.fail(FailReason::NotSecure).await;
        }
        if inner.outgoing.is_connected() {
            let mut report = inner.stats().await;
            let changes = report.transport.selected_candidate_pair_changes;
            let before = std::mem::replace(&mut path_changes, changes);
            // The first choice is where the estimate began.
            if before != 0 && changes != before {
                lock(&inner.stage).handle_new_path(Instant::now());
            }
            inner.poke.set_relaying(report.candidate_pair.local_candidate_type == CandidateType::Relay);
            if inner.closed_by_other().await {
                report.transport.dtls_state = "closed".to_owned();
                inner.outgoing.set_connected(false);
                inner.life.fail(FailReason::ClosedByOther).await;
            }
            // A full channel forgets it: the next comes in a second.
            let _ = events.try_send(PeerEvent::Stats(Box::new(report)));
        }
    }
}

fn has_relay(config: &PeerConfig) -> bool {
    config.ice_servers.iter().flat_map(|server| &server.urls).any(|url| url.starts_with("turn"))
}

fn internal(error: webrtc::error::Error) -> PeerError {
    PeerError::Internal(error.to_string())
}

/// What the stack would take for granted.
fn check_sdp(sdp: &str) -> Result<(), PeerError> {
    if sdp.len() > MAX_SDP_BYTES {
        return Err(PeerError::BadDescription("it is too long".to_owned()));
    }
    if !sdp.starts_with("v=0") {
        return Err(PeerError::BadDescription("it is no session description".to_owned()));
    }
    for needed in ["a=fingerprint:", "a=ice-ufrag:", "a=ice-pwd:", "m="] {
        if !sdp.contains(needed) {
            return Err(PeerError::BadDescription(format!("it has no {needed}")));
        }
    }
    Ok(())
}

fn distinct_ssrcs() -> [u32; 8] {
    loop {
        let ssrcs: [u32; 8] = rand::random();
        let distinct: HashSet<u32> = ssrcs.into_iter().filter(|ssrc| *ssrc != 0).collect();
        if distinct.len() == ssrcs.len() {
            return ssrcs;
        }
    }
}
