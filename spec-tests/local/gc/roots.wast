;; References in every place where a call may find them, while garbage is made on all sides.

(module
  (type $box (struct (field $value (mut i32))))
  (type $pair (struct (field $a (mut (ref null $box))) (field $b (mut anyref))))
  (type $boxes (array (mut (ref null $box))))
  (type $callback (func (param (ref $box)) (result (ref $box))))
  (global $global (mut (ref null $box)) (ref.null $box))
  (global $constant (ref $box) (struct.new $box (i32.const 77)))
  (global $outside (mut externref) (ref.null extern))
  (table $table 10 (ref null $box))
  (table $filled 5 (ref $box) (struct.new $box (i32.const 55)))
  (table $any 4 anyref)
  (elem $items (ref null $box)
    (item (struct.new $box (i32.const 1)))
    (item (ref.null $box))
    (item (global.get $constant)))
  (elem $callbacks declare func $churn_and_give_back)

  (func $box (param $value i32) (result (ref $box)) (struct.new $box (local.get $value)))
  (func $value (param $box (ref null $box)) (result i32)
    (struct.get $box $value (local.get $box)))

  ;; More than a heap has room for at first: at least one collection.
  (type $garbage (array i8))
  (func $churn
    (local $i i32) (local $last (ref null $garbage)) (local $small (ref null $pair))
    (local.set $i (i32.const 6))
    (loop $again
      (local.set $last (array.new_default $garbage (i32.const 1500000)))
      (local.set $small
        (struct.new $pair (struct.new $box (local.get $i)) (ref.i31 (local.get $i))))
      (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1))))))
  (func $churn_and_give_back (type $callback)
    (call $churn)
    (local.get 0))

  (func (export "locals") (param $n i32) (result i32)
    (local $a (ref null $box)) (local $b (ref $box)) (local $same anyref)
    (local.set $a (call $box (local.get $n)))
    (local.set $b (call $box (i32.const 10)))
    (local.set $same (local.get $a))
    (call $churn)
    (struct.set $box $value (local.get $a)
      (i32.add (call $value (local.get $a)) (call $value (local.get $b))))
    (call $churn)
    (if (result i32) (ref.eq (ref.cast (ref null $box) (local.get $same)) (local.get $a))
      (then (call $value (ref.cast (ref $box) (local.get $same))))
      (else (i32.const -1))))

  (func (export "operands") (param $n i32) (result i32)
    ;; Between the first operand and its use everything moves.
    (call $value (call $box (local.get $n)))
    (struct.get $box $value
      (block (result (ref $box))
        (call $box (i32.const 100))
        (call $churn)))
    (call $churn)
    (i32.add))

  (func $sum (param (ref $box)) (param i32) (param (ref $box)) (param (ref null $boxes)) (result i32)
    (i32.add
      (i32.add (call $value (local.get 0)) (local.get 1))
      (i32.add (call $value (local.get 2)) (array.len (local.get 3)))))
  (func (export "arguments") (result i32)
    (call $sum
      (call $box (i32.const 1))
      (block (result i32) (call $churn) (i32.const 2))
      (block (result (ref $box)) (call $box (i32.const 3)) (call $churn))
      (block (result (ref null $boxes))
        (array.new $boxes (call $box (i32.const 9)) (i32.const 4)) (call $churn))))

  (func (export "block parameters") (param $n i32) (result i32)
    (local $i i32) (local $a (ref null $box)) (local $b (ref null $box))
    (call $box (i32.const 0))
    (call $box (i32.const 5))
    (loop $again (param (ref $box) (ref $box)) (result (ref $box) (ref $box))
      (call $swap)
      (call $churn)
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $i) (local.get $n))))
    (local.set $b)
    (local.set $a)
    (i32.sub
      (call $value (local.get $a))
      (block (result i32) (call $churn) (call $value (local.get $b)))))
  (func $swap (param (ref $box) (ref $box)) (result (ref $box) (ref $box))
    (call $churn) (local.get 1) (local.get 0))

  (func (export "globals") (result i32)
    (global.set $global (call $box (i32.const 1000)))
    (global.set $outside (extern.convert_any (call $box (i32.const 200))))
    (call $churn)
    (i32.add
      (i32.add (call $value (global.get $global)) (call $value (global.get $constant)))
      (call $value (ref.cast (ref $box) (any.convert_extern (global.get $outside))))))

  (func (export "tables") (result i32)
    (local $i i32) (local $sum i32)
    (loop $set
      (table.set $table (local.get $i) (call $box (local.get $i)))
      (br_if $set (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10))))
    (table.set $any (i32.const 1) (ref.i31 (i32.const 30)))
    (table.set $any (i32.const 2) (table.get $table (i32.const 9)))
    (call $churn)
    (table.copy $any $table (i32.const 3) (i32.const 8) (i32.const 1))
    (call $churn)
    (local.set $i (i32.const 0))
    (loop $get
      (local.set $sum
        (i32.add (local.get $sum) (call $value (table.get $table (local.get $i)))))
      (br_if $get (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10))))
    (i32.add
      (i32.add
        (i32.add (local.get $sum) (call $value (table.get $filled (i32.const 4))))
        (i31.get_u (ref.cast (ref i31) (table.get $any (i32.const 1)))))
      (i32.add
        (call $value (ref.cast (ref $box) (table.get $any (i32.const 2))))
        (call $value (ref.cast (ref $box) (table.get $any (i32.const 3)))))))

  (func (export "segments") (result i32)
    (local $boxes (ref null $boxes))
    (call $churn)
    (local.set $boxes (array.new_elem $boxes $items (i32.const 0) (i32.const 3)))
    (call $churn)
    (array.init_elem $boxes $items (local.get $boxes) (i32.const 1) (i32.const 2) (i32.const 1))
    (table.init $table $items (i32.const 0) (i32.const 0) (i32.const 3))
    (call $churn)
    (i32.add
      (i32.add
        (call $value (array.get $boxes (local.get $boxes) (i32.const 0)))
        (call $value (array.get $boxes (local.get $boxes) (i32.const 1))))
      (i32.add
        (call $value (array.get $boxes (local.get $boxes) (i32.const 2)))
        (i32.add
          (call $value (table.get $table (i32.const 2)))
          (ref.eq (table.get $table (i32.const 0)) (array.get $boxes (local.get $boxes) (i32.const 0)))))))

  ;; Each frame holds a reference of its own.
  (func $deep (param $n i32) (param $box (ref $box)) (result i32)
    (if (result i32) (i32.eqz (local.get $n))
      (then (call $churn) (i32.const 0))
      (else
        (i32.add
          (call $deep (i32.sub (local.get $n) (i32.const 1)) (call $box (local.get $n)))
          (call $value (local.get $box))))))
  (func (export "frames") (param $n i32) (result i32)
    (call $deep (local.get $n) (call $box (i32.const 0))))

  (func (export "indirectly") (result i32)
    (call $value
      (call_ref $callback (call $box (i32.const 31)) (ref.func $churn_and_give_back))))

  ;; More live references than registers, and all of them needed again.
  (func (export "many") (result i32)
    (local $a (ref null $box)) (local $b (ref null $box)) (local $c (ref null $box))
    (local $d (ref null $box)) (local $e (ref null $box)) (local $f (ref null $box))
    (local $g (ref null $box)) (local $h (ref null $box)) (local $i (ref null $box))
    (local.set $a (call $box (i32.const 1))) (local.set $b (call $box (i32.const 2)))
    (local.set $c (call $box (i32.const 4))) (local.set $d (call $box (i32.const 8)))
    (local.set $e (call $box (i32.const 16))) (local.set $f (call $box (i32.const 32)))
    (local.set $g (call $box (i32.const 64))) (local.set $h (call $box (i32.const 128)))
    (local.set $i (call $box (i32.const 256)))
    (call $churn)
    (local.set $a (local.get $i))
    (call $churn)
    (i32.add (i32.add (i32.add (call $value (local.get $a)) (call $value (local.get $b)))
                      (i32.add (call $value (local.get $c)) (call $value (local.get $d))))
             (i32.add (i32.add (call $value (local.get $e)) (call $value (local.get $f)))
                      (i32.add (call $value (local.get $g))
                        (i32.add (call $value (local.get $h)) (call $value (local.get $i)))))))

  (func (export "select") (param $which i32) (result i32)
    (local $chosen (ref null $box))
    (local.set $chosen
      (select (result (ref null $box))
        (call $box (i32.const 3)) (call $box (i32.const 4)) (local.get $which)))
    (call $churn)
    (call $value (local.get $chosen))))

(assert_return (invoke "locals" (i32.const 5)) (i32.const 15))
(assert_return (invoke "operands" (i32.const 23)) (i32.const 123))
(assert_return (invoke "arguments") (i32.const 10))
(assert_return (invoke "block parameters" (i32.const 3)) (i32.const 5))
(assert_return (invoke "block parameters" (i32.const 4)) (i32.const -5))
(assert_return (invoke "globals") (i32.const 1277))
(assert_return (invoke "tables") (i32.const 147))
(assert_return (invoke "segments") (i32.const 233))
(assert_return (invoke "frames" (i32.const 500)) (i32.const 125249))
(assert_return (invoke "indirectly") (i32.const 31))
(assert_return (invoke "many") (i32.const 766))
(assert_return (invoke "select" (i32.const 1)) (i32.const 3))
(assert_return (invoke "select" (i32.const 0)) (i32.const 4))

;; What was put into globals by one action is there for the next.
(assert_return (invoke "globals") (i32.const 1277))
