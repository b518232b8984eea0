//! What a run of one program over one link saw.

use crate::bench::records::LinkRecord;

/// A picture that was decoded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shown {
    /// When, seconds since the link began.
    pub at: f64,
    /// The number in it, where it can be read.
    pub number: Option<u64>,
    /// Rows.
    pub height: u32,
}

/// Counters of sound received, which run since the call began.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sound {
    /// When, seconds since the link began.
    pub at: f64,
    /// Samples played.
    pub samples: f64,
    /// Samples invented that were not silence.
    pub concealed: f64,
    /// Samples rebuilt from what other packets carried of them; `None` where it does not say.
    pub rebuilt: Option<f64>,
    /// How much later the picture is than its sound, ms; `None` where it does not say.
    pub sync: Option<f64>,
}

/// What one end of a call did and saw.
#[derive(Debug, Clone, Default)]
pub struct End {
    /// Pictures from its own camera: seconds since the link began, number.
    pub captured: Vec<(f64, u64)>,
    /// Pictures of the other side.
    pub shown: Vec<Shown>,
    /// Once a second.
    pub sound: Vec<Sound>,
    /// PESQ of what was heard, where it is rated.
    pub pesq: Option<f64>,
    /// Where pictures are rated, one a second: when, seconds since the link began, and how like the drawn one.
    pub likeness: Vec<(f64, f64)>,
    /// Processor seconds over the measured time.
    pub cpu: f64,
    /// Memory (PSS) at the end of it, bytes.
    pub memory: f64,
    /// Seconds in which it said that the processor, not the link, limited its picture; `None` where it does not say.
    pub held_back: Option<f64>,
}

/// One run of one program over one profile.
#[derive(Debug, Default)]
pub struct Run {
    /// Both ends of each call: on host 0, on host 1.
    pub calls: Vec<[End; 2]>,
    /// What passed from host 0 to 1, and back.
    pub records: [LinkRecord; 2],
    /// How long it was measured.
    pub seconds: f64,
}
