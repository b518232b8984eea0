//! PulseAudio's protocol, which PipeWire speaks too: each other program's stream is recorded by itself before it is mixed
//! (`direct_on_input`), so that our own call is never among them. The library's own client knows no such streams and no events,
//! so the few messages are spoken here.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::CString;
use std::io::{BufReader, Cursor, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use pulseaudio::protocol::stream::{BufferAttr, StreamFlags};
use pulseaudio::protocol::{
    AuthParams, AuthReply, ChannelMap, Command, CommandReply, CreateRecordStreamReply, DESCRIPTOR_SIZE, Descriptor,
    MAX_VERSION, Prop, Props, ProtocolError, RecordStreamParams, SampleFormat, SampleSpec, SetClientNameReply,
    SinkInputInfoList, SubscriptionEventFacility, SubscriptionMask, encode_descriptor, read_ack_message,
    read_descriptor, read_reply_message, write_command_message,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{OnBlock, OnEnd, SOUND_FRAMES, SoundError, StereoBlock};
use crate::worker::{Stop, Worker};

const BLOCK: Duration = Duration::from_millis(10);
const FRAME_BYTES: usize = 8;
const BLOCK_BYTES: usize = SOUND_FRAMES * FRAME_BYTES;
/// Sound kept of a stream before it is mixed: two blocks, so that one that comes late is not heard.
const KEPT: usize = 2 * BLOCK_BYTES;
/// A stream that runs ahead by more than this loses what is oldest.
const MOST: usize = 12 * BLOCK_BYTES;
/// Programs that play at once; more are not heard.
const MOST_STREAMS: usize = 32;
/// A message that is longer is none of PulseAudio's.
const MOST_BYTES: u32 = 4 * 1024 * 1024;
/// A server that is silent for so long hangs.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn is_there() -> bool {
    pulseaudio::socket_path_from_env().is_some_and(|path| path.exists())
}

pub(super) fn open(on_block: OnBlock, on_end: OnEnd) -> Result<Worker, SoundError> {
    let recorder = Recorder::connect().map_err(said)?;
    Worker::named("ahoy-sound", move |stop| run(recorder, on_block, on_end, stop))
        .map_err(|error| SoundError { detail: error.to_string() })
}

fn run(mut recorder: Recorder, mut on_block: OnBlock, on_end: OnEnd, stop: &Stop) {
    let mut due = Instant::now() + BLOCK;
    while !stop.is_stopped() {
        if let Err(error) = recorder.take_in(due) {
            return on_end(said(error));
        }
        let now = Instant::now();
        if now < due {
            continue;
        }
        // After a stop of the whole machine the missed blocks are not made up for.
        due = if now > due + 10 * BLOCK { now } else { due };
        on_block(&recorder.mix(), due.checked_sub(2 * BLOCK).unwrap_or(due));
        due += BLOCK;
    }
}

fn said(error: ProtocolError) -> SoundError {
    SoundError { detail: error.to_string() }
}

/// What an answer will be to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    List,
    /// Recording this program's stream.
    Record(u32),
    Acknowledgement,
}

/// One program's stream.
#[derive(Debug, Default)]
struct Stream {
    /// `None` until the server has answered.
    channel: Option<u32>,
    bytes: VecDeque<u8>,
    /// It has begun, and is mixed.
    playing: bool,
}

struct Recorder {
    socket: UnixStream,
    version: u16,
    sequence: u32,
    asked: BTreeMap<u32, Asked>,
    /// By the number of the program's stream in the server.
    streams: BTreeMap<u32, Stream>,
    own: Vec<u8>,
}

impl Recorder {
    fn connect() -> Result<Self, ProtocolError> {
        let nothing = || std::io::Error::new(std::io::ErrorKind::NotFound, "no sound server");
        let path = pulseaudio::socket_path_from_env().ok_or_else(nothing)?;
        let socket = UnixStream::connect(path)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let cookie = pulseaudio::cookie_path_from_env().and_then(|path| std::fs::read(path).ok()).unwrap_or_default();
        let own = std::process::id().to_string().into_bytes();
        let mut recorder =
            Self { socket, version: MAX_VERSION, sequence: 0, asked: BTreeMap::new(), streams: BTreeMap::new(), own };
        let auth = AuthParams { version: MAX_VERSION, supports_shm: false, supports_memfd: false, cookie };
        let reply: AuthReply = recorder.ask(&Command::Auth(auth))?;
        recorder.version = reply.version.min(MAX_VERSION);
        let mut props = Props::new();
        props.set(Prop::ApplicationName, c"Ahoy");
        props.set(Prop::ApplicationProcessId, CString::new(recorder.own.clone()).unwrap_or_default());
        let _: SetClientNameReply = recorder.ask(&Command::SetClientName(props))?;
        recorder.send(&Command::Subscribe(SubscriptionMask::SINK_INPUT), Asked::Acknowledgement)?;
        recorder.send(&Command::GetSinkInputInfoList, Asked::List)?;
        Ok(recorder)
    }

    /// Asks and waits, while nothing else can come.
    fn ask<T: CommandReply>(&mut self, command: &Command) -> Result<T, ProtocolError> {
        write_command_message(&mut &self.socket, self.sequence, command, self.version)?;
        self.sequence += 1;
        // Nothing follows the answer before the next question, so nothing is lost with this reader.
        Ok(read_reply_message(&mut BufReader::new(&self.socket), self.version)?.1)
    }

    fn send(&mut self, command: &Command, asked: Asked) -> Result<(), ProtocolError> {
        self.asked.insert(self.sequence, asked);
        let mut message = Vec::new();
        write_command_message(&mut message, self.sequence, command, self.version)?;
        self.sequence = self.sequence.wrapping_add(1);
        Ok((&self.socket).write_all(&message)?)
    }

    /// Takes in what comes until then.
    fn take_in(&mut self, until: Instant) -> Result<(), ProtocolError> {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
        let ready = poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&timeout));
        match ready {
            Ok(0) | Err(rustix::io::Errno::INTR) => Ok(()),
            Ok(_) => self.take_message(),
            Err(error) => Err(std::io::Error::from(error).into()),
        }
    }

    fn take_message(&mut self) -> Result<(), ProtocolError> {
        let descriptor = read_descriptor(&mut &self.socket)?;
        if descriptor.length > MOST_BYTES {
            return Err(ProtocolError::Invalid("a message is too long".to_owned()));
        }
        let mut payload = vec![0; descriptor.length as usize];
        (&self.socket).read_exact(&mut payload)?;
        if descriptor.channel != u32::MAX {
            self.take_sound(descriptor.channel, &payload);
            return Ok(());
        }
        self.take_command(descriptor, &payload)
    }

    fn take_sound(&mut self, channel: u32, sound: &[u8]) {
        let Some(stream) = self.streams.values_mut().find(|stream| stream.channel == Some(channel)) else { return };
        stream.bytes.extend(sound);
        if stream.bytes.len() > MOST {
            let over = (stream.bytes.len() - KEPT) / FRAME_BYTES * FRAME_BYTES;
            stream.bytes.drain(..over);
        }
    }

    fn take_command(&mut self, descriptor: Descriptor, payload: &[u8]) -> Result<(), ProtocolError> {
        // Tag (RFC-less: 'L' and four bytes) of the command, then that of the sequence.
        let sequence = payload.get(6..10).and_then(|bytes| Some(u32::from_be_bytes(bytes.try_into().ok()?)));
        let mut header = [0; DESCRIPTOR_SIZE];
        encode_descriptor(&mut header, &descriptor);
        let mut message = Cursor::new([&header[..], payload].concat());
        match sequence.and_then(|sequence| self.asked.remove(&sequence)) {
            Some(Asked::Acknowledgement) => read_ack_message(&mut message).map(drop),
            Some(Asked::List) => {
                let (_, list) = read_reply_message::<SinkInputInfoList>(&mut message, self.version)?;
                self.follow(&list)
            }
            Some(Asked::Record(input)) => {
                match read_reply_message::<CreateRecordStreamReply>(&mut message, self.version) {
                    Ok((_, reply)) => {
                        if let Some(stream) = self.streams.get_mut(&input) {
                            stream.channel = Some(reply.channel);
                            return Ok(());
                        }
                        // The program has ended meanwhile.
                        self.send(&Command::DeleteRecordStream(reply.channel), Asked::Acknowledgement)
                    }
                    Err(ProtocolError::ServerError(error)) => {
                        tracing::debug!(?error, input, "a program's sound is not shared");
                        Ok(())
                    }
                    Err(error) => Err(error),
                }
            }
            None => {
                let (_, command) = Command::read_tag_prefixed(&mut Cursor::new(payload), self.version)?;
                self.obey(&command)
            }
        }
    }

    fn obey(&mut self, command: &Command) -> Result<(), ProtocolError> {
        match command {
            Command::SubscribeEvent(event) if event.event_facility == SubscriptionEventFacility::SinkInput => {
                // Several events in a row are answered by one list.
                if self.asked.values().any(|asked| *asked == Asked::List) {
                    return Ok(());
                }
                self.send(&Command::GetSinkInputInfoList, Asked::List)
            }
            Command::RecordStreamKilled(channel) => {
                self.streams.retain(|_, stream| stream.channel != Some(*channel));
                Ok(())
            }
            // Streams are moved and suspended; nothing follows from that.
            _ => Ok(()),
        }
    }

    /// Records what is new, and lets go of what has ended.
    fn follow(&mut self, list: &SinkInputInfoList) -> Result<(), ProtocolError> {
        let own = |props: &Props| {
            let id = props.get(Prop::ApplicationProcessId).unwrap_or_default();
            id.strip_suffix(&[0]).unwrap_or(id) == self.own
        };
        let others: Vec<u32> = list.iter().filter(|input| !own(&input.props)).map(|input| input.index).collect();
        // The server has let go of the recording of what has ended.
        self.streams.retain(|input, _| others.contains(input));
        for input in others {
            if self.streams.len() >= MOST_STREAMS || self.streams.contains_key(&input) {
                continue;
            }
            self.streams.insert(input, Stream::default());
            let params = RecordStreamParams {
                sample_spec: SampleSpec { format: SampleFormat::Float32Le, channels: 2, sample_rate: 48_000 },
                channel_map: ChannelMap::stereo(),
                buffer_attr: BufferAttr {
                    max_length: u32::MAX,
                    fragment_size: BLOCK_BYTES as u32,
                    ..BufferAttr::default()
                },
                flags: StreamFlags { adjust_latency: true, no_move: true, ..StreamFlags::default() },
                direct_on_input_index: Some(input),
                ..RecordStreamParams::default()
            };
            self.send(&Command::CreateRecordStream(params), Asked::Record(input))?;
        }
        Ok(())
    }

    /// The next 10 ms of all of them.
    fn mix(&mut self) -> StereoBlock {
        let mut block = [0.0; 2 * SOUND_FRAMES];
        for stream in self.streams.values_mut() {
            stream.playing |= stream.bytes.len() >= KEPT;
            if !stream.playing {
                continue;
            }
            if stream.bytes.len() < BLOCK_BYTES {
                // It paused; when it goes on, it is kept for a while first.
                stream.playing = false;
                stream.bytes.clear();
                continue;
            }
            let mut bytes = stream.bytes.drain(..BLOCK_BYTES);
            for sample in &mut block {
                let four = [(); 4].map(|()| bytes.next().unwrap_or_default());
                let value = f32::from_le_bytes(four);
                *sample += if value.is_finite() { value } else { 0.0 };
            }
        }
        block.map(|sample| sample.clamp(-1.0, 1.0))
    }
}
