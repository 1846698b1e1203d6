;; Ends with an exception that nothing catches, thrown two calls deep; with an argument, one of a tag without a name.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (tag $named (export "out of \1bmilk") (param i32))
  (tag (param i64))
  (func $inner (param i32)
    (if (local.get 0) (then (throw 1 (i64.const 1))))
    (throw $named (i32.const 7)))
  (func $outer (param i32) (call $inner (local.get 0)))
  (func (export "_start")
    (drop (call $sizes (i32.const 0) (i32.const 4)))
    ;; Catches neither.
    (block $h
      (try_table (catch $other $h)
        (call $outer (i32.gt_u (i32.load (i32.const 0)) (i32.const 1))))))
  (tag $other))
