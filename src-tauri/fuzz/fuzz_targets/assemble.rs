#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ahoy_peer::fuzz::assemble(input));
