//! What the linker does, a file per behaviour. Objects are made by hand in `support`; programs are run,
//! those for foreign machines under qemu-user.

mod support;

mod programs;
