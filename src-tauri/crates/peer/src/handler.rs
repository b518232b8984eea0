//! What the stack tells us, turned into [`PeerEvent`]s. Runs on the stack's driver task.

use crate::event::{Candidate, ConnectionState, IceState, MediaKind};
use crate::interceptor::lock;
use crate::outgoing::Outgoing;
use crate::runtime::Poke;
use crate::stage::Stage;
use crate::{FailReason, PeerEvent, Source};
use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use webrtc::media_stream::track_remote::TrackRemote;
use webrtc::peer_connection::{
    PeerConnectionEventHandler, RTCIceConnectionState, RTCIceGatheringState, RTCPeerConnectionIceEvent,
    RTCPeerConnectionState, RTCSignalingState,
};

/// Three retransmissions of a DTLS flight (RFC 6347, 4.2.4.1: 1, 2, 4 s) and some more.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(9);

/// How far the connection has come, and whether its end was told.
#[derive(Debug)]
pub(crate) struct Life {
    events: mpsc::Sender<PeerEvent>,
    outgoing: Arc<Outgoing>,
    ice_connected: Mutex<Option<Instant>>,
    was_connected: AtomicBool,
    failed: AtomicBool,
}

impl Life {
    pub(crate) fn new(events: mpsc::Sender<PeerEvent>, outgoing: Arc<Outgoing>) -> Self {
        Self {
            events,
            outgoing,
            ice_connected: Mutex::new(None),
            was_connected: AtomicBool::new(false),
            // Until it is built, the builder says what is wrong.
            failed: AtomicBool::new(true),
        }
    }

    /// From now on an end is news.
    pub(crate) fn begin(&self) {
        self.failed.store(false, Ordering::Release);
    }

    /// The reason for an end that nobody gave a reason for.
    fn reason(&self) -> FailReason {
        if self.was_connected.load(Ordering::Acquire) {
            FailReason::Lost
        } else if self.ice_connected_at().is_some() {
            FailReason::NotSecure
        } else {
            FailReason::NoRoute
        }
    }

    fn ice_connected_at(&self) -> Option<Instant> {
        *self.ice_connected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_ice_connected(&self, at: Instant) {
        self.ice_connected.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(at);
    }

    /// The stack never says that a handshake has failed: the other side's certificate was refused, or it is silent.
    pub(crate) fn handshake_overdue(&self, now: Instant) -> bool {
        !self.was_connected.load(Ordering::Acquire)
            && self.ice_connected_at().is_some_and(|at| now.saturating_duration_since(at) > HANDSHAKE_LIMIT)
    }

    /// Tells a failure once.
    pub(crate) async fn fail(&self, reason: FailReason) {
        if self.is_news() {
            // An owner that is gone needs no news.
            let _ = self.events.send(PeerEvent::Failed(reason)).await;
        }
    }

    /// Whether this failure is news.
    fn is_news(&self) -> bool {
        !self.outgoing.is_closed() && !self.failed.swap(true, Ordering::AcqRel)
    }

    /// The stack's driver has ended, by an error or a panic: it says nothing itself.
    pub(crate) fn driver_ended(&self) {
        if self.is_news() {
            self.outgoing.set_connected(false);
            let reason = self.reason();
            tracing::warn!(?reason, "the connection's driver ended");
            if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(PeerEvent::Failed(reason)) {
                let events = self.events.clone();
                // Dropped with a runtime that is shutting down, when nobody listens anyway.
                if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                    runtime.spawn(async move { events.send(event).await });
                }
            }
        }
    }
}

pub(crate) struct Handler {
    pub(crate) life: Arc<Life>,
    pub(crate) stage: Arc<Mutex<Stage>>,
    pub(crate) poke: Arc<Poke>,
    /// A first negotiation is complete; before it `NegotiationNeeded` is no news.
    pub(crate) negotiated: AtomicBool,
}

impl Handler {
    async fn tell(&self, event: PeerEvent) {
        // An owner that is gone needs no news.
        let _ = self.life.events.send(event).await;
    }
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_negotiation_needed(&self) {
        if self.negotiated.load(Ordering::Acquire) {
            self.tell(PeerEvent::NegotiationNeeded).await;
        }
    }

    async fn on_signaling_state_change(&self, state: RTCSignalingState) {
        if state == RTCSignalingState::Stable {
            self.negotiated.store(true, Ordering::Release);
        }
    }

    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        match event.candidate.to_json() {
            Ok(init) => {
                self.tell(PeerEvent::LocalCandidate(Candidate {
                    candidate: init.candidate,
                    mid: init.sdp_mid,
                    index: init.sdp_mline_index,
                    username_fragment: init.username_fragment,
                }))
                .await;
            }
            Err(error) => tracing::warn!(%error, "a local candidate cannot be written"),
        }
    }

    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.tell(PeerEvent::LocalCandidate(Candidate::default())).await;
        }
    }

    async fn on_ice_connection_state_change(&self, state: RTCIceConnectionState) {
        let at = Instant::now();
        let state = match state {
            RTCIceConnectionState::New | RTCIceConnectionState::Unspecified => IceState::New,
            RTCIceConnectionState::Checking => IceState::Checking,
            RTCIceConnectionState::Connected | RTCIceConnectionState::Completed => IceState::Connected,
            RTCIceConnectionState::Disconnected => IceState::Disconnected,
            RTCIceConnectionState::Failed => IceState::Failed,
            RTCIceConnectionState::Closed => IceState::Closed,
            _ => return,
        };
        if state == IceState::Connected {
            self.life.note_ice_connected(at);
            self.poke.now();
        }
        self.tell(PeerEvent::Ice { state, at }).await;
        if state == IceState::Failed {
            self.life.fail(self.life.reason()).await;
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        let at = Instant::now();
        let state = match state {
            RTCPeerConnectionState::New | RTCPeerConnectionState::Unspecified => ConnectionState::New,
            RTCPeerConnectionState::Connecting => ConnectionState::Connecting,
            RTCPeerConnectionState::Connected => ConnectionState::Connected,
            RTCPeerConnectionState::Disconnected => ConnectionState::Disconnected,
            RTCPeerConnectionState::Failed => ConnectionState::Failed,
            RTCPeerConnectionState::Closed => ConnectionState::Closed,
            _ => return,
        };
        match state {
            ConnectionState::Connected => {
                self.life.was_connected.store(true, Ordering::Release);
                self.life.failed.store(false, Ordering::Release);
                self.life.outgoing.set_connected(true);
            }
            ConnectionState::Failed | ConnectionState::Closed => self.life.outgoing.set_connected(false),
            ConnectionState::New | ConnectionState::Connecting | ConnectionState::Disconnected => {}
        }
        self.tell(PeerEvent::Connection { state, at }).await;
        match state {
            ConnectionState::Connected => {
                let mut stage = lock(&self.stage);
                stage.tell_target(at);
                if self.life.outgoing.is_allowed() {
                    stage.tell_key_frame(Source::Call, at);
                }
            }
            ConnectionState::Failed => self.life.fail(self.life.reason()).await,
            ConnectionState::Closed => self.life.fail(FailReason::ClosedByOther).await,
            ConnectionState::New | ConnectionState::Connecting | ConnectionState::Disconnected => {}
        }
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let kind = match track.kind().await {
            RtpCodecKind::Audio => MediaKind::Audio,
            RtpCodecKind::Video => MediaKind::Video,
            _ => return,
        };
        self.tell(PeerEvent::RemoteTrack { kind, mid: None }).await;
    }
}
