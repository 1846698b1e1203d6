;; Each thread has tables of its own that grow far: eight threads and the first one make theirs longer at the same time,
;; and call what is in them. Exits with the number of the check that fails.
(module
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "env" "memory" (memory 1 1 shared))
  (type $number (func (result i32)))
  (table $long 3 funcref)
  (table $other 2 1000 funcref (ref.func $two))
  (table $bounded 0 40000 externref)
  ;; Too large to be in the executable: filled when a thread begins.
  (table $large 1050000 1050000 funcref (ref.func $three))
  (elem (table $long) (i32.const 0) func $one $two $three)
  (elem declare func $mine)
  (global $me (mut i32) (i32.const 0))

  (func $check (param $ok i32) (param $number i32)
    (if (i32.eqz (local.get $ok)) (then (call $exit (local.get $number)))))
  (func $one (type $number) (i32.const 1))
  (func $two (type $number) (i32.const 2))
  (func $three (type $number) (i32.const 3))
  (func $mine (type $number) (global.get $me))

  (func $work (param $thread i32) (local $round i32) (local $length i32)
    (global.set $me (i32.add (local.get $thread) (i32.const 1000)))
    (call $check (i32.eq (table.size $long) (i32.const 3)) (i32.const 1))
    (call $check (i32.eq (call_indirect $other (type $number) (i32.const 1)) (i32.const 2)) (i32.const 2))
    (call $check (i32.eq (call_indirect $large (type $number) (i32.const 1049999)) (i32.const 3)) (i32.const 3))
    (table.set $large (i32.const 1049999) (ref.func $mine))
    (local.set $length (i32.const 3))
    (loop $more
      ;; Two kinds of entries by turns, in steps that differ from thread to thread.
      (call $check
        (i32.eq
          (table.grow $long
            (select (result funcref) (ref.func $mine) (ref.func $two)
              (i32.and (local.get $round) (i32.const 1)))
            (i32.add (i32.const 997) (local.get $thread)))
          (local.get $length))
        (i32.const 4))
      (call $check
        (i32.eq
          (call_indirect $long (type $number) (local.get $length))
          (select (global.get $me) (i32.const 2) (i32.and (local.get $round) (i32.const 1))))
        (i32.const 5))
      (local.set $length (i32.add (local.get $length) (i32.add (i32.const 997) (local.get $thread))))
      (call $check
        (i32.eq
          (call_indirect $long (type $number) (i32.sub (local.get $length) (i32.const 1)))
          (select (global.get $me) (i32.const 2) (i32.and (local.get $round) (i32.const 1))))
        (i32.const 6))
      (local.set $round (i32.add (local.get $round) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $round) (i32.const 300))))
    (call $check (i32.eq (table.size $long) (local.get $length)) (i32.const 7))
    (call $check (i32.gt_u (local.get $length) (i32.const 299000)) (i32.const 8))
    ;; What was there before, and what was there at first.
    (call $check (i32.eq (call_indirect $long (type $number) (i32.const 2)) (i32.const 3)) (i32.const 9))
    (call $check (i32.eq (call_indirect $long (type $number) (i32.const 4)) (i32.const 2)) (i32.const 10))
    (call $check (i32.eq (call_indirect $long (type $number) (i32.const 1500)) (global.get $me)) (i32.const 11))
    (call $check (i32.eq (call_indirect $large (type $number) (i32.const 1049999)) (global.get $me)) (i32.const 12))
    (table.copy $long $large (i32.const 0) (i32.const 1049990) (i32.const 10))
    (call $check (i32.eq (call_indirect $long (type $number) (i32.const 9)) (global.get $me)) (i32.const 13))
    (call $check (i32.eq (table.grow $other (ref.null func) (i32.const 998)) (i32.const 2)) (i32.const 14))
    (call $check (i32.eq (table.grow $other (ref.null func) (i32.const 1)) (i32.const -1)) (i32.const 15))
    (call $check (i32.eq (table.grow $bounded (ref.null extern) (i32.const 40000)) (i32.const 0)) (i32.const 16))
    (call $check (ref.is_null (table.get $bounded (i32.const 39999))) (i32.const 17))
    (call $check (i32.eq (table.grow $bounded (ref.null extern) (i32.const 1)) (i32.const -1)) (i32.const 18))
    ;; 2^20 entries are the most.
    (call $check
      (i32.ne
        (table.grow $long (ref.func $one) (i32.sub (i32.const 1048576) (local.get $length)))
        (i32.const -1))
      (i32.const 19))
    (call $check (i32.eq (call_indirect $long (type $number) (i32.const 1048575)) (i32.const 1)) (i32.const 20))
    (call $check (i32.eq (table.grow $long (ref.func $one) (i32.const 1)) (i32.const -1)) (i32.const 21)))

  (func (export "wasi_thread_start") (param $thread i32) (param $argument i32)
    (call $work (local.get $thread))
    (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
    (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))

  (func (export "_start") (local $count i32) (local $done i32)
    (loop $more
      (call $check (i32.gt_s (call $spawn (i32.const 0)) (i32.const 0)) (i32.const 22))
      (local.set $count (i32.add (local.get $count) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $count) (i32.const 8))))
    (call $work (i32.const 0))
    (block $all
      (loop $again
        (local.set $done (i32.atomic.load (i32.const 0)))
        (br_if $all (i32.eq (local.get $done) (i32.const 8)))
        (drop (memory.atomic.wait32 (i32.const 0) (local.get $done) (i64.const -1)))
        (br $again)))))
