//! Opening and closing sound devices, which may take seconds, away from the audio thread and the call task.

use std::sync::mpsc;
use std::thread::JoinHandle;

use ahoy_devices::{Kind, MicrophoneRequest, Selection, SpeakerRequest, open_microphone, open_speaker};

use super::audio::{Order, Orders};
use super::{Note, Post, Ticket, join, spawn};

/// One kind's keeper thread: carries out one switch after the other, of several that wait only the last.
///
/// call task -> keeper thread; unbounded, but a person's clicks are few, and what is overtaken is skipped.
#[derive(Debug)]
pub(super) struct SoundKeeper {
    wishes: mpsc::Sender<Option<(Ticket, Selection)>>,
    thread: JoinHandle<()>,
}

impl SoundKeeper {
    pub fn start(kind: Kind, audio: Orders, post: Post) -> std::io::Result<Self> {
        let (wishes, received) = mpsc::channel();
        let name = match kind {
            Kind::Speaker => "ahoy-speaker",
            Kind::Microphone | Kind::Camera => "ahoy-mic",
        };
        let thread = spawn(name, move || run(kind, &received, &audio, &post))?;
        Ok(Self { wishes, thread })
    }

    pub fn switch(&self, device: Option<(Ticket, Selection)>) {
        // Fails only when the thread is gone, which `close` will tell.
        let _ = self.wishes.send(device);
    }

    pub fn close(self) {
        drop(self.wishes);
        join(self.thread);
    }
}

fn run(kind: Kind, wishes: &mpsc::Receiver<Option<(Ticket, Selection)>>, audio: &Orders, post: &Post) {
    while let Ok(first) = wishes.recv() {
        let wish = wishes.try_iter().last().unwrap_or(first);
        // The old one is closed first: many devices can be opened only once.
        release(kind, audio);
        let Some((ticket, device)) = wish else { continue };
        let on_event = {
            let post = post.clone();
            move |event| post(Note::Device(kind, ticket, event))
        };
        let opened = match kind {
            Kind::Speaker => open_speaker(&SpeakerRequest { device }, on_event).map(|stream| {
                let id = stream.info().id.to_string();
                audio.send(Order::Speaker(Box::new(stream)));
                id
            }),
            Kind::Microphone | Kind::Camera => open_microphone(&MicrophoneRequest { device }, on_event).map(|stream| {
                let id = stream.info().id.to_string();
                audio.send(Order::Microphone(Box::new(stream)));
                id
            }),
        };
        post(match opened {
            Ok(id) => Note::Opened(kind, ticket, id),
            Err(error) => Note::Failed(kind, ticket, error),
        });
    }
    release(kind, audio);
}

/// Takes the stream back from the audio thread and closes it here.
fn release(kind: Kind, audio: &Orders) {
    match kind {
        Kind::Speaker => {
            let (give, back) = mpsc::channel();
            audio.send(Order::TakeSpeaker(give));
            drop(back.recv());
        }
        Kind::Microphone | Kind::Camera => {
            let (give, back) = mpsc::channel();
            audio.send(Order::TakeMicrophone(give));
            drop(back.recv());
        }
    }
}
