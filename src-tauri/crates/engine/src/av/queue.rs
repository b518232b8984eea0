//! A bounded queue between the network task and a media thread.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

/// Clones are handles to the same queue. Whoever puts never waits: what is over the depth falls out at the old end.
#[derive(Debug)]
pub(super) struct Queue<T> {
    shared: Arc<(Mutex<VecDeque<T>>, Condvar)>,
    depth: usize,
}

impl<T> Queue<T> {
    pub fn new(depth: usize) -> Self {
        Self { shared: Arc::new((Mutex::new(VecDeque::new()), Condvar::new())), depth }
    }

    /// How many fell out.
    pub fn put(&self, value: T) -> usize {
        let (queue, arrived) = &*self.shared;
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push_back(value);
        let over = queue.len().saturating_sub(self.depth);
        queue.drain(..over);
        arrived.notify_one();
        over
    }

    pub fn try_take(&self) -> Option<T> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Waits until then for a value; without an end, as long as it takes.
    pub fn take_until(&self, end: Option<Instant>) -> Option<T> {
        let (queue, arrived) = &*self.shared;
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(value) = queue.pop_front() {
                return Some(value);
            }
            queue = match end.map(|end| end.saturating_duration_since(Instant::now())) {
                None => arrived.wait(queue).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => return None,
                Some(left) => arrived.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), depth: self.depth }
    }
}
