;; Exits with the sum that a linked module computes.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (import "env" "add" (func $add (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call $proc_exit (call $add (i32.const 20) (i32.const 22)))))
