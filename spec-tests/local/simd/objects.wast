;; Vectors in objects. They are aligned to 8 bytes there.

(module
  (type $vectors (array (mut v128)))
  (type $mixed (struct (field $a i8) (field $v (mut v128)) (field $r (mut anyref)) (field $w v128)))
  (func $churn
    (local $i i32) (local $last (ref null $vectors)) (local $small (ref null $mixed))
    (local.set $i (i32.const 6))
    (loop $again
      (local.set $last (array.new_default $vectors (i32.const 100000)))
      (local.set $small (struct.new_default $mixed))
      (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1))))))
  (func (export "array") (result v128)
    (local $vectors (ref null $vectors))
    (local.set $vectors (array.new $vectors (v128.const i64x2 3 4) (i32.const 5)))
    (array.set $vectors (local.get $vectors) (i32.const 4) (v128.const i64x2 10 20))
    (call $churn)
    (i64x2.add
      (array.get $vectors (local.get $vectors) (i32.const 3))
      (array.get $vectors (local.get $vectors) (i32.const 4))))
  (func (export "fixed") (result v128)
    (local $vectors (ref null $vectors))
    (local.set $vectors
      (array.new_fixed $vectors 2 (v128.const i64x2 1 2) (v128.const i64x2 3 4)))
    (array.fill $vectors (local.get $vectors) (i32.const 0) (v128.const i64x2 5 6) (i32.const 1))
    (call $churn)
    (i64x2.add
      (array.get $vectors (local.get $vectors) (i32.const 0))
      (array.get $vectors (local.get $vectors) (i32.const 1))))
  (func (export "struct") (result v128 i32)
    (local $m (ref null $mixed))
    (local.set $m (struct.new $mixed
      (i32.const 7) (v128.const i64x2 1 2) (ref.i31 (i32.const 9)) (v128.const i64x2 30 40)))
    (struct.set $mixed $r (local.get $m) (struct.new_default $mixed))
    (call $churn)
    (i64x2.add
      (i64x2.add (struct.get $mixed $v (local.get $m)) (struct.get $mixed $w (local.get $m)))
      (struct.get $mixed $v (ref.cast (ref $mixed) (struct.get $mixed $r (local.get $m)))))
    (struct.get_s $mixed $a (local.get $m))))

(assert_return (invoke "array") (v128.const i64x2 13 24))
(assert_return (invoke "fixed") (v128.const i64x2 8 10))
(assert_return (invoke "struct") (v128.const i64x2 31 42) (i32.const 7))
