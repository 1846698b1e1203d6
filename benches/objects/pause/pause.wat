;; The longest time between two allocations while a tree of the depth that is given lives, in nanoseconds of the
;; process's own time: that of a collection.
(module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (memory (export "memory") 1)
  (type $tree (struct (field $left (ref null $tree)) (field $right (ref null $tree))))
  (func $make (param $depth i32) (result (ref $tree))
    (if (result (ref $tree)) (i32.eqz (local.get $depth))
      (then (struct.new $tree (ref.null $tree) (ref.null $tree)))
      (else
        (struct.new $tree
          (call $make (i32.sub (local.get $depth) (i32.const 1)))
          (call $make (i32.sub (local.get $depth) (i32.const 1)))))))
  (func $now (result i64)
    (drop (call $clock (i32.const 2) (i64.const 0) (i32.const 0)))
    (i64.load (i32.const 0)))
  (func (export "pause") (param $depth i32) (result i64)
    (local $tree (ref null $tree)) (local $garbage (ref null $tree)) (local $n i32)
    (local $last i64) (local $now i64) (local $longest i64)
    (local.set $tree (call $make (local.get $depth)))
    (local.set $n (i32.const 2000000))
    (local.set $last (call $now))
    (loop $again
      (local.set $garbage (struct.new $tree (local.get $garbage) (local.get $tree)))
      (local.set $garbage (ref.null $tree))
      (local.set $now (call $now))
      (if (i64.gt_u (i64.sub (local.get $now) (local.get $last)) (local.get $longest))
        (then (local.set $longest (i64.sub (local.get $now) (local.get $last)))))
      (local.set $last (local.get $now))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (if (ref.is_null (local.get $tree)) (then unreachable))
    (local.get $longest)))
