//! The commands: each takes its validated plan and does it.

pub(crate) mod build;
pub(crate) mod inspect;
pub(crate) mod run;
