//! WASI preview 1: `sock_*`.
