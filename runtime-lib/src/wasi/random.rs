//! WASI preview 1: `random_*`.
