;; A list of a million nodes in an order that no cache foresees, followed again and again; and a small one that fits.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (type $node (struct (field $next (mut (ref null $node))) (field $value (mut i64))))
  (type $nodes (array (mut (ref null $node))))
  (func $ring (param $n i32) (result (ref $node))
    (local $nodes (ref $nodes)) (local $i i32) (local $at i32) (local $to i32)
    (local.set $nodes (array.new_default $nodes (local.get $n)))
    (loop $make
      (array.set $nodes (local.get $nodes) (local.get $i)
        (struct.new $node (ref.null $node) (i64.extend_i32_u (local.get $i))))
      (br_if $make (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    ;; n is a power of two: multiplying by 5 and adding an odd number goes through all of them.
    (local.set $i (i32.const 0))
    (loop $tie
      (local.set $to (i32.and
        (i32.add (i32.mul (local.get $at) (i32.const 1664525)) (i32.const 1013904223))
        (i32.sub (local.get $n) (i32.const 1))))
      (struct.set $node $next
        (array.get $nodes (local.get $nodes) (local.get $at))
        (array.get $nodes (local.get $nodes) (local.get $to)))
      (local.set $at (local.get $to))
      (br_if $tie (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (ref.as_non_null (array.get $nodes (local.get $nodes) (i32.const 0))))
  (func $walk (param $node (ref null $node)) (param $steps i32) (result i64)
    (local $sum i64)
    (loop $again
      (local.set $sum (i64.add (local.get $sum) (struct.get $node $value (local.get $node))))
      (local.set $node (struct.get $node $next (local.get $node)))
      (br_if $again (local.tee $steps (i32.sub (local.get $steps) (i32.const 1)))))
    (local.get $sum))
  (func (export "_start")
    (if (i64.ne (call $walk (call $ring (i32.const 4096)) (i32.const 200003584)) (i64.const 409507338240))
      (then (call $exit (i32.const 1))))
    (if (i64.ne (call $walk (call $ring (i32.const 1048576)) (i32.const 10485760)) (i64.const 5497552896000))
      (then (call $exit (i32.const 2))))))
