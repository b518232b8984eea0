use std::time::Duration;

use ahoy_protocol::DescriptionKind;
use ahoy_session::{Candidate, ConnectionId, PeerCommand, PeerEvent};

use super::ms;

/// W3C webrtc, 4.3.1 (RTCSignalingState).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signalling {
    Stable,
    HaveLocalOffer,
    HaveRemoteOffer(String),
}

/// A peer connection's outside: insists on legal order, connects when credentials and candidates met.
pub struct Pc {
    name: String,
    pub signalling: Signalling,
    generation: u32,
    /// ICE fragment in force here, and there.
    local: Option<String>,
    remote: Option<String>,
    offered: Option<(String, u32)>,
    candidates: Vec<String>,
    pub added: usize,
    pub offers: usize,
    pub answers: usize,
    pub rollbacks: usize,
    pub allowed: bool,
    pub flowing: bool,
    pub connected: bool,
    pub down: bool,
    pub closed: bool,
}

fn fragment(sdp: &str) -> Option<String> {
    sdp.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:")).map(str::to_owned)
}

impl Pc {
    pub fn new(end: usize, connection: ConnectionId) -> Self {
        Self {
            name: format!("e{end}c{}", connection.0),
            signalling: Signalling::Stable,
            generation: 0,
            local: None,
            remote: None,
            offered: None,
            candidates: Vec::new(),
            added: 0,
            offers: 0,
            answers: 0,
            rollbacks: 0,
            allowed: false,
            flowing: false,
            connected: false,
            down: false,
            closed: false,
        }
    }

    pub fn pairs_with(&self, other: &Self) -> bool {
        !self.closed
            && !other.closed
            && self.local.is_some()
            && self.local == other.remote
            && self.remote == other.local
            && (self.candidates.iter().any(|c| Some(c) == self.remote.as_ref())
                || other.candidates.iter().any(|c| Some(c) == other.remote.as_ref()))
    }

    pub fn obey(&mut self, command: PeerCommand) -> Vec<(Duration, PeerEvent)> {
        assert!(!self.closed, "{command:?} after Close");
        match command {
            PeerCommand::Create { .. } => vec![],
            PeerCommand::MakeOffer { ice_restart } => {
                assert_eq!(self.signalling, Signalling::Stable, "MakeOffer");
                self.signalling = Signalling::HaveLocalOffer;
                self.offers += 1;
                let new = ice_restart || self.local.is_none();
                let generation = self.generation + u32::from(new);
                let name = match &self.local {
                    Some(local) if !new => local.clone(),
                    Some(_) | None => format!("{}g{generation}", self.name),
                };
                self.offered = Some((name.clone(), generation));
                self.described(DescriptionKind::Offer, &name, new)
            }
            PeerCommand::SetRemoteDescription { kind: DescriptionKind::Offer, sdp } => {
                assert_eq!(self.signalling, Signalling::Stable, "SetRemoteDescription(offer)");
                if sdp.contains("garbage") {
                    return vec![(ms(3), PeerEvent::RemoteDescriptionRefused)];
                }
                self.signalling = Signalling::HaveRemoteOffer(sdp);
                vec![]
            }
            PeerCommand::MakeAnswer => {
                let Signalling::HaveRemoteOffer(offer) = std::mem::replace(&mut self.signalling, Signalling::Stable)
                else {
                    return vec![];
                };
                self.answers += 1;
                let remote = fragment(&offer);
                let new = remote != self.remote;
                self.generation += u32::from(new);
                let name = match &self.local {
                    Some(local) if !new => local.clone(),
                    Some(_) | None => format!("{}g{}", self.name, self.generation),
                };
                self.agree(name.clone(), remote);
                self.described(DescriptionKind::Answer, &name, new)
            }
            PeerCommand::SetRemoteDescription { kind: DescriptionKind::Answer, sdp } => {
                assert_eq!(self.signalling, Signalling::HaveLocalOffer, "SetRemoteDescription(answer)");
                if sdp.contains("garbage") {
                    return vec![(ms(3), PeerEvent::RemoteDescriptionRefused)];
                }
                self.signalling = Signalling::Stable;
                let (name, generation) = self.offered.take().unwrap();
                self.generation = generation;
                self.agree(name, fragment(&sdp));
                vec![]
            }
            PeerCommand::Rollback => {
                assert_eq!(self.signalling, Signalling::HaveLocalOffer, "Rollback");
                self.signalling = Signalling::Stable;
                self.rollbacks += 1;
                // A credential once shown is not used again.
                self.generation += 1;
                vec![]
            }
            PeerCommand::AddCandidate(candidate) => {
                self.added += 1;
                self.candidates.extend(candidate.username_fragment);
                vec![]
            }
            PeerCommand::AllowMedia => {
                assert!(!self.allowed, "AllowMedia twice");
                self.allowed = true;
                vec![]
            }
            PeerCommand::Close => {
                self.closed = true;
                vec![]
            }
        }
    }

    fn agree(&mut self, local: String, remote: Option<String>) {
        self.local = Some(local);
        self.remote = remote;
    }

    fn described(&self, kind: DescriptionKind, name: &str, gather: bool) -> Vec<(Duration, PeerEvent)> {
        let sdp = format!("v=0\r\na=ice-ufrag:{name}\r\n");
        let mut events = vec![(ms(5), PeerEvent::LocalDescription { kind, sdp })];
        for n in 0..if gather { 3 } else { 0 } {
            let candidate = Candidate {
                candidate: format!("candidate:{n}"),
                mid: Some("0".into()),
                index: Some(0),
                username_fragment: Some(name.to_owned()),
            };
            events.push((ms(6 + 10 * n), PeerEvent::LocalCandidate(candidate)));
        }
        events
    }
}
