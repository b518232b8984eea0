//! What travels inside RTP: sequence numbers, H.264 payloads, receiving, sending again. No clock, no socket: time is an
//! argument.

pub(crate) mod audio_in;
pub(crate) mod fec;
pub(crate) mod h264;
pub(crate) mod history;
pub(crate) mod sender_clock;
pub(crate) mod sequence;
pub(crate) mod twcc;
pub(crate) mod video_in;
