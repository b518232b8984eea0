//! Pictures of a drawable through memory shared with the X server (MIT-SHM 1.2); over the wire where there is none, as with a
//! server on another computer.

use std::fs::File;

use memmap2::{MmapMut, MmapOptions};
use x11rb::connection::Connection as _;
use x11rb::protocol::shm::{ConnectionExt as _, Seg};
use x11rb::protocol::xproto::{ConnectionExt as _, Drawable, ImageFormat};
use x11rb::rust_connection::RustConnection;

use super::{Area, ScreenError, failed};

const BYTES: usize = 4;

/// The pixels of an area: blue, green, red and one more byte each, row by row without gaps.
pub(super) struct Pixels {
    width: u32,
    height: u32,
    memory: Memory,
}

enum Memory {
    Shared { segment: Seg, bytes: MmapMut },
    Own(Vec<u8>),
}

impl Pixels {
    pub(super) fn new(connection: &RustConnection, width: u32, height: u32) -> Result<Self, ScreenError> {
        let size = width as usize * height as usize * BYTES;
        let memory = match share(connection, size) {
            Ok((segment, bytes)) => Memory::Shared { segment, bytes },
            Err(error) => {
                tracing::info!(%error, "no memory is shared with the X server");
                Memory::Own(vec![0; size])
            }
        };
        Ok(Self { width, height, memory })
    }

    pub(super) fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match &self.memory {
            Memory::Shared { bytes, .. } => bytes,
            Memory::Own(bytes) => bytes,
        }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.memory {
            Memory::Shared { bytes, .. } => bytes,
            Memory::Own(bytes) => bytes,
        }
    }

    /// Reads some rows of the area whose left upper corner lies at `x`, `y` of the drawable.
    pub(super) fn read(
        &mut self,
        connection: &RustConnection,
        drawable: Drawable,
        (x, y): (i32, i32),
        rows: std::ops::Range<u32>,
    ) -> Result<(), ScreenError> {
        let rows = rows.start.min(self.height)..rows.end.min(self.height);
        if rows.is_empty() {
            return Ok(());
        }
        let place = Area { x, y: y + rows.start as i32, width: self.width, height: rows.end - rows.start };
        let (x, y) = (coordinate(place.x)?, coordinate(place.y)?);
        let (width, height) = (side(place.width)?, side(place.height)?);
        let row = self.width as usize * BYTES;
        let start = rows.start as usize * row;
        match &mut self.memory {
            Memory::Shared { segment, .. } => {
                let offset = u32::try_from(start).map_err(|_| failed("it is too large"))?;
                let format = ImageFormat::Z_PIXMAP.into();
                connection.shm_get_image(drawable, x, y, width, height, !0, format, *segment, offset)?.reply()?;
            }
            Memory::Own(bytes) => {
                let image = connection.get_image(ImageFormat::Z_PIXMAP, drawable, x, y, width, height, !0)?.reply()?;
                let into = &mut bytes[start..start + row * place.height as usize];
                if image.data.len() < into.len() {
                    return Err(failed("its pixels have less than four bytes"));
                }
                into.copy_from_slice(&image.data[..into.len()]);
            }
        }
        Ok(())
    }

    /// Gives the shared memory back.
    pub(super) fn release(self, connection: &RustConnection) {
        if let Memory::Shared { segment, .. } = self.memory {
            // A connection that is gone has given it back already.
            let _ = connection.shm_detach(segment);
        }
    }
}

fn share(connection: &RustConnection, size: usize) -> Result<(Seg, MmapMut), ScreenError> {
    let version = connection.shm_query_version()?.reply()?;
    if (version.major_version, version.minor_version) < (1, 2) {
        return Err(failed("its shared memory is of an old kind"));
    }
    let size = u32::try_from(size).map_err(|_| failed("it is too large"))?;
    let segment = connection.generate_id()?;
    let reply = connection.shm_create_segment(segment, size, false)?.reply()?;
    let file = File::from(reply.shm_fd);
    // SAFETY: the server made this memory for this connection alone, and never shortens it. It writes there only while a
    // request of ours is unanswered, and we look only after the answer.
    let bytes = unsafe { MmapOptions::new().len(size as usize).map_mut(&file) };
    bytes.map(|bytes| (segment, bytes)).map_err(|error| failed(&error.to_string()))
}

fn coordinate(value: i32) -> Result<i16, ScreenError> {
    i16::try_from(value).map_err(|_| failed("it is too large"))
}

fn side(value: u32) -> Result<u16, ScreenError> {
    u16::try_from(value).map_err(|_| failed("it is too large"))
}
