//! Memory for pictures, used again.

use std::sync::Arc;

use ahoy_media::video::I420;

/// Pictures lent out and taken back: a fresh megabyte thirty times a second costs page faults.
///
/// Keeps at most [`Pictures::DEPTH`]; a picture is used again once nobody else holds it, and when all are held a new one is
/// made and the oldest forgotten (its holders keep it alive).
#[derive(Default)]
pub(super) struct Pictures {
    kept: Vec<Arc<I420>>,
}

impl Pictures {
    /// One being encoded, one waiting in a slot, one shown, one being drawn.
    const DEPTH: usize = 4;

    /// A picture filled by `fill`, which finds it in the given size with any content.
    pub(super) fn make<E>(
        &mut self,
        width: u32,
        height: u32,
        fill: impl FnOnce(&mut I420) -> Result<(), E>,
    ) -> Result<Arc<I420>, E> {
        let free = self.kept.iter_mut().position(|picture| Arc::get_mut(picture).is_some());
        let mut picture = match free {
            Some(at) => self.kept.remove(at),
            None => Arc::new(I420::black(width, height)),
        };
        if picture.width != width || picture.height != height {
            picture = Arc::new(I420::black(width, height));
        }
        let outcome = match Arc::get_mut(&mut picture) {
            Some(pixels) => fill(pixels),
            None => {
                // Somebody made a weak reference meanwhile.
                let mut pixels = I420::black(width, height);
                let outcome = fill(&mut pixels);
                picture = Arc::new(pixels);
                outcome
            }
        };
        if self.kept.len() >= Self::DEPTH {
            self.kept.remove(0);
        }
        self.kept.push(Arc::clone(&picture));
        outcome.map(|()| picture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_picture_is_never_drawn_over_and_a_free_one_is_used_again() {
        let mut pictures = Pictures::default();
        let mut paint = |luma: u8| {
            pictures.make::<()>(64, 64, |picture| {
                picture.y.fill(luma);
                Ok(())
            })
        };
        let held: Vec<_> = (1..=6).map(|luma| paint(luma).unwrap()).collect();
        for (picture, luma) in held.iter().zip(1..) {
            assert_eq!(picture.y[0], luma);
        }
        drop(held);
        let address = Arc::as_ptr(&paint(9).unwrap());
        let again: Vec<_> = (0..4).map(|_| Arc::as_ptr(&paint(7).unwrap())).collect();
        assert!(again.contains(&address));
    }
}
