//! A sound server asked over PulseAudio's protocol (which PipeWire speaks too): what devices it has, what it knows of
//! them, and when that changes.
//!
//! Streams go through cpal; this is for what cpal does not tell: properties, ports and subscriptions. Requests go one by
//! one over a blocking socket with a limit of time, so a server that hangs costs two seconds and leaves no thread behind.

use std::ffi::CStr;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use pulseaudio::protocol::port_info::{PortInfo, PortType};
use pulseaudio::protocol::{
    self, AuthParams, AuthReply, Command, CommandReply, Prop, Props, ProtocolError, SampleSpec, SetClientNameReply,
    SinkInfo, SourceInfo, SubscriptionMask, TagStructReader,
};

use crate::worker::OPEN_LIMIT;
use crate::{DeviceError, DeviceId, DeviceInfo, Kind, Link, Reach, Traits};

/// Messages of a server are some kilobytes; what claims to be larger than this is none of its kind.
const MESSAGE_LIMIT: u32 = 4 * 1024 * 1024;
/// The name of the device that stands in where there is no real one.
const DUMMY: &str = "auto_null";

/// A connection to the sound server.
pub(super) struct Connection {
    socket: BufReader<UnixStream>,
    version: u16,
    sequence: u32,
    /// A subscribed event came in between.
    changed: bool,
}

impl Connection {
    /// Connects and introduces itself.
    pub(super) fn open() -> Result<Self, ProtocolError> {
        super::cookie::ensure();
        let path = pulseaudio::socket_path_from_env().ok_or(io::Error::from(io::ErrorKind::NotFound))?;
        let cookie = pulseaudio::cookie_path_from_env().and_then(|path| std::fs::read(path).ok()).unwrap_or_default();
        let socket = UnixStream::connect(path)?;
        socket.set_read_timeout(Some(OPEN_LIMIT))?;
        socket.set_write_timeout(Some(OPEN_LIMIT))?;
        let version = protocol::MAX_VERSION;
        let mut connection = Self { socket: BufReader::new(socket), version, sequence: 0, changed: false };
        let auth = AuthParams { version, supports_shm: false, supports_memfd: false, cookie };
        let reply: AuthReply = connection.ask(&Command::Auth(auth))?;
        connection.version = reply.version.min(protocol::MAX_VERSION);
        let mut about = Props::new();
        about.set(Prop::ApplicationName, c"Ahoy");
        let _: SetClientNameReply = connection.ask(&Command::SetClientName(about))?;
        Ok(connection)
    }

    /// From now on tells of devices that come, go or change, and of another default.
    pub(super) fn subscribe(&mut self) -> Result<(), ProtocolError> {
        let mask = SubscriptionMask::SINK | SubscriptionMask::SOURCE | SubscriptionMask::SERVER;
        self.send(&Command::Subscribe(mask)).and_then(|sequence| self.receive(sequence, |_, _| Ok(())))
    }

    /// Waits so long for an event, and tells whether one came.
    pub(super) fn wait(&mut self, limit: Duration) -> Result<bool, ProtocolError> {
        if !std::mem::take(&mut self.changed) && !self.readable(limit)? {
            return Ok(false);
        }
        // A device that comes brings a dozen events along.
        while self.readable(Duration::from_millis(5))? {
            self.read_message()?;
        }
        self.changed = false;
        Ok(true)
    }

    fn readable(&mut self, limit: Duration) -> Result<bool, ProtocolError> {
        if !self.socket.buffer().is_empty() {
            return Ok(true);
        }
        self.socket.get_ref().set_read_timeout(Some(limit))?;
        let outcome = match self.socket.fill_buf() {
            Ok([]) => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(false),
            Err(error) => Err(error.into()),
        };
        self.socket.get_ref().set_read_timeout(Some(OPEN_LIMIT))?;
        outcome
    }

    /// What a person may choose from.
    pub(super) fn list(&mut self, kind: Kind) -> Result<Vec<DeviceInfo>, ProtocolError> {
        let server: protocol::ServerInfo = self.ask(&Command::GetServerInfo)?;
        Ok(match kind {
            Kind::Camera => Vec::new(),
            Kind::Microphone => {
                let sources: Vec<SourceInfo> = self.ask(&Command::GetSourceInfoList)?;
                let default = server.default_source_name;
                sources.iter().filter_map(|source| About::source(source).describe(default.as_deref())).collect()
            }
            Kind::Speaker => {
                let sinks: Vec<SinkInfo> = self.ask(&Command::GetSinkInfoList)?;
                let default = server.default_sink_name;
                sinks.iter().filter_map(|sink| About::sink(sink).describe(default.as_deref())).collect()
            }
        })
    }

    fn ask<R: CommandReply>(&mut self, command: &Command) -> Result<R, ProtocolError> {
        let sequence = self.send(command)?;
        self.receive(sequence, |payload, version| TagStructReader::new(payload, version).read())
    }

    fn send(&mut self, command: &Command) -> Result<u32, ProtocolError> {
        self.sequence += 1;
        protocol::write_command_message(self.socket.get_mut(), self.sequence, command, self.version)?;
        Ok(self.sequence)
    }

    fn receive<R>(
        &mut self,
        wanted: u32,
        read: impl FnOnce(&mut dyn BufRead, u16) -> Result<R, ProtocolError>,
    ) -> Result<R, ProtocolError> {
        loop {
            let (sequence, command, mut payload) = self.read_message()?;
            match command {
                Some(Command::Reply) if sequence == wanted => return read(&mut payload, self.version),
                Some(Command::Error(error)) if sequence == wanted => return Err(ProtocolError::ServerError(error)),
                // Answers to nothing, events, and what a newer server may say.
                _ => {}
            }
        }
    }

    /// `None` instead of a command that the library does not know.
    fn read_message(&mut self) -> Result<Received, ProtocolError> {
        let descriptor = protocol::read_descriptor(&mut self.socket)?;
        if descriptor.length > MESSAGE_LIMIT {
            return Err(ProtocolError::Invalid("a message of unlikely length".to_owned()));
        }
        let mut payload = vec![0; descriptor.length as usize];
        self.socket.read_exact(&mut payload)?;
        let mut payload = Cursor::new(payload);
        let Ok((sequence, command)) = Command::read_tag_prefixed(&mut payload, self.version) else {
            return Ok((0, None, payload));
        };
        self.changed |= matches!(command, Command::SubscribeEvent(_));
        Ok((sequence, Some(command), payload))
    }
}

/// A message's sequence number, its command if the library knows it, and what follows that.
type Received = (u32, Option<Command>, Cursor<Vec<u8>>);

/// Why the server gave no list.
pub(super) fn list_error(kind: Kind, error: &ProtocolError) -> DeviceError {
    match error {
        ProtocolError::Io(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            DeviceError::Hung { kind, waited: OPEN_LIMIT }
        }
        _ => DeviceError::NoSystem { kind, detail: error.to_string() },
    }
}

/// The identifier's second half: a Bluetooth device keeps it when it changes its mode, which for the server is the end of
/// one device and the beginning of another (`bluez_sink.00_11_22_33_44_55.a2dp_sink`, `bluez_output.00_11_22_33_44_55.1`).
pub(super) fn stable_name(name: &str) -> &str {
    if !name.starts_with("bluez_") || name.ends_with(".monitor") {
        return name;
    }
    name.match_indices('.').nth(1).map_or(name, |(end, _)| &name[..end])
}

/// Whether a person should see it: neither what hears the speaker's own sound nor a stand-in for no device.
pub(super) fn worth_listing(name: &str) -> bool {
    !name.ends_with(".monitor") && name != DUMMY
}

/// The parts of a sink or source that are looked at.
struct About<'a> {
    index: u32,
    name: &'a CStr,
    description: Option<&'a CStr>,
    props: &'a Props,
    spec: &'a SampleSpec,
    port: Option<&'a PortInfo>,
    monitor: bool,
}

impl<'a> About<'a> {
    fn sink(sink: &'a SinkInfo) -> Self {
        Self {
            index: sink.index,
            name: &sink.name,
            description: sink.description.as_deref(),
            props: &sink.props,
            spec: &sink.sample_spec,
            port: sink.ports.get(sink.active_port),
            monitor: false,
        }
    }

    fn source(source: &'a SourceInfo) -> Self {
        Self {
            index: source.index,
            name: &source.name,
            description: source.description.as_deref(),
            props: &source.props,
            spec: &source.sample_spec,
            port: source.ports.get(source.active_port),
            monitor: source.monitor_of_sink_index.is_some(),
        }
    }

    fn describe(&self, default: Option<&CStr>) -> Option<DeviceInfo> {
        let name = self.name.to_string_lossy();
        if self.monitor || !worth_listing(&name) {
            return None;
        }
        Some(DeviceInfo {
            id: DeviceId(format!("pulseaudio:{}", stable_name(&name))),
            label: self.description.unwrap_or(self.name).to_string_lossy().into_owned(),
            is_default: default == Some(self.name),
            synthetic: false,
            traits: Traits { reach: self.reach(), link: self.link(), incarnation: self.index },
        })
    }

    fn prop(&self, name: &CStr) -> String {
        let value = self.props.get_bytes(name).unwrap_or_default();
        let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).to_ascii_lowercase()
    }

    /// The port says most: one sound card has loudspeakers and a socket for headphones. Then the form of the whole device,
    /// then its name.
    fn reach(&self) -> Reach {
        let by_port = self.port.map(|port| match port.port_type {
            PortType::Headphones | PortType::Headset | PortType::Handset | PortType::Earpiece | PortType::Phone => {
                Reach::Private
            }
            PortType::Speaker
            | PortType::Hdmi
            | PortType::Tv
            | PortType::Car
            | PortType::Hifi
            | PortType::Portable
            | PortType::Line
            | PortType::Spdif
            | PortType::Video => Reach::Room,
            PortType::Unknown
            | PortType::Aux
            | PortType::Mic
            | PortType::Radio
            | PortType::Usb
            | PortType::Bluetooth
            | PortType::Handsfree
            | PortType::Network
            | PortType::Analog => super::describe::reach_by_name(&port.name.to_string_lossy()),
        });
        let by_form = || match self.prop(c"device.form_factor").as_str() {
            "headset" | "headphone" | "handset" => Reach::Private,
            "internal" | "speaker" | "tv" | "car" | "hifi" | "portable" | "computer" => Reach::Room,
            _ => super::describe::reach_by_name(&self.description.unwrap_or(self.name).to_string_lossy()),
        };
        by_port.filter(|reach| *reach != Reach::Unknown).unwrap_or_else(by_form)
    }

    /// PulseAudio says `bluetooth.protocol`, PipeWire `api.bluez5.profile`. Where neither does, the mode for telephones is
    /// known by its rate: 8 kHz (CVSD) or 16 kHz (mSBC), mono, which no music goes at.
    fn link(&self) -> Link {
        let name = self.name.to_string_lossy();
        let bluetooth = name.starts_with("bluez_")
            || self.prop(c"device.bus") == "bluetooth"
            || self.prop(c"device.api").starts_with("bluez");
        let protocol = self.prop(c"bluetooth.protocol") + &self.prop(c"api.bluez5.profile");
        super::describe::link(bluetooth, &protocol, self.spec.sample_rate, self.spec.channels.into())
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;

    use super::*;

    fn sink(name: &str, rate: u32, channels: u8, props: &[(&CStr, &CStr)]) -> SinkInfo {
        let mut sink = SinkInfo::new_dummy(7);
        sink.name = CString::new(name).expect("no zero in it");
        sink.sample_spec.sample_rate = rate;
        sink.sample_spec.channels = channels;
        for (key, value) in props {
            sink.props.set_bytes(*key, value.to_bytes_with_nul());
        }
        sink
    }

    fn traits(sink: &SinkInfo) -> Traits {
        About::sink(sink).describe(None).expect("listed").traits
    }

    #[test]
    fn a_headset_in_telephone_mode_is_known_by_its_profile_or_by_its_rate() {
        let bluez = (c"device.api", c"bluez");
        let name = "bluez_sink.00_11_22_33_44_55.handsfree_head_unit";
        let protocol = (c"bluetooth.protocol", c"handsfree_head_unit");
        assert_eq!(traits(&sink(name, 48_000, 1, &[bluez, protocol])).link, Link::Telephone);
        let profile = (c"api.bluez5.profile", c"headset-head-unit-msbc");
        assert_eq!(traits(&sink("bluez_output.00_11.1", 48_000, 1, &[profile])).link, Link::Telephone);
        assert_eq!(traits(&sink("bluez_output.00_11.1", 16_000, 1, &[])).link, Link::Telephone);
        let music = (c"bluetooth.protocol", c"a2dp_sink");
        assert_eq!(traits(&sink("bluez_sink.00_11.a2dp_sink", 44_100, 2, &[bluez, music])).link, Link::Bluetooth);
        assert_eq!(
            traits(&sink("alsa_output.usb", 16_000, 1, &[])).link,
            Link::Other,
            "a cheap webcam is no telephone"
        );
    }

    #[test]
    fn a_bluetooth_device_keeps_its_identifier_when_it_changes_its_mode() {
        assert_eq!(stable_name("bluez_sink.00_11.a2dp_sink"), stable_name("bluez_sink.00_11.handsfree_head_unit"));
        assert_eq!(stable_name("bluez_output.00_11.1"), "bluez_output.00_11");
        assert_eq!(stable_name("bluez_sink.00_11"), "bluez_sink.00_11");
        assert_eq!(stable_name("alsa_output.usb-a.b-00.analog-stereo"), "alsa_output.usb-a.b-00.analog-stereo");
        assert_eq!(stable_name("bluez_sink.00_11.a2dp_sink.monitor"), "bluez_sink.00_11.a2dp_sink.monitor");
    }

    #[test]
    fn the_port_in_use_says_who_hears_it_before_the_card_does() {
        let mut card = sink("alsa_output.pci", 48_000, 2, &[(c"device.form_factor", c"internal")]);
        assert_eq!(traits(&card).reach, Reach::Room);
        card.ports[0].port_type = PortType::Headphones;
        assert_eq!(traits(&card).reach, Reach::Private);
        card.ports[0].port_type = PortType::Speaker;
        assert_eq!(traits(&card).reach, Reach::Room);
        assert_eq!(traits(&sink("usb", 48_000, 2, &[(c"device.form_factor", c"headset")])).reach, Reach::Private);
        assert_eq!(traits(&sink("room", 48_000, 2, &[])).reach, Reach::Unknown);
    }

    #[test]
    fn a_stand_in_for_no_device_is_none() {
        assert!(About::sink(&sink("auto_null", 44_100, 2, &[])).describe(None).is_none());
    }
}
