//! That every function of the contract is there with its signature.

use super::*;
use elfin_abi::host::{HOST_FUNCTIONS, ValType};
use elfin_runtime::wasi::fd::*;
use elfin_runtime::wasi::path::*;
use elfin_runtime::wasi::poll::*;
use std::collections::BTreeMap;

trait Value {
    const TYPE: ValType;
}
impl Value for u32 {
    const TYPE: ValType = ValType::I32;
}
impl Value for i32 {
    const TYPE: ValType = ValType::I32;
}
impl Value for u64 {
    const TYPE: ValType = ValType::I64;
}
impl Value for i64 {
    const TYPE: ValType = ValType::I64;
}

/// Parameters and whether it returns.
type Signature = (Vec<ValType>, bool);

trait HostFunction {
    fn signature(&self) -> Signature;
}

macro_rules! host_function {
    ($($param:ident)*) => {
        impl<$($param: Value),*> HostFunction for extern "C" fn(Memory, $($param),*) -> i32 {
            fn signature(&self) -> Signature { (vec![$($param::TYPE),*], true) }
        }
    };
}
host_function!();
host_function!(A);
host_function!(A B);
host_function!(A B C);
host_function!(A B C D);
host_function!(A B C D E);
host_function!(A B C D E F);
host_function!(A B C D E F G);
host_function!(A B C D E F G H);
host_function!(A B C D E F G H I);

impl HostFunction for extern "C" fn(Memory, u32) -> ! {
    fn signature(&self) -> Signature {
        (vec![ValType::I32], false)
    }
}

macro_rules! functions {
    ($($name:ident($($param:tt)*) -> $result:ty;)*) => {
        [$((stringify!($name), ($name as extern "C" fn(Memory, $($param)*) -> $result).signature()),)*]
    };
}

#[test]
fn every_function_of_the_contract_is_there() {
    let ours: BTreeMap<_, _> = functions! {
        elfin_wasi_args_get(u32, u32) -> i32;
        elfin_wasi_args_sizes_get(u32, u32) -> i32;
        elfin_wasi_environ_get(u32, u32) -> i32;
        elfin_wasi_environ_sizes_get(u32, u32) -> i32;
        elfin_wasi_clock_res_get(u32, u32) -> i32;
        elfin_wasi_clock_time_get(u32, u64, u32) -> i32;
        elfin_wasi_fd_advise(u32, u64, u64, u32) -> i32;
        elfin_wasi_fd_allocate(u32, u64, u64) -> i32;
        elfin_wasi_fd_close(u32) -> i32;
        elfin_wasi_fd_datasync(u32) -> i32;
        elfin_wasi_fd_fdstat_get(u32, u32) -> i32;
        elfin_wasi_fd_fdstat_set_flags(u32, u32) -> i32;
        elfin_wasi_fd_fdstat_set_rights(u32, u64, u64) -> i32;
        elfin_wasi_fd_filestat_get(u32, u32) -> i32;
        elfin_wasi_fd_filestat_set_size(u32, u64) -> i32;
        elfin_wasi_fd_filestat_set_times(u32, u64, u64, u32) -> i32;
        elfin_wasi_fd_pread(u32, u32, u32, u64, u32) -> i32;
        elfin_wasi_fd_prestat_get(u32, u32) -> i32;
        elfin_wasi_fd_prestat_dir_name(u32, u32, u32) -> i32;
        elfin_wasi_fd_pwrite(u32, u32, u32, u64, u32) -> i32;
        elfin_wasi_fd_read(u32, u32, u32, u32) -> i32;
        elfin_wasi_fd_readdir(u32, u32, u32, u64, u32) -> i32;
        elfin_wasi_fd_renumber(u32, u32) -> i32;
        elfin_wasi_fd_seek(u32, i64, u32, u32) -> i32;
        elfin_wasi_fd_sync(u32) -> i32;
        elfin_wasi_fd_tell(u32, u32) -> i32;
        elfin_wasi_fd_write(u32, u32, u32, u32) -> i32;
        elfin_wasi_path_create_directory(u32, u32, u32) -> i32;
        elfin_wasi_path_filestat_get(u32, u32, u32, u32, u32) -> i32;
        elfin_wasi_path_filestat_set_times(u32, u32, u32, u32, u64, u64, u32) -> i32;
        elfin_wasi_path_link(u32, u32, u32, u32, u32, u32, u32) -> i32;
        elfin_wasi_path_open(u32, u32, u32, u32, u32, u64, u64, u32, u32) -> i32;
        elfin_wasi_path_readlink(u32, u32, u32, u32, u32, u32) -> i32;
        elfin_wasi_path_remove_directory(u32, u32, u32) -> i32;
        elfin_wasi_path_rename(u32, u32, u32, u32, u32, u32) -> i32;
        elfin_wasi_path_symlink(u32, u32, u32, u32, u32) -> i32;
        elfin_wasi_path_unlink_file(u32, u32, u32) -> i32;
        elfin_wasi_poll_oneoff(u32, u32, u32, u32) -> i32;
        elfin_wasi_proc_exit(u32) -> !;
        elfin_wasi_proc_raise(u32) -> i32;
        elfin_wasi_random_get(u32, u32) -> i32;
        elfin_wasi_sched_yield() -> i32;
        elfin_wasi_sock_accept(u32, u32, u32) -> i32;
        elfin_wasi_sock_recv(u32, u32, u32, u32, u32, u32) -> i32;
        elfin_wasi_sock_send(u32, u32, u32, u32, u32) -> i32;
        elfin_wasi_sock_shutdown(u32, u32) -> i32;
    }
    .into_iter()
    .collect();
    let contract: BTreeMap<_, _> = HOST_FUNCTIONS
        .iter()
        .filter(|function| function.module == "wasi_snapshot_preview1")
        .map(|function| {
            assert_eq!(function.results.len(), usize::from(!function.noreturn));
            (
                function.symbol,
                (function.params.to_vec(), !function.noreturn),
            )
        })
        .collect();
    assert_eq!(ours, contract);
}
