//! Counting allocations, to prove that a real-time path makes none.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Const-made and without a destructor, so that touching it never allocates.
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting what each thread asks for. In a test file:
///
/// ```
/// use ahoy_testkit::alloc::{CountingAllocator, allocations_in};
///
/// #[global_allocator]
/// static ALLOCATOR: CountingAllocator = CountingAllocator;
///
/// let (sum, allocations) = allocations_in(|| (1..10).sum::<u32>());
/// assert_eq!((sum, allocations), (45, 0));
/// assert_eq!(allocations_in(|| Box::new(1)).1, 1);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct CountingAllocator;

// SAFETY: every call goes unchanged to the system's allocator.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller vouches.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller vouches.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as the caller vouches.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // Freeing takes the allocator's locks as well, so a real-time path may do neither.
        count();
        // SAFETY: as the caller vouches.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn count() {
    // At the very end of a thread there is nothing left to count in.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

/// Allocations, reallocations and frees that this thread has made so far, where the test has installed the allocator.
pub fn allocations() -> u64 {
    COUNT.with(Cell::get)
}

/// Runs something and says how many allocations, reallocations and frees it made on this thread.
pub fn allocations_in<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = allocations();
    let value = work();
    (value, allocations() - before)
}
