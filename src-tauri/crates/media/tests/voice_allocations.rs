//! How often the treatment of a voice touches the allocator.

#![allow(clippy::unwrap_used, missing_docs)]
// What was measured is worth reading.
#![allow(clippy::print_stdout)]

use ahoy_media::audio::{SILENCE, VoiceProcessor, VoiceSettings};
use ahoy_testkit::Seeded;
use ahoy_testkit::alloc::{CountingAllocator, allocations_in};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// The most allocations, reallocations and frees in a block, after a second.
fn most(settings: VoiceSettings) -> u64 {
    let (mut processor, mut chance) = (VoiceProcessor::new(settings), Seeded::new(1));
    let mut most = 0;
    for n in 0..600 {
        let (mut far, mut near) = (SILENCE, SILENCE);
        far.fill_with(|| 0.3 * chance.noise());
        near.fill_with(|| 0.3 * chance.noise());
        let ((), allocations) = allocations_in(|| {
            processor.render(&far);
            processor.capture(&mut near);
        });
        most = if n < 100 { 0 } else { most.max(allocations) };
    }
    most
}

#[test]
fn nothing_is_allocated_in_a_block_but_by_the_library_itself() {
    assert_eq!(most(VoiceSettings::OFF), 0);
    assert_eq!(most(VoiceSettings { noise: true, ..VoiceSettings::OFF }), 0);
    let gain = most(VoiceSettings { gain: true, ..VoiceSettings::OFF });
    let all = most(VoiceSettings::default());
    println!("gain {gain}, all {all}");
    // Upstream: the detector's resampler, and the spectra of AEC3's `EchoRemover::process_capture`. More would be ours.
    assert!(gain <= 2 && all <= 72, "{gain} {all}");
}
