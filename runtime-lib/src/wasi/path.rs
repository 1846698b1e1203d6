//! WASI preview 1: `path_*`.
