//! What is heard, into a file or a pipe.

use std::io::BufWriter;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;

use ahoy_engine::media::Block;
use ahoy_engine::media::wav::{WavError, WavStream, WavWriter};

use super::{Out, open};

/// A WAV file whose length is put right at the end, or a stream where the file cannot be gone back in.
enum Sound {
    File(WavWriter<BufWriter<std::fs::File>>),
    Pipe(WavStream<BufWriter<std::fs::File>>),
}

impl Sound {
    fn new(file: BufWriter<std::fs::File>) -> anyhow::Result<Self> {
        let seekable = file.get_ref().metadata().is_ok_and(|about| about.is_file());
        Ok(if seekable { Self::File(WavWriter::new(file)?) } else { Self::Pipe(WavStream::new(file)?) })
    }

    fn write(&mut self, block: &Block) -> Result<(), WavError> {
        match self {
            Self::File(writer) => writer.write(block),
            // Whoever reads a pipe wants it when it comes.
            Self::Pipe(stream) => stream.write(block).and_then(|()| stream.flush()),
        }
    }

    fn flush(&mut self) -> Result<(), WavError> {
        match self {
            Self::File(writer) => writer.flush(),
            Self::Pipe(stream) => stream.flush(),
        }
    }
}

/// Writes each block until the end comes.
pub(super) fn write(path: PathBuf, blocks: &Receiver<Option<Block>>) {
    let mut out = Out::Wanted(path);
    while let Ok(Some(block)) = blocks.recv() {
        out.write(|path| open(path).and_then(Sound::new), |sound| Ok(sound.write(&block)?));
    }
    if let Out::Open(sound) = &mut out {
        let _ = sound.flush();
    }
}
