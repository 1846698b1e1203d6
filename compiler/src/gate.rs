//! How much is compiled at the same time.
//!
//! In: how heavy the functions are that threads want to begin with. Out: [`Pass`]es, so that few heavy ones are in
//! progress together: what one takes is hundreds of times its bytes, and a machine with many processors would need that
//! many times over. Nothing here knows what a function is; what is compiled to what does not depend on it.

use std::sync::{Condvar, Mutex, PoisonError};

/// What is lighter goes through without being counted: most functions of most programs.
const LIGHT: u64 = 64 << 10;

/// The weight that may be in progress, unless it is a single one's.
const MOST: u64 = 2 << 20;

/// Lets threads through.
#[derive(Debug, Default)]
pub struct Gate {
    /// The weight in progress.
    weight: Mutex<u64>,
    /// It got less.
    lighter: Condvar,
}

/// The right to have something in progress, while it is there.
#[derive(Debug)]
pub struct Pass<'g> {
    gate: &'g Gate,
    weight: u64,
}

impl Gate {
    /// Waits until something of this weight may be begun.
    pub fn pass(&self, weight: u64) -> Pass<'_> {
        let weight = if weight < LIGHT { 0 } else { weight };
        if weight != 0 {
            let mut all = self.weight.lock().unwrap_or_else(PoisonError::into_inner);
            while *all != 0 && *all + weight > MOST {
                all = self
                    .lighter
                    .wait(all)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            *all += weight;
        }
        Pass { gate: self, weight }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.weight != 0 {
            let mut all = self
                .gate
                .weight
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *all -= self.weight;
            self.gate.lighter.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn heavy_things_wait_for_each_other() {
        let gate = Gate::default();
        let (now, most) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for weight in [MOST, 2 * MOST, MOST / 2, MOST / 2, MOST / 2, LIGHT] {
                let (gate, now, most) = (&gate, &now, &most);
                scope.spawn(move || {
                    for _ in 0..100 {
                        let _pass = gate.pass(weight);
                        let all = now.fetch_add(weight, Ordering::SeqCst) + weight;
                        if all != weight {
                            most.fetch_max(all, Ordering::SeqCst);
                        }
                        std::thread::yield_now();
                        now.fetch_sub(weight, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(most.load(Ordering::SeqCst) <= MOST);
        assert_eq!(*gate.weight.lock().unwrap(), 0);
    }

    #[test]
    fn light_things_pass() {
        let gate = Gate::default();
        let _heavy = gate.pass(10 * MOST);
        let _light = [gate.pass(0), gate.pass(LIGHT - 1)];
    }
}
