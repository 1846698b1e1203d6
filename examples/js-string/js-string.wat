;; What a compiler for browsers makes: strings are `externref`s that builtins of `wasm:js-string` work on, constants are
;; imported under their own text from `'`, and what is printed goes to `console.log`. In an engine with JavaScript:
;; `new WebAssembly.Module(bytes, {builtins: ["js-string"], importedStringConstants: "'"})`.
(module
  (type $units (array (mut i16)))
  (import "wasm:js-string" "cast" (func $cast (param externref) (result (ref extern))))
  (import "wasm:js-string" "test" (func $test (param externref) (result i32)))
  (import "wasm:js-string" "fromCharCode" (func $fromCharCode (param i32) (result (ref extern))))
  (import "wasm:js-string" "fromCodePoint" (func $fromCodePoint (param i32) (result (ref extern))))
  (import "wasm:js-string" "fromCharCodeArray"
    (func $fromCharCodeArray (param (ref null $units) i32 i32) (result (ref extern))))
  (import "wasm:js-string" "intoCharCodeArray"
    (func $intoCharCodeArray (param externref (ref null $units) i32) (result i32)))
  (import "wasm:js-string" "charCodeAt" (func $charCodeAt (param externref i32) (result i32)))
  (import "wasm:js-string" "codePointAt" (func $codePointAt (param externref i32) (result i32)))
  (import "wasm:js-string" "length" (func $length (param externref) (result i32)))
  (import "wasm:js-string" "concat" (func $concat (param externref externref) (result (ref extern))))
  (import "wasm:js-string" "substring" (func $substring (param externref i32 i32) (result (ref extern))))
  (import "wasm:js-string" "equals" (func $equals (param externref externref) (result i32)))
  (import "wasm:js-string" "compare" (func $compare (param externref externref) (result i32)))
  (import "console" "log" (func $log (param externref)))
  (import "'" "" (global $empty (ref extern)))
  (import "'" ", " (global $comma (ref extern)))
  (import "'" "-" (global $minus (ref extern)))
  (import "'" "ab" (global $ab (ref extern)))
  (import "'" "abc" (global $abc (ref extern)))
  (import "'" "Grüße, 世界 🎉" (global $greeting (ref extern)))
  (import "'" "not a string" (global $not_a_string (ref extern)))

  ;; A number in decimal.
  (func $decimal (param $n i32) (result (ref extern))
    (local $units (ref $units))
    (local $i i32)
    (if (i32.lt_s (local.get $n) (i32.const 0))
      (then
        (return
          (call $concat (global.get $minus) (call $decimal (i32.sub (i32.const 0) (local.get $n)))))))
    (local.set $units (array.new_default $units (i32.const 10)))
    (local.set $i (i32.const 10))
    (loop $digit
      (local.set $i (i32.sub (local.get $i) (i32.const 1)))
      (array.set $units (local.get $units) (local.get $i)
        (i32.add (i32.const 48) (i32.rem_u (local.get $n) (i32.const 10))))
      (local.set $n (i32.div_u (local.get $n) (i32.const 10)))
      (br_if $digit (local.get $n)))
    (call $fromCharCodeArray (local.get $units) (local.get $i) (i32.const 10)))

  (func $log_number (param $n i32) (call $log (call $decimal (local.get $n))))

  ;; Three numbers in a line.
  (func $log_three (param $a i32) (param $b i32) (param $c i32)
    (call $log
      (call $concat
        (call $concat (call $concat (call $decimal (local.get $a)) (global.get $comma)) (call $decimal (local.get $b)))
        (call $concat (global.get $comma) (call $decimal (local.get $c))))))

  ;; The numbers below $n with commas: piece by piece behind what there is, or before it.
  (func $count (param $n i32) (param $before i32) (result (ref extern))
    (local $i i32)
    (local $all (ref extern))
    (local.set $all (global.get $empty))
    (loop $next
      (if (local.get $before)
        (then
          (local.set $all (call $concat (call $concat (call $decimal (local.get $i)) (global.get $comma)) (local.get $all))))
        (else
          (local.set $all (call $concat (local.get $all) (call $concat (call $decimal (local.get $i)) (global.get $comma))))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
    (local.get $all))

  ;; All code units as one number.
  (func $hash (param $string (ref extern)) (result i32)
    (local $i i32)
    (local $h i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $i) (call $length (local.get $string))))
        (local.set $h
          (i32.add
            (i32.mul (local.get $h) (i32.const 31))
            (call $charCodeAt (local.get $string) (local.get $i))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (local.get $h))

  (func $reversed (param $string (ref extern)) (result (ref extern))
    (local $units (ref $units))
    (local $i i32)
    (local $j i32)
    (local $unit i32)
    ;; One unit more than needed, before the string.
    (local.set $units (array.new_default $units (i32.add (call $length (local.get $string)) (i32.const 1))))
    (local.set $j (call $intoCharCodeArray (local.get $string) (local.get $units) (i32.const 1)))
    (local.set $i (i32.const 1))
    (block $done
      (loop $next
        (br_if $done (i32.ge_s (local.get $i) (local.get $j)))
        (local.set $unit (array.get_u $units (local.get $units) (local.get $i)))
        (array.set $units (local.get $units) (local.get $i) (array.get_u $units (local.get $units) (local.get $j)))
        (array.set $units (local.get $units) (local.get $j) (local.get $unit))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (local.set $j (i32.sub (local.get $j) (i32.const 1)))
        (br $next)))
    (call $fromCharCodeArray (local.get $units) (i32.const 1) (array.len (local.get $units))))

  ;; How a compiler tells its own objects from values of JavaScript.
  (func $is_own (param $value externref) (result i32)
    (ref.test (ref eq) (any.convert_extern (local.get $value))))

  (func (export "_start")
    (local $long (ref extern))
    (local $i i32)
    (call $log (global.get $greeting))
    (call $log (call $reversed (call $substring (global.get $greeting) (i32.const 0) (i32.const 9))))
    (call $log_three
      (call $length (global.get $greeting))
      (call $charCodeAt (global.get $greeting) (i32.const 10))
      (call $codePointAt (global.get $greeting) (i32.const 10)))
    ;; The second half of a pair, alone.
    (call $log_number (call $codePointAt (global.get $greeting) (i32.const 11)))
    (call $log (call $substring (global.get $greeting) (i32.const 11) (i32.const 12)))
    (call $log
      (call $concat (call $fromCodePoint (i32.const 0x1f980)) (call $fromCodePoint (i32.const 0x2713))))
    ;; Both halves of a pair, joined.
    (call $log
      (call $concat (call $fromCharCode (i32.const 0xd83e)) (call $fromCharCode (i32.const 0xdd80))))
    ;; Only the lower 16 bits of a code unit count.
    (call $log (call $fromCharCode (i32.const 0x70041)))

    (call $log (call $substring (global.get $abc) (i32.const 1) (i32.const 100)))
    (call $log (call $substring (global.get $abc) (i32.const 1) (i32.const -1)))
    (call $log (call $substring (global.get $abc) (i32.const 2) (i32.const 1)))
    (call $log (call $substring (global.get $abc) (i32.const -1) (i32.const 3)))
    (call $log (call $substring (global.get $abc) (i32.const 0) (i32.const 3)))

    (call $log_three
      (call $compare (global.get $ab) (global.get $abc))
      (call $compare (global.get $abc) (global.get $ab))
      (call $compare (global.get $abc) (call $concat (global.get $ab) (call $fromCharCode (i32.const 99)))))
    ;; A code unit of a pair is less than one behind the surrogates, although the code point is not.
    (call $log_three
      (call $compare (call $fromCodePoint (i32.const 0x10000)) (call $fromCharCode (i32.const 0xffff)))
      (call $compare (global.get $empty) (global.get $empty))
      (call $compare (global.get $empty) (call $fromCharCode (i32.const 0))))
    (call $log_three
      (call $equals (global.get $abc) (call $concat (global.get $ab) (call $fromCharCode (i32.const 99))))
      (call $equals (global.get $abc) (global.get $ab))
      (call $equals (global.get $ab) (call $fromCharCode (i32.const 97))))
    (call $log_three
      (call $equals (ref.null extern) (ref.null extern))
      (call $equals (global.get $empty) (ref.null extern))
      (call $equals (ref.null extern) (global.get $empty)))
    (call $log_three
      (call $test (global.get $not_a_string))
      (call $test (ref.null extern))
      (call $test (extern.convert_any (array.new_default $units (i32.const 3)))))
    (call $log_number (call $equals (call $cast (global.get $abc)) (global.get $abc)))

    (call $log_three
      (call $is_own (global.get $abc))
      (call $is_own (call $concat (global.get $abc) (global.get $ab)))
      (call $is_own (extern.convert_any (array.new_default $units (i32.const 3)))))

    ;; Long ones, from the front, from the back, and from halves.
    (local.set $long (call $count (i32.const 2000) (i32.const 0)))
    (call $log_three
      (call $length (local.get $long))
      (call $hash (local.get $long))
      (call $equals (local.get $long) (call $count (i32.const 2000) (i32.const 0))))
    (call $log (call $substring (local.get $long) (i32.const 5000) (i32.const 5060)))
    (local.set $long (call $count (i32.const 2000) (i32.const 1)))
    (call $log_three
      (call $length (local.get $long))
      (call $hash (local.get $long))
      (call $compare (local.get $long) (call $count (i32.const 2000) (i32.const 0))))
    (local.set $long (call $concat (global.get $greeting) (global.get $comma)))
    (loop $double
      (local.set $long (call $concat (local.get $long) (local.get $long)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $double (i32.lt_u (local.get $i) (i32.const 16))))
    (call $log_three
      (call $length (local.get $long))
      (call $hash (local.get $long))
      (call $equals (local.get $long) (call $substring (local.get $long) (i32.const 0) (i32.const -1))))
    (call $log (call $substring (local.get $long) (i32.const 1000) (i32.const 1014)))))
