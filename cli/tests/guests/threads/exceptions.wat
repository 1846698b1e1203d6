;; Threads throw and catch at the same time: exceptions of several tags, some of which are kept in a global, in a table
;; that grows and in a local, while everything else is given back. Exits with the number of the check that fails.
;;
;; Arguments: none: eight threads and the first one, 100,000 exceptions each. One: as many threads as its length is
;; long times 100, one after the other, each of which throws 1,000. Two: a thread throws what nothing catches. Three:
;; the function that a thread begins with throws. Four: a thread throws null. Five: a thread keeps all that it throws.
(module
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "env" "memory" (memory 1 1 shared))

  (tag $pair (param i32 i64))
  (tag $real (param f64 i32))
  (tag $empty)
  (tag $outer (param exnref))
  (tag $lost (param i32))

  (global $kept (mut exnref) (ref.null exn))
  (table $keep 4 exnref)
  (global $me (mut i32) (i32.const 0))

  (func $check (param $ok i32) (param $number i32)
    (if (i32.eqz (local.get $ok)) (then (call $exit (local.get $number)))))

  ;; What the exception with a number carries, different for each thread.
  (func $value (param $number i32) (result i32)
    (i32.add (i32.mul (global.get $me) (i32.const 1000003)) (local.get $number)))

  (func $throw (param $number i32)
    (block $empty (block $real (block $pair
      (br_table $pair $real $empty (i32.rem_u (local.get $number) (i32.const 3))))
      (throw $pair (call $value (local.get $number))
        (i64.mul (i64.extend_i32_u (call $value (local.get $number))) (i64.const -3))))
      (throw $real (f64.convert_i32_s (call $value (local.get $number))) (local.get $number)))
    (throw $empty))

  ;; Frames on the way, with something to restore.
  (func $deep (param $number i32) (param $frames i32) (param $a i64) (param $b f64) (result i64)
    (if (i32.eqz (local.get $frames)) (then (call $throw (local.get $number))))
    (i64.add (local.get $a)
      (i64.add (i64.trunc_sat_f64_s (local.get $b))
        (call $deep (local.get $number) (i32.sub (local.get $frames) (i32.const 1))
          (i64.add (local.get $a) (i64.const 1)) (f64.add (local.get $b) (f64.const 1))))))

  ;; The exception with a number.
  (func $caught (param $number i32) (result exnref)
    (block $all (result exnref)
      (try_table (catch_all_ref $all)
        (drop (call $deep (local.get $number) (i32.rem_u (local.get $number) (i32.const 5))
          (i64.const 7) (f64.const 0.5))))
      unreachable))

  ;; Whether an exception is that with this number: it is thrown again.
  (func $is (param $exception exnref) (param $number i32) (result i32)
    (local $low i32) (local $high i64) (local $real f64)
    (block $empty
      (block $real (result f64 i32)
        (block $pair (result i32 i64)
          (try_table (catch $pair $pair) (catch $real $real) (catch $empty $empty)
            (throw_ref (local.get $exception)))
          unreachable)
        (local.set $high) (local.set $low)
        (return (i32.and
          (i32.and
            (i32.eqz (i32.rem_u (local.get $number) (i32.const 3)))
            (i32.eq (local.get $low) (call $value (local.get $number))))
          (i64.eq (local.get $high)
            (i64.mul (i64.extend_i32_u (call $value (local.get $number))) (i64.const -3))))))
      (local.set $low) (local.set $real)
      (return (i32.and
        (i32.and
          (i32.eq (i32.rem_u (local.get $number) (i32.const 3)) (i32.const 1))
          (i32.eq (local.get $low) (local.get $number)))
        (f64.eq (local.get $real) (f64.convert_i32_s (call $value (local.get $number)))))))
    (i32.eq (i32.rem_u (local.get $number) (i32.const 3)) (i32.const 2)))

  ;; What an exception carries that carries one.
  (func $inside (param $exception exnref) (result exnref)
    (block $outer (result exnref)
      (try_table (catch $outer $outer) (throw_ref (local.get $exception)))
      unreachable))

  (func $wrapped (param $exception exnref) (result exnref)
    (block $all (result exnref)
      (try_table (catch_all_ref $all) (throw $outer (local.get $exception)))
      unreachable))

  (func $work (param $count i32)
    (local $number i32) (local $first exnref) (local $slot i32) (local $last i32)
    (local.set $first (call $caught (i32.const 0)))
    (call $check (i32.eq (table.grow $keep (ref.null exn) (i32.const 12)) (i32.const 4)) (i32.const 1))
    (loop $more
      (call $check (call $is (call $caught (local.get $number)) (local.get $number)) (i32.const 2))
      (if (i32.eqz (i32.rem_u (local.get $number) (i32.const 64)))
        (then
          (global.set $kept (call $wrapped (call $caught (local.get $number))))
          (table.set $keep
            (i32.and (i32.div_u (local.get $number) (i32.const 64)) (i32.const 15))
            (call $caught (local.get $number)))))
      (local.set $number (i32.add (local.get $number) (i32.const 1)))
      (if (i32.eqz (i32.rem_u (local.get $number) (i32.const 1000)))
        (then
          (local.set $last (i32.div_u (i32.sub (local.get $number) (i32.const 1)) (i32.const 64)))
          (call $check
            (call $is (call $inside (global.get $kept)) (i32.mul (local.get $last) (i32.const 64)))
            (i32.const 3))
          (if (i32.ge_u (local.get $last) (i32.const 15))
            (then
              (local.set $slot (i32.const 0))
              (loop $slots
                (call $check
                  (call $is
                    (table.get $keep (local.get $slot))
                    (i32.mul (i32.const 64)
                      (i32.sub (local.get $last)
                        (i32.and (i32.sub (local.get $last) (local.get $slot)) (i32.const 15)))))
                  (i32.const 4))
                (local.set $slot (i32.add (local.get $slot) (i32.const 1)))
                (br_if $slots (i32.lt_u (local.get $slot) (i32.const 16))))))))
      (br_if $more (i32.lt_u (local.get $number) (local.get $count))))
    (call $check (call $is (local.get $first) (i32.const 0)) (i32.const 5)))

  (func $hoard (local $number i32)
    (loop $more
      (global.set $kept (call $wrapped (global.get $kept)))
      (br $more)))

  (func $thread (export "wasi_thread_start") (param $thread i32) (param $mode i32)
    (global.set $me (local.get $thread))
    (block $five (block $four (block $three (block $two (block $work
      (br_table $work $work $two $three $four $five (local.get $mode)))
      (call $work (select (i32.const 1000) (i32.const 100000) (local.get $mode)))
      (drop (i32.atomic.rmw.add (i32.const 8) (i32.const 1)))
      (drop (memory.atomic.notify (i32.const 8) (i32.const 1))) (return))
      (call $work (i32.const 1000))
      (drop (call $deep (i32.const 1) (i32.const 1) (i64.const 0) (f64.const 0))) (return))
      (throw $lost (i32.const 1)))
      (throw_ref (ref.null exn)))
    (call $hoard))

  ;; Until so many threads are done.
  (func $wait (param $count i32) (local $done i32)
    (block $all
      (loop $again
        (local.set $done (i32.atomic.load (i32.const 8)))
        (br_if $all (i32.ge_u (local.get $done) (local.get $count)))
        (drop (memory.atomic.wait32 (i32.const 8) (local.get $done) (i64.const -1)))
        (br $again))))

  (func $start (export "_start") (local $number i32) (local $arguments i32) (local $count i32)
    (drop (call $sizes (i32.const 16) (i32.const 20)))
    (local.set $arguments (i32.sub (i32.load (i32.const 16)) (i32.const 1)))
    (if (i32.eqz (local.get $arguments))
      (then
        (loop $more
          (call $check (i32.gt_s (call $spawn (i32.const 0)) (i32.const 0)) (i32.const 6))
          (local.set $number (i32.add (local.get $number) (i32.const 1)))
          (br_if $more (i32.lt_u (local.get $number) (i32.const 8))))
        (call $work (i32.const 100000))
        (call $wait (i32.const 8))
        (return)))
    (if (i32.eq (local.get $arguments) (i32.const 1))
      (then
        (drop (call $args (i32.const 256) (i32.const 1024)))
        (local.set $number (i32.load (i32.const 260)))
        (loop $length
          (if (i32.load8_u (local.get $number))
            (then
              (local.set $number (i32.add (local.get $number) (i32.const 1)))
              (local.set $count (i32.add (local.get $count) (i32.const 100)))
              (br $length))))
        (local.set $number (i32.const 0))
        (loop $more
          (call $check (i32.gt_s (call $spawn (i32.const 1)) (i32.const 0)) (i32.const 7))
          (local.set $number (i32.add (local.get $number) (i32.const 1)))
          (call $wait (local.get $number))
          (br_if $more (i32.lt_u (local.get $number) (local.get $count))))
        (return)))
    (drop (call $spawn (local.get $arguments)))
    (drop (memory.atomic.wait32 (i32.const 12) (i32.const 0) (i64.const -1)))))
