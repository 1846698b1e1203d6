;; The main module of a set: `elfin build link.wat --link lib=lib.wat`. It has no memory of its own;
;; it shares the library's, calls its functions directly and through its table, and counts in its global.
(module
  (import "lib" "memory" (memory 1))
  (import "lib" "print" (func $print (param i32 i32)))
  (import "lib" "print_number" (func $print_number (param i64)))
  (import "lib" "operations" (table 2 funcref))
  (import "lib" "lines" (global $lines (mut i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (export "memory" (memory 0))
  (type $operation (func (param i64 i64) (result i64)))
  (data (i32.const 1024) "sum and product of 6 and 7:")
  (func (export "_start")
    (call $print (i32.const 1024) (i32.const 27))
    (call $print_number (call_indirect (type $operation) (i64.const 6) (i64.const 7) (i32.const 0)))
    (call $print_number (call_indirect (type $operation) (i64.const 6) (i64.const 7) (i32.const 1)))
    (global.set $lines (i32.add (global.get $lines) (i32.const 100)))
    (call $print_number (i64.extend_i32_u (global.get $lines)))
    ;; The last line made it 104: status 4.
    (call $proc_exit (i32.sub (global.get $lines) (i32.const 100)))))
