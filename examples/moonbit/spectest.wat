;; What MoonBit's `println` needs: `spectest.print_char`, called with one UTF-16 code unit at a time. Lines are kept and
;; written as UTF-8 through WASI.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  ;; 0: iovec, 8: bytes written, 16: the line.
  (memory (export "memory") 1)
  (global $length (mut i32) (i32.const 0))
  ;; The first half of a surrogate pair, or 0.
  (global $high (mut i32) (i32.const 0))

  (func $byte (param $byte i32)
    (i32.store8 offset=16 (global.get $length) (local.get $byte))
    (global.set $length (i32.add (global.get $length) (i32.const 1))))

  (func $continuation (param $bits i32)
    (call $byte (i32.or (i32.const 0x80) (i32.and (local.get $bits) (i32.const 0x3f)))))

  (func $scalar (param $c i32)
    (if (i32.lt_u (local.get $c) (i32.const 0x80)) (then (call $byte (local.get $c)) (return)))
    (if (i32.lt_u (local.get $c) (i32.const 0x800))
      (then (call $byte (i32.or (i32.const 0xc0) (i32.shr_u (local.get $c) (i32.const 6)))))
      (else
        (if (i32.lt_u (local.get $c) (i32.const 0x10000))
          (then (call $byte (i32.or (i32.const 0xe0) (i32.shr_u (local.get $c) (i32.const 12)))))
          (else
            (call $byte (i32.or (i32.const 0xf0) (i32.shr_u (local.get $c) (i32.const 18))))
            (call $continuation (i32.shr_u (local.get $c) (i32.const 12)))))
        (call $continuation (i32.shr_u (local.get $c) (i32.const 6)))))
    (call $continuation (local.get $c)))

  ;; Writes until everything is written; a program that cannot write ends.
  (func $flush
    (local $from i32)
    (loop $more
      (if (i32.lt_u (local.get $from) (global.get $length))
        (then
          (i32.store (i32.const 0) (i32.add (i32.const 16) (local.get $from)))
          (i32.store (i32.const 4) (i32.sub (global.get $length) (local.get $from)))
          (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
          (local.set $from (i32.add (local.get $from) (i32.load (i32.const 8))))
          (br $more))))
    (global.set $length (i32.const 0)))

  (func (export "print_char") (param $unit i32)
    (local $kind i32)
    (local.set $kind (i32.and (local.get $unit) (i32.const 0xfc00)))
    (block $done
      (if (i32.and (i32.eq (local.get $kind) (i32.const 0xdc00)) (i32.ne (global.get $high) (i32.const 0)))
        (then
          (call $scalar
            (i32.add
              (i32.const 0x10000)
              (i32.or
                (i32.shl (i32.and (global.get $high) (i32.const 0x3ff)) (i32.const 10))
                (i32.and (local.get $unit) (i32.const 0x3ff)))))
          (global.set $high (i32.const 0))
          (br $done)))
      ;; A half without the other is written as the replacement character.
      (if (global.get $high)
        (then (call $scalar (i32.const 0xfffd)) (global.set $high (i32.const 0))))
      (if (i32.eq (local.get $kind) (i32.const 0xd800))
        (then (global.set $high (local.get $unit)) (br $done)))
      (call $scalar
        (select (i32.const 0xfffd) (local.get $unit) (i32.eq (local.get $kind) (i32.const 0xdc00)))))
    (if
      (i32.or
        (i32.eq (local.get $unit) (i32.const 10))
        (i32.gt_u (global.get $length) (i32.const 65000)))
      (then (call $flush)))))
