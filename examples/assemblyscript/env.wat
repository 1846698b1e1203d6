;; What programs of AssemblyScript import from `env`, without JavaScript: `abort`, `seed`, the console and the clocks.
;;
;; Strings are UTF-16 in the memory of the program, which is the module `main` here; four bytes before the first code
;; unit is their length in bytes. They are written as UTF-8, half of a surrogate pair as U+FFFD. The buffer for that is
;; this module's own memory, the one that its WASI functions work on.
(module
  (import "main" "memory" (memory $strings 0))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  ;; At 0 one iovec, at 8 the result of a call, from 16 on what is to be written.
  (memory $own (export "memory") 1)
  (data $words " in :null")

  (global $buffer i32 (i32.const 16))
  (global $end (mut i32) (i32.const 16))

  (func $flush (param $fd i32)
    (local $at i32)
    (local.set $at (global.get $buffer))
    (block $done
      (loop $more
        (br_if $done (i32.ge_u (local.get $at) (global.get $end)))
        (i32.store $own (i32.const 0) (local.get $at))
        (i32.store $own (i32.const 4) (i32.sub (global.get $end) (local.get $at)))
        ;; Whoever closed the stream does not want it.
        (br_if $done (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)))
        (local.set $at (i32.add (local.get $at) (i32.load $own (i32.const 8))))
        (br $more)))
    (global.set $end (global.get $buffer)))

  (func $byte (param $value i32)
    (i32.store8 $own (global.get $end) (local.get $value))
    (global.set $end (i32.add (global.get $end) (i32.const 1))))

  ;; 10 and six bits of a code point.
  (func $continuation (param $point i32) (param $shift i32)
    (call $byte
      (i32.or (i32.const 0x80) (i32.and (i32.shr_u (local.get $point) (local.get $shift)) (i32.const 0x3f)))))

  (func $point (param $point i32)
    (if (i32.lt_u (local.get $point) (i32.const 0x80))
      (then
        (return (call $byte (local.get $point)))))
    (if (i32.lt_u (local.get $point) (i32.const 0x800))
      (then
        (call $byte (i32.or (i32.const 0xc0) (i32.shr_u (local.get $point) (i32.const 6)))))
      (else
        (if (i32.lt_u (local.get $point) (i32.const 0x10000))
          (then
            (call $byte (i32.or (i32.const 0xe0) (i32.shr_u (local.get $point) (i32.const 12)))))
          (else
            (call $byte (i32.or (i32.const 0xf0) (i32.shr_u (local.get $point) (i32.const 18))))
            (call $continuation (local.get $point) (i32.const 12))))
        (call $continuation (local.get $point) (i32.const 6))))
    (call $continuation (local.get $point) (i32.const 0)))

  ;; What a surrogate begins: the point of a pair, or U+FFFD.
  (func $pair (param $first i32) (param $second i32) (result i32)
    (if (i32.and
          (i32.eq (i32.and (local.get $first) (i32.const 0xfc00)) (i32.const 0xd800))
          (i32.eq (i32.and (local.get $second) (i32.const 0xfc00)) (i32.const 0xdc00)))
      (then
        (return
          (i32.add
            (i32.shl (i32.and (local.get $first) (i32.const 0x3ff)) (i32.const 10))
            (i32.add (i32.and (local.get $second) (i32.const 0x3ff)) (i32.const 0x10000))))))
    (i32.const 0xfffd))

  ;; $from and $to are within $words.
  (func $word (param $from i32) (param $to i32)
    (loop $next
      (memory.init $own $words (global.get $end) (local.get $from) (i32.const 1))
      (global.set $end (i32.add (global.get $end) (i32.const 1)))
      (local.set $from (i32.add (local.get $from) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $from) (local.get $to)))))

  (func $string (param $fd i32) (param $at i32)
    (local $end i32)
    (local $unit i32)
    (local $second i32)
    (if (i32.eqz (local.get $at))
      (then
        (return (call $word (i32.const 5) (i32.const 9)))))
    (local.set $end
      (i32.add (local.get $at) (i32.load $strings (i32.sub (local.get $at) (i32.const 4)))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $unit (i32.load16_u $strings (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 2)))
        (if (i32.eq (i32.and (local.get $unit) (i32.const 0xf800)) (i32.const 0xd800))
          (then
            (local.set $second (i32.const 0))
            (if (i32.lt_u (local.get $at) (local.get $end))
              (then (local.set $second (i32.load16_u $strings (local.get $at)))))
            (local.set $unit (call $pair (local.get $unit) (local.get $second)))
            (if (i32.ge_u (local.get $unit) (i32.const 0x10000))
              (then (local.set $at (i32.add (local.get $at) (i32.const 2)))))))
        (call $point (local.get $unit))
        (if (i32.gt_u (global.get $end) (i32.const 0xf000))
          (then (call $flush (local.get $fd))))
        (br $next))))

  (func $number (param $value i32)
    (if (i32.ge_u (local.get $value) (i32.const 10))
      (then (call $number (i32.div_u (local.get $value) (i32.const 10)))))
    (call $byte (i32.add (i32.const 48) (i32.rem_u (local.get $value) (i32.const 10)))))

  (func $line (param $fd i32) (param $text i32)
    (call $string (local.get $fd) (local.get $text))
    (call $byte (i32.const 10))
    (call $flush (local.get $fd)))

  ;; The program traps when this comes back, and its backtrace says where.
  (func (export "abort") (param $message i32) (param $file i32) (param $line i32) (param $column i32)
    (call $string (i32.const 2) (local.get $message))
    (call $word (i32.const 0) (i32.const 4))
    (call $string (i32.const 2) (local.get $file))
    (call $word (i32.const 4) (i32.const 5))
    (call $number (local.get $line))
    (call $word (i32.const 4) (i32.const 5))
    (call $number (local.get $column))
    (call $byte (i32.const 10))
    (call $flush (i32.const 2)))

  (func $out (export "console.log") (export "console.info") (export "console.debug") (param $text i32)
    (call $line (i32.const 1) (local.get $text)))
  (func $error (export "console.error") (export "console.warn") (param $text i32)
    (call $line (i32.const 2) (local.get $text)))

  ;; What Math.random begins with.
  (func (export "seed") (result f64)
    (if (call $random_get (i32.const 8) (i32.const 8))
      (then (unreachable)))
    (f64.convert_i64_u (i64.load $own (i32.const 8))))

  ;; Milliseconds.
  (func $clock (param $id i32) (result f64)
    (if (call $clock_time_get (local.get $id) (i64.const 1) (i32.const 8))
      (then (unreachable)))
    (f64.div (f64.convert_i64_u (i64.load $own (i32.const 8))) (f64.const 1e6)))
  (func (export "Date.now") (result f64)
    (f64.floor (call $clock (i32.const 0))))
  (func (export "performance.now") (result f64)
    (call $clock (i32.const 1))))
