;; Starts threads that wait until it fails, and exits with how many there were; before, lets 50 threads end one after
;; the other, which takes no room for good.
(module
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "env" "memory" (memory 1 1 shared))
  (func (export "wasi_thread_start") (param $thread i32) (param $stay i32)
    (if (local.get $stay)
      (then (drop (memory.atomic.wait32 (i32.const 16) (i32.const 0) (i64.const -1))))
      (else
        (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
        (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))))
  (func (export "_start") (local $count i32)
    (loop $next
      (if (i32.le_s (call $spawn (i32.const 0)) (i32.const 0)) (then (call $exit (i32.const 100))))
      (local.set $count (i32.add (local.get $count) (i32.const 1)))
      (loop $again
        (if (i32.lt_u (i32.atomic.load (i32.const 0)) (local.get $count))
          (then
            (drop (memory.atomic.wait32 (i32.const 0)
              (i32.sub (local.get $count) (i32.const 1)) (i64.const 5000000000)))
            (br $again))))
      (br_if $next (i32.lt_u (local.get $count) (i32.const 50))))
    (local.set $count (i32.const 0))
    (block $full
      (loop $next
        (br_if $full (i32.le_s (call $spawn (i32.const 1)) (i32.const 0)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br $next)))
    (call $exit (local.get $count)))
)
