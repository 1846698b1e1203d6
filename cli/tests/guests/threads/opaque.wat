;; Threads keep lists of opaque objects at the same time, each in a heap of its own, in every place where a reference
;; can be. Exits with 7, or with the number of the check that fails. With an argument, there is little of everything.
(module
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "env" "memory" (memory 1 1 shared))
  (import "host" "new" (func $new (param i32 externref) (result (ref extern))))
  (import "host" "value" (func $value (param externref) (result i32)))
  (import "host" "next" (func $next (param externref) (result externref)))
  (import "host" "constant" (global $constant (ref extern)))
  (import "host" "table" (table $hosts 2 externref))
  (type $pair (struct (field (mut externref)) (field (mut anyref))))
  (type $list (array (mut externref)))
  (tag $thrown (param externref))
  (global $kept (mut externref) (global.get $constant))
  (global $pair (ref $pair) (struct.new $pair (global.get $constant) (ref.null any)))
  (table $table 4 externref)

  (func $check (param $ok i32) (param $number i32)
    (if (i32.eqz (local.get $ok)) (then (call $exit (local.get $number)))))
  (func $is_own (param externref) (result i32) (ref.test (ref eq) (any.convert_extern (local.get 0))))

  ;; A list of the numbers below $n, above $first.
  (func $make (param $n i32) (param $first i32) (result externref)
    (local $list externref)
    (loop $more
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (local.set $list (call $new (i32.add (local.get $first) (local.get $n)) (local.get $list)))
      (br_if $more (local.get $n)))
    (local.get $list))
  (func $is_whole (param $list externref) (param $n i32) (param $first i32) (result i32)
    (local $i i32)
    (loop $more
      (if (ref.is_null (local.get $list)) (then (return (i32.eq (local.get $i) (local.get $n)))))
      (if (call $is_own (local.get $list)) (then (return (i32.const 0))))
      (if (i32.ne (call $value (local.get $list)) (i32.add (local.get $first) (local.get $i)))
        (then (return (i32.const 0))))
      (local.set $list (call $next (local.get $list)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $more))
    unreachable)

  (func $work (param $me i32) (param $rounds i32) (param $n i32)
    (local $round i32) (local $local externref) (local $any anyref) (local $list (ref $list))
    (call $check
      (i32.and
        (i32.eq (call $value (global.get $kept)) (i32.const 1000))
        (i32.eq (call $value (table.get $hosts (i32.const 1))) (i32.const 2000)))
      (i32.const 1))
    (local.set $local (call $make (local.get $n) (local.get $me)))
    (local.set $any (any.convert_extern (call $make (local.get $n) (i32.add (local.get $me) (i32.const 1)))))
    (local.set $list (array.new $list (call $make (local.get $n) (i32.add (local.get $me) (i32.const 2))) (i32.const 5)))
    (global.set $kept (call $make (local.get $n) (i32.add (local.get $me) (i32.const 3))))
    (struct.set $pair 0 (global.get $pair) (call $make (local.get $n) (i32.add (local.get $me) (i32.const 4))))
    (struct.set $pair 1 (global.get $pair)
      (any.convert_extern (call $make (local.get $n) (i32.add (local.get $me) (i32.const 5)))))
    (table.set $table (i32.const 2) (call $make (local.get $n) (i32.add (local.get $me) (i32.const 6))))
    (loop $more
      (block $caught (result externref)
        (try_table (catch $thrown $caught)
          (throw $thrown (call $make (local.get $n) (local.get $round))))
        unreachable)
      (call $check (call $is_whole (local.get $n) (local.get $round)) (i32.const 2))
      (local.set $round (i32.add (local.get $round) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $round) (local.get $rounds))))
    (call $check (call $is_whole (local.get $local) (local.get $n) (local.get $me)) (i32.const 3))
    (call $check
      (call $is_whole (extern.convert_any (local.get $any)) (local.get $n) (i32.add (local.get $me) (i32.const 1)))
      (i32.const 4))
    (call $check
      (call $is_whole
        (array.get $list (local.get $list) (i32.const 4)) (local.get $n) (i32.add (local.get $me) (i32.const 2)))
      (i32.const 5))
    (call $check
      (call $is_whole (global.get $kept) (local.get $n) (i32.add (local.get $me) (i32.const 3)))
      (i32.const 6))
    (call $check
      (call $is_whole
        (struct.get $pair 0 (global.get $pair)) (local.get $n) (i32.add (local.get $me) (i32.const 4)))
      (i32.const 8))
    (call $check
      (call $is_whole
        (extern.convert_any (struct.get $pair 1 (global.get $pair)))
        (local.get $n) (i32.add (local.get $me) (i32.const 5)))
      (i32.const 9))
    (call $check
      (call $is_whole
        (table.get $table (i32.const 2)) (local.get $n) (i32.add (local.get $me) (i32.const 6)))
      (i32.const 10))
    (call $check
      (i32.and
        (i32.eq (call $value (global.get $constant)) (i32.const 1000))
        (i32.eq (call $value (table.get $hosts (i32.const 0))) (i32.const 2000)))
      (i32.const 11)))

  ;; Memory: 0 threads that are done, 4 rounds, 8 length of the lists, 12 number of arguments.
  (func $thread (param $me i32)
    (call $work (i32.mul (local.get $me) (i32.const 100)) (i32.load (i32.const 4)) (i32.load (i32.const 8)))
    (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
    (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))
  (func (export "wasi_thread_start") (param i32 i32) (call $thread (local.get 1)))
  (func (export "_start") (local $i i32)
    (drop (call $sizes (i32.const 12) (i32.const 16)))
    (i32.store (i32.const 4) (select (i32.const 400) (i32.const 3) (i32.eq (i32.load (i32.const 12)) (i32.const 1))))
    (i32.store (i32.const 8) (select (i32.const 1000) (i32.const 10) (i32.eq (i32.load (i32.const 12)) (i32.const 1))))
    (loop $more
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (call $check (i32.gt_s (call $spawn (local.get $i)) (i32.const 0)) (i32.const 12))
      (br_if $more (i32.lt_u (local.get $i) (i32.const 4))))
    (call $thread (i32.const 0))
    (loop $wait
      (local.set $i (i32.atomic.load (i32.const 0)))
      (if (i32.lt_u (local.get $i) (i32.const 5))
        (then
          (drop (memory.atomic.wait32 (i32.const 0) (local.get $i) (i64.const -1)))
          (br $wait))))
    (call $exit (i32.const 7))))
