;; See overload.wat: linked behind overload-a.wat.
(module
  (func (export "of") (param f64) (result i32) (i32.const 2)))
