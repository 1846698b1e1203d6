//! WASI preview 1: `fd_*`.
