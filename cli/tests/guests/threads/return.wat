;; `_start` returns while a thread runs for ever, which ends with it.
(module
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "env" "memory" (memory 1 1 shared))
  (func (export "wasi_thread_start") (param i32 i32)
    (i32.atomic.store (i32.const 0) (i32.const 1))
    (loop $forever (br $forever)))
  (func (export "_start")
    (drop (call $spawn (i32.const 0)))
    (loop $again
      (br_if $again (i32.eqz (i32.atomic.load (i32.const 0))))))
)
