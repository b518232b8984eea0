//! Synthetic devices, opened as real ones are.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fs::File;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ahoy_devices::{
    CameraRequest, DeviceError, DeviceEvent, DeviceId, Kind, MicrophoneRequest, Selection, SpeakerRequest, list,
    open_camera, open_microphone, open_speaker,
};
use ahoy_media::audio::wav::WavReader;
use ahoy_media::units::FrameRate;
use ahoy_media::video::y4m::Y4mWriter;
use ahoy_media::video::{I420, VideoFrame, pattern};
use ahoy_testkit::{Tone, tone};

fn request(id: DeviceId) -> CameraRequest {
    CameraRequest { device: Selection::Device(id), width: 320, height: 240, fps: 30 }
}

/// Opens a camera and takes its first `count` pictures with the moment each came.
fn take(request: &CameraRequest, count: usize) -> Vec<(VideoFrame, Instant)> {
    let (give, given) = mpsc::channel();
    let stream = open_camera(request, move |frame| drop(give.send((frame, Instant::now()))), |_| ()).unwrap();
    let frames = (0..count).map(|_| given.recv_timeout(Duration::from_secs(5)).unwrap()).collect();
    drop(stream);
    frames
}

#[test]
fn the_pattern_camera_keeps_its_pace_and_says_its_number_and_time_in_the_picture() {
    let frames = take(&request(DeviceId::pattern()), 61);
    for (frame, _) in &frames {
        let reading = pattern::read(&frame.picture).expect("a readable pattern");
        assert_eq!(u64::from(reading.number), frame.number);
    }
    let (first, last) = (&frames[0].0, &frames[60].0);
    let expected = Duration::from_secs_f64((last.number - first.number) as f64 / 30.0);
    let took = last.captured - first.captured;
    assert!(took.abs_diff(expected) < Duration::from_millis(30), "{took:?} instead of {expected:?}");
    let clocks = [first, last].map(|frame| pattern::read(&frame.picture).unwrap().unix_ms);
    assert!(Duration::from_millis(clocks[1] - clocks[0]).abs_diff(took) < Duration::from_millis(10));
}

#[test]
fn a_closed_camera_gives_no_picture_more_and_can_be_opened_again() {
    let (give, given) = mpsc::channel();
    let began = Instant::now();
    for _ in 0..3 {
        let give = give.clone();
        let stream = open_camera(&request(DeviceId::pattern()), move |_| give.send(()).unwrap_or(()), |_| ()).unwrap();
        given.recv_timeout(Duration::from_secs(5)).unwrap();
        drop(stream);
        while given.try_recv().is_ok() {}
        assert!(given.recv_timeout(Duration::from_millis(100)).is_err(), "a picture came after closing");
    }
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_y4m_file_goes_round_and_numbers_are_places_in_the_file() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("four.y4m");
    let mut writer = Y4mWriter::new(File::create(&path).unwrap(), 64, 48, FrameRate::fps(50)).unwrap();
    for luma in [10, 60, 110, 160] {
        let mut picture = I420::black(64, 48);
        picture.y.fill(luma);
        writer.write(&picture).unwrap();
    }
    writer.flush().unwrap();
    let frames = take(&request(DeviceId::file(&path)), 12);
    for (frame, _) in &frames {
        assert!(frame.number < 4);
        assert_eq!(u64::from(frame.picture.y[0]), 10 + 50 * frame.number);
    }
    assert!(frames.windows(2).any(|pair| pair[1].0.number < pair[0].0.number), "it goes round");
    let stream = open_camera(&request(DeviceId::file(&path)), |_| (), |_| ()).unwrap();
    assert_eq!((stream.info().width, stream.info().height, stream.info().fps), (64, 48, 50.0));
}

#[test]
fn missing_and_damaged_cameras_are_refused_or_lost_in_a_sentence() {
    let home = tempfile::tempdir().unwrap();
    let open = |id: DeviceId| open_camera(&request(id), |_| (), |_| ()).err();
    let kind = Kind::Camera;
    for id in ["none", "v4l2:gone", "rubbish", "", "pattern:x"] {
        assert!(matches!(open(id.into()), Some(DeviceError::NotFound { kind: Kind::Camera, .. })), "{id}");
    }
    assert!(matches!(open(DeviceId::file(home.path().join("missing.y4m"))), Some(DeviceError::File { .. })));
    let text = home.path().join("text.y4m");
    std::fs::write(&text, "not a film").unwrap();
    let error = open(DeviceId::file(&text)).unwrap();
    assert!(error.to_string().contains("Check the file"), "{error}");
    let huge = CameraRequest { width: 100_000, ..request(DeviceId::pattern()) };
    assert!(matches!(open_camera(&huge, |_| (), |_| ()).err(), Some(DeviceError::Unsupported { .. })));

    // Cut off inside its second picture: the first is shown, then the camera is lost.
    let cut = home.path().join("cut.y4m");
    std::fs::write(&cut, [b"YUV4MPEG2 W16 H16 F30:1\nFRAME\n".as_slice(), &[128; 384], b"FRAME\n", &[0; 9]].concat())
        .unwrap();
    let (tell, told) = mpsc::channel();
    let _stream = open_camera(&request(DeviceId::file(&cut)), |_| (), move |event| drop(tell.send(event))).unwrap();
    let event = told.recv_timeout(Duration::from_secs(5)).unwrap();
    assert!(matches!(event, DeviceEvent::Lost(DeviceError::File { kind: k, .. }) if k == kind), "{event:?}");
}

#[test]
fn the_tone_microphone_gives_its_tone_at_the_pace_of_time() {
    let device = Selection::Device("tone:1000".into());
    let mut stream = open_microphone(&MicrophoneRequest { device }, |_| ()).unwrap();
    let (mut heard, mut block, began) = (Vec::new(), [0.0; 480], Instant::now());
    while heard.len() < 48_000 {
        match stream.read_block(&mut block) {
            Some(captured) => {
                assert!(captured <= Instant::now());
                heard.extend_from_slice(&block);
            }
            None => thread::sleep(Duration::from_millis(2)),
        }
    }
    assert!(began.elapsed().abs_diff(Duration::from_secs(1)) < Duration::from_millis(150), "{:?}", began.elapsed());
    let reading = tone::detect(&heard, 48_000, 20.0).expect("a tone");
    assert!((reading.frequency - 1_000.0).abs() < 1.0);
}

#[test]
fn a_file_speaker_writes_what_was_played_in_real_time() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("out.wav");
    let device = Selection::Device(DeviceId::file(&path));
    let mut stream = open_speaker(&SpeakerRequest { device }, |_| ()).unwrap();
    let (mut sound, mut block, start) = (Tone::new(600.0, 48_000, 0.5), [0.0; 480], Instant::now());
    for tick in 0..100_u32 {
        sound.fill(&mut block);
        assert!(stream.write_block(&block));
        thread::sleep((start + Duration::from_millis(10) * tick).saturating_duration_since(Instant::now()));
    }
    drop(stream);
    let took = start.elapsed().as_secs_f64();
    let mut reader = WavReader::new(std::io::BufReader::new(File::open(&path).unwrap())).unwrap();
    let mut written = Vec::new();
    reader.read(usize::MAX / 8, &mut written).unwrap();
    assert!((written.len() as f64 / 48_000.0 - took).abs() < 0.1, "{} samples in {took} s", written.len());
    let reading = tone::detect(&written[9_600..38_400], 48_000, 6.0).expect("the tone");
    assert!((reading.frequency - 600.0).abs() < 2.0);
}

#[test]
fn every_kind_lists_its_synthetic_devices_and_each_can_be_opened() {
    for kind in [Kind::Camera, Kind::Microphone, Kind::Speaker] {
        let synthetic: Vec<_> = list(kind).devices.into_iter().filter(|device| device.synthetic).collect();
        assert!(!synthetic.is_empty());
        for device in synthetic {
            let selection = Selection::Device(device.id.clone());
            let opened = match kind {
                Kind::Camera => open_camera(&request(device.id), |_| (), |_| ()).map(drop),
                Kind::Microphone => open_microphone(&MicrophoneRequest { device: selection }, |_| ()).map(drop),
                Kind::Speaker => open_speaker(&SpeakerRequest { device: selection }, |_| ()).map(drop),
            };
            assert_eq!(opened, Ok(()));
        }
    }
}
