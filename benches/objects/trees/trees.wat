;; Binary trees of the depth given as the first argument (18 without one): many are made and thrown away while one lives.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (type $tree (struct (field $left (ref null $tree)) (field $right (ref null $tree))))
  (func $make (param $depth i32) (result (ref $tree))
    (if (result (ref $tree)) (i32.eqz (local.get $depth))
      (then (struct.new $tree (ref.null $tree) (ref.null $tree)))
      (else
        (struct.new $tree
          (call $make (i32.sub (local.get $depth) (i32.const 1)))
          (call $make (i32.sub (local.get $depth) (i32.const 1)))))))
  (func $check (param $tree (ref null $tree)) (result i32)
    (if (result i32) (ref.is_null (struct.get $tree $left (local.get $tree)))
      (then (i32.const 1))
      (else
        (i32.add (i32.const 1)
          (i32.add
            (call $check (struct.get $tree $left (local.get $tree)))
            (call $check (struct.get $tree $right (local.get $tree))))))))
  (func (export "_start")
    (local $long (ref null $tree)) (local $depth i32) (local $count i32) (local $sum i64)
    (local.set $sum (i64.extend_i32_u (call $check (call $make (i32.const 19)))))
    (local.set $long (call $make (i32.const 18)))
    (local.set $depth (i32.const 4))
    (loop $depths
      (local.set $count (i32.shl (i32.const 1) (i32.sub (i32.const 22) (local.get $depth))))
      (loop $trees
        (local.set $sum (i64.add (local.get $sum)
          (i64.extend_i32_u (call $check (call $make (local.get $depth))))))
        (br_if $trees (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
      (br_if $depths (i32.le_u (local.tee $depth (i32.add (local.get $depth) (i32.const 2))) (i32.const 18))))
    (local.set $sum (i64.add (local.get $sum)
      (i64.extend_i32_u (call $check (local.get $long)))))
    (if (i64.ne (local.get $sum) (i64.const 68332206)) (then (call $exit (i32.const 1))))))
