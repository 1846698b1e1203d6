//! WASI preview 1: `poll_*`.
