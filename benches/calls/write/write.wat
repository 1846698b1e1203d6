;; A million times one byte to standard output: the price of leaving the guest for the kernel.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\10\00\00\00\01\00\00\00")
  (data (i32.const 16) ".")
  (func (export "_start") (local $left i32)
    (local.set $left (i32.const 1_000_000))
    (loop $again
      (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
      (if (i32.ne (i32.load (i32.const 8)) (i32.const 1)) (then unreachable))
      (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))
