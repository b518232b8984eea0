//! A world of devices that come, go, fail and change, by chance; and what must hold in it whatever happens.

use std::collections::BTreeSet;

use ahoy_devices::Traits;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

const IDS: [(&str, Reach); 5] = [
    ("headset", Reach::Private),
    ("phones", Reach::Private),
    ("card", Reach::Unknown),
    ("boxes", Reach::Room),
    ("television", Reach::Room),
];

struct World {
    role: Role,
    rng: StdRng,
    now: Instant,
    there: BTreeMap<&'static str, u32>,
    default: Option<&'static str>,
    broken: BTreeSet<&'static str>,
    server: bool,
    /// What was asked for, until when its answer takes.
    pending: Option<(Instant, u64, Selection)>,
    open: Option<(u64, &'static str)>,
    /// The loudest that was ever permitted, since the person's last word.
    permitted: Option<Reach>,
    opens: u32,
    incarnations: u32,
}

fn reach(id: &str) -> Reach {
    IDS.iter().find(|(known, _)| *known == id).expect("a known device").1
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let kind = [Kind::Microphone, Kind::Speaker, Kind::Camera][rng.random_range(0..3)];
        Self {
            role: Role::new(kind, Ranking::default()),
            rng,
            now: Instant::now(),
            there: BTreeMap::new(),
            default: None,
            broken: BTreeSet::new(),
            server: true,
            pending: None,
            open: None,
            permitted: None,
            opens: 0,
            incarnations: 0,
        }
    }

    fn any(&mut self) -> &'static str {
        IDS[self.rng.random_range(0..IDS.len())].0
    }

    fn look(&mut self) {
        let devices = IDS.iter().filter(|_| self.server).filter_map(|(id, reach)| {
            let incarnation = *self.there.get(id)?;
            Some(DeviceInfo {
                id: (*id).into(),
                label: (*id).to_owned(),
                is_default: self.default == Some(*id),
                synthetic: false,
                traits: Traits { reach: *reach, incarnation, ..Traits::default() },
            })
        });
        let kind = self.role.kind;
        let problem = (!self.server).then(|| DeviceError::NoSystem { kind, detail: String::new() });
        let listing = Listing { devices: devices.collect(), problem };
        self.role.handle_listing(&listing, self.now);
    }

    /// Whatever is open on what is gone breaks, mostly at once.
    fn break_what_is_gone(&mut self) {
        if let Some((ticket, id)) = self.open
            && !(self.server && self.there.contains_key(id))
        {
            self.open = None;
            let lost = DeviceError::Lost { kind: self.role.kind, detail: String::new() };
            self.role.handle_event(ticket, DeviceEvent::Lost(lost), self.now);
        }
    }

    fn follow_default(&mut self, by_person: bool) {
        if by_person || !self.default.is_some_and(|id| self.there.contains_key(id)) {
            let there: Vec<_> = self.there.keys().copied().collect();
            self.default = (!there.is_empty()).then(|| there[self.rng.random_range(0..there.len())]);
            if let Some(id) = self.default.filter(|_| by_person) {
                self.permitted = self.permitted.map(|permitted| permitted.max(reach(id)));
            }
        }
    }

    fn happen(&mut self) {
        let id = self.any();
        match self.rng.random_range(0..12) {
            0..3 => {
                self.incarnations += 1;
                self.there.insert(id, self.incarnations);
                self.follow_default(false);
            }
            3..5 => {
                self.there.remove(id);
                self.follow_default(false);
                // The broken stream and the new list come in either order.
                if self.rng.random_bool(0.5) {
                    self.break_what_is_gone();
                }
            }
            5 => self.follow_default(true),
            6 => {
                if !self.broken.remove(id) {
                    self.broken.insert(id);
                }
            }
            7 => self.server = !self.server,
            8 => self.role.handle_wake(self.now),
            9 => {
                let choice = match self.rng.random_range(0..8) {
                    0 => DeviceChoice::Nothing,
                    1..4 => DeviceChoice::SystemDefault,
                    _ => DeviceChoice::Device { id: id.to_owned() },
                };
                self.permitted = None;
                self.role.choose(choice, id.to_owned(), self.now);
            }
            10 => {
                let wanted = self.rng.random_bool(0.8);
                if !wanted {
                    self.permitted = None;
                }
                self.role.want(wanted, true, self.now);
            }
            _ => {
                if let Some((ticket, _)) = self.open {
                    let silent_for = Duration::from_secs(1);
                    self.role.handle_event(ticket, DeviceEvent::Stalled { silent_for }, self.now);
                }
            }
        }
        if self.rng.random_bool(0.8) {
            self.look();
        }
        self.break_what_is_gone();
    }

    /// Carries out what the role asks.
    fn serve(&mut self) {
        while let Some(action) = self.role.poll() {
            match action {
                Action::Open { ticket, selection } => {
                    self.opens += 1;
                    self.open = None;
                    let takes = Duration::from_millis(self.rng.random_range(1..300));
                    self.pending = Some((self.now + takes, ticket, selection));
                }
                Action::Close => (self.open, self.pending) = (None, None),
                Action::Say(_) | Action::Hush => {}
            }
        }
    }

    fn answer(&mut self) {
        let Some((_, ticket, selection)) = self.pending.take() else { return };
        let id = match &selection {
            Selection::SystemDefault => self.default,
            Selection::Device(id) => IDS.iter().map(|(known, _)| *known).find(|known| *known == id.as_str()),
        };
        let kind = self.role.kind;
        match id.filter(|id| self.there.contains_key(id)) {
            _ if !self.server => {
                let error = DeviceError::NoSystem { kind, detail: String::new() };
                self.role.handle_failed(ticket, error, self.now);
            }
            None => self.role.handle_failed(ticket, DeviceError::NotFound { kind, id: None }, self.now),
            Some(id) if self.broken.contains(id) => {
                self.role.handle_failed(ticket, DeviceError::Busy { kind }, self.now);
            }
            Some(id) => {
                self.open = Some((ticket, id));
                self.role.handle_opened(ticket, id, self.now);
            }
        }
    }

    /// Lets time pass to `end`, with everything that falls due on the way.
    fn pass(&mut self, end: Instant) {
        loop {
            self.serve();
            let answer = self.pending.as_ref().map(|(at, ..)| *at);
            let deadline = self.role.deadline();
            let Some(next) = answer.into_iter().chain(deadline).min().filter(|at| *at <= end) else { break };
            self.now = self.now.max(next);
            if answer.is_some_and(|at| at <= self.now) {
                self.answer();
            } else {
                self.role.handle_time(self.now);
            }
            self.serve();
            self.check();
        }
        self.now = end;
    }

    /// Holds at every moment.
    fn check(&mut self) {
        if let (Some(open), Some((ticket, id))) = (self.role.in_use(), self.open) {
            assert_eq!(open, id);
            assert!(self.role.wanted && *self.role.choice() != DeviceChoice::Nothing);
            assert!(ticket <= self.role.tickets);
            if self.role.kind == Kind::Speaker && self.role.limit.is_some() {
                let now = reach(id);
                let limit = *self.permitted.get_or_insert(now);
                assert!(now <= limit, "{id} reaches further than {limit:?}");
            }
            if self.role.kind == Kind::Camera && self.role.ranking.choice() != &DeviceChoice::SystemDefault {
                let ranked = self.role.ranking.iter().any(|old| match &old.choice {
                    DeviceChoice::Device { id: chosen } => chosen == id,
                    DeviceChoice::SystemDefault => true,
                    DeviceChoice::Nothing => false,
                });
                assert!(ranked, "{id} was never chosen");
            }
        }
    }

    /// Holds once nothing has happened for a while.
    fn check_rest(&mut self) {
        self.broken.clear();
        self.server = true;
        self.role.handle_wake(self.now);
        self.look();
        self.break_what_is_gone();
        self.opens = 0;
        self.pass(self.now + Duration::from_secs(60));
        assert!(self.opens <= 6, "{} openings in a world at rest", self.opens);
        if !self.role.wanted || *self.role.choice() == DeviceChoice::Nothing {
            assert_eq!((self.open, self.role.deadline()), (None, None));
            return;
        }
        let named = |choice: &DeviceChoice| match choice {
            DeviceChoice::Device { id } => self.there.keys().copied().find(|there| *there == id.as_str()),
            DeviceChoice::SystemDefault if self.role.kind == Kind::Camera => None,
            DeviceChoice::SystemDefault => self.default,
            DeviceChoice::Nothing => None,
        };
        if let DeviceChoice::Device { .. } = self.role.choice()
            && let Some(first) = named(self.role.choice())
            && self.role.limit.is_none_or(|limit| reach(first) <= limit)
        {
            assert_eq!(self.role.in_use(), Some(first), "what was chosen is there and works");
            assert!(self.role.is_usable());
        }
        if self.role.kind == Kind::Microphone && !self.there.is_empty() {
            assert!(self.role.in_use().is_some(), "some microphone is there: {:?}", self.role);
            assert!(self.role.is_usable(), "{:?}", self.role);
        }
        if self.role.in_use().is_none() && self.role.held().is_none() {
            assert!(self.role.trouble().is_some(), "silence without a word: {:?}", self.role);
        }
    }
}

#[test]
fn whatever_happens_the_best_device_is_open_in_the_end_and_no_loud_one_by_itself() {
    for seed in 0..400 {
        println!("seed {seed}");
        let mut world = World::new(seed);
        world.role.want(true, true, world.now);
        for step in 0..60 {
            world.happen();
            let pause = world.rng.random_range(0..if step % 10 == 9 { 20_000 } else { 400 });
            world.pass(world.now + Duration::from_millis(pause));
            world.check();
        }
        world.check_rest();
    }
}

#[test]
fn a_world_in_which_nothing_works_is_tried_for_an_hour_at_a_measured_pace() {
    for seed in 0..30 {
        let mut world = World::new(seed);
        for (id, _) in IDS {
            world.there.insert(id, 1);
            world.broken.insert(id);
        }
        world.default = Some("card");
        world.role.choose(DeviceChoice::Device { id: "boxes".to_owned() }, String::new(), world.now);
        world.role.want(true, true, world.now);
        world.look();
        world.pass(world.now + Duration::from_secs(3600));
        assert!((600..=760).contains(&world.opens), "seed {seed}: {} openings", world.opens);
        world.broken.clear();
        world.pass(world.now + Duration::from_secs(6));
        assert!(world.role.in_use().is_some(), "seed {seed}");
    }
}
