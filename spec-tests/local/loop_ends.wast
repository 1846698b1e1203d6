;; Loops whose last branch is written anew on x86_64: what they hand on to the next round is moved before the branch that
;; leaves them, or they are turned so that they end with it (compiler/src/optimise/tails.rs, rotate.rs). What is alive
;; behind the loop must not be the next round's.
(module
  (memory 1)
  (data (i32.const 16) "elfin\00")

  ;; Each result is what one of the values was when the loop was left.
  (func (export "fib old") (param $n i32) (result i32) (local $a i32) (local $b i32) (local $t i32)
    (local.set $b (i32.const 1))
    (loop $l
      (local.set $t (local.get $a))
      (local.set $a (local.get $b))
      (local.set $b (i32.add (local.get $t) (local.get $b)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $t))
  (func (export "fib new") (param $n i32) (result i32) (local $a i32) (local $b i32) (local $t i32)
    (local.set $b (i32.const 1))
    (loop $l
      (local.set $t (local.get $a))
      (local.set $a (local.get $b))
      (local.set $b (i32.add (local.get $t) (local.get $b)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $a))
  (func (export "gcd") (param $a i32) (param $b i32) (result i32) (local $t i32)
    (loop $l
      (local.set $t (i32.rem_u (local.get $a) (local.get $b)))
      (local.set $a (local.get $b))
      (local.set $b (local.get $t))
      (br_if $l (local.get $b)))
    (local.get $a))

  ;; The place of the last byte that is not 0, and of the one behind it.
  (func (export "last") (param $p i32) (result i32) (local $q i32)
    (block $out
      (loop $l
        (br_if $out (i32.eqz (i32.load8_u (local.get $p))))
        (local.set $q (local.get $p))
        (local.set $p (i32.add (local.get $p) (i32.const 1)))
        (br $l)))
    (local.get $q))
  (func (export "end") (param $p i32) (result i32)
    (block $out
      (loop $l
        (br_if $out (i32.eqz (i32.load8_u (local.get $p))))
        (local.set $p (i32.add (local.get $p) (i32.const 1)))
        (br $l)))
    (local.get $p))

  ;; The head decides, and two ways lead back to it.
  (func (export "collatz") (param $n i64) (result i32) (local $steps i32)
    (block $out
      (loop $l
        (br_if $out (i64.eq (local.get $n) (i64.const 1)))
        (local.set $steps (i32.add (local.get $steps) (i32.const 1)))
        (if (i64.eqz (i64.and (local.get $n) (i64.const 1)))
          (then
            (local.set $n (i64.shr_u (local.get $n) (i64.const 1)))
            (br $l)))
        (local.set $n (i64.add (i64.mul (local.get $n) (i64.const 3)) (i64.const 1)))
        (br $l)))
    (local.get $steps))

  ;; Two ways out, and which one it was.
  (func (export "two exits") (param $i i32) (param $j i32) (result i32)
    (block $second
      (block $first
        (loop $l
          (br_if $first (i32.eqz (local.get $i)))
          (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
          (local.set $i (i32.sub (local.get $i) (i32.const 1)))
          (br_if $second (i32.eqz (local.get $j)))
          (local.set $j (i32.sub (local.get $j) (i32.const 1)))
          (br $l)))
      (return (i32.add (i32.const 1000) (local.get $j))))
    (i32.add (i32.const 2000) (local.get $i)))

  ;; Loops in loops, both with the test at their head.
  (func (export "triangles") (param $n i32) (result i32) (local $i i32) (local $j i32) (local $sum i32)
    (block $out
      (loop $rows
        (br_if $out (i32.ge_u (local.get $i) (local.get $n)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (local.set $j (i32.const 0))
        (block $row
          (loop $cells
            (br_if $row (i32.ge_u (local.get $j) (local.get $i)))
            (local.set $j (i32.add (local.get $j) (i32.const 1)))
            (local.set $sum (i32.add (local.get $sum) (i32.mul (local.get $i) (local.get $j))))
            (br $cells)))
        (br $rows)))
    (local.get $sum))

  ;; Values that change places, which takes a third register.
  (func (export "swap") (param $n i32) (param f64 f64) (result f64 f64) (local f64)
    (loop $l
      (local.set 3 (local.get 1))
      (local.set 1 (local.get 2))
      (local.set 2 (local.get 3))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get 1) (local.get 2))
  (func (export "turn") (param $n i32) (param $a i64) (param $b i64) (param $c i64) (result i64) (local $t i64)
    (block $out
      (loop $l
        (br_if $out (i32.eqz (local.get $n)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (local.set $t (local.get $a))
        (local.set $a (local.get $b))
        (local.set $b (local.get $c))
        (local.set $c (local.get $t))
        (br $l)))
    (i64.add (i64.mul (local.get $a) (i64.const 10000))
      (i64.add (i64.mul (local.get $b) (i64.const 100)) (local.get $c))))

  ;; What was stored before the trap, in a loop that was turned.
  (func (export "divide") (param $n i32) (local $p i32)
    (local.set $p (i32.const 64))
    (block $out
      (loop $l
        (br_if $out (i32.eq (local.get $p) (i32.const 128)))
        (i32.store (local.get $p) (i32.div_u (i32.const 60) (local.get $n)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (local.set $p (i32.add (local.get $p) (i32.const 4)))
        (br $l))))
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))

  ;; Both ways hand on the same.
  (func $sum (export "sum") (param $n i32) (result i32) (local $r i32)
    (block $out
      (br_if $out (i32.lt_u (local.get $n) (i32.const 2)))
      (loop $l
        (local.set $r (i32.add (local.get $r) (call $sum (i32.sub (local.get $n) (i32.const 1)))))
        (local.set $n (i32.sub (local.get $n) (i32.const 2)))
        (br_if $l (i32.gt_u (local.get $n) (i32.const 1)))))
    (i32.add (local.get $n) (local.get $r))))

(assert_return (invoke "fib old" (i32.const 1)) (i32.const 0))
(assert_return (invoke "fib old" (i32.const 10)) (i32.const 34))
(assert_return (invoke "fib new" (i32.const 1)) (i32.const 1))
(assert_return (invoke "fib new" (i32.const 10)) (i32.const 55))
(assert_return (invoke "gcd" (i32.const 1071) (i32.const 462)) (i32.const 21))
(assert_return (invoke "gcd" (i32.const 7) (i32.const 7)) (i32.const 7))
(assert_trap (invoke "gcd" (i32.const 7) (i32.const 0)) "integer divide by zero")
(assert_return (invoke "last" (i32.const 16)) (i32.const 20))
(assert_return (invoke "last" (i32.const 21)) (i32.const 0))
(assert_return (invoke "end" (i32.const 16)) (i32.const 21))
(assert_return (invoke "end" (i32.const 21)) (i32.const 21))
(assert_trap (invoke "end" (i32.const 65536)) "out of bounds memory access")
(assert_return (invoke "collatz" (i64.const 1)) (i32.const 0))
(assert_return (invoke "collatz" (i64.const 27)) (i32.const 111))
(assert_return (invoke "two exits" (i32.const 3) (i32.const 7)) (i32.const 1004))
(assert_return (invoke "two exits" (i32.const 7) (i32.const 3)) (i32.const 2003))
(assert_return (invoke "two exits" (i32.const 0) (i32.const 3)) (i32.const 1003))
(assert_return (invoke "load" (i32.const 0)) (i32.const 7))
(assert_return (invoke "triangles" (i32.const 0)) (i32.const 0))
(assert_return (invoke "triangles" (i32.const 5)) (i32.const 140))
(assert_return (invoke "swap" (i32.const 1) (f64.const 1) (f64.const 2)) (f64.const 2) (f64.const 1))
(assert_return (invoke "swap" (i32.const 2) (f64.const 1) (f64.const 2)) (f64.const 1) (f64.const 2))
(assert_return (invoke "turn" (i32.const 0) (i64.const 1) (i64.const 2) (i64.const 3)) (i64.const 10203))
(assert_return (invoke "turn" (i32.const 4) (i64.const 1) (i64.const 2) (i64.const 3)) (i64.const 20301))
(assert_trap (invoke "divide" (i32.const 3)) "integer divide by zero")
(assert_return (invoke "load" (i32.const 64)) (i32.const 20))
(assert_return (invoke "load" (i32.const 68)) (i32.const 30))
(assert_return (invoke "load" (i32.const 72)) (i32.const 60))
(assert_return (invoke "load" (i32.const 76)) (i32.const 0))
(assert_return (invoke "sum" (i32.const 1)) (i32.const 1))
(assert_return (invoke "sum" (i32.const 20)) (i32.const 6765))
