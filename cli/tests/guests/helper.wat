(; `env.abort` as AssemblyScript imports it: the message is UTF-16 in the program's memory, its length before it. It is
   written to standard error, and the program ends with 3. ;)
(module
  (import "main" "memory" (memory 1))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (func (export "abort") (param $message i32) (param $file i32) (param $line i32) (param $column i32)
    (local $end i32) (local $to i32)
    (local.set $end (i32.add (local.get $message) (i32.load (i32.sub (local.get $message) (i32.const 4)))))
    ;; ASCII is what this one can, 1,024 bytes into the memory.
    (i64.store (i32.const 1024) (i64.const 0x203a74726f6261)) ;; "abort: "
    (local.set $to (i32.const 1031))
    (loop $next
      (if (i32.lt_u (local.get $message) (local.get $end))
        (then
          (i32.store8 (local.get $to) (i32.load16_u (local.get $message)))
          (local.set $to (i32.add (local.get $to) (i32.const 1)))
          (local.set $message (i32.add (local.get $message) (i32.const 2)))
          (br $next))))
    (i32.store8 (local.get $to) (i32.const 10))
    (i32.store (i32.const 512) (i32.const 1024))
    (i32.store (i32.const 516) (i32.sub (local.get $to) (i32.const 1023)))
    (drop (call $write (i32.const 2) (i32.const 512) (i32.const 1) (i32.const 520)))
    (call $exit (i32.const 3))))
