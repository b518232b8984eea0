//! Looking for a contact card's QR code in the camera's pictures.

use std::thread::JoinHandle;
use std::time::Duration;

use ahoy_media::LatestSlot;
use ahoy_media::video::{I420, VideoFrame};

use super::{Note, Post, join, spawn};

/// Between two looks: a person holds a code still for longer.
const PAUSE: Duration = Duration::from_millis(150);

/// Lives while a code is looked for.
pub(super) struct Scan {
    slot: LatestSlot<VideoFrame>,
    thread: JoinHandle<()>,
}

impl Scan {
    pub fn start(post: Post) -> std::io::Result<Self> {
        let slot = LatestSlot::<VideoFrame>::new();
        let input = slot.clone();
        let thread = spawn("ahoy-scan", move || {
            while let Ok(frame) = input.wait() {
                if let Some(text) = read_code(&frame.picture) {
                    post(Note::Code(text));
                }
                std::thread::sleep(PAUSE);
            }
        })?;
        Ok(Self { slot, thread })
    }

    pub fn input(&self) -> LatestSlot<VideoFrame> {
        self.slot.clone()
    }

    pub fn close(self) {
        self.slot.close();
        join(self.thread);
    }
}

/// The text of a QR code that looks like a contact card, if there is one in the picture.
fn read_code(picture: &I420) -> Option<String> {
    if !picture.is_consistent() || picture.y.is_empty() {
        return None;
    }
    let (width, height) = (picture.width as usize, picture.height as usize);
    let mut grey = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| picture.y[y * width + x]);
    let codes = grey.detect_grids();
    codes
        .iter()
        .filter_map(|grid| grid.decode().ok())
        .map(|(_, text)| text)
        .find(|text| text.to_ascii_lowercase().contains(ahoy_protocol::LINK_PREFIX))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use ahoy_protocol::{ContactCard, Identity};

    /// Draws the path of the card's own SVG, `M{x} {y}h{length}v1H{x}z` for each run of dark modules.
    fn draw(svg: &str, scale: usize) -> I420 {
        let after = |text: &'_ str, mark: &str| text.split_once(mark).unwrap().1.to_owned();
        let width: usize = after(svg, "viewBox=\"0 0 ").split(' ').next().unwrap().parse().unwrap();
        let side = (width + 8) * scale;
        let mut picture = I420::black(side as u32, side as u32);
        picture.y.fill(220);
        let path = after(svg, " d=\"");
        for run in path.split('"').next().unwrap().split('z').filter(|run| !run.is_empty()) {
            let (place, rest) = run[1..].split_once('h').unwrap();
            let (x, y) = place.split_once(' ').unwrap();
            let (x, y): (usize, usize) = (x.parse().unwrap(), y.parse().unwrap());
            let length: usize = rest.split('v').next().unwrap().parse().unwrap();
            for row in (y + 4) * scale..(y + 5) * scale {
                let start = row * side + (x + 4) * scale;
                picture.y[start..start + length * scale].fill(30);
            }
        }
        picture
    }

    #[test]
    fn the_code_on_a_card_is_read_from_a_picture() {
        let id = Identity::from_seed([7; 32]).id();
        let card = ContactCard { id, name: "Ada".to_owned(), servers: vec!["wss://rendezvous.example".to_owned()] };
        let text = read_code(&draw(&card.qr_svg().unwrap(), 4)).expect("a code was found");
        assert_eq!(ContactCard::from_link(&text).unwrap(), card);
    }

    #[test]
    fn a_picture_without_a_code_gives_nothing() {
        assert_eq!(read_code(&I420::black(320, 180)), None);
        assert_eq!(read_code(&I420::default()), None);
    }
}
