;; See overload.wat. Calls the ones before it under the name under which it is linked itself.
(module
  (import "js" "of" (func $of_i32 (param i32) (result i32)))
  (func (export "of") (param i64) (result i32)
    (i32.add (call $of_i32 (i32.const 0)) (i32.const 60))))
