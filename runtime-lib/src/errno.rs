//! `Errno`: the numbers of WASI preview 1, and how those of Linux become them.
