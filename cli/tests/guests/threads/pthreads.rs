//! What programs do with threads: one mode for each argument. `recipe` builds it.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::Write;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Condvar, Mutex, RwLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

fn parallel_sum(threads: u64, count: u64) -> u64 {
    let share = count / threads;
    let workers: Vec<_> = (0..threads)
        .map(|i| {
            thread::spawn(move || {
                let mut sum = 0_u64;
                for n in i * share..(i + 1) * share {
                    sum = sum.wrapping_add(n.wrapping_mul(n) ^ (n >> 3));
                }
                sum
            })
        })
        .collect();
    workers
        .into_iter()
        .fold(0, |sum, w| sum.wrapping_add(w.join().unwrap()))
}

fn contended_mutex(threads: u32, each: u32) -> u64 {
    let counter = Arc::new(Mutex::new(0_u64));
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let counter = Arc::clone(&counter);
            thread::spawn(move || {
                for _ in 0..each {
                    *counter.lock().unwrap() += 1;
                }
            })
        })
        .collect();
    workers.into_iter().for_each(|w| w.join().unwrap());
    let value = *counter.lock().unwrap();
    value
}

fn contended_atomic(threads: u32, each: u32) -> u64 {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            thread::spawn(move || {
                for _ in 0..each {
                    COUNTER.fetch_add(1, SeqCst);
                }
            })
        })
        .collect();
    workers.into_iter().for_each(|w| w.join().unwrap());
    COUNTER.load(SeqCst)
}

fn queue() -> u64 {
    const ITEMS: u64 = 10_000;
    let shared = Arc::new((Mutex::new(VecDeque::new()), Condvar::new(), Condvar::new()));
    let producers: Vec<_> = (0..2)
        .map(|p| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                for n in 0..ITEMS {
                    let mut queue = shared.0.lock().unwrap();
                    while queue.len() >= 16 {
                        queue = shared.2.wait(queue).unwrap();
                    }
                    queue.push_back(n * 2 + p);
                    shared.1.notify_one();
                }
            })
        })
        .collect();
    let consumers: Vec<_> = (0..2)
        .map(|_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let mut sum = 0;
                for _ in 0..ITEMS {
                    let mut queue = shared.0.lock().unwrap();
                    while queue.is_empty() {
                        queue = shared.1.wait(queue).unwrap();
                    }
                    sum += queue.pop_front().unwrap();
                    shared.2.notify_one();
                }
                sum
            })
        })
        .collect();
    producers.into_iter().for_each(|p| p.join().unwrap());
    consumers.into_iter().map(|c| c.join().unwrap()).sum()
}

fn thread_locals() -> u32 {
    thread_local!(static LOCAL: Cell<u32> = const { Cell::new(7) });
    LOCAL.set(100);
    let workers: Vec<_> = (0..8)
        .map(|i| {
            thread::spawn(move || {
                assert_eq!(LOCAL.get(), 7);
                LOCAL.set(i);
                thread::sleep(Duration::from_millis(2));
                LOCAL.get()
            })
        })
        .collect();
    workers.into_iter().map(|w| w.join().unwrap()).sum::<u32>() + LOCAL.get()
}

fn main() {
    let mode = std::env::args().nth(1).unwrap_or_default();
    match &*mode {
        "sum" => println!("{}", parallel_sum(2, 600_000_000)),
        "mutex" => println!("{}", contended_mutex(2, 5_000_000)),
        "atomic" => println!("{}", contended_atomic(2, 20_000_000)),
        "exit" => {
            thread::spawn(|| std::process::exit(42));
            loop {
                thread::sleep(Duration::from_secs(1));
            }
        }
        "trap" => {
            thread::Builder::new()
                .spawn(|| core::arch::wasm32::unreachable())
                .unwrap();
            loop {
                thread::sleep(Duration::from_secs(1));
            }
        }
        "many" => {
            // 1,000 at a time, as many as can be; then 1,000 one after the other.
            let all: Vec<_> = (0..1000_u32)
                .map(|i| thread::Builder::new().stack_size(1 << 14).spawn(move || i))
                .collect();
            let started = all.iter().filter(|t| t.is_ok()).count();
            let sum: u32 = all.into_iter().flatten().map(|t| t.join().unwrap()).sum();
            println!("{started} {sum}");
            let mut sum = 0;
            for i in 0..1000_u32 {
                sum += thread::spawn(move || i).join().unwrap();
            }
            println!("{sum}");
        }
        "sleep" => {
            let start = Instant::now();
            let pair = Arc::new((Mutex::new(false), Condvar::new()));
            let guard = pair.0.lock().unwrap();
            let (_guard, timeout) = pair
                .1
                .wait_timeout(guard, Duration::from_millis(50))
                .unwrap();
            println!(
                "{} {}",
                timeout.timed_out(),
                start.elapsed() >= Duration::from_millis(50)
            );
        }
        "output" => {
            let barrier = Arc::new(Barrier::new(4));
            let workers: Vec<_> = (0..4)
                .map(|i| {
                    let barrier = Arc::clone(&barrier);
                    thread::spawn(move || {
                        barrier.wait();
                        for n in 0..250 {
                            std::io::stdout()
                                .write_all(format!("thread {i} line {n}\n").as_bytes())
                                .unwrap();
                        }
                    })
                })
                .collect();
            workers.into_iter().for_each(|w| w.join().unwrap());
        }
        "files" => {
            // Threads that open, write, read and close at the same time, and one that closes what others use.
            let failures = Arc::new(AtomicU32::new(0));
            let workers: Vec<_> = (0..4)
                .map(|i| {
                    let failures = Arc::clone(&failures);
                    thread::spawn(move || {
                        for n in 0..200 {
                            let name = format!("/d/file-{i}-{}", n % 5);
                            let text = format!("{i} {n}\n");
                            std::fs::write(&name, &text).unwrap();
                            if std::fs::read_to_string(&name).unwrap() != text {
                                failures.fetch_add(1, SeqCst);
                            }
                        }
                    })
                })
                .collect();
            workers.into_iter().for_each(|w| w.join().unwrap());
            println!("{}", failures.load(SeqCst));
        }
        _ => {
            println!("sum {}", parallel_sum(4, 1_000_000));
            println!("mutex {}", contended_mutex(4, 20_000));
            println!("atomic {}", contended_atomic(4, 20_000));
            println!("queue {}", queue());
            println!("locals {}", thread_locals());
            let (send, receive) = mpsc::channel();
            let sender = thread::spawn(move || (0..100).for_each(|i| send.send(i).unwrap()));
            println!("channel {}", receive.iter().sum::<u32>());
            sender.join().unwrap();
            let lock = RwLock::new(0);
            thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| *lock.write().unwrap() += 1);
                }
            });
            println!("scope {}", *lock.read().unwrap());
        }
    }
}
