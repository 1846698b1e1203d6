//! A contended counter: two threads add to one word, an atomic instruction each.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;

const THREADS: u64 = 2;
const EACH: u64 = 20_000_000;

static COUNTER: AtomicU64 = AtomicU64::new(0);

fn main() {
    let workers = (0..THREADS).map(|_| {
        thread::spawn(|| {
            for _ in 0..EACH {
                COUNTER.fetch_add(1, SeqCst);
            }
        })
    });
    let workers: Vec<_> = workers.collect();
    for worker in workers {
        worker.join().unwrap();
    }
    let total = COUNTER.load(SeqCst);
    assert_eq!(total, THREADS * EACH);
    println!("counter: {total}");
}
