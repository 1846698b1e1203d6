//! `fd_*`: descriptors, rights, data, attributes, directories, and hostile numbers and pointers.

#[path = "wasi_fd/attributes.rs"]
mod attributes;
#[path = "wasi_fd/data.rs"]
mod data;
#[path = "wasi_fd/directories.rs"]
mod directories;
#[path = "wasi_fd/numbers.rs"]
mod numbers;
mod support;

use elfin_runtime::errno::Errno;
use elfin_runtime::wasi::fd::*;
use std::fs;
use std::os::unix::fs::MetadataExt;
use support::*;
