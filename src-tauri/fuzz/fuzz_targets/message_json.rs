#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ahoy_protocol::fuzz::message_json(input));
