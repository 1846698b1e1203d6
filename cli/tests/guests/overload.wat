;; One name imported with three types, as compilers do that expect JavaScript behind it, and a status made of what the
;; three say: 40, 2 and 100 when each import leads to the function of its type.
(module
  (import "js" "of" (func $of_i32 (param i32) (result i32)))
  (import "js" "of" (func $of_f64 (param f64) (result i32)))
  (import "js" "of" (func $of_i64 (param i64) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (func (export "_start")
    (call $proc_exit
      (i32.add
        (i32.add (call $of_i32 (i32.const 0)) (call $of_f64 (f64.const 0)))
        (call $of_i64 (i64.const 0)))))
  (memory (export "memory") 1))
