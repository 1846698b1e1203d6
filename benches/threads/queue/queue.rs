//! A producer and a consumer with a bounded queue between them: a mutex and two condition variables.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex};
use std::thread;

const ITEMS: u64 = 1_000_000;
const ROOM: usize = 64;

static QUEUE: Mutex<VecDeque<u64>> = Mutex::new(VecDeque::new());
static FILLED: Condvar = Condvar::new();
static EMPTIED: Condvar = Condvar::new();

fn main() {
    let producer = thread::spawn(|| {
        for item in 0..ITEMS {
            let queue = QUEUE.lock().unwrap();
            let mut queue = EMPTIED.wait_while(queue, |queue| queue.len() == ROOM).unwrap();
            queue.push_back(item.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            drop(queue);
            FILLED.notify_one();
        }
    });
    let consumer = thread::spawn(|| {
        let mut sum = 0_u64;
        for item in 0..ITEMS {
            let queue = QUEUE.lock().unwrap();
            let mut queue = FILLED.wait_while(queue, |queue| queue.is_empty()).unwrap();
            let taken = queue.pop_front().unwrap();
            drop(queue);
            EMPTIED.notify_one();
            sum = sum.rotate_left(7) ^ taken ^ item;
        }
        sum
    });
    producer.join().unwrap();
    println!("queue: {:016x}", consumer.join().unwrap());
}
