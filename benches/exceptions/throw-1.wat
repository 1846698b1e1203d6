;; 200,000 exceptions, each thrown one frame below the function that catches it.
(module
  (tag $e (param i32))
  (func $f1 (param i32) (result i32) (throw $e (local.get 0)))
  (func (export "_start") (local $n i32) (local $sum i32)
    (local.set $n (i32.const 200000))
    (loop $l
      (local.set $sum
        (i32.add (local.get $sum)
          (block $h (result i32)
            (try_table (result i32) (catch $e $h) (call $f1 (local.get $n))))))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (if (i32.eqz (local.get $sum)) (then (unreachable)))))
