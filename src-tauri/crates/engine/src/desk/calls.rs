//! Carrying out what the session says, and telling it what the connections say.

use std::collections::BTreeMap;
use std::time::Instant;

use ahoy_media::audio::voice::BadMicrophone;
use ahoy_peer::{IcePolicy, PeerConfig, StatsReport};
use ahoy_protocol::{AhoyId, CallId};
use ahoy_session::{ConnectionId, Ended, Input, MissedCall, Output, PeerCommand, PeerEvent, Phase, Role, State};
use tokio::task::JoinHandle;

use super::{Desk, Posted, texts};
use crate::api::{Call, CallPhase, Direction, EndReason, HistoryEntry, Quality, QualityPoint};
use crate::av::Incoming;
use crate::connection::{Connection, Told, Work};
use crate::event::{CallQuality, CallStats, Happened, LimitationDurations, Tone};
use crate::quality::{Figures, History, Judge, Microphone, Picture, Sides, Steady, advice, sentence};
use crate::store::{Change, StoredCall};

/// A peer connection with the media ends that belong to it.
struct Live {
    connection: Connection,
    incoming: Incoming,
    /// The media threads serve it.
    served: bool,
    allowed: bool,
}

/// What is kept of the call beside the session.
#[derive(Default)]
pub(super) struct Calls {
    live: BTreeMap<ConnectionId, Live>,
    /// Closed, and about to be gone.
    closing: Vec<JoinHandle<()>>,
    /// The page after the call.
    pub ended: Option<Call>,
    /// The call as last shown, for its page after the end.
    last: Option<Call>,
    pub quality: Option<Quality>,
    /// Of the last second.
    pub stats: Option<Box<CallStats>>,
    judge: Judge,
    /// Of the call, also after its end, until the next begins.
    history: History,
    /// As of the last report.
    figures: Figures,
    /// What held our picture back, and how long.
    limitation: LimitationDurations,
    /// Whether our picture is less than it could be for want of rate.
    reduced: Steady,
    /// What was told of the running call.
    told: Milestones,
}

/// Events that come once a call.
#[derive(Debug, Default, PartialEq, Eq)]
struct Milestones {
    call: Option<CallId>,
    ringing: bool,
    incoming: bool,
    accepted: bool,
    ice: bool,
    dtls: bool,
    remote_camera: bool,
}

impl Calls {
    pub async fn close(self) {
        let closing = self.live.into_values().map(|live| live.connection.close());
        for task in self.closing.into_iter().chain(closing.collect::<Vec<_>>()) {
            if task.await.is_err() {
                tracing::error!("a connection's task panicked");
            }
        }
    }
}

impl Desk {
    /// Does what the session wants until it wants nothing more.
    pub(super) fn work(&mut self) {
        loop {
            match self.session.poll(Instant::now()) {
                Output::Wait { until } => {
                    self.wake = until;
                    return;
                }
                Output::Send { ticket, to, signal, keep } => self.send_signal(ticket, to, signal, keep),
                Output::Peer { connection, command } => self.command_connection(connection, command),
                Output::Ring(tone) => self.handle_ring(tone.map(|tone| match tone {
                    ahoy_session::Tone::Incoming => Tone::Incoming,
                    ahoy_session::Tone::Outgoing => Tone::Outgoing,
                })),
                Output::StrangerRequest { from, name, age } => self.handle_stranger(from, name, age),
                Output::MissedCall(missed) => self.handle_missed(&missed),
                Output::Share(said) => self.handle_share_signal(said),
                Output::Ended(ended) => self.handle_ended(&ended),
                Output::Changed => self.handle_changed(),
            }
        }
    }

    fn handle_ring(&mut self, tone: Option<Tone>) {
        self.av.ring(tone);
        self.event(Happened::Ring(tone));
    }

    fn command_connection(&mut self, id: ConnectionId, command: PeerCommand) {
        match command {
            PeerCommand::Create { role, .. } => self.create_connection(id, role),
            PeerCommand::Close => {
                let Some(live) = self.calls.live.remove(&id) else { return };
                if live.served {
                    self.av.disconnect();
                }
                self.calls.closing.retain(|task| !task.is_finished());
                self.calls.closing.push(live.connection.close());
            }
            PeerCommand::AllowMedia => {
                self.order(id, Work::Command(PeerCommand::AllowMedia));
                if let Some(live) = self.calls.live.get_mut(&id) {
                    live.allowed = true;
                    if live.served {
                        self.av.open_gate();
                    }
                }
                if !std::mem::replace(&mut self.calls.told.accepted, true) {
                    self.event(Happened::Accepted);
                }
            }
            PeerCommand::MakeOffer { .. }
            | PeerCommand::SetRemoteDescription { .. }
            | PeerCommand::MakeAnswer
            | PeerCommand::Rollback
            | PeerCommand::AddCandidate(_) => self.order(id, Work::Command(command)),
        }
    }

    fn create_connection(&mut self, id: ConnectionId, role: Role) {
        let role = match role {
            Role::Caller => ahoy_peer::Role::Caller,
            Role::Callee => ahoy_peer::Role::Callee,
        };
        let ice_servers = match self.session.state() {
            State::InCall(view) => self.ice_servers_for(&view.peer),
            State::Idle | State::Closed => Vec::new(),
        };
        let config = PeerConfig {
            ice_servers,
            policy: IcePolicy::All,
            loopback: self.config.loopback,
            media_allowed: false,
            ..PeerConfig::new(role)
        };
        let incoming = self.av.sinks();
        // The first of either tells; the session counts only one.
        let told = |inbox: tokio::sync::mpsc::Sender<Posted>| move || drop(inbox.try_send(Posted::MediaArrived(id)));
        incoming.audio.on_first(told(self.outlets.inbox.clone()));
        incoming.video.on_first(told(self.outlets.inbox.clone()));
        let inbox = self.outlets.inbox.clone();
        let connection = Connection::start(config, incoming.clone(), move |told| {
            let inbox = inbox.clone();
            async move { drop(inbox.send(Posted::Connection(id, told)).await) }
        });
        self.calls.live.insert(id, Live { connection, incoming, served: false, allowed: false });
    }

    fn order(&mut self, id: ConnectionId, work: Work) {
        let taken = self.calls.live.get(&id).is_none_or(|live| live.connection.order(work));
        if !taken {
            tracing::warn!(connection = crate::connection::name(id), "a connection does not keep up");
            self.session_event(id, PeerEvent::Failed);
        }
    }

    pub(super) fn session_event(&mut self, connection: ConnectionId, event: PeerEvent) {
        self.session(Input::Peer { connection, event });
    }

    pub(super) fn request_key_frame(&mut self) {
        self.order_served(|| Work::RequestKeyFrame);
    }

    /// Work for the connection that the media threads serve. What is forgotten because it is busy is wished for again.
    pub(super) fn order_served(&self, work: impl Fn() -> Work) {
        for live in self.calls.live.values().filter(|live| live.served) {
            live.connection.order(work());
        }
    }

    pub(super) fn handle_connection(&mut self, id: ConnectionId, told: Told) {
        match told {
            Told::Made(ends) => {
                let Some(live) = self.calls.live.get_mut(&id) else { return };
                live.served = true;
                self.av.connect(ends, &live.incoming);
                if live.allowed {
                    self.av.open_gate();
                }
                // A newer connection takes the threads from an older one.
                for (other, live) in &mut self.calls.live {
                    live.served = *other == id;
                }
            }
            Told::Session(event) => self.session_event(id, event),
            Told::Ice(at) => {
                if !std::mem::replace(&mut self.calls.told.ice, true) {
                    self.event_at(Happened::IceConnected, at);
                }
            }
            Told::Dtls(at) => {
                if !std::mem::replace(&mut self.calls.told.dtls, true) {
                    self.event_at(Happened::DtlsConnected, at);
                }
            }
            Told::KeyFrameWanted => self.av.key_frame_wanted(),
            Told::ScreenKeyFrameWanted => self.handle_share_wanted(),
            Told::TargetBitrate(bits) => self.av.set_rate(bits),
            Told::Stats(report) => {
                if self.calls.live.get(&id).is_some_and(|live| live.served) {
                    self.handle_stats(*report);
                }
            }
        }
    }

    fn handle_changed(&mut self) {
        self.changed = true;
        let State::InCall(view) = self.session.state() else {
            self.reconcile_devices();
            return;
        };
        let told = &mut self.calls.told;
        // In a glare the call's ID changes once; what was told stays told.
        if told.call.is_none() {
            told.call = Some(view.call);
            self.calls.ended = None;
            self.share.begin_call();
            self.calls.quality = None;
            self.calls.stats = None;
            self.calls.judge = Judge::default();
            self.calls.history = History::default();
            self.calls.figures = Figures::default();
            self.calls.reduced = Steady::default();
            self.calls.limitation = LimitationDurations::default();
        }
        let told = &mut self.calls.told;
        let ringing =
            view.phase == Phase::Ringing && !std::mem::replace(&mut told.ringing, view.phase == Phase::Ringing);
        let incoming =
            view.phase == Phase::Incoming && !std::mem::replace(&mut told.incoming, view.phase == Phase::Incoming);
        let remote_camera = view.remote.camera && !view.remote.paused;
        let camera_went = std::mem::replace(&mut told.remote_camera, remote_camera) && !remote_camera;
        let call = self.call_of(&view);
        if ringing {
            self.event(Happened::Ringing);
        }
        if incoming {
            let (peer, name) = (call.peer.clone(), call.name.clone());
            self.event(Happened::Incoming { peer, name, video: view.video_wanted });
        }
        // A pause is no freeze either.
        if camera_went {
            self.av.remote_camera_off();
        }
        self.av.set_window(view.remote.view.map(|size| (size.width.into(), size.height.into())));
        self.follow_remote_share(&view);
        let call = self.call_of(&view);
        self.calls.last = Some(call);
        self.reconcile_devices();
    }

    fn handle_ended(&mut self, ended: &Ended) {
        let reason = texts::end_reason(ended.reason);
        let name = self.calls.last.as_ref().map_or_else(|| self.name_of(&ended.peer), |call| call.name.clone());
        let media = ended.media_since.map(|since| ended.at.saturating_duration_since(since));
        let duration_ms = media.unwrap_or_default().as_millis() as u64;
        let sentence = self.words.say(texts::ended(reason, name.clone()));
        let direction = texts::direction(ended.direction);
        let at_ms = self.clock.unix_ms(ended.started);
        self.remember_call(ended.call, &ended.peer, name.clone(), direction, reason, at_ms, duration_ms);
        self.end_shares(ended);
        let last = self.calls.last.take();
        let (local, remote) = last.map_or_else(Default::default, |call| (Some(call.local), Some(call.remote)));
        let off = crate::api::MediaOn { microphone: false, camera: false, paused: false };
        self.calls.ended = Some(Call {
            call_id: ended.call.to_string(),
            peer: ended.peer.to_string(),
            name,
            direction,
            phase: CallPhase::Ended { reason, sentence: sentence.clone(), duration_ms },
            local: local.unwrap_or(off),
            remote: remote.unwrap_or(off),
            video_wanted: ended.video_wanted,
            share: self.call_share(),
            quality: self.calls.quality.take(),
            stats: self.calls.stats.take(),
        });
        self.calls.told = Milestones::default();
        self.devices.camera_on = true;
        self.devices.microphone_on = true;
        self.devices.picture_paused = false;
        self.devices.picture_reduced = false;
        self.av.mute(false);
        self.reconcile_devices();
        self.event_at(Happened::Ended { call_id: ended.call.to_string(), reason, sentence: sentence.text }, ended.at);
        self.changed = true;
    }

    fn handle_missed(&mut self, missed: &MissedCall) {
        let name = self.name_of(&missed.peer);
        let at_ms = self.clock.now_ms().saturating_sub(missed.age.as_millis() as u64);
        self.remember_call(missed.call, &missed.peer, name.clone(), Direction::Incoming, EndReason::Missed, at_ms, 0);
        self.event(Happened::Missed { peer: missed.peer.to_string(), name });
        self.changed = true;
    }

    #[expect(clippy::too_many_arguments, reason = "one row of the history, named once")]
    fn remember_call(
        &mut self,
        call: CallId,
        peer: &AhoyId,
        name: String,
        direction: Direction,
        reason: EndReason,
        at_ms: u64,
        duration_ms: u64,
    ) {
        let entry = HistoryEntry {
            call_id: call.to_string(),
            peer: peer.to_string(),
            name,
            direction,
            reason,
            at_ms,
            duration_ms,
        };
        self.store.apply(Change::PutCall(StoredCall { entry, seen: reason != EndReason::Missed }));
    }

    fn handle_stats(&mut self, report: StatsReport) {
        let State::InCall(view) = self.session.state() else { return };
        let counts = self.av.counts();
        let figures = Figures { report, counts };
        let call = self.call_of(&view);
        let sides = Sides {
            local: call.local,
            remote: call.remote,
            remote_reduced: view.remote.reduced,
            microphone: match counts.microphone.filter(|_| call.local.microphone) {
                None => Microphone::Good,
                Some(BadMicrophone::Silent) => Microphone::Silent,
                Some(BadMicrophone::Clipped) => Microphone::Clipped,
            },
            telephone: self.devices.is_telephone(),
        };
        let calls = &mut self.calls;
        let before = std::mem::replace(&mut calls.figures, figures);
        let figures = &calls.figures;
        let second = figures.second(&before, &sides);
        let verdict = calls.judge.handle_second(&second);
        let point = figures.point(&before, &second, &sides, self.clock.now_ms(), verdict.bars);
        calls.history.push(point);
        calls.quality = Some(Quality {
            bars: verdict.bars,
            cause: verdict.cause,
            sentence: self.words.say(sentence(&verdict, &call.name)),
            advice: advice(&verdict, &call.name).map(|advice| self.words.say(advice)),
            jitter_ms: second.jitter_ms,
            now: point,
        });
        let reduced = calls.reduced.handle_second(second.picture_out == Picture::Reduced);
        let stats = CallStats {
            quality: CallQuality { bars: verdict.bars, cause: verdict.cause },
            ..figures.stats(&before, &mut calls.limitation)
        };
        self.av.set_loss(second.loss_out_percent.clamp(0.0, 100.0) as u8);
        let stats = Box::new(stats);
        self.calls.stats = Some(stats.clone());
        self.event(Happened::Stats(stats));
        self.devices.picture_reduced = reduced;
        self.tell_media();
        self.changed = true;
    }

    /// The call's figures that ended after this Unix time in ms.
    pub(super) fn history_after(&self, at_ms: u64) -> Vec<QualityPoint> {
        self.calls.history.after(at_ms)
    }
}
