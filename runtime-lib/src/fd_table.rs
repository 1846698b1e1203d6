//! The virtual table of file descriptors.
