//! What a link is like, as JSON: so one program may say it and another one run over it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::link::{LinkProfile, Loss, Schedule};

impl LinkProfile {
    /// Everything about it; times in microseconds, capacity in bits a second.
    pub fn to_json(&self) -> Value {
        let micros = |time: Duration| time.as_micros() as u64;
        let loss = |loss| match loss {
            Loss::None => Value::Null,
            Loss::Random(share) => json!({ "random": share }),
            Loss::Bursty { worse, better, good, bad } => {
                json!({ "worse": worse, "better": better, "good": good, "bad": bad })
            }
        };
        json!({
            "capacity": self.capacity.steps().map(|(from, bits)| json!([micros(from), bits])).collect::<Vec<_>>(),
            "delay": self.delay.steps().map(|(from, delay)| json!([micros(from), micros(delay)])).collect::<Vec<_>>(),
            "jitter": micros(self.jitter),
            "reorders": self.reorders,
            "loss": self.loss.steps().map(|(from, kind)| json!([micros(from), loss(kind)])).collect::<Vec<_>>(),
            "queue_time": self.queue_time.map(micros),
            "queue_bytes": self.queue_bytes,
            "seed": self.seed,
        })
    }

    /// From what [`Self::to_json`] gives; `None` for anything else.
    pub fn from_json(value: &Value) -> Option<Self> {
        let micros = |value: &Value| value.as_u64().map(Duration::from_micros);
        let loss = |value: &Value| {
            let number = |name: &str| value[name].as_f64();
            Some(match number("random") {
                _ if value.is_null() => Loss::None,
                Some(share) => Loss::Random(share),
                None => Loss::Bursty {
                    worse: number("worse")?,
                    better: number("better")?,
                    good: number("good")?,
                    bad: number("bad")?,
                },
            })
        };
        let bits = |value: &Value| if value.is_null() { Some(None) } else { value.as_u64().map(Some) };
        Some(Self {
            capacity: schedule(&value["capacity"], bits)?,
            delay: schedule(&value["delay"], micros)?,
            jitter: micros(&value["jitter"])?,
            reorders: value["reorders"].as_bool()?,
            loss: schedule(&value["loss"], loss)?,
            queue_time: micros(&value["queue_time"]),
            queue_bytes: value["queue_bytes"].as_u64().map(|bytes| bytes as usize),
            seed: value["seed"].as_u64()?,
        })
    }
}

fn schedule<T: Copy>(value: &Value, one: impl Fn(&Value) -> Option<T>) -> Option<Schedule<T>> {
    let steps = value.as_array()?;
    let first = Schedule::constant(one(&steps.first()?[1])?);
    steps
        .iter()
        .try_fold(first, |schedule, step| Some(schedule.then(Duration::from_micros(step[0].as_u64()?), one(&step[1])?)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_link_comes_back_as_it_was_said() {
        let mut link = LinkProfile::new(Some(300_000), Duration::from_micros(25_500));
        link.capacity = link.capacity.then(Duration::from_secs(5), None).then(Duration::from_secs(9), Some(0));
        link.delay = link.delay.then(Duration::from_secs(2), Duration::from_millis(90));
        link.jitter = Duration::from_millis(100);
        link.loss = Schedule::constant(Loss::bursts(0.1, 4.0))
            .then(Duration::from_secs(1), Loss::None)
            .then(Duration::from_secs(2), Loss::Random(0.05));
        (link.queue_bytes, link.seed) = (Some(9_000), 77);
        let text = link.to_json().to_string();
        assert_eq!(LinkProfile::from_json(&serde_json::from_str(&text).unwrap()), Some(link));
        assert_eq!(LinkProfile::from_json(&json!({ "capacity": [] })), None);
    }
}
