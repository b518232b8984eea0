//! What is printed: JSON lines or sentences.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

/// Prints lines. Cheap to clone; usable from any thread.
#[derive(Clone)]
pub struct Printer {
    json: bool,
    failed: Arc<Mutex<bool>>,
}

impl Printer {
    pub fn new(json: bool) -> Self {
        Self { json, failed: Arc::default() }
    }

    /// One event: a JSON line with `t_ms` and `event` first, or a sentence.
    pub fn event(&self, t_ms: f64, event: &str, more: Value, sentence: &str) {
        if self.json {
            // By hand, so that time and name stand first for whoever reads along.
            let more = more.to_string();
            let more =
                more.strip_prefix('{').filter(|rest| *rest != "}").map_or("}".to_owned(), |rest| format!(",{rest}"));
            self.line(&format!("{{\"t_ms\":{},\"event\":{}{more}", t_ms.round() as u64, Value::from(event)));
        } else if !sentence.is_empty() {
            self.line(sentence);
        }
    }

    /// Whether lines are JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// A finished line.
    pub fn line(&self, line: &str) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = std::io::stdout().lock();
        // Whoever read our lines is gone: the call need not end for it.
        *failed |= writeln!(out, "{line}").and_then(|()| out.flush()).is_err();
    }
}
