//! A parallel sum: two threads, no word shared until they are joined.

use std::thread;

const THREADS: u64 = 2;
const TERMS: u64 = 600_000_000;

fn main() {
    let share = TERMS / THREADS;
    let workers = (0..THREADS).map(|worker| {
        thread::spawn(move || {
            let mut sum = 0_u64;
            for n in worker * share..(worker + 1) * share {
                sum = sum.wrapping_add(n.wrapping_mul(n) ^ (n >> 3));
            }
            sum
        })
    });
    let workers: Vec<_> = workers.collect();
    let sum = workers
        .into_iter()
        .fold(0_u64, |sum, worker| sum.wrapping_add(worker.join().unwrap()));
    println!("sum: {sum:016x}");
}
