//! Decoding Opus, and making up for packets that are lost: from the copies in later packets, or by invention.
//!
//! This goes to libopus directly, for the safe binding reaches only the DRED of the very last packet before a carrier.

use std::fmt;
use std::ptr::{NonNull, null};

use opusic_c::{ErrorCode, sys};

use super::SAMPLE_RATE;
use super::opus::{MAX_PACKET_SAMPLES, OpusError, check};

/// From 5 on a lost packet's sound is invented by libopus's neural network, which keeps a voice a voice for longer.
const COMPLEXITY: i32 = 5;
/// DRED is looked for up to a second back (the format's own limit is 1.04 s).
const MAX_REACH: usize = SAMPLE_RATE as usize;
/// What the codec can be asked to invent or rebuild: steps of 2.5 ms.
const STEP: usize = 120;

/// Decodes packets, and makes up for lost ones; allocates nothing after it was made.
pub struct OpusDecoder {
    decoder: Owned<sys::OpusDecoder>,
    dred_decoder: Owned<sys::OpusDREDDecoder>,
    /// Looked at to learn how far a packet reaches back, nothing more.
    probed: Owned<sys::OpusDRED>,
    /// The features that [`OpusDecoder::decode_dred`] draws on.
    loaded: Owned<sys::OpusDRED>,
    /// How far `loaded` reaches back, in samples.
    reach: usize,
}

impl OpusDecoder {
    /// A decoder.
    ///
    /// # Errors
    /// [`OpusError::Codec`] when there is no memory for it.
    pub fn new() -> Result<Self, OpusError> {
        let mut error = sys::OPUS_ALLOC_FAIL;
        // SAFETY: plain constructors: each gives a state of its own, or null and an error; the arguments are in range and
        // `error` outlives the calls. Each state goes with the one function that frees its kind.
        let (mut decoder, dred_decoder, probed, loaded) = unsafe {
            (
                Owned::new(sys::opus_decoder_create(SAMPLE_RATE as i32, 1, &mut error), sys::opus_decoder_destroy)?,
                Owned::new(sys::opus_dred_decoder_create(&mut error), sys::opus_dred_decoder_destroy)?,
                Owned::new(sys::opus_dred_alloc(&mut error), sys::opus_dred_free)?,
                Owned::new(sys::opus_dred_alloc(&mut error), sys::opus_dred_free)?,
            )
        };
        // SAFETY: the request takes one integer, by value.
        check_code(unsafe { sys::opus_decoder_ctl(decoder.as_mut(), sys::OPUS_SET_COMPLEXITY_REQUEST, COMPLEXITY) })?;
        Ok(Self { decoder, dred_decoder, probed, loaded, reach: 0 })
    }

    /// Decodes a packet into `into` and gives the number of samples, at most [`MAX_PACKET_SAMPLES`].
    ///
    /// # Errors
    /// [`OpusError`] for an empty, overlong or damaged packet, or one that does not fit into `into`.
    pub fn decode(&mut self, packet: &[u8], into: &mut [f32]) -> Result<usize, OpusError> {
        check(packet)?;
        self.run(packet, into, false)
    }

    /// Invents the sound of a lost packet of `samples` samples (a multiple of 120) from what went before.
    ///
    /// # Errors
    /// [`OpusError::Codec`] when `into` is too short or the length is none that Opus knows.
    pub fn conceal(&mut self, samples: usize, into: &mut [f32]) -> Result<usize, OpusError> {
        let into = room(into, samples)?;
        self.run(&[], into, false)
    }

    /// Rebuilds a lost packet of `samples` samples from the coarse copy in the packet that `following` it; where there is
    /// none in it, this conceals.
    ///
    /// # Errors
    /// As [`OpusDecoder::decode`].
    pub fn decode_fec(&mut self, following: &[u8], samples: usize, into: &mut [f32]) -> Result<usize, OpusError> {
        check(following)?;
        let into = room(into, samples)?;
        self.run(following, into, true)
    }

    /// How far back from a packet's own sound its deep redundancy reaches, in samples; 0 where it has none.
    pub fn dred_reach(&mut self, packet: &[u8]) -> usize {
        let Self { dred_decoder, probed, .. } = self;
        parse(dred_decoder, probed, packet, MAX_REACH, true)
    }

    /// Takes the deep redundancy out of a packet, for [`OpusDecoder::decode_dred`], `needed` samples back at least. Gives
    /// how far back it reaches, in samples; 0 where it has none.
    pub fn load_dred(&mut self, packet: &[u8], needed: usize) -> usize {
        let Self { dred_decoder, loaded, .. } = self;
        self.reach = parse(dred_decoder, loaded, packet, needed.min(MAX_REACH), false);
        self.reach
    }

    /// Rebuilds `samples` samples (a multiple of 480) that begin `before` samples ahead of the packet that was loaded last.
    ///
    /// # Errors
    /// [`OpusError::Codec`] when it does not reach back so far, `into` is too short or the length is none that Opus knows.
    pub fn decode_dred(&mut self, before: usize, samples: usize, into: &mut [f32]) -> Result<usize, OpusError> {
        if before > self.reach || samples > before {
            return Err(ErrorCode::BadArg.into());
        }
        let into = room(into, samples)?;
        let (before, samples) = (before as i32, samples as i32);
        // SAFETY: both states are alive, `loaded` was filled by a successful parse (reach > 0, for 0 < samples <= reach),
        // and `into` has room for `samples` samples of one channel.
        length(unsafe {
            sys::opus_decoder_dred_decode_float(
                self.decoder.as_mut(),
                self.loaded.as_ptr(),
                before,
                into.as_mut_ptr(),
                samples,
            )
        })
    }

    /// Forgets the codec's memory, for a new stream.
    pub fn reset(&mut self) {
        self.reach = 0;
        // SAFETY: the request has no argument; so it cannot fail either.
        unsafe { sys::opus_decoder_ctl(self.decoder.as_mut(), sys::OPUS_RESET_STATE) };
    }

    fn run(&mut self, packet: &[u8], into: &mut [f32], fec: bool) -> Result<usize, OpusError> {
        let data = if packet.is_empty() { null() } else { packet.as_ptr() };
        // No packet holds more, and the lengths then fit the codec's integers.
        let room = into.len().min(MAX_PACKET_SAMPLES);
        // SAFETY: the state is alive, `packet` (checked, or empty with a null pointer, which means a loss) and `into` are
        // as long as said, for one channel.
        length(unsafe {
            sys::opus_decode_float(
                self.decoder.as_mut(),
                data,
                packet.len() as i32,
                into.as_mut_ptr(),
                room as i32,
                i32::from(fec),
            )
        })
    }
}

/// Whether a packet carries a coarse copy of the packet before it (LBRR; RFC 6716, sections 4.2.3 and 4.2.4).
pub fn carries_fec(packet: &[u8]) -> bool {
    if check(packet).is_err() {
        return false;
    }
    // SAFETY: it reads no more than the bytes it is told of.
    unsafe { sys::opus_packet_has_lbrr(packet.as_ptr(), packet.len() as i32) == 1 }
}

fn parse(
    decoder: &mut Owned<sys::OpusDREDDecoder>,
    into: &mut Owned<sys::OpusDRED>,
    packet: &[u8],
    most: usize,
    defer: bool,
) -> usize {
    if check(packet).is_err() || most == 0 {
        return 0;
    }
    let mut silent_end = 0;
    // SAFETY: both states are alive, it reads no more of `packet` than its length, and `silent_end` outlives the call.
    let reach = unsafe {
        sys::opus_dred_parse(
            decoder.as_mut(),
            into.as_mut(),
            packet.as_ptr(),
            packet.len() as i32,
            most as i32,
            SAMPLE_RATE as i32,
            &mut silent_end,
            i32::from(defer),
        )
    };
    usize::try_from(reach).unwrap_or(0)
}

fn room(into: &mut [f32], samples: usize) -> Result<&mut [f32], OpusError> {
    if samples == 0 || !samples.is_multiple_of(STEP) || samples > MAX_PACKET_SAMPLES {
        return Err(ErrorCode::BadArg.into());
    }
    Ok(into.get_mut(..samples).ok_or(ErrorCode::BufferTooSmall)?)
}

fn check_code(code: i32) -> Result<(), OpusError> {
    if code < 0 { Err(ErrorCode::from(code).into()) } else { Ok(()) }
}

fn length(code: i32) -> Result<usize, OpusError> {
    usize::try_from(code).map_err(|_| ErrorCode::from(code).into())
}

/// A state of libopus's, freed when it is dropped.
struct Owned<T> {
    state: NonNull<T>,
    free: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    /// Takes over `state`, which `free` frees and nobody else uses.
    fn new(state: *mut T, free: unsafe extern "C" fn(*mut T)) -> Result<Self, OpusError> {
        let state = NonNull::new(state).ok_or(ErrorCode::AllocFail)?;
        Ok(Self { state, free })
    }

    fn as_ptr(&self) -> *const T {
        self.state.as_ptr()
    }

    fn as_mut(&mut self) -> *mut T {
        self.state.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: made by the constructor that belongs to `free`, and never handed out.
        unsafe { (self.free)(self.state.as_ptr()) };
    }
}

// SAFETY: libopus's states are plain memory without ties to a thread, and `Owned` is their only owner.
unsafe impl<T> Send for Owned<T> {}

impl fmt::Debug for OpusDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpusDecoder").field("reach", &self.reach).finish_non_exhaustive()
    }
}
