//! WASI preview 1: `args_*`.
