;; Threads make objects at the same time, each in a heap of its own: trees, arrays, what globals, tables and segments
;; hold, exceptions that carry references. Exits with the number of the check that fails.
;;
;; Arguments: none: eight threads and the first one. One: 200 threads, one after the other. Two: as none, but little of
;; everything. Three: a thread keeps all that it makes, while others go on making. Four: a thread throws what nothing
;; catches.
(module
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "env" "memory" (memory 1 1 shared))

  (type $tree (struct (field (ref null $tree)) (field (ref null $tree)) (field i32)))
  (type $box (struct (field (mut i32))))
  (type $trees (array (mut (ref null $tree))))
  (type $bytes (array (mut i8)))

  (tag $thrown (param (ref null $tree) i32))
  (tag $lost (param (ref $box)))

  (global $me (mut i32) (i32.const 0))
  (global $count (ref $box) (struct.new $box (i32.const 7)))
  (global $kept (mut (ref null $tree)) (ref.null $tree))
  (global $exception (mut exnref) (ref.null exn))
  (table $any 2 anyref (struct.new $box (i32.const 11)))
  (table $fixed 4 (ref null $box))
  (elem $boxes (ref $box)
    (item (struct.new $box (i32.const 21))) (item (struct.new $box (i32.const 22))))

  (func $check (param $ok i32) (param $number i32)
    (if (i32.eqz (local.get $ok)) (then (call $exit (local.get $number)))))

  ;; A full tree; each node has a number by its place and the thread.
  (func $make (param $depth i32) (param $place i32) (result (ref $tree))
    (local $left (ref null $tree))
    (if (local.get $depth)
      (then
        (local.set $left
          (call $make (i32.sub (local.get $depth) (i32.const 1)) (i32.shl (local.get $place) (i32.const 1))))
        (return
          (struct.new $tree
            (local.get $left)
            (call $make (i32.sub (local.get $depth) (i32.const 1))
              (i32.or (i32.shl (local.get $place) (i32.const 1)) (i32.const 1)))
            (i32.add (local.get $place) (i32.mul (global.get $me) (i32.const 100003)))))))
    (struct.new $tree (ref.null $tree) (ref.null $tree)
      (i32.add (local.get $place) (i32.mul (global.get $me) (i32.const 100003)))))

  ;; How many nodes a tree has, or -1 if one of them is not as it was made.
  (func $look (param $tree (ref null $tree)) (param $place i32) (result i32)
    (local $left i32) (local $right i32)
    (if (ref.is_null (local.get $tree)) (then (return (i32.const 0))))
    (if
      (i32.ne
        (struct.get $tree 2 (local.get $tree))
        (i32.add (local.get $place) (i32.mul (global.get $me) (i32.const 100003))))
      (then (return (i32.const -1))))
    (local.set $left
      (call $look (struct.get $tree 0 (local.get $tree)) (i32.shl (local.get $place) (i32.const 1))))
    (local.set $right
      (call $look (struct.get $tree 1 (local.get $tree))
        (i32.or (i32.shl (local.get $place) (i32.const 1)) (i32.const 1))))
    (if (i32.or (i32.lt_s (local.get $left) (i32.const 0)) (i32.lt_s (local.get $right) (i32.const 0)))
      (then (return (i32.const -1))))
    (i32.add (i32.const 1) (i32.add (local.get $left) (local.get $right))))

  (func $is_whole (param $tree (ref null $tree)) (param $depth i32) (result i32)
    (i32.eq
      (call $look (local.get $tree) (i32.const 1))
      (i32.sub (i32.shl (i32.const 2) (local.get $depth)) (i32.const 1))))

  (func $throw (param $frames i32) (param $depth i32)
    (local $held (ref null $tree))
    (local.set $held (call $make (i32.const 1) (i32.const 1)))
    (if (local.get $frames)
      (then (call $throw (i32.sub (local.get $frames) (i32.const 1)) (local.get $depth)))
      (else (throw $thrown (call $make (local.get $depth) (i32.const 1)) (i32.const 77))))
    (call $check (call $is_whole (local.get $held) (i32.const 1)) (i32.const 20)))

  (func $work (param $rounds i32) (param $depth i32) (param $length i32)
    (local $round i32) (local $old (ref $tree)) (local $forest (ref $trees)) (local $bytes (ref $bytes))
    (local $index i32) (local $number i32) (local $tree (ref null $tree)) (local $held exnref)
    ;; What an instance begins with.
    (call $check (i32.eq (struct.get $box 0 (global.get $count)) (i32.const 7)) (i32.const 1))
    (struct.set $box 0 (global.get $count) (global.get $me))
    (call $check (i32.eq (struct.get $box 0 (ref.cast (ref $box) (table.get $any (i32.const 1)))) (i32.const 11)) (i32.const 2))
    (struct.set $box 0 (ref.cast (ref $box) (table.get $any (i32.const 0))) (global.get $me))
    (table.init $fixed $boxes (i32.const 1) (i32.const 0) (i32.const 2))
    (call $check (i32.eq (struct.get $box 0 (table.get $fixed (i32.const 2))) (i32.const 22)) (i32.const 3))
    (struct.set $box 0 (table.get $fixed (i32.const 2)) (global.get $me))
    (call $check (i32.eq (table.grow $any (ref.i31 (i32.const 5)) (i32.const 14)) (i32.const 2)) (i32.const 4))
    (local.set $old (call $make (local.get $depth) (i32.const 1)))
    (local.set $forest (array.new_default $trees (i32.const 32)))
    (loop $more
      (global.set $kept (call $make (local.get $depth) (i32.const 1)))
      (array.set $trees (local.get $forest) (i32.and (local.get $round) (i32.const 31))
        (call $make (i32.sub (local.get $depth) (i32.const 2)) (i32.const 1)))
      (table.set $any (i32.add (i32.const 2) (i32.rem_u (local.get $round) (i32.const 14)))
        (call $make (i32.sub (local.get $depth) (i32.const 1)) (i32.const 1)))
      (local.set $bytes (array.new $bytes (local.get $round) (local.get $length)))
      ;; An exception that carries a tree, caught some frames away, and one that is kept.
      (block $caught (result (ref null $tree) i32)
        (try_table (catch $thrown $caught)
          (call $throw (i32.rem_u (local.get $round) (i32.const 5)) (i32.sub (local.get $depth) (i32.const 1))))
        unreachable)
      (local.set $number) (local.set $tree)
      (call $check (i32.eq (local.get $number) (i32.const 77)) (i32.const 5))
      (call $check (call $is_whole (local.get $tree) (i32.sub (local.get $depth) (i32.const 1))) (i32.const 6))
      (block $kept (result (ref null $tree) i32 exnref)
        (try_table (catch_ref $thrown $kept) (call $throw (i32.const 2) (i32.const 3)))
        unreachable)
      (local.set $held) (drop) (drop)
      (global.set $exception (local.get $held))
      (call $check (call $is_whole (global.get $kept) (local.get $depth)) (i32.const 7))
      (call $check
        (call $is_whole
          (ref.cast (ref $tree)
            (table.get $any (i32.add (i32.const 2) (i32.rem_u (local.get $round) (i32.const 14)))))
          (i32.sub (local.get $depth) (i32.const 1)))
        (i32.const 8))
      (call $check
        (i32.eq
          (array.get_u $bytes (local.get $bytes) (i32.sub (local.get $length) (i32.const 1)))
          (i32.and (local.get $round) (i32.const 255)))
        (i32.const 9))
      (block $again (result (ref null $tree) i32)
        (try_table (catch $thrown $again) (throw_ref (global.get $exception)))
        unreachable)
      (local.set $number) (local.set $tree)
      (call $check (call $is_whole (local.get $tree) (i32.const 3)) (i32.const 10))
      (local.set $round (i32.add (local.get $round) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $round) (local.get $rounds))))
    ;; What was made long ago.
    (call $check (call $is_whole (local.get $old) (local.get $depth)) (i32.const 11))
    (loop $trees
      (local.set $tree (array.get $trees (local.get $forest) (local.get $index)))
      (if (i32.lt_u (local.get $index) (local.get $rounds))
        (then
          (call $check
            (call $is_whole (local.get $tree) (i32.sub (local.get $depth) (i32.const 2)))
            (i32.const 12))))
      (local.set $index (i32.add (local.get $index) (i32.const 1)))
      (br_if $trees (i32.lt_u (local.get $index) (i32.const 32))))
    (call $check (i32.eq (struct.get $box 0 (global.get $count)) (global.get $me)) (i32.const 13))
    (call $check
      (i32.eq (struct.get $box 0 (ref.cast (ref $box) (table.get $any (i32.const 0)))) (global.get $me))
      (i32.const 14))
    (call $check
      (i32.eq (struct.get $box 0 (table.get $fixed (i32.const 2))) (global.get $me))
      (i32.const 15))
    (call $check (i32.eq (struct.get $box 0 (table.get $fixed (i32.const 1))) (i32.const 21)) (i32.const 16))
    ;; The segment has the same boxes still.
    (table.init $fixed $boxes (i32.const 0) (i32.const 1) (i32.const 1))
    (call $check
      (ref.eq (table.get $fixed (i32.const 0)) (table.get $fixed (i32.const 2)))
      (i32.const 17)))

  (func $hoard (param $list (ref null $tree))
    (loop $more
      (local.set $list (struct.new $tree (local.get $list) (ref.null $tree) (i32.const 0)))
      (br $more)))

  (func $thread (export "wasi_thread_start") (param $thread i32) (param $mode i32)
    (global.set $me (local.get $thread))
    (block $done (block $five (block $four (block $three (block $two (block $one (block $zero
      (br_table $zero $one $two $three $four $five (local.get $mode)))
      (call $work (i32.const 120) (i32.const 10) (i32.const 100000)) (br $done))
      (call $work (i32.const 3) (i32.const 8) (i32.const 3000000)) (br $done))
      (call $work (i32.const 3) (i32.const 3) (i32.const 100)) (br $done))
      (call $hoard (ref.null $tree)))
      (throw $lost (struct.new $box (i32.const 1))))
      ;; Makes room for others until the process ends.
      (loop $more (drop (call $make (i32.const 6) (i32.const 1))) (br $more)))
    (drop (i32.atomic.rmw.add (i32.const 8) (i32.const 1)))
    (drop (memory.atomic.notify (i32.const 8) (i32.const 1))))

  ;; Until so many threads are done.
  (func $wait (param $count i32) (local $done i32)
    (block $all
      (loop $again
        (local.set $done (i32.atomic.load (i32.const 8)))
        (br_if $all (i32.ge_u (local.get $done) (local.get $count)))
        (drop (memory.atomic.wait32 (i32.const 8) (local.get $done) (i64.const -1)))
        (br $again))))

  (func $start (export "_start") (local $number i32) (local $mode i32)
    (drop (call $sizes (i32.const 16) (i32.const 20)))
    (local.set $mode (i32.sub (i32.load (i32.const 16)) (i32.const 1)))
    (if (i32.eq (local.get $mode) (i32.const 1))
      (then
        (loop $more
          (call $check (i32.gt_s (call $spawn (i32.const 1)) (i32.const 0)) (i32.const 18))
          (local.set $number (i32.add (local.get $number) (i32.const 1)))
          (call $wait (local.get $number))
          (br_if $more (i32.lt_u (local.get $number) (i32.const 200))))
        (return)))
    (if (i32.ge_u (local.get $mode) (i32.const 3))
      (then
        (drop (call $spawn (i32.const 5)))
        (drop (call $spawn (i32.const 5)))
        (drop (call $spawn (local.get $mode)))
        (call $thread (i32.const 9) (i32.const 5))))
    (loop $more
      (call $check (i32.gt_s (call $spawn (local.get $mode)) (i32.const 0)) (i32.const 19))
      (local.set $number (i32.add (local.get $number) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $number) (i32.const 8))))
    (call $thread (i32.const 9) (local.get $mode))
    (call $wait (i32.const 9))))
