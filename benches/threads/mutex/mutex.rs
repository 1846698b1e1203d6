//! A contended mutex: two threads count behind one of wasi-libc's, which spins, then waits by `memory.atomic.wait32`
//! and is woken by `memory.atomic.notify`.

use std::cell::UnsafeCell;
use std::ffi::c_int;
use std::thread;

const THREADS: u64 = 2;
const EACH: u64 = 4_000_000;

/// What `PTHREAD_MUTEX_INITIALIZER` is, with room to spare.
#[repr(C, align(16))]
struct Mutex(UnsafeCell<[u32; 16]>);

/// On a line of its own.
#[repr(C, align(64))]
struct Counter(UnsafeCell<u64>);

// SAFETY: made for it.
unsafe impl Sync for Mutex {}
// SAFETY: used behind the mutex alone.
unsafe impl Sync for Counter {}

static MUTEX: Mutex = Mutex(UnsafeCell::new([0; 16]));
static COUNTER: Counter = Counter(UnsafeCell::new(0));

unsafe extern "C" {
    fn pthread_mutex_lock(mutex: *mut [u32; 16]) -> c_int;
    fn pthread_mutex_unlock(mutex: *mut [u32; 16]) -> c_int;
}

fn main() {
    let workers = (0..THREADS).map(|_| {
        thread::spawn(|| {
            for _ in 0..EACH {
                // SAFETY: initialised, and unlocked by whoever locked it.
                unsafe {
                    assert_eq!(pthread_mutex_lock(MUTEX.0.get()), 0);
                    *COUNTER.0.get() += 1;
                    assert_eq!(pthread_mutex_unlock(MUTEX.0.get()), 0);
                }
            }
        })
    });
    let workers: Vec<_> = workers.collect();
    for worker in workers {
        worker.join().unwrap();
    }
    // SAFETY: nobody else is left.
    let total = unsafe { *COUNTER.0.get() };
    assert_eq!(total, THREADS * EACH);
    println!("mutex: {total}");
}
