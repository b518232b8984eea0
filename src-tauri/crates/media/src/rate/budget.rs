//! One target, shared among sound, camera, screen and data. All rates count headers.

use std::time::Duration;

use crate::units::{Bitrate, FrameRate};

/// What each packet carries beside its payload: IPv4 20, UDP 8, RTP 12, header extensions 12, SRTP's tag 10 (RFC 3711) to
/// 16 (AES-GCM). IPv6 has 20 more.
pub const HEADERS: usize = 68;
/// Payload of a full picture packet.
const PAYLOAD: f64 = 1_150.0;

/// What a source can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    /// With less than this it is better to send nothing.
    pub least: Bitrate,
    /// More than this makes no difference.
    pub most: Bitrate,
}

/// The sources that are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wants {
    /// Sound. Gets its least before anybody else gets anything, and even when the target is below it.
    pub audio: Option<Want>,
    /// The camera.
    pub camera: Option<Want>,
    /// The camera pauses until its share is worth it. Meanwhile sound uses it too: what is not sent does not grow.
    pub camera_paused: bool,
    /// A shared screen; goes before the camera.
    pub screen: Option<Want>,
    /// Files and chat.
    pub data: Option<Want>,
}

impl Wants {
    /// All that could be used: the estimator's demand.
    pub fn most(&self) -> Bitrate {
        [self.audio, self.camera, self.screen, self.data].into_iter().flatten().map(|want| want.most).sum()
    }
}

/// Who may send how much. Zero is a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shares {
    /// For sound.
    pub audio: Bitrate,
    /// For the camera.
    pub camera: Bitrate,
    /// For a shared screen.
    pub screen: Bitrate,
    /// For files and chat.
    pub data: Bitrate,
}

/// Splits a target: everybody's least in the order sound, screen, camera, data; then sound up to its most within a quarter
/// of the rest; then screen, camera and data 6 : 3 : 1, and what one cannot use goes to the others. A camera that pauses
/// gets what it would have, beside the others' shares of a call without it.
pub fn split(target: Bitrate, wants: &Wants) -> Shares {
    if wants.camera_paused {
        let Shares { camera, .. } = split(target, &Wants { camera_paused: false, ..*wants });
        let others = split(target, &Wants { camera: None, camera_paused: false, ..*wants });
        return Shares { camera, ..others };
    }
    let mut rest = target;
    let audio_least = wants.audio.map_or(Bitrate::ZERO, |want| want.least);
    rest = rest - audio_least;
    let mut take = |want: Option<Want>| match want {
        Some(want) if want.least <= rest => {
            rest = rest - want.least;
            (want.least, want.most.max(want.least) - want.least)
        }
        Some(_) | None => (Bitrate::ZERO, Bitrate::ZERO),
    };
    let (screen, camera, data) = (take(wants.screen), take(wants.camera), take(wants.data));
    let audio_more = wants.audio.map_or(Bitrate::ZERO, |want| want.most.max(want.least) - want.least);
    let others = [screen.1, camera.1, data.1].into_iter().sum::<Bitrate>();
    let quarter = if others == Bitrate::ZERO { rest } else { rest.scaled(0.25) };
    let audio_more = audio_more.min(quarter);
    rest = rest - audio_more;
    let more = share_out(rest, [(screen.1, 6), (camera.1, 3), (data.1, 1)]);
    Shares {
        audio: audio_least + audio_more,
        screen: screen.0 + more[0],
        camera: camera.0 + more[1],
        data: data.0 + more[2],
    }
}

/// By weight, none above its bound; what is left over is shared out again.
fn share_out(total: Bitrate, bounds: [(Bitrate, u64); 3]) -> [Bitrate; 3] {
    let mut given = [Bitrate::ZERO; 3];
    let mut rest = total;
    // Each round fills at least one bound, or gives all.
    for _ in 0..bounds.len() {
        let hungry: u64 = (0..3).filter(|&n| given[n] < bounds[n].0).map(|n| bounds[n].1).sum();
        if hungry == 0 {
            break;
        }
        let round = rest;
        for (given, (bound, weight)) in given.iter_mut().zip(bounds) {
            let share = Bitrate::bps((u128::from(round.as_bps()) * u128::from(weight) / u128::from(hungry)) as u64);
            let share = share.min(bound - *given).min(rest);
            *given = *given + share;
            rest = rest - share;
        }
    }
    given
}

/// How sound is cut into packets and coded within its share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioPlan {
    /// Sound in one packet: 20, 40 or 60 ms.
    pub packet: Duration,
    /// The coder's own rate, 6 to 64 kbps.
    pub bitrate: Bitrate,
}

impl AudioPlan {
    /// Longer packets when headers would eat the share; back to shorter ones only with a tenth to spare.
    pub fn for_share(share: Bitrate, current: Option<Duration>) -> Self {
        let fits = |millis: u64| {
            let packet = Duration::from_millis(millis);
            let left = share - header_rate(packet);
            // Below these rates, more bits for the coder are worth more than a shorter delay.
            let enough = Bitrate::kbps(if millis == 20 { 24 } else { 14 });
            let enough = if current.is_some_and(|current| current > packet) { enough.scaled(1.1) } else { enough };
            (left >= enough).then_some((packet, left))
        };
        let last = Duration::from_millis(60);
        let (packet, left) = fits(20).or_else(|| fits(40)).unwrap_or((last, share - header_rate(last)));
        Self { packet, bitrate: left.clamp(Bitrate::kbps(6), Bitrate::kbps(64)) }
    }

    /// What it takes on the wire.
    pub fn on_the_wire(&self) -> Bitrate {
        self.bitrate + header_rate(self.packet)
    }
}

fn header_rate(packet: Duration) -> Bitrate {
    Bitrate::of(HEADERS as u64, packet)
}

/// What a video coder may make of a share: the headers of the packets that its frames become are taken off.
pub fn coder_rate(share: Bitrate, frame_rate: FrameRate) -> Bitrate {
    let frames = 1.0 / frame_rate.interval().as_secs_f64();
    let frame_bytes = share.as_bps() as f64 / 8.0 / frames;
    // A frame fills its last packet by half.
    let packets = frames * (0.5 + frame_bytes / (PAYLOAD + HEADERS as f64)).max(1.0);
    share - Bitrate::bps((packets * HEADERS as f64 * 8.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn want(least: u64, most: u64) -> Option<Want> {
        Some(Want { least: Bitrate::kbps(least), most: Bitrate::kbps(most) })
    }

    fn kbps(shares: Shares) -> [u64; 4] {
        [shares.audio, shares.camera, shares.screen, shares.data].map(Bitrate::as_kbps)
    }

    #[test]
    fn sound_comes_first_and_pictures_pause_when_too_little_is_left() {
        let wants = Wants { audio: want(20, 90), camera: want(120, 2_500), ..Wants::default() };
        assert_eq!(kbps(split(Bitrate::kbps(10), &wants)), [20, 0, 0, 0]);
        assert_eq!(kbps(split(Bitrate::kbps(100), &wants)), [90, 0, 0, 0]);
        assert_eq!(kbps(split(Bitrate::kbps(200), &wants)), [35, 165, 0, 0]);
        assert_eq!(kbps(split(Bitrate::kbps(9_000), &wants)), [90, 2_500, 0, 0]);
    }

    #[test]
    fn what_a_camera_waits_for_is_sounds_meanwhile() {
        let wants = Wants { audio: want(20, 90), camera: want(120, 2_500), ..Wants::default() };
        let paused = Wants { camera_paused: true, ..wants };
        assert_eq!(kbps(split(Bitrate::kbps(160), &wants)), [25, 135, 0, 0]);
        assert_eq!(kbps(split(Bitrate::kbps(160), &paused)), [90, 135, 0, 0]);
    }

    #[test]
    fn nothing_is_wasted_and_nothing_is_given_twice() {
        let (audio, camera) = (want(20, 90), want(100, 400));
        let wants = Wants { audio, camera, camera_paused: false, screen: want(200, 5_000), data: want(0, 1_000_000) };
        for target in [25, 150, 300, 320, 800, 2_000, 4_000, 20_000] {
            let shares = kbps(split(Bitrate::kbps(target), &wants));
            let sum: u64 = shares.iter().sum();
            assert!(sum <= target && sum + 4 >= target, "{target}: {shares:?}");
            assert!(shares[1] <= 400 && (shares[2] == 0 || shares[2] >= 200));
        }
        assert_eq!(wants.most(), Bitrate::kbps(1_005_490));
    }

    #[test]
    fn at_60_kbps_sound_and_its_headers_fit() {
        let mut current = None;
        for share in [60, 54, 48, 40, 30, 25] {
            let plan = AudioPlan::for_share(Bitrate::kbps(share), current);
            assert!(plan.on_the_wire() <= Bitrate::kbps(share), "{share}: {plan:?}");
            current = Some(plan.packet);
        }
        assert_eq!(current, Some(Duration::from_millis(60)));
        assert_eq!(AudioPlan::for_share(Bitrate::kbps(90), current).packet, Duration::from_millis(20));
        assert_eq!(AudioPlan::for_share(Bitrate::ZERO, None).bitrate, Bitrate::kbps(6));
    }

    #[test]
    fn a_coder_gets_what_headers_leave() {
        let left = coder_rate(Bitrate::kbps(1_000), FrameRate::fps(30));
        assert!((920..960).contains(&left.as_kbps()), "{left}");
        assert!(coder_rate(Bitrate::kbps(10), FrameRate::fps(30)) < Bitrate::kbps(1));
    }
}
