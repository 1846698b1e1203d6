;; A thread does what the first argument's length says, with names for a backtrace: 1 out of bounds, 2 endless
;; recursion, 3 unreachable in a function that a thread's thread calls, 4 exit with status 9. The first thread waits.
(module
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "env" "memory" (memory 1 1 shared))
  (func $outside (drop (i32.load (i32.const 65536))))
  (func $deeper (param i64 i64) (result i64)
    (i64.add (call $deeper (local.get 1) (i64.add (local.get 0) (i64.const 1))) (local.get 1)))
  (func $stop unreachable)
  (func $thread (export "wasi_thread_start") (param $thread i32) (param $mode i32)
    (block $four (block $three (block $two (block $one (block $zero
      (br_table $zero $one $two $three $four (local.get $mode)))
      (call $stop))
      (call $outside) (return))
      (drop (call $deeper (i64.const 0) (i64.const 0))) (return))
      (drop (call $spawn (i32.const 0))) (return))
    (call $exit (i32.const 9)))
  (func $start (export "_start") (local $at i32) (local $length i32)
    (drop (call $sizes (i32.const 0) (i32.const 4)))
    (drop (call $args (i32.const 256) (i32.const 1024)))
    (local.set $at (i32.load (i32.const 260)))
    (loop $more
      (if (i32.load8_u (i32.add (local.get $at) (local.get $length)))
        (then
          (local.set $length (i32.add (local.get $length) (i32.const 1)))
          (br $more))))
    (drop (call $spawn (local.get $length)))
    (drop (memory.atomic.wait32 (i32.const 8) (i32.const 0) (i64.const -1))))
)
