;; The legacy encoding: try, catch, catch_all, delegate, rethrow.

(module
  (tag $a (param i32))
  (tag $b)
  (tag $p (param i32 i64 f64))
  (func $raise (param i32)
    (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $a (i32.const 10))))
    (if (i32.eq (local.get 0) (i32.const 2)) (then (throw $b)))
    (if (i32.eq (local.get 0) (i32.const 3)) (then (throw $p (i32.const 1) (i64.const 2) (f64.const 3.5))))
    (if (i32.eq (local.get 0) (i32.const 4)) (then (unreachable))))

  (func (export "clauses") (param i32) (result i32)
    try (result i32)
      local.get 0
      call $raise
      i32.const 0
    catch $a
      i32.const 100
      i32.add
    catch $b
      i32.const 200
    catch $p
      drop
      drop
      i32.const 300
      i32.add
    end)

  (func (export "all") (param i32) (result i32)
    try (result i32)
      local.get 0
      call $raise
      i32.const 0
    catch $b
      i32.const 1
    catch_all
      i32.const 2
    end)

  ;; A throw in the body itself is a branch.
  (func (export "local") (param i32) (result i32)
    try (result i32)
      local.get 0
      if
        i32.const 7
        throw $a
      end
      throw $b
    catch $a
    catch_all
      i32.const -1
    end)

  ;; Nothing in the body can throw.
  (func (export "quiet") (result i32)
    try (result i32)
      i32.const 5
    catch $a
      drop
      i32.const 6
    catch_all
      i32.const 7
    end)

  ;; No clauses at all.
  (func (export "bare") (param i32) (result i32)
    try (result i32)
      local.get 0
      call $raise
      i32.const 3
    end)

  ;; Parameters of the block, values below it, results of several types.
  (func (export "values") (param i32) (result i32 i64)
    i32.const 1000
    local.get 0
    i64.const 50
    try (param i32 i64) (result i64)
      drop
      call $raise
      i64.const 51
    catch $a
      i64.extend_i32_s
    catch_all
      i64.const 53
    end)

  ;; rethrow of what an outer clause caught, from within an inner one.
  (func $inner (param i32) (result i32)
    try (result i32)
      local.get 0
      call $raise
      i32.const 0
    catch $a
      drop
      try (result i32)
        i32.const 2
        call $raise
        i32.const 0
      catch_all
        rethrow 1
      end
    catch $b
      try (result i32)
        i32.const 1
        call $raise
        i32.const 0
      catch $a
        drop
        rethrow 0
      end
    end)
  (func (export "rethrow") (param i32) (result i32)
    try (result i32)
      local.get 0
      call $inner
    catch $a
    catch $b
      i32.const 2
    end)

  ;; rethrow in a block and in a loop in the clause, caught by a try around it in the same function.
  (func (export "rethrow_local") (param i32) (result i32)
    (local $n i32)
    try (result i32)
      try (result i32)
        local.get 0
        call $raise
        i32.const 0
      catch_all
        loop
          local.get $n
          i32.const 1
          i32.add
          local.tee $n
          i32.const 5
          i32.lt_u
          br_if 0
          block
            rethrow 2
          end
        end
        unreachable
      end
    catch $a
      local.get $n
      i32.add
    catch $b
      i32.const 20
      local.get $n
      i32.add
    end)

  ;; rethrow of an exception that was thrown in the same function.
  (func (export "rethrow_thrown_here") (result i32)
    try (result i32)
      try (result i32)
        i32.const 9
        throw $a
      catch $a
        drop
        rethrow 0
      end
    catch $a
    end)

  ;; delegate: to the next try, past it, to the caller.
  (func (export "delegate_next") (param i32) (result i32)
    try (result i32)
      try (result i32)
        local.get 0
        call $raise
        i32.const 0
      delegate 0
    catch_all
      i32.const 1
    end)
  (func (export "delegate_past") (param i32) (result i32)
    try (result i32)
      try (result i32)
        try (result i32)
          local.get 0
          call $raise
          i32.const 0
        delegate 1
      catch_all
        i32.const 1
      end
    catch_all
      i32.const 2
    end)
  (func $to_caller (param i32) (result i32)
    try (result i32)
      try (result i32)
        local.get 0
        call $raise
        i32.const 0
      delegate 1
    catch_all
      i32.const 1
    end)
  (func (export "delegate_to_caller") (param i32) (result i32)
    try (result i32)
      local.get 0
      call $to_caller
    catch_all
      i32.const 3
    end)
  ;; A block that is no try stands for the try around it.
  (func (export "delegate_to_block") (param i32) (result i32)
    try (result i32)
      block (result i32)
        try (result i32)
          try (result i32)
            local.get 0
            call $raise
            i32.const 0
          delegate 1
        catch_all
          i32.const 1
        end
      end
    catch_all
      i32.const 4
    end)
  ;; A try whose clause is in progress handles nothing any more.
  (func (export "delegate_to_clause") (param i32) (result i32)
    try (result i32)
      try (result i32)
        i32.const 2
        call $raise
        i32.const 0
      catch_all
        try (result i32)
          local.get 0
          call $raise
          i32.const 0
        delegate 0
      end
    catch $a
    catch_all
      i32.const 5
    end)
  ;; A throw that is delegated is a branch as well.
  (func (export "delegate_local") (result i32)
    try (result i32)
      try (result i32)
        try (result i32)
          i32.const 12
          throw $a
        delegate 1
      catch_all
        i32.const 1
      end
    catch $a
    end)

  ;; What a clause throws is for those outside.
  (func (export "throw_in_clause") (param i32) (result i32)
    try (result i32)
      try (result i32)
        local.get 0
        call $raise
        i32.const 0
      catch $b
        i32.const 31
        throw $a
      catch $a
        i32.const 1
        i32.add
        throw $a
      end
    catch $a
    end)

  ;; In a loop, with state.
  (func (export "loop") (param $n i32) (result i32)
    (local $sum i32)
    loop
      try
        local.get $n
        i32.const 3
        i32.and
        i32.const 2
        i32.rem_u
        i32.const 1
        i32.add
        call $raise
        unreachable
      catch $a
        local.get $sum
        i32.add
        local.set $sum
      catch $b
        local.get $sum
        i32.const 1
        i32.add
        local.set $sum
      end
      local.get $n
      i32.const 1
      i32.sub
      local.tee $n
      br_if 0
    end
    local.get $sum)

  ;; A branch out of a body and out of a clause.
  (func (export "branch") (param i32) (result i32)
    block (result i32)
      try (result i32)
        local.get 0
        call $raise
        i32.const 1
        br 1
      catch $a
        br 1
      catch_all
        i32.const 2
      end
      i32.const 40
      i32.add
    end)

  ;; Code that nothing reaches.
  (func (export "dead") (result i32)
    i32.const 1
    return
    try (result i32)
      try (result i32)
        i32.const 1
        call $raise
        i32.const 0
      delegate 0
    catch $a
    catch_all
      rethrow 0
    end
    drop
    try (result i32)
      throw $b
    catch_all
      i32.const 2
    end)
  (func (export "dead_body") (result i32)
    try (result i32)
      unreachable
    catch_all
      i32.const 2
    end)
)

(assert_return (invoke "clauses" (i32.const 0)) (i32.const 0))
(assert_return (invoke "clauses" (i32.const 1)) (i32.const 110))
(assert_return (invoke "clauses" (i32.const 2)) (i32.const 200))
(assert_return (invoke "clauses" (i32.const 3)) (i32.const 301))
(assert_trap (invoke "clauses" (i32.const 4)) "unreachable")
(assert_return (invoke "all" (i32.const 0)) (i32.const 0))
(assert_return (invoke "all" (i32.const 1)) (i32.const 2))
(assert_return (invoke "all" (i32.const 2)) (i32.const 1))
(assert_return (invoke "all" (i32.const 3)) (i32.const 2))
(assert_trap (invoke "all" (i32.const 4)) "unreachable")
(assert_return (invoke "local" (i32.const 0)) (i32.const -1))
(assert_return (invoke "local" (i32.const 1)) (i32.const 7))
(assert_return (invoke "quiet") (i32.const 5))
(assert_return (invoke "bare" (i32.const 0)) (i32.const 3))
(assert_exception (invoke "bare" (i32.const 1)))
(assert_return (invoke "values" (i32.const 0)) (i32.const 1000) (i64.const 51))
(assert_return (invoke "values" (i32.const 1)) (i32.const 1000) (i64.const 10))
(assert_return (invoke "values" (i32.const 2)) (i32.const 1000) (i64.const 53))
(assert_return (invoke "rethrow" (i32.const 0)) (i32.const 0))
(assert_return (invoke "rethrow" (i32.const 1)) (i32.const 10))
(assert_return (invoke "rethrow" (i32.const 2)) (i32.const 10))
(assert_exception (invoke "rethrow" (i32.const 3)))
(assert_return (invoke "rethrow_local" (i32.const 0)) (i32.const 0))
(assert_return (invoke "rethrow_local" (i32.const 1)) (i32.const 15))
(assert_return (invoke "rethrow_local" (i32.const 2)) (i32.const 25))
(assert_exception (invoke "rethrow_local" (i32.const 3)))
(assert_return (invoke "rethrow_thrown_here") (i32.const 9))
(assert_return (invoke "delegate_next" (i32.const 0)) (i32.const 0))
(assert_return (invoke "delegate_next" (i32.const 1)) (i32.const 1))
(assert_return (invoke "delegate_past" (i32.const 0)) (i32.const 0))
(assert_return (invoke "delegate_past" (i32.const 1)) (i32.const 2))
(assert_return (invoke "delegate_to_caller" (i32.const 0)) (i32.const 0))
(assert_return (invoke "delegate_to_caller" (i32.const 1)) (i32.const 3))
(assert_return (invoke "delegate_to_block" (i32.const 0)) (i32.const 0))
(assert_return (invoke "delegate_to_block" (i32.const 1)) (i32.const 4))
(assert_return (invoke "delegate_to_clause" (i32.const 0)) (i32.const 0))
(assert_return (invoke "delegate_to_clause" (i32.const 1)) (i32.const 10))
(assert_return (invoke "delegate_to_clause" (i32.const 2)) (i32.const 5))
(assert_return (invoke "delegate_local") (i32.const 12))
(assert_return (invoke "throw_in_clause" (i32.const 0)) (i32.const 0))
(assert_return (invoke "throw_in_clause" (i32.const 1)) (i32.const 11))
(assert_return (invoke "throw_in_clause" (i32.const 2)) (i32.const 31))
(assert_exception (invoke "throw_in_clause" (i32.const 3)))
(assert_return (invoke "loop" (i32.const 100000)) (i32.const 550000))
(assert_return (invoke "branch" (i32.const 0)) (i32.const 1))
(assert_return (invoke "branch" (i32.const 1)) (i32.const 10))
(assert_return (invoke "branch" (i32.const 2)) (i32.const 42))
(assert_return (invoke "dead") (i32.const 1))
(assert_trap (invoke "dead_body") "unreachable")
