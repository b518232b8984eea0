//! Two of the places in the stack's interceptor chain that are ours; `feedback` is the third.
//!
//! ```text
//! wire ◄─ WireTap ─ TimedFeedback ─ receiver report ─ sender report ─ MediaTap ─► (nothing: media ends here)
//! ```
//!
//! `MediaTap` takes received RTP out of the chain after the stock interceptors have counted it, and hands it to the sinks
//! at once; what is sent waits there for the pacer. Neither the stack's own queue of 256 events that drops, nor another task lies between network and sink.

use crate::stage::Stage;
use rtc::interceptor::{AttributedPacket, Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::sender_report::SenderReport;
use rtc::sansio::Protocol;
use rtc::shared::TransportContext;
use rtc::shared::error::Error;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Locks the stage; its state is whole at every panic point of the sinks.
pub(crate) fn lock(stage: &Mutex<Stage>) -> MutexGuard<'_, Stage> {
    stage.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Nearest to the application: see the module.
pub(crate) struct MediaTap {
    stage: Arc<Mutex<Stage>>,
    reads: VecDeque<TaggedPacket>,
    writes: VecDeque<TaggedPacket>,
    now: Option<Instant>,
}

impl MediaTap {
    pub(crate) const SLOT: usize = 13_500;

    pub(crate) fn new(stage: Arc<Mutex<Stage>>) -> Self {
        Self { stage, reads: VecDeque::new(), writes: VecDeque::new(), now: None }
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for MediaTap {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, msg: TaggedPacket) -> Result<(), Error> {
        self.now = Some(msg.now);
        match msg.message.packet {
            Packet::Rtp(packet) => lock(&self.stage).handle_rtp(msg.now, packet),
            Packet::Rtcp(ref packets) => {
                lock(&self.stage).handle_rtcp(msg.now, packets);
                self.reads.push_back(msg);
            }
            _ => self.reads.push_back(msg),
        }
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.reads.pop_front()
    }

    fn handle_write(&mut self, msg: TaggedPacket) -> Result<(), Error> {
        self.now = Some(msg.now);
        match msg.message.packet {
            // It leaves when the pacer says so, by `poll_write`.
            Packet::Rtp(packet) => lock(&self.stage).handle_outgoing(msg.now, packet),
            _ => self.writes.push_back(msg),
        }
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        if let Some(msg) = self.writes.pop_front() {
            return Some(msg);
        }
        let now = self.now?;
        let mut stage = lock(&self.stage);
        let packet = stage.poll_write().or_else(|| stage.poll_media(now).map(Packet::Rtp))?;
        drop(stage);
        Some(TaggedPacket { now, transport: TransportContext::default(), message: AttributedPacket::new(packet) })
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        self.now = Some(now);
        lock(&self.stage).handle_timeout(now);
        Ok(())
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        let now = self.now?;
        lock(&self.stage).poll_timeout(now)
    }
}

impl Interceptor for MediaTap {
    fn bind_local_stream(&mut self, info: &StreamInfo) {
        lock(&self.stage).bind_local(info, self.now.unwrap_or_else(Instant::now));
    }

    fn unbind_local_stream(&mut self, info: &StreamInfo) {
        lock(&self.stage).unbind_local(info.ssrc);
    }

    fn bind_remote_stream(&mut self, info: &StreamInfo) {
        lock(&self.stage).bind_remote(info);
    }

    fn unbind_remote_stream(&mut self, _info: &StreamInfo) {}
}

/// Nearest to the wire: puts our sender reports right, and notes when they leave, for the round trip.
pub(crate) struct WireTap {
    stage: Arc<Mutex<Stage>>,
    reads: VecDeque<TaggedPacket>,
    writes: VecDeque<TaggedPacket>,
}

impl WireTap {
    pub(crate) const SLOT: usize = 500;

    pub(crate) fn new(stage: Arc<Mutex<Stage>>) -> Self {
        Self { stage, reads: VecDeque::new(), writes: VecDeque::new() }
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for WireTap {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, msg: TaggedPacket) -> Result<(), Error> {
        self.reads.push_back(msg);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.reads.pop_front()
    }

    fn handle_write(&mut self, mut msg: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(packets) = &mut msg.message.packet {
            for packet in packets {
                let Some(mut report) = packet.as_any().downcast_ref::<SenderReport>().cloned() else { continue };
                lock(&self.stage).handle_report_leaving(msg.now, &mut report);
                *packet = Box::new(report);
            }
        }
        self.writes.push_back(msg);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.writes.pop_front()
    }

    fn handle_timeout(&mut self, _now: Instant) -> Result<(), Error> {
        Ok(())
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        None
    }
}

impl Interceptor for WireTap {
    fn bind_local_stream(&mut self, _info: &StreamInfo) {}

    fn unbind_local_stream(&mut self, _info: &StreamInfo) {}

    fn bind_remote_stream(&mut self, _info: &StreamInfo) {}

    fn unbind_remote_stream(&mut self, _info: &StreamInfo) {}
}
