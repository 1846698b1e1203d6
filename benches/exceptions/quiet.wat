;; A call that may throw and never does, inside a try_table.
(module
  (tag $e (param i64))
  (func $never (param i64) (throw $e (local.get 0)))
  (func $f (param i64 i64) (result i64)
    (if (i64.eq (local.get 0) (i64.const -1)) (then (call $never (local.get 1))))
    (i64.add (i64.mul (local.get 0) (i64.const 3)) (local.get 1)))
  (func $work (param $n i64) (param $k i64) (result i64)
    (local $sum i64) (local $a i64) (local $b i64)
    (local.set $a (local.get $k))
    (loop $l
      (local.set $sum
        (i64.xor
          (block $h (result i64)
            (try_table (result i64) (catch $e $h)
              (call $f (local.get $n) (local.get $sum))))
          (local.get $a)))
      (local.set $a (i64.add (local.get $a) (local.get $k)))
      (local.set $b (i64.add (local.get $b) (local.get $sum)))
      (br_if $l (i64.ne (local.tee $n (i64.sub (local.get $n) (i64.const 1))) (i64.const 0))))
    (i64.add (local.get $sum) (local.get $b)))
  (func (export "_start")
    (if (i64.eqz (call $work (i64.const 300000000) (i64.const 7))) (then (unreachable)))))
