;; Exits with 42 if vectors do what they should: a byte shuffle, a swizzle, roundings, conversions.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "\0f\0e\0d\0c\0b\0a\09\08\07\06\05\04\03\02\01\00")
  (global $f (mut f64) (f64.const -2.5))
  (func $same (param v128 v128) (result i32)
    (i8x16.all_true (i8x16.eq (local.get 0) (local.get 1))))
  (func (export "_start") (local $v v128) (local $ok i32)
    (local.set $v (v128.load (i32.const 16)))
    (local.set $ok (call $same
      (i8x16.shuffle 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 0 (local.get $v) (local.get $v))
      (v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)))
    (local.set $ok (i32.and (local.get $ok) (call $same
      (i8x16.swizzle (local.get $v) (v128.const i8x16 0 16 255 3 1 1 1 1 15 15 15 15 7 7 7 128))
      (v128.const i8x16 15 0 0 12 14 14 14 14 0 0 0 0 8 8 8 0))))
    (local.set $ok (i32.and (local.get $ok) (call $same
      (f64x2.floor (f64x2.splat (global.get $f))) (v128.const f64x2 -3 -3))))
    (local.set $ok (i32.and (local.get $ok) (call $same
      (i32x4.trunc_sat_f64x2_u_zero (f64x2.splat (f64.neg (f64.nearest (global.get $f)))))
      (v128.const i32x4 2 2 0 0))))
    (local.set $ok (i32.and (local.get $ok) (f64.eq (f64.trunc (global.get $f)) (f64.const -2))))
    (local.set $ok (i32.and (local.get $ok) (i32.eq
      (i32.add (i32.popcnt (i32x4.extract_lane 0 (local.get $v))) (i32.clz (i32x4.extract_lane 3 (local.get $v))))
      (i32.const 27))))
    (call $exit (select (i32.const 42) (i32.const 1) (local.get $ok)))))
