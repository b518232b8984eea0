//! How often transport-wide feedback is said: often enough that the other side sees a queue begin, and no more than the
//! path can bear.
//!
//! The stock receiver records arrivals and writes the reports; this says when.

use ahoy_media::rate::budget::HEADERS;
use rtc::interceptor::{Interceptor, Packet, StreamInfo, TaggedPacket, TwccReceiverBuilder, TwccReceiverInterceptor};
use rtc::sansio::Protocol;
use rtc::shared::error::Error;
use std::time::{Duration, Instant};

/// Between two reports. A tenth of a second more until a fall of the capacity is known is a tenth of a second more of the
/// old rate in a queue that empties at the new one; and on a path of 60 kbps each report is bytes that sound could have.
const INTERVAL: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(150));
/// A report on the wire: about 20 packets, and IP, UDP and SRTCP around them.
const REPORT: f64 = 110.0 * 8.0;
/// Reports take this share of what is received.
const SHARE: f64 = 0.05;
/// The received rate is a mean over about this time.
const MEMORY: Duration = Duration::from_millis(500);

/// The stock receiver of transport-wide numbers, asked in our own time.
pub(crate) struct TimedFeedback {
    stock: TwccReceiverInterceptor,
    pace: Pace,
}

impl TimedFeedback {
    pub(crate) fn new() -> Self {
        // It writes a report whenever it is asked.
        let stock = TwccReceiverBuilder::new().with_interval(Duration::ZERO).build();
        Self { stock, pace: Pace::default() }
    }
}

/// When the next report is due.
#[derive(Debug, Default)]
struct Pace {
    last: Option<Instant>,
    /// Packets came that no report speaks of.
    news: bool,
    /// Bits a second.
    rate: f64,
    counted: Option<Instant>,
}

impl Pace {
    fn handle_packet(&mut self, now: Instant, bytes: usize) {
        let memory = MEMORY.as_secs_f64();
        if let Some(before) = self.counted.replace(now) {
            self.rate *= (-now.saturating_duration_since(before).as_secs_f64() / memory).exp();
        }
        self.rate += bytes as f64 * 8.0 / memory;
        self.news = true;
        self.last.get_or_insert(now);
    }

    fn interval(&self) -> Duration {
        let seconds = REPORT / (SHARE * self.rate.max(1_000.0));
        Duration::from_secs_f64(seconds).clamp(INTERVAL.0, INTERVAL.1)
    }

    fn due(&self) -> Option<Instant> {
        self.last.filter(|_| self.news).map(|last| last + self.interval())
    }

    /// Whether a report is due; it is then taken as said.
    fn take(&mut self, now: Instant) -> bool {
        let due = self.due().is_some_and(|due| due <= now);
        if due {
            self.last = Some(now);
            self.news = false;
        }
        due
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for TimedFeedback {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, msg: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtp(packet) = &msg.message.packet {
            self.pace.handle_packet(msg.now, packet.payload.len() + HEADERS);
        }
        self.stock.handle_read(msg)
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.stock.poll_read()
    }

    fn handle_write(&mut self, msg: TaggedPacket) -> Result<(), Error> {
        self.stock.handle_write(msg)
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.stock.poll_write()
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        if self.pace.take(now) { self.stock.handle_timeout(now) } else { Ok(()) }
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.pace.due()
    }
}

impl Interceptor for TimedFeedback {
    fn bind_local_stream(&mut self, info: &StreamInfo) {
        self.stock.bind_local_stream(info);
    }

    fn unbind_local_stream(&mut self, info: &StreamInfo) {
        self.stock.unbind_local_stream(info);
    }

    fn bind_remote_stream(&mut self, info: &StreamInfo) {
        self.stock.bind_remote_stream(info);
    }

    fn unbind_remote_stream(&mut self, info: &StreamInfo) {
        self.stock.unbind_remote_stream(info);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Reports in ten seconds of packets of this size that come this far apart.
    fn reports(bytes: usize, apart: Duration) -> usize {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let (mut now, mut next, mut said) = (start, start, 0);
        while now < start + Duration::from_secs(10) {
            if now >= next {
                pace.handle_packet(now, bytes);
                next += apart;
            }
            said += usize::from(pace.take(now));
            now += MS;
        }
        said
    }

    #[test]
    fn much_is_answered_twenty_times_a_second_and_little_seldom() {
        assert!((190..=200).contains(&reports(1_200, 4 * MS)), "{}", reports(1_200, 4 * MS));
        // Sound of 60 ms packets at 16 kbps.
        assert!((60..=85).contains(&reports(150, 60 * MS)), "{}", reports(150, 60 * MS));
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        assert_eq!(pace.due(), None);
        pace.handle_packet(start, 100);
        assert!(pace.take(start + 200 * MS));
        assert_eq!((pace.due(), pace.take(start + 500 * MS)), (None, false));
    }
}
