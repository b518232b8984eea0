//! The media threads and the devices they use. All of them live as long as the engine and sleep while there is nothing
//! to do, so that starting a call starts no thread.
//!
//! ```text
//! camera ──on_frame──► slot ──► video-send thread ──► peer         peer ──► queue ──► video-receive thread ──► slot ──► window
//! microphone ──ring──► audio thread ──► peer                      peer ──► queue ──► audio thread ──ring──► speaker
//! screen ──on_frame──► slot ──► screen-send thread ──► peer     peer ──► queue ──► screen-receive thread ──► slot ──► window
//! keeper threads: open and close devices, which may take seconds
//! ```

mod audio;
mod camera;
mod expected_loss;
mod in_step;
mod keeper;
mod priority;
mod queue;
mod scan;
mod screen;
mod screen_list;
mod screen_receive;
mod screen_send;
mod screen_sound;
mod shaping;
mod video_receive;
mod video_send;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use ahoy_devices::{CameraRequest, DeviceError, DeviceEvent, Kind, ScreenEvent, ScreenRequest, Selection, SoundError};
use ahoy_media::LatestSlot;
use ahoy_media::audio::RingSound;
use ahoy_media::audio::voice::BadMicrophone;
use ahoy_media::audio::voice::trial::{Trial, TrialVerdict};
use ahoy_media::rate::budget::{Wants, split};
use ahoy_media::rate::useful_size;
use ahoy_media::stats::{AudioReceiveCounts, VideoReceiveCounts};
use ahoy_media::sync::Medium;
use ahoy_media::units::Bitrate;
use ahoy_media::video::VideoFrame;
use ahoy_peer::{AudioSender, VideoSender};
use tokio::sync::watch;

use crate::api::Levels;
use crate::config::{PictureWish, Taps};
use crate::event::{AudioEncodeCounts, Tone, VideoEncodeCounts};
pub(crate) use audio::AudioIn;
pub(crate) use audio::Treatment;
use audio::{AudioCounts, AudioThread, Order};
use camera::CameraKeeper;
use expected_loss::ExpectedLoss;
use in_step::InStep;
use keeper::SoundKeeper;
pub(crate) use screen::ShareId;
use screen::{Capture, ScreenKeeper};
use screen_list::ScreenList;
pub(crate) use screen_list::{Found, kind as share_kind};
pub(crate) use screen_receive::ScreenIn;
use screen_receive::ScreenReceive;
use screen_send::ScreenSend;
use screen_sound::SoundWish;
pub(crate) use video_receive::VideoIn;
use video_receive::VideoReceive;
use video_send::VideoSend;

/// The camera of somebody who shows a screen is seen in a corner.
const BESIDE_SCREEN: (u32, u32) = (320, 180);

/// What the media threads tell the call task.
#[derive(Debug, Clone)]
pub(crate) enum Note {
    /// A device is open, by its identifier.
    Opened(Kind, Ticket, String),
    /// A device could not be opened.
    Failed(Kind, Ticket, DeviceError),
    /// Something happened to an open device.
    Device(Kind, Ticket, DeviceEvent),
    /// The first sound of the other side was decoded.
    FirstAudio(Instant),
    /// The first picture of the other side is shown.
    FirstVideo(Instant, u32, u32),
    /// Our picture pauses for want of rate, or goes on.
    PicturePaused(bool),
    /// The decoder needs a key frame.
    KeyFrameNeeded,
    /// A contact card's link was seen by the camera.
    Code(String),
    /// What can be shown.
    ShareList(Arc<Found>),
    /// Something happened to a capture of a screen.
    Screen(ShareId, ScreenEvent),
    /// The computer's sound is not shared, or no longer.
    ShareSound(ShareId, SoundError),
    /// The first picture of our shared screen has left.
    ScreenSent(Instant),
    /// The first picture of the other side's shared screen is shown.
    ScreenFirst(Instant, u32, u32),
    /// The decoder of the other side's shared screen needs a key frame.
    ScreenKeyFrameNeeded,
    /// A trial of the sound went on.
    Trial(TrialId, TrialNote),
}

/// How far a trial of the sound has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TrialNote {
    /// The microphone gives sound, recorded from this moment on.
    Recording(Instant),
    /// That is done, and played back from now on.
    Recorded(TrialVerdict),
    /// All was played.
    Played,
}

/// Names one trial, so that a word of an older one is known as such.
pub(crate) type TrialId = u32;

/// Names one order to open a device, so that a word of an older one is known as such.
pub(crate) type Ticket = u64;

/// Posts a note without blocking.
pub(crate) type Post = Arc<dyn Fn(Note) + Send + Sync>;

/// The ends of a connection that the media threads use.
pub(crate) struct Connected {
    pub audio: AudioSender,
    pub video: VideoSender,
    pub screen: VideoSender,
    pub screen_audio: AudioSender,
}

/// Where a connection's received media goes.
#[derive(Clone)]
pub(crate) struct Incoming {
    pub audio: AudioIn,
    pub video: VideoIn,
    pub screen: ScreenIn,
    pub screen_audio: AudioIn,
}

/// Figures of the media threads.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub audio_in: AudioReceiveCounts,
    pub video_in: VideoReceiveCounts,
    pub video_out: VideoEncodeCounts,
    pub audio_out: AudioEncodeCounts,
    /// Picture after sound, ms.
    pub av_sync_offset: Option<f64>,
    /// What is wrong with our microphone.
    pub microphone: Option<BadMicrophone>,
    /// Of our shared screen, while there is one.
    pub screen_out: Option<VideoEncodeCounts>,
    /// Of the other side's shared screen.
    pub screen_in: VideoReceiveCounts,
}

/// All of it, owned by the call task. No method blocks but [`Av::close`].
pub(crate) struct Av {
    audio: AudioThread,
    video_send: VideoSend,
    video_receive: VideoReceive,
    camera: CameraKeeper,
    microphone: SoundKeeper,
    speaker: SoundKeeper,
    screen: ScreenKeeper,
    screen_send: ScreenSend,
    screen_receive: ScreenReceive,
    screen_list: Option<ScreenList>,
    post: Post,
    local: LatestSlot<VideoFrame>,
    remote: LatestSlot<VideoFrame>,
    local_screen: LatestSlot<VideoFrame>,
    remote_screen: LatestSlot<VideoFrame>,
    /// Of the connection that is served.
    in_step: InStep,
    picture: PictureWish,
    camera_on: bool,
    sharing: bool,
    /// With the computer's sound.
    sharing_sound: bool,
    share_paused: Arc<AtomicBool>,
    /// Of the connection that is served.
    screen_audio: Option<AudioSender>,
    /// For want of rate.
    picture_paused: bool,
    /// How large the other side shows our picture, pixels.
    window: Option<(u32, u32)>,
    /// What all that is sent may take; `None` before the connection says.
    budget: Option<Bitrate>,
    expected_loss: ExpectedLoss,
}

impl Av {
    pub fn start(
        picture: PictureWish,
        treatment: Treatment,
        taps: &Taps,
        levels: watch::Sender<Levels>,
        post: &Post,
    ) -> std::io::Result<Self> {
        let (local, remote) = (LatestSlot::new(), LatestSlot::new());
        let (local_screen, remote_screen) = (LatestSlot::new(), LatestSlot::new());
        let screen_send = ScreenSend::start(Arc::clone(post))?;
        let audio = AudioThread::start(treatment, levels, taps.heard.clone(), Arc::clone(post))?;
        let video_send = VideoSend::start(picture, Arc::clone(post))?;
        Ok(Self {
            camera: CameraKeeper::start(video_send.input(), local.clone(), taps.captured.clone(), Arc::clone(post))?,
            microphone: SoundKeeper::start(Kind::Microphone, audio.orders(), Arc::clone(post))?,
            speaker: SoundKeeper::start(Kind::Speaker, audio.orders(), Arc::clone(post))?,
            video_receive: VideoReceive::start(remote.clone(), taps.shown.clone(), Arc::clone(post))?,
            screen: ScreenKeeper::start(screen_send.input(), local_screen.clone(), Arc::clone(post))?,
            screen_receive: ScreenReceive::start(remote_screen.clone(), taps.screen_shown.clone(), Arc::clone(post))?,
            screen_send,
            screen_list: None,
            post: Arc::clone(post),
            audio,
            video_send,
            local,
            remote,
            local_screen,
            remote_screen,
            in_step: InStep::default(),
            picture,
            camera_on: false,
            sharing: false,
            sharing_sound: false,
            share_paused: Arc::default(),
            screen_audio: None,
            picture_paused: false,
            window: None,
            budget: None,
            expected_loss: ExpectedLoss::new(),
        })
    }

    /// The camera's own pictures, for the self view.
    pub fn local(&self) -> LatestSlot<VideoFrame> {
        self.local.clone()
    }

    /// The other side's pictures.
    pub fn remote(&self) -> LatestSlot<VideoFrame> {
        self.remote.clone()
    }

    /// What this side shows.
    pub fn local_screen(&self) -> LatestSlot<VideoFrame> {
        self.local_screen.clone()
    }

    /// What the other side shows.
    pub fn remote_screen(&self) -> LatestSlot<VideoFrame> {
        self.remote_screen.clone()
    }

    /// Opens this device of a kind instead of the one open now, or releases it. A note says what came of the opening.
    pub fn use_device(&mut self, kind: Kind, device: Option<(Ticket, Selection)>) {
        match kind {
            Kind::Camera => {
                self.camera_on = device.is_some();
                self.share_out();
                let PictureWish { width, height, fps } = self.picture;
                let request = |device| CameraRequest { device, width, height, fps };
                self.camera.switch(device.map(|(ticket, device)| (ticket, request(device))));
            }
            Kind::Microphone => self.microphone.switch(device),
            Kind::Speaker => self.speaker.switch(device),
        }
    }

    /// New ends for a connection's received media; the threads take from them once [`Av::connect`] was called.
    pub fn sinks(&self) -> Incoming {
        let in_step = InStep::default();
        Incoming {
            audio: AudioIn::new(in_step.clone()),
            video: self.video_receive.sink(in_step),
            screen: self.screen_receive.sink(),
            screen_audio: AudioIn::new(InStep::default()),
        }
    }

    /// From now on this connection is served. Counts begin anew.
    pub fn connect(&mut self, ends: Connected, incoming: &Incoming) {
        self.in_step = incoming.audio.2.clone();
        let (voice, shared) = (incoming.audio.clone(), incoming.screen_audio.clone());
        self.audio.order(Order::Connect { sender: ends.audio, incoming: voice, shared });
        self.screen_audio = Some(ends.screen_audio);
        (self.budget, self.picture_paused, self.window) = (None, false, None);
        self.expected_loss = ExpectedLoss::new();
        self.tell_expected_loss();
        self.audio.shared.share.store(0, Ordering::Relaxed);
        self.video_send.connect(Some(ends.video));
        self.screen_send.connect(Some(ends.screen));
        self.share_out();
        self.video_receive.connect(&incoming.video);
        self.screen_receive.connect(&incoming.screen);
    }

    /// Media may be sent: the next picture is a key frame, at once.
    pub fn open_gate(&self) {
        self.audio.shared.sending.store(true, Ordering::Release);
        self.video_send.open_gate();
    }

    /// No connection any more: nothing is encoded, decoders and encoders are freed.
    pub fn disconnect(&self) {
        self.audio.shared.sending.store(false, Ordering::Release);
        self.audio.order(Order::Disconnect);
        self.video_send.connect(None);
        self.screen_send.connect(None);
        self.video_receive.disconnect();
        self.screen_receive.disconnect();
    }

    /// The ring, or the ringing tone, sounds from now on; `None`: no more.
    pub fn ring(&self, tone: Option<Tone>) {
        self.audio.order(Order::Ring(tone.map(|tone| match tone {
            Tone::Incoming => RingSound::incoming(),
            Tone::Outgoing => RingSound::outgoing(),
        })));
    }

    /// Carries out a trial of the sound, or stops it ([`Note::Trial`]). It waits for its devices.
    pub fn try_sound(&self, trial: Option<(TrialId, Trial)>) {
        self.audio.order(Order::Try(trial.map(|(id, trial)| (id, Box::new(trial)))));
    }

    /// Muted: the samples are zeros before anything encodes them.
    pub fn mute(&self, muted: bool) {
        self.audio.shared.muted.store(muted, Ordering::Release);
    }

    /// What is done to the microphone's sound from now on.
    pub fn treat(&self, treatment: Treatment) {
        self.audio.order(Order::Treat(treatment));
    }

    /// The other side needs a key frame.
    pub fn key_frame_wanted(&self) {
        self.video_send.force_key();
    }

    /// What the encoders may send together, bits per second with headers.
    pub fn set_rate(&mut self, bits_per_second: u64) {
        self.budget = Some(Bitrate::bps(bits_per_second));
        self.share_out();
    }

    /// Our picture pauses for want of rate, or goes on ([`Note::PicturePaused`]): until then sound has its share too.
    pub fn set_picture_paused(&mut self, paused: bool) {
        self.picture_paused = paused;
        self.share_out();
    }

    /// How large the other side shows our picture, pixels; `None`: it does not say.
    pub fn set_window(&mut self, window: Option<(u32, u32)>) {
        self.video_send.set_window(self.camera_window(window));
        // Nobody probes for a rate that a small window cannot use.
        if std::mem::replace(&mut self.window, window) != window {
            self.share_out();
        }
    }

    /// Beside what is shown, the camera's picture is a small one.
    fn camera_window(&self, window: Option<(u32, u32)>) -> Option<(u32, u32)> {
        if !self.sharing {
            return window;
        }
        let (width, height) = window.unwrap_or(BESIDE_SCREEN);
        Some((width.min(BESIDE_SCREEN.0), height.min(BESIDE_SCREEN.1)))
    }

    /// Lists what can be shown from now on, or no more ([`Note::ShareList`]).
    pub fn list_screens(&mut self, on: bool) -> std::io::Result<()> {
        match (on, self.screen_list.take()) {
            (true, None) => self.screen_list = Some(ScreenList::start(Arc::clone(&self.post))?),
            (true, there) => self.screen_list = there,
            (false, Some(list)) => list.close(),
            (false, None) => {}
        }
        Ok(())
    }

    /// Captures this for the other side from now on, instead of what is captured now, or nothing ([`Note::Screen`]).
    pub fn share(&mut self, wish: Option<(ShareId, ScreenRequest, bool)>) {
        self.sharing = wish.is_some();
        self.sharing_sound = wish.as_ref().is_some_and(|(.., sound)| *sound);
        self.share_paused.store(false, Ordering::Release);
        let wish = wish.map(|(id, request, sound)| {
            let sender = self.screen_audio.clone().filter(|_| sound);
            let paused = Arc::clone(&self.share_paused);
            Capture { id, request, sound: sender.map(|sender| SoundWish { sender, paused }) }
        });
        // First the sender, so that no picture of what was shown before leaves after this.
        self.screen_send.switch(self.sharing);
        self.screen.switch(wish);
        self.video_send.set_window(self.camera_window(self.window));
        self.share_out();
    }

    /// What is shown stands still, or goes on.
    pub fn pause_share(&self, paused: bool) {
        self.share_paused.store(paused, Ordering::Release);
        self.screen_send.pause(paused);
    }

    /// The other side takes our shared screen, and needs a key frame of it.
    pub fn screen_key_frame_wanted(&self) {
        self.screen_send.key_frame_wanted();
    }

    /// The other side shows nothing any more.
    pub fn remote_screen_off(&self) {
        self.screen_receive.reset();
        self.audio.order(Order::SharedSoundOff);
    }

    /// Sound first; a camera that is off leaves its share to it.
    fn share_out(&self) {
        let PictureWish { width, height, fps } = self.picture;
        let (width, height) = useful_size((width, height), self.camera_window(self.window));
        let camera = self.camera_on.then(|| video_send::want(PictureWish { width, height, fps }));
        self.video_send.set_demand(camera.map_or(Bitrate::ZERO, |want| want.most));
        if let Some(budget) = self.budget {
            // It is as large as it is: what is left is shared out.
            let budget = if self.sharing_sound { budget - screen_sound::ON_THE_WIRE } else { budget };
            let (audio, camera_paused) = (Some(audio::WANT), self.picture_paused);
            let screen = self.sharing.then_some(screen_send::WANT);
            let shares = split(budget, &Wants { audio, camera, camera_paused, screen, ..Wants::default() });
            self.screen_send.set_share(shares.screen);
            self.audio.shared.share.store(shares.audio.as_bps(), Ordering::Relaxed);
            self.video_send.set_share(shares.camera);
        }
    }

    /// So much of what we sent was lost in the last second, percent.
    pub fn set_loss(&mut self, percent: u8) {
        self.expected_loss.handle_second(percent);
        self.tell_expected_loss();
    }

    fn tell_expected_loss(&self) {
        self.audio.shared.loss_percent.store(self.expected_loss.percent(), Ordering::Relaxed);
    }

    /// The other side switched its camera off: the gap is no freeze.
    pub fn remote_camera_off(&self) {
        self.video_receive.stopped();
        let _ = self.remote.take();
    }

    /// Searches the camera's pictures for a contact's code.
    pub fn scan(&mut self, on: bool) -> std::io::Result<()> {
        self.camera.scan(on)
    }

    pub fn counts(&self) -> Counts {
        let AudioCounts { received: mut audio_in, sent: audio_out, microphone } = self.audio.counts();
        let mut video_in = self.video_receive.counts();
        let (in_step, now) = (self.in_step.lock(), Instant::now());
        audio_in.estimated_playout_timestamp = in_step.playout_timestamp(Medium::Sound, now);
        video_in.estimated_playout_timestamp = in_step.playout_timestamp(Medium::Picture, now);
        let av_sync_offset = in_step.offset(now);
        Counts {
            audio_in,
            audio_out,
            video_in,
            video_out: self.video_send.counts(),
            av_sync_offset,
            microphone,
            screen_out: self.screen_send.counts(),
            screen_in: self.screen_receive.counts(),
        }
    }

    /// Releases every device and joins every thread. Blocks for as long as a device takes to close.
    pub fn close(self) {
        // The keepers first: they take streams back from the audio thread.
        self.camera.close();
        self.microphone.close();
        self.speaker.close();
        self.screen.close();
        if let Some(list) = self.screen_list {
            list.close();
        }
        self.audio.close();
        self.video_send.close();
        self.video_receive.close();
        self.screen_send.close();
        self.screen_receive.close();
        self.local.close();
        self.remote.close();
        self.local_screen.close();
        self.remote_screen.close();
    }
}

/// Waits for a thread that has been told to end.
fn join(thread: std::thread::JoinHandle<()>) {
    let name = thread.thread().name().unwrap_or("a thread").to_owned();
    if thread.join().is_err() {
        tracing::error!(name, "the thread panicked");
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run)
}
