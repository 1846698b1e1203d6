;; The smallest useful program: one write to standard output, then an explicit end.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\08\00\00\00\17\00\00\00Hello from WebAssembly\n") ;; one iovec, then its text
  (func (export "_start")
    ;; The exit status is the errno of the write: 0 when it went well.
    (call $proc_exit (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64)))))
