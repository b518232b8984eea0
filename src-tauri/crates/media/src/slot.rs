//! The latest-frame slot: how pictures pass between threads.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A slot that holds the latest value only; clones are handles to the same slot.
///
/// producer -> consumer; depth 1; full: the older value goes (and is counted). `close` wakes everybody and forgets what
/// lies in it. Usable from threads (`wait`, `take_timeout`) and from tasks (`next`, `poll_take`), by several of each;
/// each value goes to one of them.
#[derive(Debug)]
pub struct LatestSlot<T> {
    shared: Arc<Shared<T>>,
}

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
    put: AtomicU64,
    taken: AtomicU64,
    overwritten: AtomicU64,
}

#[derive(Debug)]
struct State<T> {
    value: Option<T>,
    closed: bool,
    /// Tasks that found nothing; each at most once.
    wakers: Vec<Waker>,
}

/// The slot was closed: nothing comes any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the slot was closed")]
pub struct Closed;

/// What passed through a slot since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SlotCounts {
    /// Values put in while it was open.
    pub put: u64,
    /// Values that somebody took.
    pub taken: u64,
    /// Values that a newer one pushed out before anybody took them.
    pub overwritten: u64,
}

impl<T> LatestSlot<T> {
    /// An open, empty slot.
    pub fn new() -> Self {
        let state = State { value: None, closed: false, wakers: Vec::new() };
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                arrived: Condvar::new(),
                put: AtomicU64::new(0),
                taken: AtomicU64::new(0),
                overwritten: AtomicU64::new(0),
            }),
        }
    }

    /// Puts the latest value in; one that nobody took is dropped and counted. Into a closed slot nothing goes.
    pub fn put(&self, value: T) {
        let (old, wakers) = {
            let mut state = self.lock();
            if state.closed {
                return;
            }
            (state.value.replace(value), std::mem::take(&mut state.wakers))
        };
        self.shared.put.fetch_add(1, Ordering::Relaxed);
        self.shared.arrived.notify_one();
        for waker in wakers {
            waker.wake();
        }
        // The old picture is freed outside the lock.
        if old.is_some() {
            self.shared.overwritten.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The latest value, if there is one; never waits.
    pub fn take(&self) -> Option<T> {
        let value = self.lock().value.take();
        self.count_taken(value.is_some());
        value
    }

    /// Waits for a value as long as it takes.
    ///
    /// # Errors
    /// [`Closed`] once the slot is closed.
    pub fn wait(&self) -> Result<T, Closed> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return Err(Closed);
            }
            if let Some(value) = state.value.take() {
                self.count_taken(true);
                return Ok(value);
            }
            state = self.shared.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for a value for at most `patience`; `None` when none came.
    ///
    /// # Errors
    /// [`Closed`] once the slot is closed.
    pub fn take_timeout(&self, patience: Duration) -> Result<Option<T>, Closed> {
        let (mut state, _) = self
            .shared
            .arrived
            .wait_timeout_while(self.lock(), patience, |state| state.value.is_none() && !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Err(Closed);
        }
        let value = state.value.take();
        self.count_taken(value.is_some());
        Ok(value)
    }

    /// For tasks: ready with a value, ready with `None` once closed, else pending with the task's waker kept.
    pub fn poll_take(&self, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.lock();
        if state.closed {
            return Poll::Ready(None);
        }
        if let Some(value) = state.value.take() {
            self.count_taken(true);
            return Poll::Ready(Some(value));
        }
        if !state.wakers.iter().any(|waker| waker.will_wake(context.waker())) {
            state.wakers.push(context.waker().clone());
        }
        Poll::Pending
    }

    /// For tasks: the next value, or `None` once closed. Dropping the future loses nothing.
    pub async fn next(&self) -> Option<T> {
        poll_fn(|context| self.poll_take(context)).await
    }

    /// Closes the slot for good, drops what lies in it and wakes everybody who waits.
    pub fn close(&self) {
        let (old, wakers) = {
            let mut state = self.lock();
            state.closed = true;
            (state.value.take(), std::mem::take(&mut state.wakers))
        };
        drop(old);
        self.shared.arrived.notify_all();
        for waker in wakers {
            waker.wake();
        }
    }

    /// Whether somebody closed it.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// What passed through so far.
    pub fn counts(&self) -> SlotCounts {
        SlotCounts {
            put: self.shared.put.load(Ordering::Relaxed),
            taken: self.shared.taken.load(Ordering::Relaxed),
            overwritten: self.shared.overwritten.load(Ordering::Relaxed),
        }
    }

    fn count_taken(&self, taken: bool) {
        if taken {
            self.shared.taken.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A panic elsewhere cannot leave the three fields half changed, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for LatestSlot<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Default for LatestSlot<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
// Waiting can only be tested with somebody who waits.
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use std::sync::Barrier;
    use std::task::Wake;

    use super::*;

    struct Flag(AtomicU64);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn the_newest_value_wins_and_the_lost_one_is_counted() {
        let slot = LatestSlot::new();
        slot.put(1);
        slot.put(2);
        assert_eq!(slot.take(), Some(2));
        assert_eq!(slot.take(), None);
        assert_eq!(slot.counts(), SlotCounts { put: 2, taken: 1, overwritten: 1 });
    }

    #[test]
    fn a_waiting_thread_gets_the_value_and_then_the_closing() {
        let slot = LatestSlot::new();
        let (there, go) = (slot.clone(), Arc::new(Barrier::new(2)));
        let gate = Arc::clone(&go);
        let waiter = std::thread::spawn(move || {
            let first = there.wait();
            gate.wait();
            (first, there.wait())
        });
        slot.put(7);
        go.wait();
        slot.close();
        assert_eq!(waiter.join().unwrap(), (Ok(7), Err(Closed)));
        slot.put(8);
        assert_eq!(slot.take(), None);
        assert_eq!(slot.take_timeout(Duration::from_secs(60)), Err(Closed));
    }

    #[test]
    fn patience_ends() {
        let slot = LatestSlot::<u8>::new();
        assert_eq!(slot.take_timeout(Duration::from_millis(1)), Ok(None));
        slot.put(3);
        assert_eq!(slot.take_timeout(Duration::from_secs(60)), Ok(Some(3)));
    }

    #[test]
    fn a_task_is_woken_once_by_a_value_and_by_closing() {
        let slot = LatestSlot::new();
        let flag = Arc::new(Flag(AtomicU64::new(0)));
        let waker = Waker::from(Arc::clone(&flag));
        let mut context = Context::from_waker(&waker);
        assert_eq!(slot.poll_take(&mut context), Poll::Pending);
        assert_eq!(slot.poll_take(&mut context), Poll::Pending);
        slot.put(5);
        assert_eq!(flag.0.load(Ordering::SeqCst), 1);
        assert_eq!(slot.poll_take(&mut context), Poll::Ready(Some(5)));
        assert_eq!(slot.poll_take(&mut context), Poll::Pending);
        slot.close();
        assert_eq!(flag.0.load(Ordering::SeqCst), 2);
        assert_eq!(slot.poll_take(&mut context), Poll::Ready(None));
    }
}
