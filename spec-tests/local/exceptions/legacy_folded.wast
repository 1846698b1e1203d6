;; The folded form of the legacy encoding, in every place where an instruction can stand.

(module
  (tag $a (param i32))
  (tag $b)
  (func $raise (param i32)
    (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $a (i32.const 10))))
    (if (i32.eq (local.get 0) (i32.const 2)) (then (throw $b))))

  (func (export "statement") (param i32) (result i32)
    (try (result i32)
      (do (call $raise (local.get 0)) (i32.const 0))
      (catch $a (i32.add (i32.const 1)))
      (catch_all (i32.const 2))))

  ;; As an operand, with immediates in front of it and others beside it.
  (func (export "operand") (param i32) (result i32)
    (select (result i32)
      (i32.sub
        (i32.const 100)
        (try $l (result i32)
          (do (call $raise (local.get 0)) (br $l (i32.const 1)))
          (catch $a)))
      (i32.const 7)
      (i32.ne (local.get 0) (i32.const 3))))

  (func (export "condition") (param i32) (result i32)
    (if $l (result i32)
      (try (result i32)
        (do (call $raise (local.get 0)) (i32.const 0))
        (catch_all (i32.const 1)))
      (then (br $l (i32.const 20)))
      (else (try (result i32) (do (throw $b)) (catch $b (i32.const 30))))))

  (func (export "delegate") (param i32) (result i32)
    (try $outer (result i32)
      (do
        (try (result i32)
          (do
            (try (result i32)
              (do (call $raise (local.get 0)) (i32.const 0))
              (delegate $outer)))
          (catch_all (i32.const -1))))
      (catch $a)
      (catch $b (i32.const 5))))

  (func (export "rethrow") (param i32)
    (try (do (call $raise (local.get 0))) (catch_all (rethrow 0))))

  (func (export "bare") (param i32) (try (do (call $raise (local.get 0))))))

(assert_return (invoke "statement" (i32.const 0)) (i32.const 0))
(assert_return (invoke "statement" (i32.const 1)) (i32.const 11))
(assert_return (invoke "statement" (i32.const 2)) (i32.const 2))
(assert_return (invoke "operand" (i32.const 0)) (i32.const 99))
(assert_return (invoke "operand" (i32.const 1)) (i32.const 90))
(assert_exception (invoke "operand" (i32.const 2)))
(assert_return (invoke "operand" (i32.const 3)) (i32.const 7))
(assert_return (invoke "condition" (i32.const 0)) (i32.const 30))
(assert_return (invoke "condition" (i32.const 1)) (i32.const 20))
(assert_return (invoke "delegate" (i32.const 0)) (i32.const 0))
(assert_return (invoke "delegate" (i32.const 1)) (i32.const 10))
(assert_return (invoke "delegate" (i32.const 2)) (i32.const 5))
(assert_return (invoke "rethrow" (i32.const 0)))
(assert_exception (invoke "rethrow" (i32.const 1)))
(assert_exception (invoke "bare" (i32.const 2)))
(assert_return (invoke "bare" (i32.const 0)))

(assert_malformed (module quote "(func (try))") "unexpected token")
(assert_malformed (module quote "(func (try (catch_all)))") "unexpected token")
(assert_malformed (module quote "(tag $e) (func (try (do) (catch_all) (catch $e)))") "unexpected token")
(assert_malformed (module quote "(func (try (do) (catch_all) (delegate 0)))") "unexpected token")
(assert_invalid (module (func (result i32) (try (result i32) (do)))) "type mismatch")
