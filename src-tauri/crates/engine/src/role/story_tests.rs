//! Stories of devices in virtual time.

use super::*;
use ahoy_devices::Traits;

fn named(id: &str) -> DeviceChoice {
    DeviceChoice::Device { id: id.to_owned() }
}

fn device(id: &str, reach: Reach) -> DeviceInfo {
    DeviceInfo {
        id: id.into(),
        label: format!("The {id}"),
        is_default: false,
        synthetic: false,
        traits: Traits { reach, ..Traits::default() },
    }
}

/// A role with somebody who carries out what it asks.
struct Story {
    role: Role,
    now: Instant,
    devices: Vec<DeviceInfo>,
    default: &'static str,
    said: Vec<Saying>,
    /// The ticket and selection asked for last, unanswered.
    asked: Option<(u64, Selection)>,
}

impl Story {
    /// Chosen from the first to the last.
    fn new(kind: Kind, chosen: &[&str], devices: &[(&str, Reach)], default: &'static str) -> Self {
        let mut ranking = Ranking::default();
        for id in chosen {
            let choice = if *id == "default" { DeviceChoice::SystemDefault } else { named(id) };
            ranking.choose(choice, format!("The {id}"));
        }
        let devices = devices.iter().map(|(id, reach)| device(id, *reach)).collect();
        let role = Role::new(kind, ranking);
        Self { role, now: Instant::now(), devices, default, said: Vec::new(), asked: None }
    }

    fn speaking(kind: Kind, chosen: &[&str], devices: &[(&str, Reach)], default: &'static str) -> Self {
        let mut story = Self::new(kind, chosen, devices, default);
        story.role.want(true, true, story.now);
        story.look();
        story.answer();
        // Long enough for its end to come from outside.
        story.pass(10_000);
        story
    }

    fn pass(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while let Some(at) = self.role.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.role.handle_time(self.now);
            if self.asked().is_some() {
                return;
            }
        }
        self.now = end;
    }

    /// Takes in what there is to do.
    fn asked(&mut self) -> Option<&(u64, Selection)> {
        while let Some(action) = self.role.poll() {
            match action {
                Action::Open { ticket, selection } => self.asked = Some((ticket, selection)),
                Action::Close => self.asked = None,
                Action::Say(saying) => self.said.push(saying),
                Action::Hush => {}
            }
        }
        self.asked.as_ref()
    }

    /// Nothing is to be opened.
    fn rests(&mut self) -> bool {
        self.asked().is_none()
    }

    fn look(&mut self) {
        let mut devices = self.devices.clone();
        for device in &mut devices {
            device.is_default = device.id.as_str() == self.default;
        }
        self.role.handle_listing(&Listing { devices, problem: None }, self.now);
    }

    /// Opens what was asked for, if it is there, until nothing is asked any more.
    fn answer(&mut self) {
        while let Some((ticket, selection)) = self.asked().cloned() {
            self.asked = None;
            let id = match &selection {
                Selection::SystemDefault => self.default.to_owned(),
                Selection::Device(id) => id.to_string(),
            };
            if self.devices.iter().any(|device| device.id.as_str() == id) || is_synthetic(&id) {
                self.role.handle_opened(ticket, &id, self.now);
            } else {
                let error = DeviceError::NotFound { kind: self.role.kind, id: Some(id) };
                self.role.handle_failed(ticket, error, self.now);
            }
        }
    }

    fn unplug(&mut self, id: &str, next_default: &'static str) {
        self.devices.retain(|device| device.id.as_str() != id);
        if self.default == id {
            self.default = next_default;
        }
        self.look();
        self.answer();
    }

    fn plug(&mut self, id: &str, reach: Reach) {
        self.devices.push(device(id, reach));
        self.look();
        self.answer();
    }

    fn lose(&mut self) {
        let ticket = self.role.tickets;
        let lost = DeviceError::Lost { kind: self.role.kind, detail: "gone".to_owned() };
        self.role.handle_event(ticket, DeviceEvent::Lost(lost), self.now);
        self.asked();
    }

    fn refuse(&mut self, error: DeviceError) {
        let (ticket, _) = self.asked().cloned().expect("something was asked for");
        self.asked = None;
        self.role.handle_failed(ticket, error, self.now);
        self.asked();
    }

    fn open(&self) -> Option<&str> {
        self.role.in_use()
    }
}

use super::ranking::is_synthetic;
use Kind::{Camera, Microphone, Speaker};
use Reach::{Private, Room, Unknown};

fn the(id: &str) -> String {
    format!("The {id}")
}

#[test]
fn a_named_choice_stays_when_the_default_moves_and_the_default_is_followed() {
    let there = [("a", Unknown), ("b", Unknown)];
    for (chosen, after) in [("a", "a"), ("default", "b")] {
        let mut story = Story::speaking(Microphone, &[chosen], &there, "a");
        assert_eq!(story.open(), Some("a"));
        story.default = "b";
        story.look();
        story.answer();
        assert_eq!(story.open(), Some(after));
        assert_eq!(story.said, [], "the person did it");
    }
}

#[test]
fn the_next_in_the_ranking_takes_over_at_once_and_the_first_comes_back() {
    let there = [("built-in", Unknown), ("usb", Unknown), ("headset", Unknown)];
    let mut story = Story::speaking(Microphone, &["built-in", "usb", "headset"], &there, "built-in");
    assert_eq!(story.open(), Some("headset"));
    let before = story.now;
    story.unplug("headset", "");
    assert_eq!((story.open(), story.now), (Some("usb"), before));
    assert_eq!(story.said.pop(), Some(Saying::Fallback { lost: the("headset"), used: the("usb") }));
    story.unplug("usb", "");
    assert_eq!(story.open(), Some("built-in"));
    story.plug("usb", Unknown);
    assert_eq!(story.open(), Some("usb"));
    story.plug("headset", Unknown);
    assert_eq!(story.open(), Some("headset"));
    assert_eq!(story.said.pop(), Some(Saying::Returned { used: the("headset") }));
    assert_eq!(story.role.trouble(), None);
}

#[test]
fn headphones_pulled_out_do_not_make_the_loudspeakers_talk() {
    for chosen in ["headphones", "default"] {
        let there = [("headphones", Private), ("loudspeakers", Room)];
        let mut story = Story::speaking(Speaker, &["loudspeakers", chosen], &there, "headphones");
        assert_eq!(story.open(), Some("headphones"));
        story.unplug("headphones", "loudspeakers");
        assert_eq!((story.open(), story.role.held()), (None, Some("loudspeakers")), "{chosen}");
        let held = Saying::Held { lost: the("headphones"), offered: the("loudspeakers") };
        assert_eq!((story.said.last(), story.role.trouble()), (Some(&held), Some(&held)));
        story.pass(600_000);
        story.look();
        story.answer();
        assert_eq!(story.open(), None, "not after ten minutes either");
        story.plug("headphones", Private);
        story.default = "headphones";
        story.look();
        story.answer();
        assert_eq!((story.open(), story.role.trouble()), (Some("headphones"), None));
    }
}

#[test]
fn the_person_may_take_the_loudspeakers_and_then_they_count() {
    let there = [("headphones", Private), ("loudspeakers", Room), ("television", Room)];
    let mut story = Story::speaking(Speaker, &["headphones"], &there, "headphones");
    story.unplug("headphones", "loudspeakers");
    story.role.choose(named("loudspeakers"), the("loudspeakers"), story.now);
    story.answer();
    assert_eq!((story.open(), story.role.trouble()), (Some("loudspeakers"), None));
    story.default = "television";
    story.unplug("loudspeakers", "television");
    assert_eq!(story.open(), Some("television"), "as loud as what the person chose");
}

#[test]
fn a_quieter_one_further_down_is_taken_before_silence() {
    let there = [("old", Private), ("loudspeakers", Room), ("headset", Private)];
    let mut story = Story::speaking(Speaker, &["old", "loudspeakers", "headset"], &there, "loudspeakers");
    story.unplug("headset", "");
    assert_eq!(story.open(), Some("old"));
    let unknown = [("interface", Unknown), ("loudspeakers", Room)];
    let mut story = Story::speaking(Speaker, &["interface"], &unknown, "loudspeakers");
    story.unplug("interface", "");
    assert_eq!(story.open(), None, "headphones may have been in it");
}

#[test]
fn who_makes_the_loudspeakers_the_default_in_the_system_means_it() {
    let there = [("headphones", Private), ("loudspeakers", Room)];
    let mut story = Story::speaking(Speaker, &["default"], &there, "headphones");
    story.default = "loudspeakers";
    story.look();
    story.answer();
    assert_eq!(story.open(), Some("loudspeakers"));
    story.pass(10_000);
    story.look();
    story.answer();
    assert_eq!(story.open(), Some("loudspeakers"), "and they stay");
}

#[test]
fn a_socket_that_is_switched_to_loudspeakers_on_the_same_card_is_held_too() {
    for chosen in ["default", "card"] {
        let mut story = Story::speaking(Speaker, &[chosen], &[("card", Private)], "card");
        story.devices[0].traits.reach = Room;
        story.look();
        story.answer();
        assert_eq!((story.open(), story.role.held()), (None, Some("card")), "{chosen}");
        story.devices[0].traits.reach = Private;
        story.look();
        story.answer();
        assert_eq!(story.open(), Some("card"));
    }
}

#[test]
fn the_default_that_became_a_loud_one_between_list_and_opening_is_closed_again() {
    let there = [("headphones", Private), ("loudspeakers", Room)];
    let mut story = Story::speaking(Speaker, &["default"], &there, "headphones");
    story.lose();
    let (ticket, selection) = story.asked.clone().expect("tried at once");
    assert_eq!(selection, Selection::Device("headphones".into()), "by name, since the default may be another by now");
    story.role.handle_opened(ticket, "loudspeakers", story.now);
    assert_eq!(story.role.poll(), Some(Action::Close));
    assert_eq!((story.role.in_use(), story.role.held()), (None, Some("loudspeakers")));
}

#[test]
fn loudspeakers_that_were_chosen_and_heard_come_back_and_others_do_not() {
    let there = [("phones", Private), ("boxes", Room)];
    let mut story = Story::speaking(Speaker, &["phones", "boxes"], &there, "phones");
    story.unplug("boxes", "phones");
    assert_eq!(story.open(), Some("phones"));
    story.plug("boxes", Room);
    assert_eq!(story.open(), Some("boxes"), "chosen by name, and heard before");
    let mut story = Story::speaking(Speaker, &["default"], &[("boxes", Room)], "boxes");
    story.default = "phones";
    story.plug("phones", Private);
    assert_eq!(story.open(), Some("phones"));
    story.unplug("phones", "boxes");
    assert_eq!(story.open(), None, "somebody had put them on");
    let mut story = Story::speaking(Speaker, &["boxes"], &[("phones", Private)], "phones");
    story.plug("boxes", Room);
    assert_eq!(story.open(), Some("phones"), "this call began in private");
}

#[test]
fn a_ring_goes_to_whatever_there_is() {
    let there = [("headphones", Private), ("loudspeakers", Room)];
    let mut story = Story::new(Speaker, &["headphones"], &there, "loudspeakers");
    story.role.want(true, false, story.now);
    story.look();
    story.answer();
    story.unplug("headphones", "loudspeakers");
    assert_eq!(story.open(), Some("loudspeakers"));
    story.role.want(true, true, story.now);
    story.answer();
    assert_eq!(story.open(), Some("loudspeakers"), "it rang there when the person answered");
}

#[test]
fn no_camera_looks_at_somebody_who_never_chose_it() {
    let there = [("lid", Unknown), ("screen", Unknown), ("desk", Unknown)];
    let mut story = Story::speaking(Camera, &["desk", "screen"], &there, "lid");
    story.unplug("screen", "");
    assert_eq!(story.open(), Some("desk"), "chosen once");
    story.unplug("desk", "");
    assert_eq!(story.open(), None);
    assert!(
        matches!(story.role.trouble(), Some(Saying::Failed(DeviceError::Lost { .. }))),
        "{:?}",
        story.role.trouble()
    );
    assert!(!story.role.is_usable());
    let mut story = Story::speaking(Camera, &[], &there, "lid");
    assert_eq!(story.open(), Some("lid"));
    story.plug("new", Unknown);
    story.default = "new";
    story.look();
    story.answer();
    assert_eq!(story.open(), Some("lid"), "a camera that is listed before it does not take over");
    story.unplug("lid", "screen");
    assert_eq!(story.open(), None);
    story.plug("lid", Unknown);
    assert_eq!(story.open(), Some("lid"));
}

#[test]
fn a_camera_that_another_program_holds_is_tried_for_ever_with_back_off() {
    let mut story = Story::new(Camera, &["cam", "other", "cam"], &[("cam", Unknown), ("other", Unknown)], "cam");
    story.role.want(true, true, story.now);
    story.look();
    let (start, mut waits) = (story.now, Vec::new());
    for _ in 0..200 {
        let before = story.now;
        assert_eq!(story.asked().map(|(_, selection)| selection.clone()), Some(Selection::Device("cam".into())));
        story.refuse(DeviceError::Busy { kind: Camera });
        story.pass(60_000);
        waits.push(story.now - before);
    }
    assert_eq!(waits[0], Duration::from_millis(100));
    assert_eq!(waits[199], Duration::from_secs(5));
    assert!(story.now - start > Duration::from_secs(900));
    assert_eq!(story.said, [Saying::Failed(DeviceError::Busy { kind: Camera })], "said once");
    story.answer();
    assert_eq!((story.open(), story.role.trouble()), (Some("cam"), None));
}

#[test]
fn a_microphone_that_fails_twice_gives_way_and_is_tried_when_it_is_plugged_in_anew() {
    let there = [("good", Unknown), ("broken", Unknown)];
    let mut story = Story::new(Microphone, &["good", "broken"], &there, "good");
    story.role.want(true, true, story.now);
    story.look();
    story.asked();
    story.refuse(DeviceError::Busy { kind: Microphone });
    story.pass(1_000);
    story.asked();
    story.refuse(DeviceError::Busy { kind: Microphone });
    story.answer();
    assert_eq!(story.open(), Some("good"));
    assert_eq!(story.said, [Saying::Instead { failing: the("broken"), used: the("good") }]);
    story.pass(60_000);
    story.look();
    assert!(story.rests(), "no gap every few seconds for another try");
    assert_eq!(story.open(), Some("good"));
    story.devices[1].traits.incarnation = 9;
    story.look();
    story.answer();
    assert_eq!(story.open(), Some("broken"));
}

#[test]
fn where_everything_fails_each_is_tried_in_turn_and_nothing_spins() {
    let mut story = Story::new(Microphone, &["a", "b"], &[("a", Unknown), ("b", Unknown)], "a");
    story.role.want(true, true, story.now);
    story.look();
    let start = story.now;
    let mut tried = BTreeMap::<String, u32>::new();
    for _ in 0..50 {
        let (_, selection) = story.asked().cloned().expect("always another try");
        let Selection::Device(id) = selection else { panic!("{selection:?}") };
        *tried.entry(id.to_string()).or_default() += 1;
        story.refuse(DeviceError::Busy { kind: Microphone });
        story.pass(60_000);
    }
    assert!(tried["a"] > 15 && tried["b"] > 15, "{tried:?}");
    assert!(story.now - start > Duration::from_secs(150), "{:?}", story.now - start);
}

#[test]
fn a_sound_server_that_restarts_has_its_sound_back_with_its_first_list() {
    let mut story = Story::speaking(Speaker, &["room"], &[("room", Unknown)], "room");
    story.lose();
    let dead = DeviceError::NoSystem { kind: Speaker, detail: "refused".to_owned() };
    story.refuse(dead.clone());
    story.role.handle_listing(&Listing { devices: Vec::new(), problem: Some(dead) }, story.now);
    for _ in 0..100 {
        story.pass(1_000);
        story.asked();
    }
    assert_eq!(story.open(), None);
    assert!(matches!(story.role.trouble(), Some(Saying::Failed(DeviceError::NoSystem { .. }))));
    story.devices[0].traits.incarnation = 1;
    let back = story.now;
    story.look();
    story.answer();
    assert_eq!((story.open(), story.now), (Some("room"), back), "without waiting for the back-off");
    assert_eq!(story.role.trouble(), None);
}

#[test]
fn a_device_made_anew_under_its_name_is_opened_anew() {
    let mut story = Story::speaking(Microphone, &["mic"], &[("mic", Unknown)], "mic");
    story.devices[0].traits.incarnation = 5;
    story.look();
    assert!(matches!(story.asked(), Some((_, Selection::Device(id))) if id.as_str() == "mic"));
    story.answer();
    assert_eq!(story.said, []);
}

#[test]
fn after_sleep_everything_real_is_opened_anew() {
    let mut story = Story::speaking(Microphone, &["mic"], &[("mic", Unknown)], "mic");
    story.role.handle_wake(story.now);
    assert!(story.asked().is_some());
    story.answer();
    assert_eq!(story.open(), Some("mic"));
    let mut story = Story::speaking(Microphone, &["tone"], &[], "");
    story.role.handle_wake(story.now);
    assert!(story.rests());
    assert_eq!(story.open(), Some("tone"));
}

#[test]
fn a_stream_that_gives_nothing_is_rebuilt_ever_more_patiently() {
    let mut story = Story::speaking(Microphone, &["mic"], &[("mic", Unknown)], "mic");
    let mut waits = Vec::new();
    for _ in 0..8 {
        let silent_for = Duration::from_secs(1);
        story.role.handle_event(story.role.tickets, DeviceEvent::Stalled { silent_for }, story.now);
        let before = story.now;
        story.pass(600_000);
        waits.push((story.now - before).as_secs());
        story.answer();
    }
    assert_eq!(waits, [2, 4, 8, 16, 32, 32, 32, 32]);
    let silent_for = Duration::from_secs(1);
    story.role.handle_event(story.role.tickets, DeviceEvent::Stalled { silent_for }, story.now);
    assert!(!story.role.is_usable());
    story.role.handle_event(story.role.tickets, DeviceEvent::Resumed, story.now);
    assert!(story.role.is_usable());
    assert_eq!(story.role.deadline(), None);
}

#[test]
fn words_of_an_older_stream_harm_nobody_and_one_that_broke_while_it_opened_is_not_believed() {
    let there = [("a", Unknown), ("b", Unknown)];
    let mut story = Story::speaking(Microphone, &["a"], &there, "a");
    let old = story.role.tickets;
    story.role.choose(named("b"), the("b"), story.now);
    let lost = || DeviceEvent::Lost(DeviceError::Lost { kind: Microphone, detail: String::new() });
    story.role.handle_event(old, lost(), story.now);
    let (ticket, _) = story.asked().cloned().expect("asked");
    story.role.handle_opened(old, "a", story.now);
    assert_eq!(story.open(), None);
    story.role.handle_event(ticket, lost(), story.now);
    story.role.handle_opened(ticket, "b", story.now);
    assert_eq!(story.open(), None);
    story.asked = None;
    story.pass(1_000);
    story.answer();
    assert_eq!(story.open(), Some("b"));
}

#[test]
fn who_has_nothing_plugged_in_is_told_what_is_missing() {
    let mut story = Story::speaking(Microphone, &[], &[], "");
    let none = Saying::Failed(DeviceError::NotFound { kind: Microphone, id: None });
    assert_eq!((story.open(), story.role.trouble()), (None, Some(&none)));
    story.plug("mic", Unknown);
    story.default = "mic";
    story.look();
    story.answer();
    assert_eq!((story.open(), story.role.trouble()), (Some("mic"), None));
}

#[test]
fn a_choice_that_is_not_there_when_the_call_begins_is_said_and_taken_when_it_comes() {
    let mut story = Story::speaking(Speaker, &["headset"], &[("loudspeakers", Room)], "loudspeakers");
    assert_eq!(story.open(), Some("loudspeakers"), "nobody's ears were in it");
    assert_eq!(story.said, [Saying::Fallback { lost: the("headset"), used: the("loudspeakers") }]);
    story.plug("headset", Private);
    assert_eq!(story.open(), Some("headset"));
    story.unplug("headset", "loudspeakers");
    assert_eq!(story.open(), None, "now they were");
}

#[test]
fn a_system_that_does_not_answer_has_not_lost_its_devices() {
    let mut story = Story::speaking(Speaker, &["a"], &[("a", Unknown)], "a");
    let problem = Some(DeviceError::Hung { kind: Speaker, waited: Duration::from_secs(2) });
    story.role.handle_listing(&Listing { devices: Vec::new(), problem }, story.now);
    assert!(story.rests());
    assert_eq!(story.open(), Some("a"));
}

#[test]
fn nothing_chosen_opens_nothing_and_leaves_no_wish_behind() {
    let mut story = Story::speaking(Speaker, &["a"], &[("a", Unknown)], "a");
    story.role.choose(DeviceChoice::Nothing, String::new(), story.now);
    assert!(story.rests());
    assert_eq!(story.role.deadline(), None);
    assert!(!story.role.is_usable());
    story.role.choose(named("a"), the("a"), story.now);
    story.answer();
    assert_eq!(story.open(), Some("a"));
    story.role.want(false, false, story.now);
    assert_eq!((story.open(), story.role.deadline()), (None, None));
}
