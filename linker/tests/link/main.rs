//! What the linker does, a file per behaviour. Objects are made by hand in `support`; programs are run,
//! those for foreign machines under qemu-user.

mod support;

mod corrupt;
mod errors;
mod gc;
mod got;
mod layout;
mod pools;
mod programs;
mod relax;
mod symbols;
mod symtab;
mod veneers;
