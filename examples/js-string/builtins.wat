;; The builtins of the module `wasm:js-string` (WebAssembly JavaScript interface, "Builtins"), for programs that run
;; without JavaScript: all thirteen, with the types, results and traps that the interface gives them.
;;
;; A string is an object of this module behind an `externref`: an array of UTF-16 code units, or two strings of which
;; nobody has asked for a code unit yet. So a string that is put together piece by piece is copied once, as in the
;; engines of JavaScript; what is short is copied at once.
(module
  ;; To other modules a string is none of WebAssembly's objects.
  (@custom "elfin.opaque" "")
  (type $units (array (mut i16)))
  (rec
    (type $string
      (struct
        (field $length i32)
        ;; Null while the string is $left and $right.
        (field $units (mut (ref null $units)))
        (field $left (mut (ref null $string)))
        (field $right (mut (ref null $string))))))

  (global $empty (ref $string)
    (struct.new $string (i32.const 0) (array.new_fixed $units 0) (ref.null $string) (ref.null $string)))

  ;; Strings up to this length are copied when they are joined.
  (global $short i32 (i32.const 32))
  ;; Longer ones cannot be made; V8 has nearly this limit.
  (global $most i32 (i32.const 0x3fffffff))

  ;; What is not a string, null included, is a trap.
  (func $in (param $value externref) (result (ref $string))
    (block $other (result anyref)
      (return
        (br_on_cast_fail $other anyref (ref $string) (any.convert_extern (local.get $value)))))
    unreachable)

  (func $out (param $units (ref $units)) (result (ref extern))
    (if (result (ref extern)) (array.len (local.get $units))
      (then
        (extern.convert_any
          (struct.new $string
            (array.len (local.get $units)) (local.get $units) (ref.null $string) (ref.null $string))))
      (else (extern.convert_any (global.get $empty)))))

  ;; The code units of a string. They are never written once a string has them.
  (func $flat (param $string (ref $string)) (result (ref $units))
    (local $units (ref $units))
    (block $joined
      (return (br_on_null $joined (struct.get $string $units (local.get $string)))))
    (local.set $units (array.new_default $units (struct.get $string $length (local.get $string))))
    (call $write (local.get $string) (local.get $units) (i32.const 0))
    (struct.set $string $units (local.get $string) (local.get $units))
    (struct.set $string $left (local.get $string) (ref.null $string))
    (struct.set $string $right (local.get $string) (ref.null $string))
    (local.get $units))

  ;; Writes a string's code units at $at. The longer half is next, the shorter one is a call: so calls are at most 30
  ;; deep, however the string was put together.
  (func $write (param $string (ref $string)) (param $to (ref $units)) (param $at i32)
    (local $left (ref $string))
    (local $right (ref $string))
    (local $middle i32)
    (loop $next
      (block $joined
        (array.copy $units $units
          (local.get $to) (local.get $at)
          (br_on_null $joined (struct.get $string $units (local.get $string))) (i32.const 0)
          (struct.get $string $length (local.get $string)))
        (return))
      (local.set $left (ref.as_non_null (struct.get $string $left (local.get $string))))
      (local.set $right (ref.as_non_null (struct.get $string $right (local.get $string))))
      (local.set $middle (i32.add (local.get $at) (struct.get $string $length (local.get $left))))
      (if
        (i32.gt_u
          (struct.get $string $length (local.get $left))
          (struct.get $string $length (local.get $right)))
        (then
          (call $write (local.get $right) (local.get $to) (local.get $middle))
          (local.set $string (local.get $left)))
        (else
          (call $write (local.get $left) (local.get $to) (local.get $at))
          (local.set $string (local.get $right))
          (local.set $at (local.get $middle))))
      (br $next)))

  (func (export "test") (param $value externref) (result i32)
    (ref.test (ref $string) (any.convert_extern (local.get $value))))

  (func (export "cast") (param $value externref) (result (ref extern))
    (extern.convert_any (call $in (local.get $value))))

  (func (export "fromCharCode") (param $unit i32) (result (ref extern))
    (call $out (array.new_fixed $units 1 (local.get $unit))))

  (func (export "fromCodePoint") (param $point i32) (result (ref extern))
    (if (i32.gt_u (local.get $point) (i32.const 0x10ffff)) (then unreachable))
    (if (i32.lt_u (local.get $point) (i32.const 0x10000))
      (then (return (call $out (array.new_fixed $units 1 (local.get $point))))))
    (local.set $point (i32.sub (local.get $point) (i32.const 0x10000)))
    (call $out
      (array.new_fixed $units 2
        (i32.or (i32.const 0xd800) (i32.shr_u (local.get $point) (i32.const 10)))
        (i32.or (i32.const 0xdc00) (i32.and (local.get $point) (i32.const 0x3ff))))))

  ;; Bounds are checked here and not by the copy: a wrong one is no reason to allocate 8 GiB.
  (func (export "fromCharCodeArray")
    (param $from (ref null $units)) (param $start i32) (param $end i32) (result (ref extern))
    (local $units (ref $units))
    (if (i32.gt_u (local.get $end) (array.len (local.get $from))) (then unreachable))
    (if (i32.gt_u (local.get $start) (local.get $end)) (then unreachable))
    (local.set $units (array.new_default $units (i32.sub (local.get $end) (local.get $start))))
    (array.copy $units $units
      (local.get $units) (i32.const 0)
      (local.get $from) (local.get $start) (array.len (local.get $units)))
    (call $out (local.get $units)))

  (func (export "intoCharCodeArray")
    (param $value externref) (param $to (ref null $units)) (param $start i32) (result i32)
    (local $units (ref $units))
    (local.set $units (call $flat (call $in (local.get $value))))
    (array.copy $units $units
      (local.get $to) (local.get $start)
      (local.get $units) (i32.const 0) (array.len (local.get $units)))
    (array.len (local.get $units)))

  (func (export "length") (param $value externref) (result i32)
    (struct.get $string $length (call $in (local.get $value))))

  (func (export "charCodeAt") (param $value externref) (param $index i32) (result i32)
    (array.get_u $units (call $flat (call $in (local.get $value))) (local.get $index)))

  (func (export "codePointAt") (param $value externref) (param $index i32) (result i32)
    (local $units (ref $units))
    (local $high i32)
    (local $low i32)
    (local.set $units (call $flat (call $in (local.get $value))))
    (local.set $high (array.get_u $units (local.get $units) (local.get $index)))
    (local.set $index (i32.add (local.get $index) (i32.const 1)))
    (if (i32.ne (i32.and (local.get $high) (i32.const 0xfc00)) (i32.const 0xd800))
      (then (return (local.get $high))))
    (if (i32.ge_u (local.get $index) (array.len (local.get $units)))
      (then (return (local.get $high))))
    (local.set $low (array.get_u $units (local.get $units) (local.get $index)))
    (if (i32.ne (i32.and (local.get $low) (i32.const 0xfc00)) (i32.const 0xdc00))
      (then (return (local.get $high))))
    (i32.add
      (i32.const 0x10000)
      (i32.or
        (i32.shl (i32.and (local.get $high) (i32.const 0x3ff)) (i32.const 10))
        (i32.and (local.get $low) (i32.const 0x3ff)))))

  (func (export "concat") (param $first externref) (param $second externref) (result (ref extern))
    (local $left (ref $string))
    (local $right (ref $string))
    (local $middle i32)
    (local $length i32)
    (local $units (ref $units))
    (local.set $left (call $in (local.get $first)))
    (local.set $right (call $in (local.get $second)))
    (local.set $middle (struct.get $string $length (local.get $left)))
    (local.set $length (i32.add (local.get $middle) (struct.get $string $length (local.get $right))))
    (if (i32.gt_u (local.get $length) (global.get $most)) (then unreachable))
    (if (i32.eqz (local.get $middle))
      (then (return (extern.convert_any (local.get $right)))))
    (if (i32.eq (local.get $middle) (local.get $length))
      (then (return (extern.convert_any (local.get $left)))))
    (if (i32.gt_u (local.get $length) (global.get $short))
      (then
        (return
          (extern.convert_any
            (struct.new $string
              (local.get $length) (ref.null $units) (local.get $left) (local.get $right))))))
    (local.set $units (array.new_default $units (local.get $length)))
    (call $write (local.get $left) (local.get $units) (i32.const 0))
    (call $write (local.get $right) (local.get $units) (local.get $middle))
    (call $out (local.get $units)))

  ;; Indices are unsigned; an end behind the string's is the string's, a start behind the end makes it empty.
  (func (export "substring") (param $value externref) (param $start i32) (param $end i32) (result (ref extern))
    (local $string (ref $string))
    (local $units (ref $units))
    (local.set $string (call $in (local.get $value)))
    (local.set $end
      (select
        (struct.get $string $length (local.get $string))
        (local.get $end)
        (i32.gt_u (local.get $end) (struct.get $string $length (local.get $string)))))
    (if (i32.ge_u (local.get $start) (local.get $end))
      (then (return (extern.convert_any (global.get $empty)))))
    (if
      (i32.eq
        (i32.sub (local.get $end) (local.get $start))
        (struct.get $string $length (local.get $string)))
      (then (return (extern.convert_any (local.get $string)))))
    (local.set $units (array.new_default $units (i32.sub (local.get $end) (local.get $start))))
    (array.copy $units $units
      (local.get $units) (i32.const 0)
      (call $flat (local.get $string)) (local.get $start) (array.len (local.get $units)))
    (call $out (local.get $units)))

  ;; How many code units both have in common from the start.
  (func $common (param $a (ref $units)) (param $b (ref $units)) (result i32)
    (local $i i32)
    (local $end i32)
    (local.set $end
      (select
        (array.len (local.get $a))
        (array.len (local.get $b))
        (i32.lt_u (array.len (local.get $a)) (array.len (local.get $b)))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $i) (local.get $end)))
        (br_if $done
          (i32.ne
            (array.get_u $units (local.get $a) (local.get $i))
            (array.get_u $units (local.get $b) (local.get $i))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (local.get $i))

  ;; The one builtin for which null is a value.
  (func (export "equals") (param $first externref) (param $second externref) (result i32)
    (local $left (ref $string))
    (local $right (ref $string))
    (if (ref.is_null (local.get $first))
      (then
        (if (ref.is_null (local.get $second)) (then (return (i32.const 1))))
        (drop (call $in (local.get $second)))
        (return (i32.const 0))))
    (local.set $left (call $in (local.get $first)))
    (if (ref.is_null (local.get $second)) (then (return (i32.const 0))))
    (local.set $right (call $in (local.get $second)))
    (if (ref.eq (local.get $left) (local.get $right)) (then (return (i32.const 1))))
    (if
      (i32.ne
        (struct.get $string $length (local.get $left))
        (struct.get $string $length (local.get $right)))
      (then (return (i32.const 0))))
    (i32.eq
      (call $common (call $flat (local.get $left)) (call $flat (local.get $right)))
      (struct.get $string $length (local.get $left))))

  ;; -1, 0 or 1: by code units, not by code points.
  (func (export "compare") (param $first externref) (param $second externref) (result i32)
    (local $a (ref $units))
    (local $b (ref $units))
    (local $i i32)
    (local $left i32)
    (local $right i32)
    (local.set $a (call $flat (call $in (local.get $first))))
    (local.set $b (call $flat (call $in (local.get $second))))
    (local.set $i (call $common (local.get $a) (local.get $b)))
    ;; What ends is less than any code unit.
    (local.set $left (i32.const -1))
    (local.set $right (i32.const -1))
    (if (i32.lt_u (local.get $i) (array.len (local.get $a)))
      (then (local.set $left (array.get_u $units (local.get $a) (local.get $i)))))
    (if (i32.lt_u (local.get $i) (array.len (local.get $b)))
      (then (local.set $right (array.get_u $units (local.get $b) (local.get $i)))))
    (i32.sub
      (i32.gt_s (local.get $left) (local.get $right))
      (i32.lt_s (local.get $left) (local.get $right)))))
