//! Opening and closing cameras, which may take seconds, away from the call task; and where their pictures go.

use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use ahoy_devices::{CameraRequest, CameraStream, Kind, open_camera};
use ahoy_media::LatestSlot;
use ahoy_media::video::VideoFrame;

use super::scan::Scan;
use super::video_send::Input;
use super::{Note, Post, Ticket, join, spawn};

type Captured = Arc<dyn Fn(&VideoFrame) + Send + Sync>;
type ScanSlot = Arc<Mutex<Option<LatestSlot<VideoFrame>>>>;

/// The camera's keeper thread: carries out one switch after the other, of several that wait only the last.
///
/// call task -> keeper thread; unbounded, but a person's clicks are few, and what is overtaken is skipped.
pub(super) struct CameraKeeper {
    wishes: mpsc::Sender<Option<(Ticket, CameraRequest)>>,
    thread: JoinHandle<()>,
    scan_slot: ScanSlot,
    scan: Option<Scan>,
    post: Post,
}

impl CameraKeeper {
    pub fn start(
        input: Input,
        local: LatestSlot<VideoFrame>,
        captured: Option<Captured>,
        post: Post,
    ) -> std::io::Result<Self> {
        let (wishes, received) = mpsc::channel();
        let scan_slot = ScanSlot::default();
        let keeper =
            Keeper { input, local, captured, post: Arc::clone(&post), scan_slot: Arc::clone(&scan_slot), stream: None };
        let thread = spawn("ahoy-camera", move || keeper.run(&received))?;
        Ok(Self { wishes, thread, scan_slot, scan: None, post })
    }

    pub fn switch(&self, request: Option<(Ticket, CameraRequest)>) {
        // Fails only when the thread is gone, which `close` will tell.
        let _ = self.wishes.send(request);
    }

    pub fn scan(&mut self, on: bool) -> std::io::Result<()> {
        if on == self.scan.is_some() {
            return Ok(());
        }
        let slot = if on {
            let scan = Scan::start(Arc::clone(&self.post))?;
            let slot = scan.input();
            self.scan = Some(scan);
            Some(slot)
        } else {
            None
        };
        *self.scan_slot.lock().unwrap_or_else(PoisonError::into_inner) = slot;
        if !on && let Some(scan) = self.scan.take() {
            scan.close();
        }
        Ok(())
    }

    pub fn close(mut self) {
        // Starts nothing, so it cannot fail.
        let _ = self.scan(false);
        drop(self.wishes);
        join(self.thread);
    }
}

struct Keeper {
    input: Input,
    local: LatestSlot<VideoFrame>,
    captured: Option<Captured>,
    post: Post,
    scan_slot: ScanSlot,
    stream: Option<CameraStream>,
}

impl Keeper {
    fn run(mut self, wishes: &mpsc::Receiver<Option<(Ticket, CameraRequest)>>) {
        while let Ok(first) = wishes.recv() {
            let wish = wishes.try_iter().last().unwrap_or(first);
            // The old one is closed first: most cameras can be opened only once.
            self.release();
            if let Some((ticket, request)) = wish {
                let note = self.open(ticket, &request);
                (self.post)(note);
            }
        }
        self.release();
    }

    fn release(&mut self) {
        self.stream = None;
        // A picture taken before the camera went off must not be sent or shown after.
        self.input.forget();
        let _ = self.local.take();
    }

    fn open(&mut self, ticket: Ticket, request: &CameraRequest) -> Note {
        let (input, local, captured) = (self.input.clone(), self.local.clone(), self.captured.clone());
        let scan = Arc::clone(&self.scan_slot);
        let post = Arc::clone(&self.post);
        let on_frame = move |frame: VideoFrame| {
            if let Some(captured) = &captured {
                captured(&frame);
            }
            // Held for a pointer's copy only; the other side locks it as briefly.
            if let Some(slot) = &*scan.lock().unwrap_or_else(PoisonError::into_inner) {
                slot.put(frame.clone());
            }
            local.put(frame.clone());
            input.put(frame);
        };
        match open_camera(request, on_frame, move |event| post(Note::Device(Kind::Camera, ticket, event))) {
            Ok(stream) => {
                let id = stream.info().id.to_string();
                self.stream = Some(stream);
                Note::Opened(Kind::Camera, ticket, id)
            }
            Err(error) => Note::Failed(Kind::Camera, ticket, error),
        }
    }
}
