;; Opens the first granted directory again and again until that fails. Exits with the number of times it
;; did not, or with 200 when the error is not that there are too many.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) ".")
  (func (export "_start") (local $opened i32) (local $error i32)
    (loop $more
      (local.set $error (call $path_open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 2)
        (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 16)))
      (if (i32.eqz (local.get $error))
        (then
          (local.set $opened (i32.add (local.get $opened) (i32.const 1)))
          (br $more))))
    (call $exit (select (local.get $opened) (i32.const 200) (i32.eq (local.get $error) (i32.const 33))))))
