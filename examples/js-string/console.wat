;; `console.log` for strings of builtins.wat: a line of UTF-8 on standard output, through WASI.
(module
  (type $units (array (mut i16)))
  (import "wasm:js-string" "length" (func $length (param externref) (result i32)))
  (import "wasm:js-string" "intoCharCodeArray"
    (func $into (param externref (ref null $units) i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  ;; 0: iovec, 8: bytes written, 16: what is to be written.
  (memory (export "memory") 1)
  (global $bytes (mut i32) (i32.const 0))

  ;; Writes until everything is written; a program that cannot write ends.
  (func $flush
    (local $from i32)
    (loop $more
      (if (i32.lt_u (local.get $from) (global.get $bytes))
        (then
          (i32.store (i32.const 0) (i32.add (i32.const 16) (local.get $from)))
          (i32.store (i32.const 4) (i32.sub (global.get $bytes) (local.get $from)))
          (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
          (local.set $from (i32.add (local.get $from) (i32.load (i32.const 8))))
          (br $more))))
    (global.set $bytes (i32.const 0)))

  (func $byte (param $byte i32)
    (i32.store8 offset=16 (global.get $bytes) (local.get $byte))
    (global.set $bytes (i32.add (global.get $bytes) (i32.const 1))))

  (func $continuation (param $bits i32)
    (call $byte (i32.or (i32.const 0x80) (i32.and (local.get $bits) (i32.const 0x3f)))))

  (func $scalar (param $c i32)
    (if (i32.gt_u (global.get $bytes) (i32.const 65000)) (then (call $flush)))
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

  (func (export "log") (param $string externref)
    (local $units (ref $units))
    (local $i i32)
    (local $c i32)
    (local $low i32)
    (local.set $units (array.new_default $units (call $length (local.get $string))))
    (drop (call $into (local.get $string) (local.get $units) (i32.const 0)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $i) (array.len (local.get $units))))
        (local.set $c (array.get_u $units (local.get $units) (local.get $i)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (if (i32.eq (i32.and (local.get $c) (i32.const 0xf800)) (i32.const 0xd800))
          (then
            (local.set $low (i32.const 0))
            (if (i32.lt_u (local.get $i) (array.len (local.get $units)))
              (then (local.set $low (array.get_u $units (local.get $units) (local.get $i)))))
            (if
              (i32.and
                (i32.lt_u (local.get $c) (i32.const 0xdc00))
                (i32.eq (i32.and (local.get $low) (i32.const 0xfc00)) (i32.const 0xdc00)))
              (then
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (local.set $c
                  (i32.add
                    (i32.const 0x10000)
                    (i32.or
                      (i32.shl (i32.and (local.get $c) (i32.const 0x3ff)) (i32.const 10))
                      (i32.and (local.get $low) (i32.const 0x3ff))))))
              ;; A half without the other is written as the replacement character.
              (else (local.set $c (i32.const 0xfffd))))))
        (call $scalar (local.get $c))
        (br $next)))
    (call $byte (i32.const 10))
    (call $flush)))
