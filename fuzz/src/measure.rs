//! What a piece of work costs its thread.
//!
//! In: work. Out: the time that the thread ran, and the most memory that it had at once beyond what it had before.
//! Other threads and a busy machine do not count, so that limits can be tight.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::{Duration, Instant};

thread_local! {
    /// Bytes that this thread took, less those that it gave back.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    /// The most of them since it was last set.
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, counted.
struct Counted;

#[global_allocator]
static ALLOCATOR: Counted = Counted;

fn count(change: isize) {
    // A thread that ends has no counters any more; nobody asks for them either.
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + change);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

// SAFETY: everything is the system allocator's; the counters are cells that allocate nothing.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // For a moment there may be both.
        count(new_size.cast_signed());
        count(-layout.size().cast_signed());
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, new_size) }
    }
}

/// What work cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Time of the thread.
    pub time: Duration,
    /// Bytes.
    pub memory: usize,
}

/// Does the work, and says what it cost.
pub fn measure<T>(work: impl FnOnce() -> T) -> (T, Cost) {
    let live = LIVE.with(Cell::get);
    PEAK.with(|peak| peak.set(live));
    let (started, ran) = (Instant::now(), ran());
    let result = work();
    let time = match (ran, self::ran()) {
        (Some(before), Some(after)) => after.saturating_sub(before),
        _ => started.elapsed(),
    };
    let memory = (PEAK.with(Cell::get) - live).max(0).cast_unsigned();
    (result, Cost { time, memory })
}

/// How long this thread ran since it began, where the system says so.
fn ran() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_time_are_seen() {
        let (_, cost) = measure(|| {
            drop(std::hint::black_box(vec![1_u8; 1 << 20]));
            std::hint::black_box(vec![1_u8; 1 << 16])
        });
        assert!((1 << 20..1 << 21).contains(&cost.memory), "{}", cost.memory);
        let (sum, cost) =
            measure(|| (0..30_000_000_u64).fold(0, |a, b| std::hint::black_box(a ^ b)));
        assert!(cost.time > Duration::from_millis(1), "{sum} {cost:?}");
    }
}
