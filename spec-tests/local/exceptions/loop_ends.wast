;; Loops with the test at their head (on x86_64 they are turned, see loop_ends.wast) around what throws: handlers move
;; along with their calls.
(module
  (tag $odd (param i32))
  (func $check (param $n i32) (result i32)
    (if (i32.and (local.get $n) (i32.const 1)) (then (throw $odd (local.get $n))))
    (i32.mul (local.get $n) (i32.const 100)))

  ;; Even numbers below n a hundredfold, and odd ones as they are.
  (func (export "sum") (param $n i32) (result i32) (local $i i32) (local $sum i32)
    (block $out
      (loop $l
        (br_if $out (i32.ge_u (local.get $i) (local.get $n)))
        (local.set $sum (i32.add (local.get $sum)
          (block $caught (result i32)
            (try_table (result i32) (catch $odd $caught)
              (call $check (local.get $i))))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $l)))
    (local.get $sum))

  ;; The first odd number leaves the loop; what was counted until then is there.
  (func (export "first") (param $i i32) (param $n i32) (result i32 i32) (local $count i32)
    (block $caught (result i32)
      (try_table (catch $odd $caught)
        (block $out
          (loop $l
            (br_if $out (i32.ge_u (local.get $i) (local.get $n)))
            (drop (call $check (local.get $i)))
            (local.set $count (i32.add (local.get $count) (i32.const 1)))
            (local.set $i (i32.add (local.get $i) (i32.const 2)))
            (br $l))))
      (i32.const -1))
    (local.get $count)))

(assert_return (invoke "sum" (i32.const 0)) (i32.const 0))
(assert_return (invoke "sum" (i32.const 1)) (i32.const 0))
(assert_return (invoke "sum" (i32.const 6)) (i32.const 609))
(assert_return (invoke "first" (i32.const 2) (i32.const 9)) (i32.const -1) (i32.const 4))
(assert_return (invoke "first" (i32.const 3) (i32.const 9)) (i32.const 3) (i32.const 0))
