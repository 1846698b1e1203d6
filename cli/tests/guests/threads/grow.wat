;; Two threads make a memory longer at the same time, a page a time; every page is there when its number is known.
;; Exits with 0 when 200 pages were added, each by one of the two.
(module
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "env" "memory" (memory 1 201 shared))
  (func $work (local $left i32) (local $page i32)
    (local.set $left (i32.const 100))
    (loop $again
      (local.set $page (memory.grow (i32.const 1)))
      (if (i32.lt_s (local.get $page) (i32.const 0)) (then (call $exit (i32.const 1))))
      (if (i32.le_u (memory.size) (local.get $page)) (then (call $exit (i32.const 2))))
      ;; Nobody else was given this page.
      (if (i32.atomic.rmw.add (i32.mul (local.get $page) (i32.const 65536)) (i32.const 1))
        (then (call $exit (i32.const 3))))
      (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
    (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))
  (func (export "wasi_thread_start") (param i32 i32) (call $work))
  (func (export "_start")
    (if (i32.le_s (call $spawn (i32.const 0)) (i32.const 0)) (then (call $exit (i32.const 4))))
    (call $work)
    (block $done
      (loop $again
        (br_if $done (i32.eq (i32.atomic.load (i32.const 0)) (i32.const 2)))
        (drop (memory.atomic.wait32 (i32.const 0) (i32.const 1) (i64.const 5000000000)))
        (br $again)))
    (if (i32.ne (memory.size) (i32.const 201)) (then (call $exit (i32.const 5))))
    (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then (call $exit (i32.const 6)))))
)
