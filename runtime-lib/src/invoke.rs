//! Arguments and results of `--invoke`.
