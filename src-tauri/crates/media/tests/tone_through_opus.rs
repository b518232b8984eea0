//! Media truth for sound: a tone that goes in comes out, also where packets are lost, late, doubled or out of order.

#![allow(clippy::unwrap_used, missing_docs)]
// A test needs some time to count from; it never looks at it twice.
#![allow(clippy::disallowed_methods)]

use std::time::{Duration, Instant};

use ahoy_media::Bitrate;
use ahoy_media::audio::opus::{carries_fec, packet_samples};
use ahoy_media::audio::wav::{WavReader, WavStream, WavWriter};
use ahoy_media::audio::{
    AudioPlayout, BLOCK_DURATION, BLOCK_SAMPLES, Dred, OpusDecoder, OpusEncoder, OpusError, OpusSettings,
    PacketDuration, Resampler, SAMPLE_RATE, SILENCE,
};
use ahoy_testkit::tone::{amplitude_at, detect};
use ahoy_testkit::{Seeded, Tone, seeded};

const PITCH: f64 = 440.0;

#[derive(Clone)]
struct Packet {
    sequence: u16,
    timestamp: u32,
    data: Vec<u8>,
}

/// A voice that sings one tone.
struct Singer {
    tone: Tone,
    encoder: OpusEncoder,
    sequence: u16,
    timestamp: u32,
}

impl Singer {
    fn new(settings: OpusSettings) -> Self {
        let encoder = OpusEncoder::new(settings).unwrap();
        // Both numbers are about to wrap round.
        Self { tone: Tone::new(PITCH, SAMPLE_RATE, 0.5), encoder, sequence: 65_500, timestamp: u32::MAX - 9_600 }
    }

    fn packet(&mut self) -> Packet {
        loop {
            let mut block = SILENCE;
            self.tone.fill(&mut block);
            if let Some(packet) = self.encoder.push(&block).unwrap() {
                let made = Packet { sequence: self.sequence, timestamp: self.timestamp, data: packet.data.to_vec() };
                self.sequence = self.sequence.wrapping_add(1);
                self.timestamp = self.timestamp.wrapping_add(packet.samples);
                return made;
            }
        }
    }
}

struct Heard {
    samples: Vec<f32>,
    playout: AudioPlayout,
}

/// Plays `seconds` of 20 ms packets. `network` says when, after it was sent, each packet arrives (none: lost; two: doubled).
/// The listener's clock runs `ppm` faster than the singer's.
fn listen(seconds: u32, settings: OpusSettings, ppm: f64, mut network: impl FnMut(u32) -> Vec<Duration>) -> Heard {
    let start = Instant::now();
    let (mut singer, mut playout) = (Singer::new(settings), AudioPlayout::new().unwrap());
    let mut arrivals: Vec<(Instant, Packet)> = Vec::new();
    for n in 0..seconds * 50 {
        let packet = singer.packet();
        let sent = start + Duration::from_millis(20) * n;
        arrivals.extend(network(n).into_iter().map(|after| (sent + after, packet.clone())));
    }
    arrivals.sort_by_key(|(at, _)| *at);
    let (mut arrivals, mut samples) = (arrivals.into_iter().peekable(), Vec::new());
    let tick = BLOCK_DURATION.div_f64(1.0 + ppm / 1e6);
    for n in 0..seconds * 100 {
        let now = start + tick * n;
        while let Some((at, packet)) = arrivals.next_if(|(at, _)| *at <= now) {
            playout.push(packet.sequence, packet.timestamp, packet.data, at).unwrap();
        }
        let mut block = SILENCE;
        playout.pull(&mut block, now);
        samples.extend_from_slice(&block);
    }
    Heard { samples, playout }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The tone's frequency and level hold over the whole of `samples`.
fn assert_tone(samples: &[f32], min_snr_db: f64) {
    let found = detect(samples, SAMPLE_RATE, min_snr_db).expect("no tone stands out");
    assert!((found.frequency - PITCH).abs() < 2.0, "{found:?}");
    assert!((found.amplitude - 0.5).abs() < 0.1, "{found:?}");
}

#[test]
fn a_tone_in_is_that_tone_out() {
    for kbps in [16, 32, 64] {
        let settings = OpusSettings { bitrate: Bitrate::kbps(kbps), ..OpusSettings::default() };
        let heard = listen(3, settings, 0.0, |_| vec![millis(30)]);
        assert_tone(&heard.samples[48_000..], 12.0);
        let counts = heard.playout.counts();
        assert_eq!((counts.concealed_samples, counts.packets_discarded), (0, 0), "{kbps} kbps");
        assert_eq!(counts.total_samples_received, 144_000);
    }
}

#[test]
fn a_steady_network_costs_little_delay() {
    let heard = listen(20, OpusSettings::default(), 0.0, |_| vec![millis(30)]);
    let counts = heard.playout.counts();
    let mean = counts.jitter_buffer_delay / counts.jitter_buffer_emitted_count as f64;
    assert!((0.005..0.06).contains(&mean), "{mean} s");
    assert!(heard.playout.jitter().target() <= millis(25), "{:?}", heard.playout.jitter().target());
    let first = heard.samples.iter().position(|sample| sample.abs() > 0.05).unwrap();
    assert!(first < SAMPLE_RATE as usize / 8, "first heard after {first} samples");
}

#[test]
fn with_a_tenth_of_the_packets_lost_the_tone_goes_on() {
    let mut chance = seeded(10);
    let settings = OpusSettings { packet_loss: 15, ..OpusSettings::default() };
    let heard = listen(10, settings, 0.0, |_| if chance.chance(0.1) { vec![] } else { vec![millis(30)] });
    assert_tone(&heard.samples[48_000..], 6.0);
    let (counts, jitter) = (heard.playout.counts(), heard.playout.jitter_counts());
    assert!((20..90).contains(&(jitter.lost_samples / 960)), "{jitter:?}");
    // Every lost packet is made up for once: by its copy, or by invention.
    let made_up = counts.fec_samples + counts.dred_samples + counts.concealed_samples;
    assert!(made_up >= jitter.lost_samples, "{counts:?} {jitter:?}");
    assert!(counts.concealment_events > 0 && counts.silent_concealed_samples < counts.concealed_samples);
    assert_eq!(heard.samples.len(), 480_000);
}

#[test]
fn in_band_copies_rebuild_most_of_what_a_speech_like_signal_loses() {
    // Low rates use SILK, which carries the copies.
    let settings =
        OpusSettings { bitrate: Bitrate::kbps(24), packet_loss: 20, dred: Dred::Off, ..OpusSettings::default() };
    let mut encoder = OpusEncoder::new(settings).unwrap();
    let mut rng = Seeded::new(4);
    let (mut copies, mut packets, mut low) = (0, 0, 0.0f32);
    for n in 0..400 {
        let mut block = SILENCE;
        for (k, sample) in block.iter_mut().enumerate() {
            // Low-passed noise on a buzz of 120 Hz, loud and quiet in turns.
            low += 0.1 * (rng.noise() - low);
            let buzz = ((n * 480 + k) % 400) as f32 / 400.0 - 0.5;
            *sample = (0.4 * buzz + 0.5 * low) * if n % 40 < 30 { 1.0 } else { 0.2 };
        }
        if let Some(packet) = encoder.push(&block).unwrap() {
            packets += 1;
            copies += u32::from(carries_fec(packet.data));
        }
    }
    assert!(copies > packets / 3, "{copies} of {packets} packets carry a copy");
}

#[test]
fn jitter_makes_the_target_grow_and_the_sound_whole() {
    let mut chance = seeded(11);
    let heard = listen(20, OpusSettings::default(), 0.0, |_| vec![millis(30 + chance.below(100))]);
    let target = heard.playout.jitter().target();
    assert!((millis(80)..=millis(160)).contains(&target), "{target:?}");
    // Once the target is learnt, hardly anything is invented.
    assert_tone(&heard.samples[5 * 48_000..], 6.0);
    let counts = heard.playout.counts();
    let share = counts.concealed_samples as f64 / counts.total_samples_received as f64;
    assert!(share < 0.05, "{share} concealed, {:?}", heard.playout.jitter_counts());
    assert!(heard.playout.jitter().interarrival_jitter() > millis(10));
}

#[test]
fn doubled_and_swapped_packets_change_nothing() {
    let heard = listen(5, OpusSettings::default(), 0.0, |n| match n % 5 {
        1 => vec![millis(30), millis(31)],
        // After the packet that follows it.
        2 => vec![millis(55)],
        _ => vec![millis(30)],
    });
    let jitter = heard.playout.jitter_counts();
    assert!(jitter.doubled + jitter.late >= 45, "{jitter:?}");
    assert_tone(&heard.samples[48_000..], 9.0);
    let counts = heard.playout.counts();
    assert!(counts.concealed_samples < 48_000 / 10, "{counts:?} {jitter:?}");
}

#[test]
fn clocks_that_drift_apart_neither_starve_nor_flood_the_buffer() {
    for ppm in [-300.0, 300.0] {
        let heard = listen(120, OpusSettings::default(), ppm, |_| vec![millis(30)]);
        assert!(heard.playout.jitter().stock() <= millis(120), "{ppm}: {:?}", heard.playout.jitter().stock());
        let counts = heard.playout.counts();
        // 300 ppm of 120 s are 36 ms: two or three packets' worth of correction.
        assert!(counts.concealed_samples + counts.packets_discarded * 960 < 960 * 12, "{ppm}: {counts:?}");
        assert_tone(&heard.samples[48_000..96_000], 9.0);
    }
}

#[test]
fn a_network_that_stalls_is_silence_and_then_the_tone_again_without_lasting_delay() {
    let heard = listen(20, OpusSettings::default(), 0.0, |n| {
        // Everything sent in second 5 comes at its end, in one burst.
        vec![if (250..300).contains(&n) { millis(30) + millis(20) * (300 - n) } else { millis(30) }]
    });
    let at = |seconds: f64| (seconds * f64::from(SAMPLE_RATE)) as usize;
    assert_tone(&heard.samples[at(2.0)..at(4.5)], 9.0);
    assert!(heard.samples[at(5.5)..at(5.8)].iter().all(|sample| sample.abs() < 0.03), "more than comfort noise");
    assert_tone(&heard.samples[at(16.0)..at(20.0)], 9.0);
    let stock = heard.playout.jitter().stock();
    assert!(stock <= heard.playout.jitter().target() + millis(80), "{stock:?}");
    assert!(heard.playout.counts().silent_concealed_samples > 0);
}

#[test]
fn a_new_stream_on_the_same_line_is_played() {
    let (mut playout, start) = (AudioPlayout::new().unwrap(), Instant::now());
    let mut samples = Vec::new();
    for (turn, first) in [(0u32, 100u16), (1, 40_000)] {
        let mut singer = Singer::new(OpusSettings::default());
        (singer.sequence, singer.timestamp) = (first, u32::from(first) * 70_000);
        for n in 0..100 {
            let now = start + millis(20) * (turn * 100 + n);
            let packet = singer.packet();
            playout.push(packet.sequence, packet.timestamp, packet.data, now).unwrap();
            for half in 0..2 {
                let mut block = SILENCE;
                playout.pull(&mut block, now + BLOCK_DURATION * half);
                samples.extend_from_slice(&block);
            }
        }
    }
    assert_tone(&samples[48_000..96_000], 9.0);
    assert_tone(&samples[144_000..192_000], 9.0);
}

#[test]
fn every_packet_length_decodes_and_silence_is_marked() {
    for duration in [PacketDuration::Ms10, PacketDuration::Ms20, PacketDuration::Ms40, PacketDuration::Ms60] {
        let mut singer = Singer::new(OpusSettings { duration, ..OpusSettings::default() });
        let packet = singer.packet();
        assert_eq!(packet_samples(&packet.data), Ok(duration.samples()));
        let mut out = vec![0.0; 5_760];
        assert_eq!(OpusDecoder::new().unwrap().decode(&packet.data, &mut out), Ok(duration.samples()));
    }
    let mut encoder = OpusEncoder::new(OpusSettings { dtx: true, ..OpusSettings::default() }).unwrap();
    let mut left_out = 0;
    for _ in 0..200 {
        left_out += encoder.push(&SILENCE).unwrap().map_or(0, |packet| u32::from(packet.silence));
    }
    assert!(left_out > 40, "only {left_out} of 100 packets of silence were left out");
}

#[test]
fn the_encoder_holds_a_changed_rate() {
    let mut singer = Singer::new(OpusSettings { fec: false, ..OpusSettings::default() });
    let mut rng = Seeded::new(6);
    for kbps in [64u64, 16, 32] {
        singer.encoder.set_bitrate(Bitrate::kbps(kbps)).unwrap();
        let mut bytes = 0;
        for n in 0..300 {
            let mut block = SILENCE;
            singer.tone.fill(&mut block);
            block.iter_mut().for_each(|sample| *sample += 0.1 * rng.noise());
            let packet = singer.encoder.push(&block).unwrap().map_or(0, |packet| packet.data.len());
            bytes += if n >= 100 { packet } else { 0 };
        }
        let rate = bytes as f64 * 8.0 / 2.0 / 1_000.0;
        assert!((rate / kbps as f64 - 1.0).abs() < 0.25, "{rate} kbps instead of {kbps}");
    }
}

#[test]
fn packets_of_nothing_and_of_too_much_are_refused() {
    let (mut decoder, mut out) = (OpusDecoder::new().unwrap(), vec![0.0; 5_760]);
    assert_eq!(decoder.decode(&[], &mut out), Err(OpusError::Empty));
    assert_eq!(decoder.decode(&[0; 1_501], &mut out), Err(OpusError::TooLong(1_501)));
    // A frame may have 1,275 bytes behind its first one, and not one more (RFC 6716, 3.4 [R2]).
    assert!(decoder.decode(&[0xf8; 1_276], &mut out).is_ok());
    assert!(decoder.decode(&[0xf8; 1_277], &mut out).is_err());
    assert!(decoder.conceal(960, &mut [0.0; 10]).is_err());
    let mut playout = AudioPlayout::new().unwrap();
    assert!(playout.push(0, 0, Vec::new(), Instant::now()).is_err());
    assert_eq!(playout.counts().packets_discarded, 1);
}

#[test]
fn resampling_keeps_a_tone_and_its_length() {
    for (from, to) in [(44_100, 48_000), (48_000, 44_100), (16_000, 48_000), (48_000, 16_000), (96_000, 48_000)] {
        for channels in [1, 2] {
            let mut resampler = Resampler::new(from, to, channels, 1_024).unwrap();
            let mono = Tone::new(1_000.0, from, 0.5).take(from as usize);
            let source: Vec<f32> = mono.iter().flat_map(|sample| vec![*sample; channels]).collect();
            let mut out = Vec::new();
            for piece in source.chunks(441 * channels) {
                resampler.process(piece, &mut out);
            }
            let frames = out.len() / channels;
            assert!(frames.abs_diff(to as usize) < to as usize / 50, "{from} -> {to}: {frames}");
            for channel in 0..channels {
                let heard: Vec<f32> = out.iter().skip(channel).step_by(channels).copied().skip(2_000).collect();
                let found = detect(&heard, to, 30.0).unwrap();
                assert!((found.frequency - 1_000.0).abs() < 3.0, "{from} -> {to}: {found:?}");
                assert!((found.amplitude - 0.5).abs() < 0.02, "{from} -> {to}: {found:?}");
            }
            assert!(resampler.delay() < to as usize / 200);
        }
    }
    assert!(Resampler::new(0, 48_000, 1, 480).is_err() && Resampler::new(48_000, 48_000, 3, 480).is_err());
}

#[test]
fn what_lies_above_the_lower_rate_does_not_come_back_as_another_tone() {
    let mut resampler = Resampler::new(48_000, 16_000, 1, 480).unwrap();
    let mut out = Vec::new();
    resampler.process(&Tone::new(11_000.0, 48_000, 0.5).take(48_000), &mut out);
    assert!(amplitude_at(&out[2_000..], 16_000, 5_000.0) < 0.005);
}

#[test]
fn a_wav_file_gives_back_what_was_written() {
    let tone = Tone::new(PITCH, SAMPLE_RATE, 0.5).take(BLOCK_SAMPLES * 30);
    let mut file = std::io::Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut file).unwrap();
    writer.write(&tone).unwrap();
    writer.write(&[2.0, -2.0, f32::NAN]).unwrap();
    writer.finish().unwrap();
    let mut reader = WavReader::new(std::io::Cursor::new(file.into_inner())).unwrap();
    assert_eq!((reader.rate(), reader.channels()), (SAMPLE_RATE, 1));
    let mut back = Vec::new();
    while reader.read(480, &mut back).unwrap() > 0 {}
    assert_eq!(back.len(), tone.len() + 3);
    assert!(back.iter().zip(&tone).all(|(back, sample)| (back - sample).abs() < 1e-4));
    assert!(back[tone.len()] > 0.999 && back[tone.len() + 1] == -1.0 && back[tone.len() + 2] == 0.0);
    reader.rewind().unwrap();
    let mut again = Vec::new();
    assert_eq!(reader.read(480, &mut again).unwrap(), 480);
    assert_eq!(again, back[..480]);

    let mut pipe = Vec::new();
    WavStream::new(&mut pipe).unwrap().write(&tone).unwrap();
    assert_eq!(pipe.len(), 44 + tone.len() * 2);
}
