//! Which devices are wanted now, which are open, and what is wrong with them. Which one serves a role is decided in
//! [`crate::role`]; here that is carried out, and told.

use std::time::Instant;

use ahoy_devices::{DeviceError, Kind, Listing};
use ahoy_protocol::PixelSize;
use ahoy_session::{Input, Phase, State};

use super::{Desk, texts};
use crate::api::{Device, DeviceChoice, DeviceKind, DeviceList, Devices, MediaOn, NoticeTone};
use crate::av::Note;
use crate::config::EngineConfig;
use crate::event::Happened;
use crate::role::{Action, LOOK, Ranking, Reading, Remembered, Role, Saying, WakeWatch};
use crate::store::Store;

const KINDS: [Kind; 3] = [Kind::Camera, Kind::Microphone, Kind::Speaker];

/// All three roles, and what the person has switched on.
#[derive(Debug)]
pub(super) struct DeviceDesk {
    camera: Role,
    microphone: Role,
    speaker: Role,
    /// While a device is wanted, when the clocks are compared next.
    look_at: Option<Instant>,
    sleep: WakeWatch,
    pub microphone_on: bool,
    pub camera_on: bool,
    /// Our picture pauses for want of rate.
    pub picture_paused: bool,
    /// Our picture is less than it could be, for want of rate.
    pub picture_reduced: bool,
    /// How large the window shows the other side's picture.
    view: Option<PixelSize>,
    /// What the session was told last.
    told: Option<ahoy_session::MediaOn>,
}

impl DeviceDesk {
    pub fn new(config: &EngineConfig, store: &Store) -> Self {
        let role = |kind: Kind, given: &Option<DeviceChoice>| {
            let kept = store.records().devices.iter().filter(|kept| kept.role == texts::device_kind(kind));
            let mut ranking =
                Ranking::new(kept.map(|kept| Remembered { choice: kept.choice.clone(), label: kept.label.clone() }));
            if let Some(given) = given {
                ranking.choose(given.clone(), String::new());
            }
            Role::new(kind, ranking)
        };
        Self {
            camera: role(Kind::Camera, &config.camera),
            microphone: role(Kind::Microphone, &config.microphone),
            speaker: role(Kind::Speaker, &config.speaker),
            look_at: None,
            sleep: WakeWatch::default(),
            microphone_on: true,
            camera_on: true,
            picture_paused: false,
            picture_reduced: false,
            view: None,
            told: None,
        }
    }

    pub(super) fn role(&mut self, kind: Kind) -> &mut Role {
        match kind {
            Kind::Camera => &mut self.camera,
            Kind::Microphone => &mut self.microphone,
            Kind::Speaker => &mut self.speaker,
        }
    }

    /// What really can be sent of what is switched on.
    pub fn media_on(&self) -> MediaOn {
        MediaOn {
            microphone: self.microphone_on && self.microphone.is_usable(),
            camera: self.camera_on && self.camera.is_usable(),
            paused: self.picture_paused,
        }
    }

    /// A headset in Bluetooth's mode for telephones makes both directions dull, whichever of its halves is used.
    pub fn is_telephone(&self) -> bool {
        self.microphone.is_telephone() || self.speaker.is_telephone()
    }

    /// When [`Desk::devices_due`] has something to do.
    pub fn wake(&self) -> Option<Instant> {
        let roles = [&self.camera, &self.microphone, &self.speaker];
        roles.into_iter().filter_map(Role::deadline).chain(self.look_at).min()
    }
}

impl Desk {
    /// Looks for devices anew.
    pub(super) fn refresh_devices(&self) {
        self.watch.look();
    }

    pub(super) fn handle_listing(&mut self, kind: Kind, listing: &Listing) {
        self.devices.role(kind).handle_listing(listing, Instant::now());
        self.carry_out();
        self.trial_if_due();
        self.tell_media();
        self.changed = true;
    }

    pub(super) fn choose_device(&mut self, kind: DeviceKind, choice: DeviceChoice) {
        let role = self.devices.role(texts::kind(kind));
        let label = match &choice {
            DeviceChoice::Device { id } => {
                let device = role.devices().iter().find(|device| device.id.as_str() == id);
                device.map(|device| device.label.clone()).unwrap_or_default()
            }
            DeviceChoice::SystemDefault | DeviceChoice::Nothing => String::new(),
        };
        self.store.choose_device(kind, choice.clone(), label.clone());
        role.choose(choice, label, Instant::now());
        self.reconcile_devices();
        self.tell_media();
        self.changed = true;
    }

    /// Opens and releases what the call and the preview want now. The callee's camera and microphone stay closed until
    /// the answer; the speaker rings.
    pub(super) fn reconcile_devices(&mut self) {
        let (ringing, talking) = (self.is_ringing(), self.is_talking());
        self.give_way(ringing, talking);
        let tried = |kind| self.trial.wants(kind);
        let (microphone_tried, speaker_tried) = (tried(Kind::Microphone), tried(Kind::Speaker));
        let camera = if talking { self.devices.camera_on } else { self.preview };
        let now = Instant::now();
        self.devices.camera.want(camera, talking, now);
        self.devices.microphone.want(talking || self.preview || microphone_tried, talking, now);
        self.devices.speaker.want(talking || ringing || speaker_tried, talking, now);
        let any = camera || talking || ringing || self.preview || microphone_tried || speaker_tried;
        self.watch.set_active(any);
        if any != self.devices.look_at.is_some() {
            self.devices.look_at = any.then(|| now + LOOK);
            self.devices.sleep.forget();
        }
        self.carry_out();
    }

    fn is_ringing(&self) -> bool {
        matches!(self.session.state(), State::InCall(call) if call.phase == Phase::Incoming)
    }

    /// The devices are in use for a call.
    pub(super) fn is_talking(&self) -> bool {
        matches!(self.session.state(), State::InCall(call) if call.phase != Phase::Incoming)
    }

    /// Does what fell due: another try, or a look at the clocks.
    pub(super) fn devices_due(&mut self) {
        let now = Instant::now();
        let look = self.devices.look_at.is_some_and(|at| at <= now);
        let slept = look.then(|| self.devices.sleep.handle(Reading::now())).flatten();
        if look {
            self.devices.look_at = Some(now + LOOK);
        }
        if let Some(slept) = slept {
            tracing::info!(?slept, "the computer slept");
            self.watch.look();
        }
        for kind in KINDS {
            let role = self.devices.role(kind);
            if slept.is_some() {
                role.handle_wake(now);
            } else {
                role.handle_time(now);
            }
        }
        self.carry_out();
        self.trial_if_due();
        self.tell_media();
    }

    fn carry_out(&mut self) {
        for kind in KINDS {
            while let Some(action) = self.devices.role(kind).poll() {
                match action {
                    Action::Open { ticket, selection } => self.av.use_device(kind, Some((ticket, selection))),
                    Action::Close => self.av.use_device(kind, None),
                    Action::Say(saying) => self.say_of_device(kind, &saying),
                    Action::Hush => self.hush(kind),
                }
                self.changed = true;
            }
        }
    }

    fn say_of_device(&mut self, kind: Kind, saying: &Saying) {
        self.hush(kind);
        let phrase = texts::of_device(kind, saying);
        let sentence = self.words.say(phrase.clone()).text;
        tracing::info!(%kind, sentence, "told of a device");
        if let Saying::Returned { .. } = saying {
            return self.event(Happened::DeviceReturned { sentence });
        }
        if self.is_worth_a_notice(kind, saying) {
            self.notify(phrase, NoticeTone::Warning);
        }
        self.event(Happened::DeviceProblem { sentence });
    }

    /// What must reach somebody who speaks, over the picture. A camera that was not there from the beginning is no news;
    /// and outside a call the list says it.
    fn is_worth_a_notice(&self, kind: Kind, saying: &Saying) -> bool {
        let grave = match saying {
            Saying::Fallback { .. } | Saying::Instead { .. } | Saying::Held { .. } => true,
            Saying::Failed(DeviceError::Lost { .. }) => true,
            Saying::Failed(_) | Saying::Stalled => kind != Kind::Camera,
            Saying::Returned { .. } => false,
        };
        self.is_talking() && grave
    }

    /// What was said of this kind's devices no longer holds.
    fn hush(&mut self, kind: Kind) {
        let keys = format!("{kind}.");
        self.notices.retain(|notice| !notice.sentence.key.starts_with(&keys));
    }

    /// How large the other side's picture is shown; zero: not at all.
    pub(super) fn set_view(&mut self, width: u16, height: u16) {
        self.devices.view = (width > 0 && height > 0).then_some(PixelSize { width, height });
        self.tell_media();
    }

    /// Tells the session, and so the other side, what is really sent and shown.
    pub(super) fn tell_media(&mut self) {
        let MediaOn { microphone, camera, paused } = self.devices.media_on();
        let media = ahoy_session::MediaOn {
            microphone,
            camera,
            paused,
            reduced: camera && self.devices.picture_reduced,
            view: self.devices.view,
            share: self.share_state(),
        };
        if self.devices.told != Some(media) {
            self.devices.told = Some(media);
            self.session(Input::Command(ahoy_session::Command::SetMedia(media)));
            self.changed = true;
        }
    }

    pub(super) fn handle_note(&mut self, note: Note) {
        let now = Instant::now();
        match note {
            Note::Opened(kind, ticket, id) => self.devices.role(kind).handle_opened(ticket, &id, now),
            Note::Failed(kind, ticket, error) => {
                tracing::info!(%kind, %error, "a device does not open");
                self.devices.role(kind).handle_failed(ticket, error, now);
            }
            Note::Device(kind, ticket, event) => self.devices.role(kind).handle_event(ticket, event, now),
            Note::FirstAudio(at) => self.event_at(Happened::FirstAudio, at),
            Note::FirstVideo(at, width, height) => self.event_at(Happened::FirstVideo { width, height }, at),
            Note::PicturePaused(paused) => {
                self.devices.picture_paused = paused;
                self.av.set_picture_paused(paused);
            }
            Note::KeyFrameNeeded => self.request_key_frame(),
            Note::ShareList(found) => self.handle_share_list(&found),
            Note::Screen(id, event) => self.handle_screen(id, event),
            Note::ShareSound(id, error) => self.handle_share_sound(id, &error),
            Note::ScreenSent(at) => self.handle_screen_sent(at),
            Note::ScreenFirst(at, width, height) => self.handle_screen_first(at, width, height),
            Note::Trial(id, note) => self.handle_trial(id, note),
            Note::ScreenKeyFrameNeeded => self.order_served(|| crate::connection::Work::RequestScreenKeyFrame),
            Note::Code(link) => {
                if self.scanning {
                    self.set_scanning(false);
                    self.add_contact(&link);
                }
            }
        }
        self.carry_out();
        self.trial_if_due();
        self.tell_media();
        self.changed = true;
    }

    pub(super) fn device_lists(&self) -> Devices {
        let list = |kind, role: &Role| DeviceList {
            available: role.devices().iter().map(shown).collect(),
            chosen: role.choice().clone(),
            chosen_label: role.choice_label(),
            in_use: role.in_use().map(ToOwned::to_owned),
            held: role.held().map(ToOwned::to_owned),
            problem: role.trouble().map(|trouble| self.words.say(texts::of_device(kind, trouble))),
        };
        Devices {
            camera: list(Kind::Camera, &self.devices.camera),
            microphone: list(Kind::Microphone, &self.devices.microphone),
            speaker: list(Kind::Speaker, &self.devices.speaker),
        }
    }
}

fn shown(device: &ahoy_devices::DeviceInfo) -> Device {
    Device {
        id: device.id.to_string(),
        label: device.label.clone(),
        is_default: device.is_default,
        synthetic: device.synthetic,
    }
}
