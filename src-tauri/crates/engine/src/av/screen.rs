//! Beginning and ending the capture of a screen, which may take as long as a person takes to choose, away from the call task.

use std::sync::mpsc;
use std::thread::JoinHandle;

use ahoy_devices::{ScreenError, ScreenEvent, ScreenRequest, ScreenStream, SystemSound, open_screen};
use ahoy_media::LatestSlot;
use ahoy_media::video::VideoFrame;

use super::screen_send::ScreenInput;
use super::screen_sound::{self, SoundWish};
use super::{Note, Post, join, spawn};

/// Which of the captures that were wished for one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ShareId(pub u64);

/// What is to be captured.
pub(super) struct Capture {
    pub id: ShareId,
    pub request: ScreenRequest,
    /// With the computer's sound.
    pub sound: Option<SoundWish>,
}

type Wish = Option<Capture>;

/// The screen's keeper thread: carries out one wish after the other, of several that wait only the last.
///
/// call task -> keeper thread; unbounded, but a person's clicks are few, and what is overtaken is skipped.
pub(super) struct ScreenKeeper {
    wishes: mpsc::Sender<Wish>,
    thread: JoinHandle<()>,
}

impl ScreenKeeper {
    pub fn start(input: ScreenInput, local: LatestSlot<VideoFrame>, post: Post) -> std::io::Result<Self> {
        let (wishes, received) = mpsc::channel();
        let thread = spawn("ahoy-screens", move || run(&received, &input, &local, &post))?;
        Ok(Self { wishes, thread })
    }

    pub fn switch(&self, wish: Wish) {
        // Fails only when the thread is gone, which `close` will tell.
        let _ = self.wishes.send(wish);
    }

    pub fn close(self) {
        drop(self.wishes);
        join(self.thread);
    }
}

fn run(wishes: &mpsc::Receiver<Wish>, input: &ScreenInput, local: &LatestSlot<VideoFrame>, post: &Post) {
    let mut stream: Option<(ScreenStream, Option<SystemSound>)> = None;
    while let Ok(first) = wishes.recv() {
        let wish = wishes.try_iter().last().unwrap_or(first);
        // The old one has ended when this returns: what is shown next is of the new one.
        drop(stream.take());
        let _ = local.take();
        if let Some(Capture { id, request, sound }) = wish {
            match open(id, request, input.clone(), local.clone(), Post::clone(post)) {
                Ok(opened) => {
                    let sound = sound.and_then(|wish| {
                        let opened = screen_sound::open(id, wish, Post::clone(post));
                        // The picture is shown without it.
                        opened.map_err(|error| post(Note::ShareSound(id, error))).ok()
                    });
                    stream = Some((opened, sound));
                }
                Err(error) => post(Note::Screen(id, ScreenEvent::Ended(error))),
            }
        }
    }
}

fn open(
    id: ShareId,
    request: ScreenRequest,
    input: ScreenInput,
    local: LatestSlot<VideoFrame>,
    post: Post,
) -> Result<ScreenStream, ScreenError> {
    let on_frame = move |frame: VideoFrame| {
        local.put(frame.clone());
        input.put(frame);
    };
    open_screen(request, on_frame, move |event| post(Note::Screen(id, event)))
}
