;; Makes a list of a million nodes while throwing away as many, keeps a reference in each of 20,000 frames, and exits
;; with 7 when everything is still there.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (type $list (struct (field $next (mut (ref null $list))) (field $value i32)))
  (global $list (mut (ref null $list)) (ref.null $list))
  (func $make (param $n i32)
    (local $garbage (ref null $list))
    (loop $again
      (global.set $list (struct.new $list (global.get $list) (local.get $n)))
      (local.set $garbage (struct.new $list (local.get $garbage) (i32.const -1)))
      (if (i32.eqz (i32.and (local.get $n) (i32.const 1023)))
        (then (local.set $garbage (ref.null $list))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func $sum (result i64)
    (local $at (ref null $list)) (local $sum i64)
    (local.set $at (global.get $list))
    (loop $again
      (local.set $sum
        (i64.add (local.get $sum) (i64.extend_i32_u (struct.get $list $value (local.get $at)))))
      (br_if $again (i32.eqz (ref.is_null
        (local.tee $at (struct.get $list $next (local.get $at)))))))
    (local.get $sum))
  (func $frames (param $n i32) (param $mine (ref $list)) (result i32)
    (if (result i32) (i32.eqz (local.get $n))
      (then (call $make (i32.const 1000000)) (i32.const 0))
      (else
        (i32.add
          (call $frames
            (i32.sub (local.get $n) (i32.const 1))
            (struct.new $list (local.get $mine) (local.get $n)))
          (struct.get $list $value (local.get $mine))))))
  (func $start (export "_start")
    (if (i32.ne
          (call $frames (i32.const 20000) (struct.new $list (ref.null $list) (i32.const 0)))
          (i32.const 200009999))
      (then (call $exit (i32.const 1))))
    (if (i64.ne (call $sum) (i64.const 500000500000))
      (then (call $exit (i32.const 2))))
    (call $exit (i32.const 7))))
