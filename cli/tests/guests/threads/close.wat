;; A thread reads from standard input, which has nothing yet. Meanwhile the first thread may neither put another
;; descriptor in its place nor wait for ever to close it; then it is closed for everybody, and its number is not
;; given to anything else. Exits with the number of the check that fails.
(module
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_renumber" (func $renumber (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "env" "memory" (memory 1 1 shared))
  (data (i32.const 64) "\80\00\00\00\01\00\00\00")
  (data (i32.const 80) "x\0a")
  (data (i32.const 96) "\50\00\00\00\02\00\00\00")
  (func $check (param $ok i32) (param $number i32)
    (if (i32.eqz (local.get $ok)) (then (call $exit (local.get $number)))))
  (func (export "wasi_thread_start") (param $thread i32) (param $argument i32)
    (i32.atomic.store (i32.const 0) (i32.const 1))
    (drop (memory.atomic.notify (i32.const 0) (i32.const 1)))
    (drop (call $read (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 72))))
  (func (export "_start") (local $tries i32)
    (call $check (i32.gt_s (call $spawn (i32.const 0)) (i32.const 0)) (i32.const 1))
    (loop $again
      (if (i32.eqz (i32.atomic.load (i32.const 0)))
        (then (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 100000000))) (br $again))))
    ;; It is about to read, and soon does: 10 is `busy`.
    (drop (memory.atomic.wait32 (i32.const 32) (i32.const 0) (i64.const 50000000)))
    (call $check (i32.eq (call $renumber (i32.const 2) (i32.const 0)) (i32.const 10)) (i32.const 2))
    (call $check (i32.eq (call $renumber (i32.const 0) (i32.const 2)) (i32.const 10)) (i32.const 3))
    (call $check (i32.eqz (call $renumber (i32.const 0) (i32.const 0))) (i32.const 4))
    (call $check (i32.eqz (call $close (i32.const 0))) (i32.const 5))
    (call $check (i32.eq (call $close (i32.const 0)) (i32.const 8)) (i32.const 6))
    (call $check
      (i32.eq (call $read (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 72)) (i32.const 8)) (i32.const 7))
    (call $check
      (i32.eq (call $write (i32.const 4000) (i32.const 96) (i32.const 1) (i32.const 72)) (i32.const 8)) (i32.const 8))
    (call $check
      (i32.eq (call $write (i32.const -1) (i32.const 96) (i32.const 1) (i32.const 72)) (i32.const 8)) (i32.const 9))
    ;; Others are as ever.
    (call $check (i32.eqz (call $renumber (i32.const 1) (i32.const 2))) (i32.const 10))
    (call $check (i32.eqz (call $write (i32.const 2) (i32.const 96) (i32.const 1) (i32.const 72))) (i32.const 11))
    (call $check
      (i32.eq (call $write (i32.const 1) (i32.const 96) (i32.const 1) (i32.const 72)) (i32.const 8)) (i32.const 12)))
)
