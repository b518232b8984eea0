#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ahoy_media::fuzz::files(input));
