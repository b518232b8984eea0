//! The short queues between the media threads and the network task, and the gate before them.

use crate::media::{MAX_ACCESS_UNIT_BYTES, MAX_OPUS_BYTES};
use crate::{OutgoingAudio, OutgoingVideo, SendOutcome, Source};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// 200 ms of 20 ms packets: more would only be heard late.
pub(crate) const AUDIO_DEPTH: usize = 10;
/// Access units; the video-send thread encodes the latest frame, so more than one waiting means that the network task is late.
pub(crate) const VIDEO_DEPTH: usize = 4;

/// Sound at its best, headers included, bits per second.
const AUDIO_DEMAND: u64 = 92_000;

/// What a source could use, bits per second.
#[derive(Debug)]
struct Demand([AtomicU64; 2]);

impl Default for Demand {
    /// A camera that says nothing could use all there is; nothing is shared before somebody says so.
    fn default() -> Self {
        Self([AtomicU64::new(20_000_000), AtomicU64::new(0)])
    }
}

/// What waits of one source.
#[derive(Debug, Default)]
struct Queues {
    audio: VecDeque<OutgoingAudio>,
    video: VecDeque<OutgoingVideo>,
    /// A picture was refused: nothing after it can be decoded before the next key frame.
    video_waits_for_key: bool,
}

/// What waits to be sent.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// By [`Source::place`].
    queues: Mutex<[Queues; 2]>,
    wake: Notify,
    allowed: AtomicBool,
    connected: AtomicBool,
    closed: AtomicBool,
    key_wanted: AtomicBool,
    /// The engine wants a key frame of the other side's shared screen.
    screen_key_wanted: AtomicBool,
    /// A picture that is encoded now would wait too long.
    congested: [AtomicBool; 2],
    /// What the pictures' sources could use, bits per second.
    video_demand: Demand,
    audio_dropped: AtomicU64,
    video_dropped: AtomicU64,
}

/// The next thing to send.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Audio(Source, OutgoingAudio),
    Video(Source, OutgoingVideo),
}

impl Outgoing {
    fn queues(&self) -> MutexGuard<'_, [Queues; 2]> {
        // The queues are whole at every panic point, so a poisoned lock is as good as another.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn closed_or_held(&self) -> Option<SendOutcome> {
        if self.closed.load(Ordering::Acquire) {
            Some(SendOutcome::Closed)
        } else if !self.is_open() {
            Some(SendOutcome::Held)
        } else {
            None
        }
    }

    pub(crate) fn push_audio(&self, source: Source, packet: OutgoingAudio) -> SendOutcome {
        if let Some(outcome) = self.closed_or_held() {
            return outcome;
        }
        if packet.payload.is_empty() || packet.payload.len() > MAX_OPUS_BYTES {
            self.audio_dropped.fetch_add(1, Ordering::Relaxed);
            return SendOutcome::Dropped(1);
        }
        let mut both = self.queues();
        let queues = &mut both[source.place()];
        let mut forgotten = 0;
        while queues.audio.len() >= AUDIO_DEPTH {
            queues.audio.pop_front();
            forgotten += 1;
        }
        queues.audio.push_back(packet);
        drop(both);
        self.wake.notify_one();
        if forgotten == 0 {
            SendOutcome::Queued
        } else {
            self.audio_dropped.fetch_add(forgotten as u64, Ordering::Relaxed);
            SendOutcome::Dropped(forgotten)
        }
    }

    pub(crate) fn push_video(&self, source: Source, unit: OutgoingVideo) -> SendOutcome {
        if let Some(outcome) = self.closed_or_held() {
            self.queues()[source.place()].video_waits_for_key = true;
            return outcome;
        }
        let mut both = self.queues();
        let queues = &mut both[source.place()];
        if unit.key && queues.video.len() < VIDEO_DEPTH {
            queues.video_waits_for_key = false;
        }
        let unfit = unit.access_unit.is_empty() || unit.access_unit.len() > MAX_ACCESS_UNIT_BYTES;
        if queues.video_waits_for_key || queues.video.len() >= VIDEO_DEPTH || unfit {
            queues.video_waits_for_key = true;
            self.video_dropped.fetch_add(1, Ordering::Relaxed);
            return SendOutcome::KeyFrameNeeded;
        }
        queues.video.push_back(unit);
        drop(both);
        self.wake.notify_one();
        SendOutcome::Queued
    }

    /// Sound goes before pictures, and the people's before what they share.
    pub(crate) fn pop(&self) -> Option<Next> {
        if let Some((source, packet)) = self.pop_audio() {
            return Some(Next::Audio(source, packet));
        }
        let mut queues = self.queues();
        Source::BOTH.into_iter().find_map(|source| Some(Next::Video(source, queues[source.place()].video.pop_front()?)))
    }

    /// Sound that came while a large picture was being sent.
    pub(crate) fn pop_audio(&self) -> Option<(Source, OutgoingAudio)> {
        let mut queues = self.queues();
        Source::BOTH.into_iter().find_map(|source| Some((source, queues[source.place()].audio.pop_front()?)))
    }

    /// Waits until there may be something to send.
    pub(crate) async fn wait(&self) {
        self.wake.notified().await;
    }

    /// The engine wants a key frame from the other side.
    pub(crate) fn request_key(&self, source: Source) {
        self.wish(source).store(true, Ordering::Release);
        self.wake.notify_one();
    }

    pub(crate) fn take_key_request(&self, source: Source) -> bool {
        self.wish(source).swap(false, Ordering::AcqRel)
    }

    fn wish(&self, source: Source) -> &AtomicBool {
        match source {
            Source::Call => &self.key_wanted,
            Source::Share => &self.screen_key_wanted,
        }
    }

    pub(crate) fn allow(&self, allowed: bool) {
        self.allowed.store(allowed, Ordering::Release);
        self.forget_unless_open();
    }

    pub(crate) fn set_connected(&self, connected: bool) {
        self.connected.store(connected, Ordering::Release);
        self.forget_unless_open();
    }

    pub(crate) fn is_allowed(&self) -> bool {
        self.allowed.load(Ordering::Acquire)
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }

    /// Media may leave.
    pub(crate) fn is_open(&self) -> bool {
        self.is_allowed() && self.connected.load(Ordering::Acquire) && !self.is_closed()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.forget_unless_open();
        self.wake.notify_one();
    }

    pub(crate) fn set_may_encode(&self, source: Source, may: bool) {
        self.congested[source.place()].store(!may, Ordering::Release);
    }

    pub(crate) fn may_encode(&self, source: Source) -> bool {
        !self.congested[source.place()].load(Ordering::Acquire)
    }

    pub(crate) fn set_video_demand(&self, source: Source, bits_per_second: u64) {
        self.video_demand.0[source.place()].store(bits_per_second, Ordering::Release);
    }

    /// What all sources together could use, bits per second.
    pub(crate) fn demand(&self) -> u64 {
        let sources = self.video_demand.0.iter().map(|demand| demand.load(Ordering::Acquire));
        sources.fold(AUDIO_DEMAND, u64::saturating_add)
    }

    /// What our own full queues forgot: sound packets, pictures.
    pub(crate) fn dropped(&self) -> (u64, u64) {
        (self.audio_dropped.load(Ordering::Relaxed), self.video_dropped.load(Ordering::Relaxed))
    }

    fn forget_unless_open(&self) {
        if !self.is_open() {
            for queues in self.queues().iter_mut() {
                queues.audio.clear();
                queues.video.clear();
                queues.video_waits_for_key = true;
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::time::Instant;

    fn open() -> Outgoing {
        let outgoing = Outgoing::default();
        outgoing.allow(true);
        outgoing.set_connected(true);
        outgoing
    }

    /// One moment for all, so that equal packets are equal.
    static CAPTURED: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);

    fn audio(timestamp: u32) -> OutgoingAudio {
        OutgoingAudio { payload: Bytes::from_static(&[1, 2, 3]), timestamp, captured: *CAPTURED, voice: true }
    }

    fn video(key: bool) -> OutgoingVideo {
        OutgoingVideo { access_unit: Bytes::from_static(&[0, 0, 0, 1, 0x65]), captured: Instant::now(), key }
    }

    #[test]
    fn nothing_is_taken_before_the_gate_opens() {
        let outgoing = Outgoing::default();
        outgoing.set_connected(true);
        assert_eq!(outgoing.push_audio(Source::Call, audio(0)), SendOutcome::Held);
        assert_eq!(outgoing.push_video(Source::Call, video(true)), SendOutcome::Held);
        outgoing.allow(true);
        assert_eq!(outgoing.push_audio(Source::Call, audio(0)), SendOutcome::Queued);
        outgoing.allow(false);
        assert_eq!(outgoing.pop(), None, "closing the gate forgets what waits");
    }

    #[test]
    fn a_full_sound_queue_forgets_the_oldest() {
        let outgoing = open();
        for i in 0..AUDIO_DEPTH as u32 {
            assert_eq!(outgoing.push_audio(Source::Call, audio(i)), SendOutcome::Queued);
        }
        assert_eq!(outgoing.push_audio(Source::Call, audio(99)), SendOutcome::Dropped(1));
        assert_eq!(outgoing.pop(), Some(Next::Audio(Source::Call, audio(1))));
        assert_eq!(outgoing.dropped(), (1, 0));
    }

    #[test]
    fn after_a_refused_picture_only_a_key_frame_is_taken() {
        let outgoing = open();
        assert_eq!(
            outgoing.push_video(Source::Call, video(false)),
            SendOutcome::KeyFrameNeeded,
            "the first must be a key frame"
        );
        for i in 0..VIDEO_DEPTH {
            assert_eq!(outgoing.push_video(Source::Call, video(i == 0)), SendOutcome::Queued);
        }
        assert_eq!(outgoing.push_video(Source::Call, video(false)), SendOutcome::KeyFrameNeeded);
        assert!(matches!(outgoing.pop(), Some(Next::Video(..))));
        assert_eq!(
            outgoing.push_video(Source::Call, video(false)),
            SendOutcome::KeyFrameNeeded,
            "there is room, but the chain is broken"
        );
        assert_eq!(outgoing.push_video(Source::Call, video(true)), SendOutcome::Queued);
    }

    #[test]
    fn sound_goes_before_pictures() {
        let outgoing = open();
        assert_eq!(outgoing.push_video(Source::Call, video(true)), SendOutcome::Queued);
        assert_eq!(outgoing.push_audio(Source::Call, audio(7)), SendOutcome::Queued);
        assert_eq!(outgoing.pop(), Some(Next::Audio(Source::Call, audio(7))));
    }

    #[test]
    fn what_is_shared_goes_after_the_people_and_a_broken_share_holds_up_nobody() {
        let outgoing = open();
        assert_eq!(outgoing.push_video(Source::Share, video(false)), SendOutcome::KeyFrameNeeded);
        assert_eq!(outgoing.push_video(Source::Share, video(true)), SendOutcome::Queued);
        assert_eq!(outgoing.push_audio(Source::Share, audio(1)), SendOutcome::Queued);
        assert_eq!(outgoing.push_video(Source::Call, video(true)), SendOutcome::Queued);
        assert_eq!(outgoing.push_audio(Source::Call, audio(2)), SendOutcome::Queued);
        let order = std::iter::from_fn(|| outgoing.pop()).map(|next| match next {
            Next::Audio(source, _) => (source, "sound"),
            Next::Video(source, _) => (source, "picture"),
        });
        let expected =
            [(Source::Call, "sound"), (Source::Share, "sound"), (Source::Call, "picture"), (Source::Share, "picture")];
        assert_eq!(order.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn unfit_packets_are_refused_and_counted() {
        let outgoing = open();
        let large = OutgoingAudio { payload: Bytes::from(vec![0; MAX_OPUS_BYTES + 1]), ..audio(0) };
        assert_eq!(outgoing.push_audio(Source::Call, large), SendOutcome::Dropped(1));
        outgoing.close();
        assert_eq!(outgoing.push_audio(Source::Call, audio(0)), SendOutcome::Closed);
    }
}
