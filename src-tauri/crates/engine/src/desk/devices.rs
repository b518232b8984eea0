//! Which devices are wanted now, which are open, and what is wrong with them.

use std::time::{Duration, Instant};

use ahoy_devices::{DeviceError, DeviceEvent, Kind, Listing, Selection};
use ahoy_protocol::PixelSize;
use ahoy_session::{Input, Phase, State};

use super::texts::{self, device_problem};
use super::{Desk, Posted};
use crate::api::{Device, DeviceChoice, DeviceKind, DeviceList, Devices, MediaOn};
use crate::av::Note;
use crate::config::EngineConfig;
use crate::event::Happened;
use crate::store::Store;
use crate::words::Phrase;

/// A lost default device is opened anew (the default may be another now), but not more often than this.
const REOPEN: Duration = Duration::from_secs(2);

/// One kind's device.
#[derive(Debug)]
pub(super) struct Role {
    choice: DeviceChoice,
    available: Vec<Device>,
    /// What the keeper was told last.
    asked: Option<Selection>,
    /// The person chose anew: ask the keeper even for the same.
    again: bool,
    in_use: Option<String>,
    problem: Option<Phrase>,
    reopened: Option<Instant>,
}

impl Role {
    fn new(choice: DeviceChoice) -> Self {
        Self { choice, available: Vec::new(), asked: None, again: false, in_use: None, problem: None, reopened: None }
    }

    /// It could give something if it were wanted.
    fn usable(&self) -> bool {
        self.choice != DeviceChoice::Nothing && self.problem.is_none()
    }
}

/// All three, and what the person has switched on.
#[derive(Debug)]
pub(super) struct DeviceDesk {
    camera: Role,
    microphone: Role,
    speaker: Role,
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
        let role = |given: &Option<DeviceChoice>, name: &str| {
            let remembered = || store.setting(name).and_then(|text| serde_json::from_str(text).ok());
            Role::new(given.clone().or_else(remembered).unwrap_or(DeviceChoice::SystemDefault))
        };
        Self {
            camera: role(&config.camera, "device.camera"),
            microphone: role(&config.microphone, "device.microphone"),
            speaker: role(&config.speaker, "device.speaker"),
            microphone_on: true,
            camera_on: true,
            picture_paused: false,
            picture_reduced: false,
            view: None,
            told: None,
        }
    }

    fn role(&mut self, kind: Kind) -> &mut Role {
        match kind {
            Kind::Camera => &mut self.camera,
            Kind::Microphone => &mut self.microphone,
            Kind::Speaker => &mut self.speaker,
        }
    }

    pub fn choose(&mut self, kind: DeviceKind, device: DeviceChoice, store: &mut Store) {
        let name = match kind {
            DeviceKind::Camera => "device.camera",
            DeviceKind::Microphone => "device.microphone",
            DeviceKind::Speaker => "device.speaker",
        };
        store.set(name, serde_json::to_string(&device).expect("a choice can be written as JSON"));
        let role = self.role(texts::kind(kind));
        role.choice = device;
        role.problem = None;
        role.again = true;
    }

    /// What really can be sent of what is switched on.
    pub fn media_on(&self) -> MediaOn {
        MediaOn {
            microphone: self.microphone_on && self.microphone.usable(),
            camera: self.camera_on && self.camera.usable(),
            paused: self.picture_paused,
        }
    }
}

impl Desk {
    pub(super) fn refresh_devices(&self) {
        for kind in [Kind::Camera, Kind::Microphone, Kind::Speaker] {
            let inbox = self.outlets.inbox.clone();
            tokio::task::spawn_blocking(move || {
                let listing = ahoy_devices::list(kind);
                drop(inbox.blocking_send(Posted::Devices(kind, listing)));
            });
        }
    }

    pub(super) fn handle_listing(&mut self, kind: Kind, listing: Listing) {
        let devices = listing.devices.into_iter().map(|device| Device {
            id: device.id.to_string(),
            label: device.label,
            is_default: device.is_default,
            synthetic: device.synthetic,
        });
        self.devices.role(kind).available = devices.collect();
        self.changed = true;
    }

    /// Opens and releases what the call and the preview want now. The callee's camera and microphone stay closed until
    /// the answer; the speaker rings.
    pub(super) fn reconcile_devices(&mut self) {
        let (ringing, talking) = match self.session.state() {
            State::InCall(call) => match call.phase {
                Phase::Calling
                | Phase::Ringing
                | Phase::Connecting
                | Phase::Active { .. }
                | Phase::Reconnecting { .. } => (false, true),
                Phase::Incoming => (true, false),
            },
            State::Idle | State::Closed => (false, false),
        };
        let camera = if talking { self.devices.camera_on } else { self.preview };
        self.want(Kind::Camera, camera);
        self.want(Kind::Microphone, talking || self.preview);
        self.want(Kind::Speaker, talking || ringing);
    }

    fn want(&mut self, kind: Kind, wanted: bool) {
        let role = self.devices.role(kind);
        let asked = if wanted { texts::selection(&role.choice) } else { None };
        if role.asked == asked && !std::mem::take(&mut role.again) {
            return;
        }
        role.again = false;
        role.asked.clone_from(&asked);
        if asked.is_none() {
            role.in_use = None;
            // What was wrong is looked for anew the next time it is wanted.
            role.problem = None;
        }
        self.av.use_device(kind, asked);
        self.changed = true;
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
        match note {
            Note::Opened(kind, id) => {
                let role = self.devices.role(kind);
                role.in_use = role.asked.is_some().then_some(id);
                role.problem = None;
            }
            Note::Released(kind) => self.devices.role(kind).in_use = None,
            Note::Failed(kind, error) => self.device_failed(kind, &error),
            Note::Device(kind, event) => self.handle_device(kind, event),
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
            Note::ScreenKeyFrameNeeded => self.order_served(|| crate::connection::Work::RequestScreenKeyFrame),
            Note::Code(link) => {
                if self.scanning {
                    self.set_scanning(false);
                    self.add_contact(&link);
                }
            }
        }
        self.tell_media();
        self.changed = true;
    }

    fn device_failed(&mut self, kind: Kind, error: &DeviceError) {
        let problem = device_problem(kind, error);
        let role = self.devices.role(kind);
        role.in_use = None;
        // Released meanwhile: nobody wants to know.
        if role.asked.is_none() {
            return;
        }
        role.problem = Some(problem.clone());
        let sentence = self.words.say(problem).text;
        tracing::info!(%error, "a device does not work");
        self.event(Happened::DeviceProblem { sentence });
    }

    fn handle_device(&mut self, kind: Kind, event: DeviceEvent) {
        match event {
            DeviceEvent::Lost(error) => {
                self.device_failed(kind, &error);
                let role = self.devices.role(kind);
                let now = Instant::now();
                let again = role.asked == Some(Selection::SystemDefault)
                    && role.reopened.is_none_or(|at| now.duration_since(at) > REOPEN);
                if again {
                    role.reopened = Some(now);
                }
                let device = role.asked.clone().filter(|_| again);
                self.av.use_device(kind, device);
            }
            DeviceEvent::Stalled { .. } => {
                let problem = match kind {
                    Kind::Camera => Phrase::CameraLost {},
                    Kind::Microphone => Phrase::MicrophoneLost {},
                    Kind::Speaker => Phrase::SpeakerLost {},
                };
                self.devices.role(kind).problem = Some(problem);
            }
            DeviceEvent::Resumed => self.devices.role(kind).problem = None,
            DeviceEvent::FormatChanged | DeviceEvent::Moved => {}
        }
    }

    pub(super) fn device_lists(&self) -> Devices {
        let list = |role: &Role| DeviceList {
            available: role.available.clone(),
            chosen: role.choice.clone(),
            in_use: role.in_use.clone(),
            problem: role.problem.clone().map(|problem| self.words.say(problem)),
        };
        Devices {
            camera: list(&self.devices.camera),
            microphone: list(&self.devices.microphone),
            speaker: list(&self.devices.speaker),
        }
    }
}
