;; Says what it was started with and what it finds: each field of an expectation shows.
;; stdout: arguments (the first is the name) and the environment, each ended by NUL, then standard input.
;; stderr: the file `file` and the link `link` (its target) of the directory 3.
;; Ends with 7.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_readlink"
    (func $readlink (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_unlink_file" (func $unlink (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "file")
  (data (i32.const 8) "link")

  (func $check (param i32)
    (if (local.get 0) (then (call $exit (local.get 0)))))

  (func $say (param $fd i32) (param $len i32)
    (i32.store (i32.const 32) (i32.const 1024))
    (i32.store (i32.const 36) (local.get $len))
    (call $check (call $write (local.get $fd) (i32.const 32) (i32.const 1) (i32.const 40))))

  (func $copy (param $from i32) (param $to i32)
    (loop $more
      (i32.store (i32.const 32) (i32.const 1024))
      (i32.store (i32.const 36) (i32.const 1024))
      (call $check (call $read (local.get $from) (i32.const 32) (i32.const 1) (i32.const 40)))
      (if (i32.load (i32.const 40))
        (then
          (call $say (local.get $to) (i32.load (i32.const 40)))
          (br $more)))))

  (func (export "_start")
    (call $check (call $args_sizes (i32.const 16) (i32.const 20)))
    (call $check (call $args (i32.const 512) (i32.const 1024)))
    (call $say (i32.const 1) (i32.load (i32.const 20)))
    (call $check (call $environ_sizes (i32.const 16) (i32.const 20)))
    (call $check (call $environ (i32.const 512) (i32.const 1024)))
    (call $say (i32.const 1) (i32.load (i32.const 20)))
    (call $copy (i32.const 0) (i32.const 1))
    (if (i32.eqz (call $prestat (i32.const 3) (i32.const 48)))
      (then
        (call $check (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 0)
          (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 48)))
        (call $copy (i32.load (i32.const 48)) (i32.const 2))
        (call $check (call $readlink (i32.const 3) (i32.const 8) (i32.const 4)
          (i32.const 1024) (i32.const 100) (i32.const 40)))
        (call $say (i32.const 2) (i32.load (i32.const 40)))
        ;; Another run must find it again.
        (call $check (call $unlink (i32.const 3) (i32.const 0) (i32.const 4)))))
    (call $exit (i32.const 7))))
