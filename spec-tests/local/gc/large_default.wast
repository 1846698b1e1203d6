;; Default values of a struct that is too long to be set field by field, over what was there before.

(module
  (type $node (struct (field $n i32)))
  (type $large (struct
    (field $first (mut i32))
    (field (mut i64) (mut i64) (mut i64) (mut i64) (mut i64) (mut i64) (mut i64) (mut i64) (mut i64) (mut i64))
    (field (mut i64) (mut i64) (mut i64) (mut i64) (mut i64) (mut i64) (mut i64) (mut i64) (mut i64) (mut i64))
    (field (mut i64) (mut i64) (mut i64) (mut i64) (mut i64) (mut i64) (mut i64) (mut i64) (mut i64) (mut i64))
    (field (mut i64) (mut i64) (mut i64) (mut i64) (mut i64) (mut i64) (mut i64) (mut i64) (mut i64) (mut i64))
    (field (mut i64) (mut i64) (mut i64) (mut i64) (mut i64) (mut i64) (mut i64) (mut i64) (mut i64) (mut i64))
    (field (mut i64) (mut i64) (mut i64) (mut i64) (mut i64) (mut i64) (mut i64) (mut i64) (mut i64) (mut i64))
    (field (mut v128)) (field $float (mut f64)) (field $function (mut funcref))
    (field $any (mut anyref)) (field $last (mut (ref null $node)))))
  (type $bytes (array (mut i8)))

  ;; Fills the heap with ones, so that a field that is not written shows.
  (func $dirt (local $i i32)
    (local.set $i (i32.const 40))
    (loop $again
      (drop (array.new $bytes (i32.const -1) (i32.const 1000000)))
      (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1))))))

  (func (export "all_zero") (param $n i32) (result i32)
    (local $large (ref null $large)) (local $kept (ref null $node))
    (call $dirt)
    (local.set $kept (struct.new $node (i32.const 7)))
    (loop $again
      (local.set $large (struct.new_default $large))
      (if (i32.or
            (i32.or (struct.get $large $first (local.get $large))
                    (i64.ne (i64.const 0) (i64.reinterpret_f64 (struct.get $large $float (local.get $large)))))
            (i32.eqz (i32.and
              (ref.is_null (struct.get $large $function (local.get $large)))
              (i32.and (ref.is_null (struct.get $large $any (local.get $large)))
                       (ref.is_null (struct.get $large $last (local.get $large)))))))
        (then (return (i32.const -1))))
      (struct.set $large $first (local.get $large) (i32.const -1))
      (struct.set $large $last (local.get $large) (local.get $kept))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.add (struct.get $node $n (struct.get $large $last (local.get $large)))
             (struct.get $large $first (local.get $large))))
)
(assert_return (invoke "all_zero" (i32.const 30000)) (i32.const 6))
