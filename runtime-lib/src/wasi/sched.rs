//! WASI preview 1: `sched_*`.
