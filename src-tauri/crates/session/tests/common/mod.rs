//! A small world in virtual time: sessions, a carrier with faults and mailboxes, peer connections that insist on the
//! order of the W3C's signalling states.
#![allow(dead_code, unused_imports, clippy::unwrap_used, missing_docs)]

mod peer;
mod rng;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ahoy_protocol::{AhoyId, CallId, Identity, Signal, SignalBody};
use ahoy_session::*;
pub use peer::{Pc, Signalling};
pub use rng::Rng;

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
pub fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// How bad the carrier is.
#[derive(Debug, Clone, Copy)]
pub struct Carrier {
    pub delay_ms: (u64, u64),
    /// Lost although reported as delivered, percent.
    pub lost: u64,
    /// Refused with a report, percent.
    pub refused: u64,
    /// Doubled, percent.
    pub doubled: u64,
}

pub const GOOD: Carrier = Carrier { delay_ms: (20, 20), lost: 0, refused: 0, doubled: 0 };

#[derive(Debug)]
enum Event {
    Deliver { to: usize, from: usize, signal: Signal, sealed: Instant },
    Report { end: usize, ticket: SendTicket, outcome: Delivery },
    Peer { end: usize, connection: ConnectionId, event: PeerEvent },
}

/// Sender and signal; true: lost.
pub type Eat = Box<dyn FnMut(usize, &Signal) -> bool>;

pub struct End {
    pub id: AhoyId,
    pub session: Session,
    pub signed_in: bool,
    mailbox: Vec<(usize, Signal, Instant)>,
    pub pcs: BTreeMap<ConnectionId, Pc>,
    pub tone: Option<Tone>,
    pub ended: Vec<Ended>,
    pub missed: Vec<MissedCall>,
    pub shares: Vec<ShareSignal>,
    pub strangers: Vec<(AhoyId, String)>,
    pub sent: Vec<(usize, Signal)>,
    wake: Option<Instant>,
}

pub struct World {
    pub now: Instant,
    pub rng: Rng,
    pub ends: Vec<End>,
    pub carrier: Carrier,
    pub relations: BTreeMap<(usize, usize), Relation>,
    /// The direct way between computers works.
    pub way: bool,
    /// Signals for which this says true are lost without a report.
    pub eat: Eat,
    /// Connections never say that media flows.
    pub silent: bool,
    queue: BTreeMap<(Instant, u64), Event>,
    count: u64,
    calls: u64,
    answered: BTreeSet<CallId>,
    dialled: BTreeSet<(usize, usize)>,
}

pub fn identity(n: u8) -> AhoyId {
    Identity::from_seed([n + 1; 32]).id()
}

impl World {
    // The clock is read once, for a time to begin at; from there on it is virtual.
    #[allow(clippy::disallowed_methods)]
    pub fn new(ends: usize, seed: u64) -> Self {
        let mut world = Self {
            now: Instant::now(),
            rng: Rng::new(seed),
            ends: Vec::new(),
            carrier: GOOD,
            relations: BTreeMap::new(),
            way: true,
            eat: Box::new(|_, _| false),
            silent: false,
            queue: BTreeMap::new(),
            count: 0,
            calls: 0,
            answered: BTreeSet::new(),
            dialled: BTreeSet::new(),
        };
        for n in 0..ends {
            let id = identity(u8::try_from(n).unwrap());
            world.ends.push(End {
                id,
                session: Session::new(id),
                signed_in: true,
                mailbox: Vec::new(),
                pcs: BTreeMap::new(),
                tone: None,
                ended: Vec::new(),
                missed: Vec::new(),
                shares: Vec::new(),
                strangers: Vec::new(),
                sent: Vec::new(),
                wake: None,
            });
        }
        world
    }

    pub fn relation(&self, at: usize, other: usize) -> Relation {
        self.relations.get(&(at, other)).copied().unwrap_or(Relation::Contact { early: true })
    }

    pub fn relate(&mut self, at: usize, other: usize, relation: Relation) {
        self.relations.insert((at, other), relation);
    }

    pub fn call(&mut self, from: usize, to: usize) -> CallId {
        self.calls += 1;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.rng.next().to_be_bytes());
        id[8..].copy_from_slice(&self.calls.to_be_bytes());
        self.call_as(from, to, CallId(id));
        CallId(id)
    }

    pub fn call_as(&mut self, from: usize, to: usize, call: CallId) {
        let early = self.relation(from, to) == Relation::Contact { early: true };
        let peer = self.ends[to].id;
        if let State::InCall(view) = self.ends[from].session.state()
            && view.phase == Phase::Incoming
            && view.peer == peer
        {
            self.answered.insert(view.call);
        } else {
            self.dialled.insert((from, to));
        }
        self.command(from, Command::Call { peer, call, name: format!("end {from}"), video: true, early });
    }

    pub fn answer(&mut self, end: usize) {
        if let State::InCall(view) = self.ends[end].session.state() {
            self.answered.insert(view.call);
        }
        self.command(end, Command::Answer { video: true });
    }

    pub fn command(&mut self, end: usize, command: Command) {
        self.input(end, Input::Command(command));
    }

    pub fn input(&mut self, end: usize, input: Input) {
        self.ends[end].session.handle(input, self.now);
        self.carry_out(end);
    }

    pub fn inject(&mut self, to: usize, from: usize, signal: Signal, age: Duration) {
        let relation = self.relation(to, from);
        let from = self.ends[from].id;
        self.input(to, Input::Signal(Received { from, signal, relation, age }));
    }

    pub fn sign_out(&mut self, end: usize) {
        self.ends[end].signed_in = false;
    }

    pub fn sign_in(&mut self, end: usize) {
        self.ends[end].signed_in = true;
        for (from, signal, sealed) in std::mem::take(&mut self.ends[end].mailbox) {
            self.later(ms(1), Event::Deliver { to: end, from, signal, sealed });
        }
    }

    /// The direct way breaks: connections notice after a while, and give up later.
    pub fn break_way(&mut self) {
        self.way = false;
        for end in 0..self.ends.len() {
            let up: Vec<_> = self.ends[end].pcs.iter().filter(|(_, pc)| pc.connected).map(|(id, _)| *id).collect();
            for connection in up {
                self.ends[end].pcs.get_mut(&connection).unwrap().connected = false;
                self.peer_later(end, connection, secs(2), PeerEvent::Disconnected);
            }
        }
    }

    pub fn mend_way(&mut self) {
        self.way = true;
        self.connect();
    }

    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let wake = self.ends.iter().filter_map(|e| e.wake).min();
            let next = self.queue.keys().next().map(|(at, _)| *at).into_iter().chain(wake).min();
            let Some(next) = next.filter(|&at| at <= end) else { break };
            self.now = self.now.max(next);
            if let Some(at) = self.queue.keys().next().copied().filter(|(at, _)| *at <= self.now) {
                let event = self.queue.remove(&at).unwrap();
                self.happen(event);
            }
            for end in 0..self.ends.len() {
                if self.ends[end].wake.is_some_and(|at| at <= self.now) {
                    self.carry_out(end);
                }
            }
        }
        self.now = end;
    }

    pub fn view(&self, end: usize) -> CallView {
        match self.ends[end].session.state() {
            State::InCall(view) => view,
            state => panic!("end {end} is {state:?}"),
        }
    }

    pub fn idle(&self, end: usize) -> bool {
        self.ends[end].session.state() == State::Idle
    }

    pub fn active(&self, end: usize) -> bool {
        matches!(self.ends[end].session.state(), State::InCall(CallView { phase: Phase::Active { .. }, .. }))
    }

    pub fn reasons(&self, end: usize) -> Vec<EndReason> {
        self.ends[end].ended.iter().map(|e| e.reason).collect()
    }

    /// What every story ends with.
    pub fn assert_nothing_leaks(&self) {
        for (n, end) in self.ends.iter().enumerate() {
            assert_ne!(std::mem::discriminant(&end.session.state()), in_call(), "end {n} is still in a call");
            assert!(end.pcs.values().all(|pc| pc.closed), "end {n} left a connection open");
            assert_eq!(end.tone, None, "end {n} still rings");
        }
    }

    pub fn signals(&self, end: usize, kind: fn(&SignalBody) -> bool) -> usize {
        self.ends[end].sent.iter().filter(|(_, signal)| kind(&signal.body)).count()
    }

    fn later(&mut self, delay: Duration, event: Event) {
        self.count += 1;
        self.queue.insert((self.now + delay, self.count), event);
    }

    fn peer_later(&mut self, end: usize, connection: ConnectionId, delay: Duration, event: PeerEvent) {
        self.later(delay, Event::Peer { end, connection, event });
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver { to, from, signal, sealed } if self.ends[to].signed_in => {
                let age = self.now - sealed;
                self.inject(to, from, signal, age);
            }
            Event::Deliver { .. } => {}
            Event::Report { end, ticket, outcome } => self.input(end, Input::Delivery { ticket, outcome }),
            Event::Peer { end, connection, event } => {
                let pc = self.ends[end].pcs.get_mut(&connection).unwrap();
                match event {
                    PeerEvent::Connected if !pc.connected => return,
                    PeerEvent::Disconnected | PeerEvent::Failed if pc.connected => return,
                    PeerEvent::Disconnected => pc.down = true,
                    PeerEvent::Connected => pc.down = false,
                    _ => {}
                }
                if !pc.closed {
                    self.input(end, Input::Peer { connection, event });
                }
            }
        }
    }

    fn carry_out(&mut self, end: usize) {
        for round in 0.. {
            assert!(round < 10_000, "end {end} never waits");
            match self.ends[end].session.poll(self.now) {
                Output::Wait { until } => {
                    assert!(until.is_none_or(|at| at > self.now), "a timer is due and was not run");
                    assert!(until.is_none_or(|at| at <= self.now + secs(70)), "a timer far away");
                    self.ends[end].wake = until;
                    break;
                }
                Output::Send { ticket, to, signal, keep } => self.send(end, ticket, to, signal, keep),
                Output::Peer { connection, command } => self.peer(end, connection, command),
                Output::Ring(tone) => {
                    assert_ne!(self.ends[end].tone, tone, "told the same tone twice");
                    self.ends[end].tone = tone;
                }
                Output::StrangerRequest { from, name, .. } => self.ends[end].strangers.push((from, name)),
                Output::MissedCall(missed) => self.ends[end].missed.push(missed),
                Output::Share(said) => self.ends[end].shares.push(said),
                Output::Ended(ended) => self.ends[end].ended.push(ended),
                Output::Changed => {}
            }
        }
        let open = self.ends[end].pcs.values().filter(|pc| !pc.closed).count();
        assert!(open <= 1, "end {end} has {open} connections");
        self.connect();
    }

    fn send(&mut self, end: usize, ticket: SendTicket, to: AhoyId, signal: Signal, keep: bool) {
        let Some(to) = self.ends.iter().position(|e| e.id == to) else { return };
        self.ends[end].sent.push((to, signal.clone()));
        let (low, high) = self.carrier.delay_ms;
        let delay = ms(self.rng.between(low, high));
        let outcome = if !self.ends[end].signed_in {
            Delivery::NotSignedIn
        } else if self.rng.percent(self.carrier.refused) {
            Delivery::Failed
        } else if self.ends[to].signed_in {
            let copies = 1 + u64::from(self.rng.percent(self.carrier.doubled));
            if !(self.eat)(end, &signal) && !self.rng.percent(self.carrier.lost) {
                for _ in 0..copies {
                    let delay = ms(self.rng.between(low, high));
                    self.later(delay, Event::Deliver { to, from: end, signal: signal.clone(), sealed: self.now });
                }
            }
            Delivery::Delivered
        } else if keep {
            self.ends[to].mailbox.push((end, signal, self.now));
            Delivery::Kept
        } else {
            Delivery::Offline
        };
        self.later(delay, Event::Report { end, ticket, outcome });
    }

    fn peer(&mut self, end: usize, connection: ConnectionId, command: PeerCommand) {
        if command == PeerCommand::AllowMedia {
            self.assert_both_said_yes(end);
        }
        if let PeerCommand::Create { .. } = command {
            let old = self.ends[end].pcs.insert(connection, Pc::new(end, connection));
            assert!(old.is_none(), "a connection's name used twice");
        }
        let pc = self.ends[end].pcs.get_mut(&connection).expect("command for a connection never created");
        for (delay, event) in pc.obey(command) {
            self.peer_later(end, connection, delay, event);
        }
    }

    /// Whose other side closed, or went on to another ICE generation, notices after a while that nothing comes.
    fn part(&mut self) {
        let pcs = || self.ends.iter().flat_map(|e| e.pcs.values());
        let mut left = Vec::new();
        for (end, e) in self.ends.iter().enumerate() {
            let alone = |pc: &&Pc| pc.connected && !pc.closed && !pcs().any(|other| pc.pairs_with(other));
            left.extend(e.pcs.iter().filter(|(_, pc)| alone(pc)).map(|(id, _)| (end, *id)));
        }
        for (end, id) in left {
            self.ends[end].pcs.get_mut(&id).unwrap().connected = false;
            self.peer_later(end, id, secs(5), PeerEvent::Disconnected);
        }
    }

    fn assert_both_said_yes(&self, end: usize) {
        let State::InCall(view) = self.ends[end].session.state() else { panic!("media without a call") };
        let other = self.ends.iter().position(|e| e.id == view.peer).unwrap();
        let glare = self.dialled.contains(&(end, other)) && self.dialled.contains(&(other, end));
        assert!(self.answered.contains(&view.call) || glare, "media before both said yes");
    }

    /// Connects the pairs of connections that know each other's credentials and at least one candidate.
    fn connect(&mut self) {
        self.part();
        if !self.way {
            return;
        }
        for a in 0..self.ends.len() {
            for b in 0..a {
                let find = |x: usize, y: usize| {
                    let (e, f) = (&self.ends[x].pcs, &self.ends[y].pcs);
                    e.iter().find_map(|(i, p)| f.iter().find(|(_, q)| p.pairs_with(q)).map(|(j, _)| (*i, *j)))
                };
                let Some((i, j)) = find(a, b) else { continue };
                for (end, connection) in [(a, i), (b, j)] {
                    let pc = self.ends[end].pcs.get_mut(&connection).unwrap();
                    if !pc.connected {
                        pc.connected = true;
                        self.peer_later(end, connection, ms(40), PeerEvent::Connected);
                    }
                }
                let flows = !self.silent && self.ends[a].pcs[&i].allowed && self.ends[b].pcs[&j].allowed;
                for (end, connection) in [(a, i), (b, j)] {
                    let pc = self.ends[end].pcs.get_mut(&connection).unwrap();
                    if flows && !pc.flowing {
                        pc.flowing = true;
                        self.peer_later(end, connection, ms(60), PeerEvent::MediaFlowing);
                    }
                }
            }
        }
    }
}

fn in_call() -> std::mem::Discriminant<State> {
    std::mem::discriminant(&State::InCall(CallView {
        call: CallId([0; 16]),
        peer: identity(0),
        peer_name: None,
        direction: Direction::Incoming,
        phase: Phase::Calling,
        local: MediaOn::default(),
        remote: MediaOn::default(),
        video_wanted: false,
    }))
}
