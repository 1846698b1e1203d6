//! WASI preview 1: `environ_*`.
