//! 16-bit sequence numbers counted on beyond their wrap (RFC 3550, A.1), and what arrived twice.

/// Turns 16-bit numbers into ever-growing ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Extender {
    highest: Option<u64>,
}

impl Extender {
    /// The extended number nearest to the highest one seen. The first begins at 65536, so that older ones stay positive.
    pub(crate) fn extend(&mut self, number: u16) -> u64 {
        let Some(highest) = self.highest else {
            let first = 0x1_0000 + u64::from(number);
            self.highest = Some(first);
            return first;
        };
        let extended = Self::near(highest, number);
        self.highest = Some(highest.max(extended));
        extended
    }

    /// The same without moving on: for numbers quoted by others (RTX, NACK).
    pub(crate) fn peek(&self, number: u16) -> Option<u64> {
        self.highest.map(|highest| Self::near(highest, number))
    }

    fn near(highest: u64, number: u16) -> u64 {
        let ahead = number.wrapping_sub(highest as u16) as i16;
        highest.saturating_add_signed(i64::from(ahead))
    }
}

/// Which of the last 1024 numbers have arrived.
#[derive(Debug, Clone)]
pub(crate) struct Arrivals {
    highest: Option<u64>,
    first: u64,
    received: u64,
    window: [u64; Self::WORDS],
}

impl Default for Arrivals {
    fn default() -> Self {
        Self { highest: None, first: 0, received: 0, window: [0; Self::WORDS] }
    }
}

impl Arrivals {
    const WORDS: usize = 16;
    const SPAN: u64 = 64 * Self::WORDS as u64;

    /// `true` when this number is new; `false` when it was there already or is too old to tell.
    pub(crate) fn insert(&mut self, number: u64) -> bool {
        let Some(highest) = self.highest else {
            self.highest = Some(number);
            self.first = number;
            self.received = 1;
            self.set(number);
            return true;
        };
        if number + Self::SPAN <= highest {
            return false;
        }
        if number > highest {
            // What the window now covers for the first time has not arrived yet.
            for fresh in (highest + 1..=number).rev().take(Self::SPAN as usize) {
                self.clear(fresh);
            }
            self.highest = Some(number);
        } else if self.get(number) {
            return false;
        }
        self.first = self.first.min(number);
        self.set(number);
        self.received += 1;
        true
    }

    /// Whether [`Self::insert`] would say `true`.
    pub(crate) fn is_new(&self, number: u64) -> bool {
        self.highest.is_none_or(|highest| number > highest || (number + Self::SPAN > highest && !self.get(number)))
    }

    /// Numbers that arrived.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Expected minus received (RFC 3550, A.3).
    pub(crate) fn lost(&self) -> i64 {
        match self.highest {
            Some(highest) => (highest - self.first + 1) as i64 - self.received as i64,
            None => 0,
        }
    }

    fn place(number: u64) -> (usize, u64) {
        (((number / 64) % Self::WORDS as u64) as usize, 1 << (number % 64))
    }

    fn set(&mut self, number: u64) {
        let (word, bit) = Self::place(number);
        self.window[word] |= bit;
    }

    fn clear(&mut self, number: u64) {
        let (word, bit) = Self::place(number);
        self.window[word] &= !bit;
    }

    fn get(&self, number: u64) -> bool {
        let (word, bit) = Self::place(number);
        self.window[word] & bit != 0
    }
}

/// Interarrival jitter (RFC 3550, A.8).
#[derive(Debug, Clone, Default)]
pub(crate) struct Jitter {
    last: Option<(std::time::Instant, u32)>,
    seconds: f64,
}

impl Jitter {
    /// A packet with this RTP timestamp arrived now.
    pub(crate) fn update(&mut self, now: std::time::Instant, timestamp: u32, clock: u32) {
        if let Some((before, last)) = self.last {
            let arrived = now.saturating_duration_since(before).as_secs_f64();
            let sent = f64::from(timestamp.wrapping_sub(last) as i32) / f64::from(clock);
            // A jump of the sender's clock is no jitter.
            let apart = (arrived - sent).abs().min(1.0);
            self.seconds += (apart - self.seconds) / 16.0;
        }
        self.last = Some((now, timestamp));
    }

    /// Seconds.
    pub(crate) fn seconds(&self) -> f64 {
        self.seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_counting_past_their_wrap_and_back() {
        let mut extender = Extender::default();
        assert_eq!(extender.extend(65_534), 0x1_0000 + 65_534);
        assert_eq!(extender.extend(1), 0x2_0001);
        assert_eq!(extender.extend(65_535), 0x1_FFFF);
        assert_eq!(extender.extend(2), 0x2_0002);
        assert_eq!(extender.peek(65_530), Some(0x1_FFFA));
    }

    #[test]
    fn doubled_and_ancient_numbers_are_not_new() {
        let mut arrivals = Arrivals::default();
        assert!(arrivals.insert(100_000));
        assert!(!arrivals.insert(100_000));
        assert!(arrivals.insert(100_005));
        assert_eq!(arrivals.lost(), 4);
        assert!(arrivals.insert(100_003));
        assert!(!arrivals.insert(100_003));
        assert_eq!(arrivals.lost(), 3);
        assert!(arrivals.insert(105_000));
        assert!(!arrivals.insert(100_004), "too old to tell");
        assert!(arrivals.insert(104_500));
    }

    #[test]
    fn one_that_comes_before_the_first_is_expected_too() {
        let mut arrivals = Arrivals::default();
        assert!(arrivals.insert(70_000));
        assert!(arrivals.insert(69_998));
        assert_eq!(arrivals.lost(), 1);
        assert_eq!(arrivals.received(), 2);
    }
}
