;; Exceptions in a program that makes other objects as well: both move, each may refer to the other.

(module
  (type $node (struct (field $value i64) (field $next (ref null $node))))
  (type $holder (struct (field $held exnref) (field $number i32)))
  (type $row (array (mut exnref)))
  (tag $e (param (ref null $node) i32 f64))
  (tag $small (param i32))
  (tag $mixed (param i32 i64 f32 (ref null $node) externref i32 (ref null $row)))
  (global $g (mut exnref) (ref.null exn))
  (table $t 3 exnref)

  ;; Fills memory with what nobody keeps.
  (func $churn (param $n i32)
    (loop $l
      (drop (struct.new $node (i64.const 1) (ref.null $node)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  (func $list (param $n i32) (result (ref null $node))
    (local $r (ref null $node))
    (loop $l
      (local.set $r (struct.new $node (i64.extend_i32_u (local.get $n)) (local.get $r)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $r))
  (func $sum (param $r (ref null $node)) (result i64)
    (local $s i64)
    (block $end
      (loop $l
        (br_if $end (ref.is_null (local.get $r)))
        (local.set $s (i64.add (local.get $s) (struct.get $node $value (local.get $r))))
        (local.set $r (struct.get $node $next (local.get $r)))
        (br $l)))
    (local.get $s))

  (func $throw (param $n i32)
    (throw $e (call $list (local.get $n)) (local.get $n) (f64.const 0.5)))

  ;; What an exception carries lives as long as it does, and what a function keeps across the call that throws
  ;; is where it was moved to (GHSA-hw8m-q44c-ggrf).
  (func (export "carried") (param $n i32) (result i64)
    (local $mine (ref null $node)) (local $r exnref) (local $f f64)
    (local.set $mine (call $list (i32.const 10)))
    (block $h (result (ref null $node) i32 f64 exnref)
      (try_table (catch_ref $e $h)
        (call $churn (i32.const 20000))
        (call $throw (local.get $n)))
      (unreachable))
    (local.set $r)
    (local.set $f)
    (drop)
    (drop)
    (call $churn (i32.const 100000))
    (block $h (result (ref null $node) i32 f64)
      (try_table (catch $e $h) (throw_ref (local.get $r)))
      (unreachable))
    (drop)
    (drop)
    (i64.add (call $sum) (call $sum (local.get $mine))))

  (func $catch (param $n i32) (result exnref)
    (block $h (result exnref)
      (try_table (catch_all_ref $h) (call $throw (local.get $n)))
      (unreachable)))
  (func $value (param $r exnref) (result i64)
    (block $h (result (ref null $node) i32 f64)
      (try_table (catch $e $h) (throw_ref (local.get $r)))
      (unreachable))
    (drop)
    (drop)
    (call $sum))

  (func (export "kept") (result i64)
    (local $holder (ref $holder)) (local $row (ref $row)) (local $local exnref)
    (global.set $g (call $catch (i32.const 1)))
    (table.set $t (i32.const 1) (call $catch (i32.const 2)))
    (local.set $holder (struct.new $holder (call $catch (i32.const 3)) (i32.const 7)))
    (local.set $row (array.new $row (call $catch (i32.const 4)) (i32.const 5)))
    (local.set $local (call $catch (i32.const 5)))
    (call $churn (i32.const 200000))
    (i64.add (call $value (global.get $g))
      (i64.add (call $value (table.get $t (i32.const 1)))
        (i64.add (call $value (struct.get $holder $held (local.get $holder)))
          (i64.add (call $value (array.get $row (local.get $row) (i32.const 3)))
            (call $value (local.get $local)))))))

  ;; References of every kind between numbers of every width.
  (func $throw_mixed (param externref)
    (throw $mixed (i32.const -1) (i64.const -2) (f32.const 1.5) (call $list (i32.const 3)) (local.get 0)
      (i32.const 9) (array.new $row (ref.null exn) (i32.const 2))))
  (func (export "mixed") (param $x externref) (result i32 i64 f32 i64 externref i32 i32)
    (local $r exnref) (local $row (ref null $row)) (local $i i32) (local $node (ref null $node)) (local $o externref)
    (block $h (result exnref)
      (try_table (catch_all_ref $h) (call $throw_mixed (local.get $x)))
      (unreachable))
    (local.set $r)
    (call $churn (i32.const 100000))
    (block $h (result i32 i64 f32 (ref null $node) externref i32 (ref null $row))
      (try_table (catch $mixed $h) (throw_ref (local.get $r)))
      (unreachable))
    (local.set $row)
    (local.set $i)
    (local.set $o)
    (local.set $node)
    (call $sum (local.get $node))
    (local.get $o)
    (local.get $i)
    (array.len (local.get $row)))

  ;; More exceptions than a heap has room for at first do not fill it.
  (func $throw_small (param i32) (throw $small (local.get 0)))
  (func (export "many") (param $n i32) (result i32)
    (local $s i32) (local $node (ref null $node))
    (local.set $node (call $list (i32.const 4)))
    (loop $l
      (local.set $s
        (i32.add (local.get $s)
          (block $h (result i32)
            (try_table (result i32) (catch $small $h) (call $throw_small (i32.const 1)) (i32.const 0)))))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.add (local.get $s) (i32.wrap_i64 (call $sum (local.get $node)))))

  ;; Legacy: rethrown behind a collection.
  (func $legacy (param $n i32)
    try
      local.get $n
      call $throw
    catch_all
      i32.const 100000
      call $churn
      rethrow 0
    end)
  (func (export "legacy") (param $n i32) (result i64)
    (local $mine (ref null $node))
    (local.set $mine (call $list (i32.const 3)))
    try (result (ref null $node) i32 f64)
      local.get $n
      call $legacy
      unreachable
    catch $e
    end
    drop
    drop
    call $sum
    local.get $mine
    call $sum
    i64.add)

  (func (export "uncaught") (call $throw (i32.const 3)))
)
(assert_return (invoke "carried" (i32.const 100)) (i64.const 5105))
(assert_return (invoke "kept") (i64.const 35))
(assert_return (invoke "mixed" (ref.extern 5))
  (i32.const -1) (i64.const -2) (f32.const 1.5) (i64.const 6) (ref.extern 5) (i32.const 9) (i32.const 2))
(assert_return (invoke "many" (i32.const 600000)) (i32.const 600010))
(assert_return (invoke "legacy" (i32.const 4)) (i64.const 16))
(assert_exception (invoke "uncaught"))
