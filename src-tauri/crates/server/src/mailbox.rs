//! Letters that wait: bounded in number, bytes and age, kept until confirmed.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use ahoy_protocol::AhoyId;

use crate::config::MailboxLimits;

/// What a letter counts beside its text: about what it costs in memory, so that tiny letters are not free.
const LETTER_BYTES: usize = 256;

/// ```text
///            hand_on                  confirm
/// waiting ────────────► handed out ────────────► gone      both ──age──► gone
///    ▲                       │
///    └──── take_back ────────┘  (the connection ended first)
/// ```
/// In each box the letters that are handed out stand before those that wait.
#[derive(Debug)]
pub(crate) struct Mailbox {
    limits: MailboxLimits,
    boxes: HashMap<AhoyId, VecDeque<Letter>>,
    bytes: usize,
    letters: usize,
}

#[derive(Debug)]
struct Letter {
    number: u64,
    from: AhoyId,
    envelope: String,
    since: Instant,
    handed_out: bool,
}

/// One letter on its way to a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HandedOn {
    pub(crate) number: u64,
    pub(crate) from: AhoyId,
    pub(crate) envelope: String,
}

/// The letter was not taken: a limit of the box, or of all boxes, is reached.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full {
    /// The envelope, back.
    pub(crate) envelope: String,
}

impl Mailbox {
    pub(crate) fn new(limits: MailboxLimits) -> Self {
        Self { limits, boxes: HashMap::new(), bytes: 0, letters: 0 }
    }

    /// Letters and bytes of all boxes.
    pub(crate) fn figures(&self) -> (usize, usize) {
        (self.letters, self.bytes)
    }

    /// Takes a letter in. It waits until [`Self::hand_on`].
    pub(crate) fn put(
        &mut self,
        to: AhoyId,
        number: u64,
        from: AhoyId,
        envelope: String,
        now: Instant,
    ) -> Result<(), Full> {
        self.expire_box(&to, now);
        let size = envelope.len() + LETTER_BYTES;
        let empty = VecDeque::new();
        let letters = self.boxes.get(&to).unwrap_or(&empty);
        let used: usize = letters.iter().map(Letter::size).sum();
        let from_one = letters.iter().filter(|letter| letter.from == from).count();
        if letters.len() >= self.limits.letters
            || from_one >= self.limits.letters_from_one
            || used + size > self.limits.bytes
            || self.bytes + size > self.limits.total_bytes
        {
            return Err(Full { envelope });
        }
        self.bytes += size;
        self.letters += 1;
        self.boxes.entry(to).or_default().push_back(Letter { number, from, envelope, since: now, handed_out: false });
        Ok(())
    }

    /// The next letters for a connection that may hold `unconfirmed` of them, oldest first.
    pub(crate) fn hand_on(&mut self, to: &AhoyId, unconfirmed: usize, now: Instant) -> Vec<HandedOn> {
        self.expire_box(to, now);
        let Some(letters) = self.boxes.get_mut(to) else { return Vec::new() };
        let window = letters.iter_mut().take(unconfirmed).filter(|letter| !letter.handed_out);
        window
            .map(|letter| {
                letter.handed_out = true;
                HandedOn { number: letter.number, from: letter.from, envelope: letter.envelope.clone() }
            })
            .collect()
    }

    /// Whether letters wait that were not handed out.
    pub(crate) fn has_waiting(&self, to: &AhoyId) -> bool {
        self.boxes.get(to).and_then(VecDeque::back).is_some_and(|letter| !letter.handed_out)
    }

    /// The letter is safe with its recipient. Only letters that were handed out can be confirmed.
    pub(crate) fn confirm(&mut self, to: &AhoyId, number: u64) -> bool {
        self.remove_where(to, |letter| letter.handed_out && letter.number == number) > 0
    }

    /// The connection that held letters is gone: all of them wait again.
    pub(crate) fn take_back(&mut self, to: &AhoyId) {
        for letter in self.boxes.get_mut(to).into_iter().flatten() {
            letter.handed_out = false;
        }
    }

    /// Forgets what is too old. Returns how many letters.
    pub(crate) fn expire(&mut self, now: Instant) -> usize {
        let due: Vec<AhoyId> = self
            .boxes
            .iter()
            .filter(|(_, letters)| letters.front().is_some_and(|oldest| oldest.is_old(&self.limits, now)))
            .map(|(id, _)| *id)
            .collect();
        due.iter().map(|id| self.expire_box(id, now)).sum()
    }

    fn expire_box(&mut self, to: &AhoyId, now: Instant) -> usize {
        let limits = self.limits;
        self.remove_where(to, |letter| letter.is_old(&limits, now))
    }

    fn remove_where(&mut self, to: &AhoyId, goes: impl Fn(&Letter) -> bool) -> usize {
        let Some(letters) = self.boxes.get_mut(to) else { return 0 };
        let (mut count, mut bytes) = (0, 0);
        letters.retain(|letter| {
            let stays = !goes(letter);
            if !stays {
                count += 1;
                bytes += letter.size();
            }
            stays
        });
        if letters.is_empty() {
            self.boxes.remove(to);
        }
        self.letters -= count;
        self.bytes -= bytes;
        count
    }
}

impl Letter {
    fn size(&self) -> usize {
        self.envelope.len() + LETTER_BYTES
    }

    fn is_old(&self, limits: &MailboxLimits, now: Instant) -> bool {
        now.saturating_duration_since(self.since) > limits.age
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ahoy_protocol::Identity;

    use super::*;

    fn id(seed: u8) -> AhoyId {
        Identity::from_seed([seed; 32]).id()
    }

    fn mailbox(limits: MailboxLimits) -> (Mailbox, Instant) {
        (Mailbox::new(limits), Instant::now())
    }

    fn numbers(handed: &[HandedOn]) -> Vec<u64> {
        handed.iter().map(|letter| letter.number).collect()
    }

    #[test]
    fn letters_are_handed_on_in_order_within_the_window_and_again_after_a_broken_connection() {
        let (mut mailbox, now) = mailbox(MailboxLimits::default());
        for number in 1..=4 {
            mailbox.put(id(1), number, id(2), "x".into(), now).unwrap();
        }
        assert_eq!(numbers(&mailbox.hand_on(&id(1), 2, now)), [1, 2]);
        assert!(mailbox.hand_on(&id(1), 2, now).is_empty());
        assert!(mailbox.confirm(&id(1), 1));
        assert!(!mailbox.confirm(&id(1), 4), "not handed out yet");
        assert_eq!(numbers(&mailbox.hand_on(&id(1), 2, now)), [3]);
        mailbox.take_back(&id(1));
        assert_eq!(numbers(&mailbox.hand_on(&id(1), 9, now)), [2, 3, 4]);
        assert!(!mailbox.has_waiting(&id(1)));
    }

    #[test]
    fn every_bound_holds_and_nothing_stays_counted() {
        let limits = MailboxLimits {
            letters: 3,
            letters_from_one: 2,
            bytes: 3 * LETTER_BYTES + 10,
            total_bytes: 4 * LETTER_BYTES,
            ..MailboxLimits::default()
        };
        let (mut mailbox, now) = mailbox(limits);
        mailbox.put(id(1), 1, id(2), "aa".into(), now).unwrap();
        mailbox.put(id(1), 2, id(2), "aa".into(), now).unwrap();
        assert!(mailbox.put(id(1), 3, id(2), "aa".into(), now).is_err(), "third from one sender");
        assert!(mailbox.put(id(1), 3, id(3), "a".repeat(20), now).is_err(), "bytes for one person");
        mailbox.put(id(1), 3, id(3), "aa".into(), now).unwrap();
        assert!(mailbox.put(id(1), 4, id(4), String::new(), now).is_err(), "fourth for one person");
        let full = mailbox.put(id(5), 4, id(2), "a".repeat(LETTER_BYTES), now).unwrap_err();
        assert_eq!(full.envelope.len(), LETTER_BYTES, "bytes of all boxes");
        mailbox.hand_on(&id(1), 9, now);
        assert!((1..=3).all(|number| mailbox.confirm(&id(1), number)));
        assert_eq!(mailbox.figures(), (0, 0));
        assert!(mailbox.boxes.is_empty());
    }

    #[test]
    fn a_letter_is_forgotten_after_its_age_and_not_before() {
        let (mut mailbox, now) = mailbox(MailboxLimits::default());
        mailbox.put(id(1), 1, id(2), "x".into(), now).unwrap();
        let day = Duration::from_secs(24 * 3600);
        assert_eq!(mailbox.expire(now + 14 * day), 0);
        mailbox.put(id(1), 2, id(2), "x".into(), now + 14 * day).unwrap();
        assert_eq!(numbers(&mailbox.hand_on(&id(1), 9, now + 15 * day)), [2]);
        assert_eq!(mailbox.expire(now + 30 * day), 1);
        assert_eq!(mailbox.figures(), (0, 0));
    }
}
