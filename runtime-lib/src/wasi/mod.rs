//! WASI preview 1, one file a family. Every function is `extern "C"`, named by `elfin_abi::host`.

pub mod args;
pub mod clock;
pub mod environ;
pub mod fd;
pub mod path;
pub mod poll;
pub mod proc;
pub mod random;
pub mod sched;
pub mod sock;
