;; The library of the set: memory, output, a table of operations and a count of lines.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (table (export "operations") 2 funcref)
  (elem (i32.const 0) $add $multiply)
  (global $lines (export "lines") (mut i32) (i32.const 0))
  (data (i32.const 16) "\n")

  (func $add (param i64 i64) (result i64) (i64.add (local.get 0) (local.get 1)))
  (func $multiply (param i64 i64) (result i64) (i64.mul (local.get 0) (local.get 1)))

  ;; One buffer a call: a host may write less than it is given, and many stop after the first buffer.
  (func $write (param $at i32) (param $len i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $len))
    (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable)))

  ;; Writes the bytes and a line feed.
  (func $print (export "print") (param $at i32) (param $len i32)
    (call $write (local.get $at) (local.get $len))
    (call $write (i32.const 16) (i32.const 1))
    (global.set $lines (i32.add (global.get $lines) (i32.const 1))))

  ;; Writes an unsigned number in decimal: digits go down from address 64.
  (func (export "print_number") (param $n i64)
    (local $at i32)
    (local.set $at (i32.const 64))
    (loop $digit
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at)
        (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $n) (i64.const 10)))))
      (local.set $n (i64.div_u (local.get $n) (i64.const 10)))
      (br_if $digit (i64.ne (local.get $n) (i64.const 0))))
    (call $print (local.get $at) (i32.sub (i32.const 64) (local.get $at)))))
