;; Vectors that exceptions carry, and that objects have as fields and elements.
(module
  (tag $t (param i32 v128 i64 v128))
  (func $throw (param v128 v128)
    (throw $t (i32.const 1) (local.get 0) (i64.const 2) (local.get 1)))
  (func (export "catch") (param v128 v128) (result i32 v128 i64 v128)
    (block $caught (result i32 v128 i64 v128)
      (try_table (catch $t $caught) (call $throw (local.get 0) (local.get 1)))
      (unreachable))))

(assert_return (invoke "catch" (v128.const i64x2 3 4) (v128.const i32x4 5 6 7 8))
  (i32.const 1) (v128.const i64x2 3 4) (i64.const 2) (v128.const i32x4 5 6 7 8))

(module
  (type $s (struct (field i8) (field (mut v128)) (field i32)))
  (type $a (array (mut v128)))
  (func (export "field") (param v128 v128) (result v128 v128) (local $o (ref null $s))
    (local.set $o (struct.new $s (i32.const 1) (local.get 0) (i32.const 2)))
    (struct.get $s 1 (local.get $o))
    (struct.set $s 1 (local.get $o) (local.get 1))
    (struct.get $s 1 (local.get $o)))
  (func (export "element") (param v128 i32) (result v128 v128) (local $o (ref null $a))
    (local.set $o (array.new $a (local.get 0) (i32.const 5)))
    (array.set $a (local.get $o) (local.get 1) (v128.not (local.get 0)))
    (array.get $a (local.get $o) (i32.const 0))
    (array.get $a (local.get $o) (local.get 1)))
  (func (export "null") (result v128) (struct.get $s 1 (ref.null $s))))

(assert_return (invoke "field" (v128.const i64x2 1 2) (v128.const i64x2 3 4))
  (v128.const i64x2 1 2) (v128.const i64x2 3 4))
(assert_return (invoke "element" (v128.const i64x2 1 2) (i32.const 3)) (v128.const i64x2 1 2) (v128.const i64x2 -2 -3))
(assert_trap (invoke "element" (v128.const i64x2 1 2) (i32.const 5)) "out of bounds array access")
(assert_trap (invoke "null") "null structure reference")
