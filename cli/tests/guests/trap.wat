;; A trap two calls deep.
(module
  (memory 1)
  (func $inner (param i32) (result i32) (i32.load (local.get 0)))
  (func $outer (result i32) (call $inner (i32.const 0x10000)))
  (func (export "_start") (drop (call $outer))))
