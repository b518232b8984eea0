//! From a second's figures to bars and a cause, held steady.

use super::{
    BETTER_SECONDS, BREAKS, BUSY_PERCENT, Computer, JITTER_MS, LOSS_PERCENT, MISSED_PERCENT, Microphone, ORDER,
    OTHER_SECONDS, OWN_QUEUE, PICTURE_KBPS, Picture, ROUND_TRIP_MS, SILENT_SECONDS, SMALL_ROWS, SOUND_KBPS, Second,
    Upload, WORSE_SECONDS,
};
use crate::api::QualityCause;

/// Bars without anything wrong.
const ALL: u8 = 4;

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// 0 to 4.
    pub bars: u8,
    /// What takes the missing ones; `None` with all four.
    pub cause: Option<QualityCause>,
    /// For the words about a bad one.
    pub microphone: Microphone,
}

/// Keeps the bars steady over a call.
#[derive(Debug, Default)]
pub struct Judge {
    shown: Option<Verdict>,
    silent: u32,
    worse: u32,
    better: u32,
    other: u32,
}

impl Judge {
    /// Takes in one more second; gives what to show.
    pub fn handle_second(&mut self, second: &Second) -> Verdict {
        self.silent = if second.packets_in == 0 { self.silent + 1 } else { 0 };
        let silence = Verdict { bars: 0, cause: Some(QualityCause::Silence), microphone: second.microphone };
        let now = if self.silent >= SILENT_SECONDS { silence } else { worst(second) };
        // A call begins with all of them: its first second says little.
        let begin = Verdict { bars: ALL, cause: None, microphone: second.microphone };
        let shown = self.next(self.shown.unwrap_or(begin), now);
        self.shown = Some(shown);
        shown
    }

    fn next(&mut self, shown: Verdict, now: Verdict) -> Verdict {
        let Self { worse, better, other, .. } = self;
        (*worse, *better, *other) = (
            if now.bars < shown.bars { *worse + 1 } else { 0 },
            if now.bars > shown.bars { *better + 1 } else { 0 },
            if now.bars == shown.bars && now.cause != shown.cause { *other + 1 } else { 0 },
        );
        // Silence has waited its seconds already.
        if *worse >= WORSE_SECONDS || now.cause == Some(QualityCause::Silence) {
            *worse = 0;
            return now;
        }
        // Anything at all is better than nothing, at once.
        if shown.bars == 0 && now.bars > 0 {
            *better = 0;
            return Verdict { bars: now.bars.min(2), ..now };
        }
        if *better >= BETTER_SECONDS {
            *better = 0;
            let bars = shown.bars + 1;
            // On the way back up there is still what took the bars.
            let cause = if bars == ALL { None } else { now.cause.or(shown.cause) };
            return Verdict { bars, cause, microphone: now.microphone };
        }
        if *other >= OTHER_SECONDS { now } else { shown }
    }
}

/// A state that is told to the other side: not of each second.
#[derive(Debug, Default)]
pub(crate) struct Steady {
    told: bool,
    otherwise: u32,
}

impl Steady {
    /// Takes in one more second; gives what holds.
    pub fn handle_second(&mut self, now: bool) -> bool {
        self.otherwise = if now == self.told { 0 } else { self.otherwise + 1 };
        if self.otherwise >= OTHER_SECONDS {
            (self.told, self.otherwise) = (now, 0);
        }
        self.told
    }
}

fn worst(second: &Second) -> Verdict {
    let (bars, cause) = ORDER
        .map(|cause| (bars(second, cause), cause))
        .into_iter()
        // The first of equals.
        .min_by_key(|(bars, _)| *bars)
        .expect("ten causes are not none");
    Verdict { bars, cause: (bars < ALL).then_some(cause), microphone: second.microphone }
}

/// What one cause leaves.
fn bars(second: &Second, cause: QualityCause) -> u8 {
    let loss_in = small(second.loss_in_percent, LOSS_PERCENT);
    let loss_out = small(second.loss_out_percent, LOSS_PERCENT);
    let round_trip = small(second.round_trip_ms.unwrap_or(0.0), ROUND_TRIP_MS);
    let own_queue = second
        .upload
        .is_some_and(|upload| second.round_trip_ms.is_some_and(|round_trip| upload.queue_ms >= OWN_QUEUE * round_trip));
    let (theirs, own) = (their_picture(second), our_rate(second));
    match cause {
        // Judged over more than one second.
        QualityCause::Silence => ALL,
        QualityCause::SlowComputer => slow_computer(second),
        // Where packets get lost, a low rate is what the loss makes of it, unless there is none left for a picture.
        QualityCause::LossOut if loss_out < ALL && second.picture_out != Picture::Paused => loss_out.min(own),
        QualityCause::LossOut => loss_out,
        QualityCause::LossIn if loss_in < ALL && second.picture_in != Picture::Paused => loss_in.min(theirs),
        QualityCause::LossIn => loss_in,
        QualityCause::MyUpload if own_queue => round_trip.min(own),
        QualityCause::MyUpload => own,
        QualityCause::TheirUpload => theirs,
        QualityCause::Delay => round_trip,
        QualityCause::Jitter => small(second.jitter_ms, JITTER_MS),
        QualityCause::BadMicrophone => match second.microphone {
            Microphone::Good => ALL,
            Microphone::Silent | Microphone::Clipped => ALL - 1,
        },
        QualityCause::Telephone if second.telephone => ALL - 1,
        QualityCause::Telephone => ALL,
    }
}

fn our_rate(second: &Second) -> u8 {
    let Some(Upload { target_kbps, held, .. }) = second.upload else { return ALL };
    match second.picture_out {
        Picture::Paused => 1,
        Picture::Reduced => large(target_kbps, PICTURE_KBPS),
        Picture::Off if held => large(target_kbps, SOUND_KBPS),
        Picture::Off | Picture::Slowed(_) | Picture::Full => ALL,
    }
}

fn their_picture(second: &Second) -> u8 {
    match second.picture_in {
        Picture::Paused => 1,
        Picture::Reduced => large(second.rate_in_kbps, PICTURE_KBPS),
        Picture::Off | Picture::Slowed(_) | Picture::Full => ALL,
    }
}

fn slow_computer(second: &Second) -> u8 {
    let Computer { busy_percent, missed_percent, breaks } = second.computer;
    let slowed = match second.picture_out {
        Picture::Slowed(rows) if rows < SMALL_ROWS => 2,
        Picture::Slowed(_) => 3,
        Picture::Off | Picture::Paused | Picture::Reduced | Picture::Full => ALL,
    };
    small(busy_percent, BUSY_PERCENT).min(small(missed_percent, MISSED_PERCENT)).min(small(breaks, BREAKS)).min(slowed)
}

/// Bars of a figure that should be small.
fn small(value: f64, limits: [f64; 3]) -> u8 {
    ALL - limits.iter().filter(|&&limit| value > limit).count() as u8
}

/// Bars of a figure that should be large.
fn large(value: f64, limits: [f64; 3]) -> u8 {
    ALL - limits.iter().filter(|&&limit| value < limit).count() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Second = Second {
        packets_in: 80,
        loss_in_percent: 0.0,
        loss_out_percent: 0.0,
        round_trip_ms: Some(40.0),
        jitter_ms: 4.0,
        rate_in_kbps: 1500.0,
        picture_in: Picture::Full,
        picture_out: Picture::Full,
        upload: Some(Upload { target_kbps: 2_600.0, held: false, queue_ms: 0.0 }),
        computer: Computer { busy_percent: 30.0, missed_percent: 0.0, breaks: 0.0 },
        microphone: Microphone::Good,
        telephone: false,
    };

    fn upload(target_kbps: f64, queue_ms: f64) -> Option<Upload> {
        Some(Upload { target_kbps, held: true, queue_ms })
    }

    fn after(seconds: &[Second]) -> (u8, Option<QualityCause>) {
        let mut judge = Judge::default();
        let verdicts: Vec<Verdict> = seconds.iter().map(|second| judge.handle_second(second)).collect();
        verdicts.last().map_or((4, None), |verdict| (verdict.bars, verdict.cause))
    }

    fn bad(change: impl Fn(&mut Second)) -> (u8, Option<QualityCause>) {
        let mut second = GOOD;
        change(&mut second);
        after(&[second; 3])
    }

    #[test]
    fn each_cause_is_named() {
        use QualityCause::*;
        assert_eq!(after(&[GOOD; 3]), (4, None));
        assert_eq!(bad(|s| s.loss_in_percent = 8.0), (2, Some(LossIn)));
        assert_eq!(bad(|s| s.loss_out_percent = 20.0), (1, Some(LossOut)));
        assert_eq!(bad(|s| s.round_trip_ms = Some(300.0)), (3, Some(Delay)));
        assert_eq!(bad(|s| s.round_trip_ms = Some(600.0)), (2, Some(Delay)));
        assert_eq!(bad(|s| s.jitter_ms = 200.0), (1, Some(Jitter)));
        assert_eq!(bad(|s| s.microphone = Microphone::Silent), (3, Some(BadMicrophone)));
        assert_eq!(bad(|s| s.microphone = Microphone::Clipped), (3, Some(BadMicrophone)));
        assert_eq!(bad(|s| s.telephone = true), (3, Some(Telephone)));
    }

    #[test]
    fn our_upload_is_at_fault_only_where_it_makes_the_picture_or_the_sound_worse() {
        let mine = Some(QualityCause::MyUpload);
        let reduced = |kbps| bad(|s| (s.picture_out, s.upload) = (Picture::Reduced, upload(kbps, 0.0)));
        assert_eq!(reduced(700.0), (4, None));
        assert_eq!([reduced(300.0), reduced(200.0), reduced(90.0)], [(3, mine), (2, mine), (1, mine)]);
        assert_eq!(bad(|s| s.picture_out = Picture::Paused), (1, mine));
        assert_eq!(bad(|s| s.upload = upload(90.0, 0.0)), (4, None), "a small camera needs no more");
        let alone = |kbps, held| {
            bad(|s| (s.picture_out, s.upload) = (Picture::Off, upload(kbps, 0.0).map(|up| Upload { held, ..up })))
        };
        assert_eq!((alone(24.0, true), alone(24.0, false)), ((2, mine), (4, None)));
    }

    #[test]
    fn a_long_way_is_our_uploads_fault_when_most_of_it_is_waited_for_there() {
        let slow = |queue| bad(|s| (s.round_trip_ms, s.upload) = (Some(500.0), upload(900.0, queue)));
        assert_eq!(slow(20.0), (2, Some(QualityCause::Delay)));
        assert_eq!(slow(400.0), (2, Some(QualityCause::MyUpload)));
    }

    #[test]
    fn the_other_sides_upload_is_at_fault_when_it_says_so_and_nothing_gets_lost() {
        let theirs = Some(QualityCause::TheirUpload);
        let reduced = |kbps| bad(|s| (s.picture_in, s.rate_in_kbps) = (Picture::Reduced, kbps));
        assert_eq!((reduced(600.0), reduced(70.0)), ((4, None), (1, theirs)));
        assert_eq!(bad(|s| s.picture_in = Picture::Paused), (1, theirs));
        assert_eq!(bad(|s| s.rate_in_kbps = 30.0), (4, None), "nothing moves in front of their camera");
        let lossy = bad(|s| (s.picture_in, s.rate_in_kbps, s.loss_in_percent) = (Picture::Reduced, 200.0, 4.0));
        assert_eq!(lossy, (2, Some(QualityCause::LossIn)));
    }

    #[test]
    fn a_busy_computer_shows_in_coders_pictures_and_sound() {
        let slow = Some(QualityCause::SlowComputer);
        assert_eq!(bad(|s| s.computer.busy_percent = 90.0), (2, slow));
        assert_eq!(bad(|s| s.computer.missed_percent = 60.0), (1, slow));
        assert_eq!(bad(|s| s.computer.breaks = 5.0), (2, slow));
        assert_eq!(bad(|s| s.picture_out = Picture::Slowed(540)), (3, slow));
        assert_eq!(bad(|s| s.picture_out = Picture::Slowed(180)), (2, slow));
    }

    #[test]
    fn the_worst_is_named_and_among_equals_what_makes_the_others() {
        let both = bad(|s| (s.loss_in_percent, s.jitter_ms) = (4.0, 80.0));
        assert_eq!(both, (2, Some(QualityCause::Jitter)));
        let everything = |s: &mut Second| {
            s.computer.breaks = 20.0;
            (s.loss_in_percent, s.loss_out_percent) = (30.0, 30.0);
            (s.picture_in, s.picture_out) = (Picture::Paused, Picture::Paused);
            (s.round_trip_ms, s.jitter_ms) = (Some(900.0), 200.0);
            s.microphone = Microphone::Silent;
            s.telephone = true;
        };
        let mut second = GOOD;
        everything(&mut second);
        let mut named = Vec::new();
        for mend in [
            |s: &mut Second| s.computer.breaks = 0.0,
            |s: &mut Second| s.loss_out_percent = 0.0,
            |s: &mut Second| s.loss_in_percent = 0.0,
            |s: &mut Second| s.picture_out = Picture::Full,
            |s: &mut Second| s.picture_in = Picture::Full,
            |s: &mut Second| s.round_trip_ms = Some(40.0),
            |s: &mut Second| s.jitter_ms = 4.0,
            |s: &mut Second| s.microphone = Microphone::Good,
            |s: &mut Second| s.telephone = false,
        ] {
            named.extend(after(&[second; 3]).1);
            mend(&mut second);
        }
        assert_eq!(named, ORDER[1..]);
        assert_eq!(after(&[second; 3]), (4, None));
    }

    #[test]
    fn one_bad_second_does_not_move_the_bars_and_two_do() {
        let bad = Second { loss_in_percent: 30.0, ..GOOD };
        assert_eq!(after(&[GOOD, GOOD, bad]).0, 4);
        assert_eq!(after(&[bad]).0, 4, "not at the beginning either");
        assert_eq!(after(&[GOOD, GOOD, bad, bad]).0, 1);
    }

    #[test]
    fn bars_come_back_one_at_a_time_and_name_what_took_them() {
        let bad = Second { loss_in_percent: 30.0, ..GOOD };
        let loss = Some(QualityCause::LossIn);
        let mut seconds = vec![bad; 3];
        seconds.extend([GOOD; BETTER_SECONDS as usize - 1]);
        assert_eq!(after(&seconds), (1, loss));
        seconds.push(GOOD);
        assert_eq!(after(&seconds), (2, loss));
        seconds.extend([GOOD; 2 * BETTER_SECONDS as usize]);
        assert_eq!(after(&seconds), (4, None));
    }

    #[test]
    fn a_sentence_does_not_change_with_every_second() {
        let loss = Second { loss_in_percent: 8.0, ..GOOD };
        let delay = Second { round_trip_ms: Some(600.0), ..GOOD };
        assert_eq!(after(&[loss, loss, delay, loss, delay, delay]), (2, Some(QualityCause::LossIn)));
        assert_eq!(after(&[loss, loss, delay, delay, delay]), (2, Some(QualityCause::Delay)));
    }

    #[test]
    fn what_is_told_holds_for_some_seconds() {
        let mut steady = Steady::default();
        let told = [true, true, false, true, true, true, false, false, false].map(|now| steady.handle_second(now));
        assert_eq!(told, [false, false, false, false, false, true, true, true, false]);
    }

    #[test]
    fn silence_takes_all_bars_and_the_first_packet_gives_some_back() {
        let nothing = Second { packets_in: 0, rate_in_kbps: 0.0, ..GOOD };
        assert_eq!(after(&[GOOD, nothing, nothing]), (0, Some(QualityCause::Silence)));
        assert_eq!(after(&[GOOD, nothing, nothing, nothing]), (0, Some(QualityCause::Silence)));
        assert_eq!(after(&[GOOD, nothing, nothing, GOOD]).0, 2);
    }
}
