//! Looking for what can be shown, once a second while somebody chooses.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use ahoy_devices::{Icon, Listed, Lister, Picker, ScreenError, SourceKind};
use ahoy_media::LatestSlot;
use ahoy_media::video::{I420, to_jpeg};
use data_encoding::BASE64;

use super::{Note, Post, join, spawn};
use crate::api::{ShareKind, ShareSource};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(900);

/// What was found, or why nothing can be.
pub(crate) type Found = Result<(Picker, Vec<ShareSource>), ScreenError>;

/// Lives while somebody chooses.
pub(super) struct ScreenList {
    /// Closed to end.
    ended: LatestSlot<()>,
    thread: JoinHandle<()>,
}

impl ScreenList {
    pub fn start(post: Post) -> std::io::Result<Self> {
        let ended = LatestSlot::<()>::new();
        let wait = ended.clone();
        let thread = spawn("ahoy-share-list", move || {
            let mut lister = None;
            loop {
                post(Note::ShareList(Arc::new(look(&mut lister))));
                if wait.take_timeout(PAUSE).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { ended, thread })
    }

    pub fn close(self) {
        self.ended.close();
        join(self.thread);
    }
}

fn look(kept: &mut Option<Lister>) -> Found {
    let mut lister = match kept.take() {
        Some(lister) => lister,
        None => Lister::new()?,
    };
    let listed = lister.list()?;
    let picker = lister.picker();
    // One that fails is made anew.
    *kept = Some(lister);
    Ok((picker, listed.into_iter().map(source).collect()))
}

fn source(Listed { info, icon, thumbnail }: Listed) -> ShareSource {
    ShareSource {
        id: info.id,
        kind: kind(info.kind),
        name: info.name,
        app: info.app,
        icon: icon.as_ref().and_then(png_url),
        thumbnail: thumbnail.as_ref().and_then(jpeg_url),
        width: info.width,
        height: info.height,
    }
}

pub(crate) fn kind(kind: SourceKind) -> ShareKind {
    match kind {
        SourceKind::Screen => ShareKind::Screen,
        SourceKind::Window => ShareKind::Window,
    }
}

fn jpeg_url(picture: &I420) -> Option<String> {
    let jpeg = to_jpeg(picture, 80).inspect_err(|error| tracing::debug!(%error, "no thumbnail")).ok()?;
    Some(format!("data:image/jpeg;base64,{}", BASE64.encode(&jpeg)))
}

fn png_url(icon: &Icon) -> Option<String> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, icon.width, icon.height);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&icon.rgba));
    written.is_ok().then(|| format!("data:image/png;base64,{}", BASE64.encode(&file)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn pictures_become_urls_and_a_wrong_icon_none() {
        let icon = Icon { width: 2, height: 1, rgba: vec![255, 0, 0, 255, 0, 0, 0, 0] };
        let url = png_url(&icon).unwrap();
        let png = BASE64.decode(url.strip_prefix("data:image/png;base64,").unwrap().as_bytes()).unwrap();
        assert_eq!(&png[1..4], b"PNG");
        assert_eq!(png_url(&Icon { rgba: vec![1], ..icon }), None);
        assert!(jpeg_url(&I420::black(320, 200)).unwrap().starts_with("data:image/jpeg;base64,"));
        assert_eq!(jpeg_url(&I420::default()), None);
    }
}
