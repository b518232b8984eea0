//! Pictures on their way to a canvas.
//!
//! A message is a header of 32 bytes, little-endian: magic `AHOY` (u32), width, height, frame number, flags (u32 each;
//! flags are 0), 12 reserved bytes; then the tightly packed planes Y, U and V.

use std::sync::Arc;

use ahoy_engine::media::{I420, LatestSlot, VideoFrame};
use serde::Deserialize;
use tauri::async_runtime::{self, JoinHandle};
use tokio::sync::Semaphore;

const HEADER_BYTES: usize = 32;
const MAGIC: u32 = u32::from_le_bytes(*b"AHOY");
/// shell -> canvas; 2 pictures sent and not shown yet: one on screen, one on its way. Full: the slot keeps the newest.
const UNDER_WAY: usize = 2;

/// Whose pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    /// The other side's.
    Remote,
    /// This computer's camera.
    Local,
    /// The screen that the other side shows.
    RemoteScreen,
    /// What this side shows of its screen.
    LocalScreen,
}

/// Takes the newest picture from a slot and sends it, as fast as they are shown. Ends when dropped.
#[derive(Debug)]
pub struct Feed {
    credit: Arc<Semaphore>,
    task: JoinHandle<()>,
}

impl Feed {
    /// Starts sending; `send` answers whether somebody is still there.
    pub fn start(slot: LatestSlot<VideoFrame>, send: impl Fn(Vec<u8>) -> bool + Send + 'static) -> Self {
        let credit = Arc::new(Semaphore::new(UNDER_WAY));
        let allowed = Arc::clone(&credit);
        let task = async_runtime::spawn(async move {
            // First the permission, then the picture: so that it is the newest.
            while let Ok(permit) = allowed.acquire().await {
                permit.forget();
                let Some(frame) = slot.next().await else { break };
                if !send(message(&frame)) {
                    break;
                }
            }
        });
        Self { credit, task }
    }

    /// So many were shown. More than were sent cannot have been.
    pub fn shown(&self, count: usize) {
        let room = UNDER_WAY.saturating_sub(self.credit.available_permits());
        self.credit.add_permits(count.min(room));
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The one copy on the way from the slot to the webview.
fn message(frame: &VideoFrame) -> Vec<u8> {
    let I420 { width, height, y, u, v } = frame.picture.as_ref();
    let mut message = Vec::with_capacity(HEADER_BYTES + y.len() + u.len() + v.len());
    // The number is only ever compared for being new: its lower half is enough.
    for word in [MAGIC, *width, *height, frame.number as u32, 0, 0, 0, 0] {
        message.extend_from_slice(&word.to_le_bytes());
    }
    for plane in [y, u, v] {
        message.extend_from_slice(plane);
    }
    message
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use super::*;

    fn frame(number: u64) -> VideoFrame {
        VideoFrame { picture: Arc::new(I420::black(6, 5)), captured: Instant::now(), number }
    }

    #[test]
    fn a_message_is_header_and_planes() {
        let bytes = message(&frame(0x1_0000_0002));
        assert_eq!(&bytes[..4], b"AHOY");
        assert_eq!(&bytes[4..20], [6, 0, 0, 0, 5, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes.len(), 32 + 30 + 2 * 9);
        assert_eq!((bytes[32], bytes[32 + 30]), (16, 128));
    }

    #[test]
    fn a_canvas_that_shows_nothing_is_sent_two_pictures_and_then_only_the_newest() {
        let slot = LatestSlot::new();
        let (sent, received) = mpsc::channel();
        let feed = Feed::start(slot.clone(), move |bytes: Vec<u8>| sent.send(bytes[12]).is_ok());
        let next = || received.recv_timeout(Duration::from_secs(10)).unwrap();
        for number in [1, 2] {
            slot.put(frame(number));
            assert_eq!(u64::from(next()), number);
        }
        for number in 3..=9 {
            slot.put(frame(number));
        }
        // Nothing was shown, so nothing may come, and the older ones are forgotten.
        assert_eq!(slot.counts().taken, 2);
        feed.shown(1);
        assert_eq!(next(), 9);
        // A window that claims too much gets no longer queue.
        feed.shown(1000);
        assert!(feed.credit.available_permits() <= UNDER_WAY);
    }

    #[test]
    fn a_dropped_feed_leaves_the_pictures_to_the_next() {
        let slot = LatestSlot::new();
        drop(Feed::start(slot.clone(), |_| true));
        let (sent, received) = mpsc::channel();
        let _feed = Feed::start(slot.clone(), move |bytes: Vec<u8>| sent.send(bytes[12]).is_ok());
        // The dropped one may have one take left in it, if it was just being woken.
        let deadline = Instant::now() + Duration::from_secs(10);
        let arrived = std::iter::repeat_with(|| {
            slot.put(frame(5));
            received.recv_timeout(Duration::from_millis(20))
        })
        .take_while(|_| Instant::now() < deadline)
        .find_map(Result::ok);
        assert_eq!(arrived, Some(5));
    }
}
