//! WASI preview 1: `proc_*`.
