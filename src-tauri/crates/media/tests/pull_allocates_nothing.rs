//! The audio thread asks for its sound without touching the allocator, whatever the network does.

#![allow(clippy::unwrap_used, missing_docs)]
// A test needs some time to count from; it never looks at it twice.
#![allow(clippy::disallowed_methods)]

use std::time::{Duration, Instant};

use ahoy_media::audio::{AudioPlayout, OpusEncoder, OpusSettings, SILENCE};
use ahoy_testkit::alloc::{CountingAllocator, allocations_in};
use ahoy_testkit::{Tone, seeded};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn pulling_neither_allocates_nor_frees() {
    let (mut chance, start) = (seeded(3), Instant::now());
    let mut encoder = OpusEncoder::new(OpusSettings { packet_loss: 20, ..OpusSettings::default() }).unwrap();
    let (mut playout, mut tone) = (AudioPlayout::new().unwrap(), Tone::new(300.0, 48_000, 0.5));
    let mut sequence = 0_u16;
    for n in 0..2_000 {
        let now = start + Duration::from_millis(10) * n;
        let mut block = SILENCE;
        tone.fill(&mut block);
        if let Some(packet) = encoder.push(&block).unwrap() {
            sequence += 1;
            // Losses, and a pause of a second.
            if !chance.chance(0.2) && !(800..900).contains(&n) {
                playout.push(sequence, u32::from(sequence) * 960, packet.data.to_vec(), now).unwrap();
            }
        }
        let ((), allocations) = allocations_in(|| playout.pull(&mut block, now));
        assert_eq!(allocations, 0, "at pull {n}");
    }
    let counts = playout.counts();
    assert!(counts.dred_samples > 0 && counts.concealed_samples > 0, "{counts:?}");
}
