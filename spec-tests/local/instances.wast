;; Instances: each has its own state; what an instantiation wrote before it failed stays; segments reach into memories
;; and tables that have grown since; names lead to whatever was registered last.
(module definition $Counter
  (memory (export "memory") 1 4)
  (table (export "table") 2 8 funcref)
  (global $n (mut i32) (i32.const 0))
  (data $d "xyz")
  (func (export "next") (result i32) (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))
  (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "store") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
  (func (export "init") (memory.init $d (i32.const 0) (i32.const 0) (i32.const 3)))
  (func (export "drop") (data.drop $d))
  (func (export "grow") (result i32) (memory.grow (i32.const 1)))
  (func (export "grow table") (result i32) (table.grow (ref.null func) (i32.const 2)))
  (func (export "call") (param i32) (result i32) (call_indirect (result i32) (local.get 0)))
)
(module instance $A $Counter)
(module instance $B $Counter)
(assert_return (invoke $A "next") (i32.const 1))
(assert_return (invoke $A "next") (i32.const 2))
(assert_return (invoke $B "next") (i32.const 1))
(invoke $A "store" (i32.const 9) (i32.const 5))
(assert_return (invoke $B "load" (i32.const 9)) (i32.const 0))
(invoke $A "drop")
(assert_trap (invoke $A "init") "out of bounds memory access")
(assert_return (invoke $B "init"))
(assert_return (invoke $B "load" (i32.const 2)) (i32.const 0x7a))

;; Writes of an instantiation that fails stay, in the order of the specification: elements, then data.
(register "A" $A)
(assert_trap
  (module
    (import "A" "memory" (memory 1))
    (import "A" "table" (table 2 funcref))
    (func $f (result i32) (i32.const 77))
    (elem (i32.const 0) $f)
    (data (i32.const 100) "\07")
    (data (i32.const 65536) "\08")
    (data (i32.const 101) "\09"))
  "out of bounds memory access")
(assert_return (invoke $A "call" (i32.const 0)) (i32.const 77))
(assert_return (invoke $A "load" (i32.const 100)) (i32.const 7))
(assert_return (invoke $A "load" (i32.const 101)) (i32.const 0))
(assert_trap
  (module
    (import "A" "memory" (memory 1))
    (import "A" "table" (table 2 funcref))
    (func $f (result i32) (i32.const 78))
    (elem (i32.const 1) $f)
    (elem (i32.const 2) $f)
    (data (i32.const 100) "\0a"))
  "out of bounds table access")
(assert_return (invoke $A "call" (i32.const 1)) (i32.const 78))
(assert_return (invoke $A "load" (i32.const 100)) (i32.const 7))

;; A function of an instance that failed lives on, with its memory and the segments that were not applied yet.
(assert_trap
  (module
    (import "A" "table" (table 2 funcref))
    (memory 1)
    (data $applied (i32.const 0) "\11")
    (data $not (i32.const 65536) "\12")
    (func $f (result i32)
      (memory.init $not (i32.const 1) (i32.const 0) (i32.const 1))
      (i32.load16_u (i32.const 0)))
    (elem (i32.const 0) $f))
  "out of bounds memory access")
(assert_return (invoke $A "call" (i32.const 0)) (i32.const 0x1211))

;; Sizes are those of the moment.
(assert_unlinkable (module (import "A" "memory" (memory 2))) "incompatible import type")
(assert_unlinkable (module (import "A" "table" (table 3 funcref))) "incompatible import type")
(assert_return (invoke $A "grow") (i32.const 1))
(assert_return (invoke $A "grow table") (i32.const 2))
(module (import "A" "memory" (memory 2)) (import "A" "table" (table 4 funcref))
  (func $g (result i32) (i32.const 79))
  (data $d (i32.const 131071) "\0b")
  (elem $e (i32.const 3) $g)
  (func (export "init") (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1)))
  (func (export "init table") (table.init $e (i32.const 0) (i32.const 0) (i32.const 1))))
(assert_return (invoke $A "load" (i32.const 131071)) (i32.const 11))
(assert_return (invoke $A "call" (i32.const 3)) (i32.const 79))
;; An active segment is dropped when it was applied.
(assert_trap (invoke "init") "out of bounds memory access")
(assert_trap (invoke "init table") "out of bounds table access")
(assert_unlinkable (module (import "A" "memory" (memory 3))) "incompatible import type")
(assert_trap (module (import "A" "memory" (memory 1)) (data (i32.const 131072) "\0c")) "out of bounds memory access")

;; A name leads to what was registered last.
(register "A" $B)
(module (import "A" "next" (func (result i32))) (export "next" (func 0)))
(assert_return (invoke "next") (i32.const 2))
(assert_return (invoke $A "next") (i32.const 3))
(assert_unlinkable (module (import "A" "memory" (memory 2))) "incompatible import type")

;; What a start function did before it trapped stays as well.
(register "A" $A)
(assert_trap
  (module (import "A" "store" (func $store (param i32 i32)))
    (func (call $store (i32.const 200) (i32.const 1)) (unreachable))
    (start 1))
  "unreachable")
(assert_return (invoke $A "load" (i32.const 200)) (i32.const 1))
