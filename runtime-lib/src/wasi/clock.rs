//! WASI preview 1: `clock_*`.
