//! What the audio callbacks do to memory: nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ahoy_testkit::alloc::allocations_in;

use super::capture::{CaptureCounters, capture};
use super::playback::{PlaybackCounters, playback};

#[test]
fn the_callbacks_allocate_and_free_nothing_not_even_when_they_drop_sound() {
    let counters = Arc::new(CaptureCounters::default());
    let (mut end, _reader) = capture(48_000, Arc::clone(&counters)).unwrap();
    let (sound, now) = ([7_i16; 960], Instant::now());
    let ((), made) = allocations_in(|| {
        for call in 0..1_000_u32 {
            end.push(&sound, 2, now + Duration::from_millis(10) * call);
            end.push::<f32>(&[], 0, now);
        }
    });
    assert_eq!(made, 0, "microphone");
    assert!(counters.overruns.load(Ordering::Relaxed) > 0, "the full ring was met");

    let counters = Arc::new(PlaybackCounters::default());
    let (mut writer, mut end) = playback(48_000, Arc::clone(&counters)).unwrap();
    let mut out = [0_i32; 700 * 2];
    let ((), made) = allocations_in(|| {
        for _ in 0..1_000 {
            writer.write_block(&[0.3; 480]);
            end.fill(&mut out, 2, 0);
            end.fill::<f32>(&mut [], 0, 0);
        }
    });
    assert_eq!(made, 0, "speaker");
    assert!(counters.underruns.load(Ordering::Relaxed) > 0, "the empty ring was met");
}
