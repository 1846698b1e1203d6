;; Ten million times the monotonic clock, which must not go back.
(module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (local $left i32) (local $last i64)
    (local.set $left (i32.const 10_000_000))
    (loop $again
      (if (call $clock (i32.const 1) (i64.const 0) (i32.const 0)) (then unreachable))
      (if (i64.lt_u (i64.load (i32.const 0)) (local.get $last)) (then unreachable))
      (local.set $last (i64.load (i32.const 0)))
      (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))
