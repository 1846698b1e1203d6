;; A tail call that needs more room for arguments than its caller had, then a trap: the backtrace goes through the frame
;; that was made anew, and the function that made the tail call is gone.
(module (memory 1)
 (func $leaf (param i32) (result i32) local.get 0 i32.load)
 (func $big (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64 i64) (result i32) local.get 0 call $leaf i32.const 1 i32.add)
 (func $mid (param i32) (result i32) (return_call $big (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (i64.const 1) (i64.const 2)))
 (func $outer (param i32) (result i32) local.get 0 call $leaf drop local.get 0 call $mid i32.const 3 i32.mul)
 (func $start (export "_start") i32.const 8 call $mid drop i32.const -4 call $mid drop))
