;; A server of one connection, on the socket that `--tcp-listen` opened: the first descriptor from 3 on that
;; is a stream socket. Says "ready" when it may be connected to. Exits with 100 + its number, or with the number of the check that failed.
(module
  (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $fdstat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_set_flags" (func $set_flags (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_recv" (func $recv (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_send" (func $send (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_shutdown" (func $shutdown (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 128) "ready\n")

  (func $check (param $number i32) (param $holds i32)
    (if (i32.eqz (local.get $holds)) (then (call $exit (local.get $number)))))

  ;; Waits until $fd is ready, to be read (1) or written (2).
  (func $wait (param $number i32) (param $fd i32) (param $what i32)
    (i64.store (i32.const 256) (i64.const 0x1122334455667788))
    (i64.store (i32.const 264) (i64.extend_i32_u (local.get $what)))
    (i32.store (i32.const 272) (local.get $fd))
    (call $check (local.get $number) (i32.eqz
      (call $poll (i32.const 256) (i32.const 512) (i32.const 1) (i32.const 600))))
    (call $check (local.get $number) (i32.eq (i32.load (i32.const 600)) (i32.const 1)))
    (call $check (local.get $number) (i64.eq (i64.load (i32.const 512)) (i64.const 0x1122334455667788)))
    ;; No error, this type of event, and nothing in the padding.
    (call $check (local.get $number) (i64.eq
      (i64.load (i32.const 520)) (i64.extend_i32_u (i32.shl (local.get $what) (i32.const 16))))))

  (func (export "_start") (local $listener i32) (local $connection i32)
    (local.set $listener (i32.const 3))
    (block $found
      (loop $next
        (br_if $found (i32.and
          (i32.eqz (call $fdstat (local.get $listener) (i32.const 0)))
          (i32.eq (i32.load8_u (i32.const 0)) (i32.const 6))))
        (local.set $listener (i32.add (local.get $listener) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $listener) (i32.const 10))))
      (call $exit (i32.const 90)))
    ;; It is no directory.
    (call $check (i32.const 1) (i32.eq (call $prestat (local.get $listener) (i32.const 0)) (i32.const 8)))
    ;; Nobody is there, and it need not wait for somebody.
    (call $check (i32.const 2) (i32.eqz (call $set_flags (local.get $listener) (i32.const 4))))
    (call $check (i32.const 3) (i32.eqz (call $fdstat (local.get $listener) (i32.const 0))))
    (call $check (i32.const 4) (i32.eq (i32.load16_u (i32.const 2)) (i32.const 4)))
    (call $check (i32.const 5) (i32.eq
      (call $accept (local.get $listener) (i32.const 0) (i32.const 0)) (i32.const 6)))
    ;; Now somebody may come.
    (i64.store (i32.const 64) (i64.const 0x6_0000_0080))
    (call $check (i32.const 6) (i32.eqz (call $write
      (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 72))))
    (call $wait (i32.const 6) (local.get $listener) (i32.const 1))
    (call $check (i32.const 7) (i32.eqz
      (call $accept (local.get $listener) (i32.const 0) (i32.const 32))))
    (local.set $connection (i32.load (i32.const 32)))
    (call $check (i32.const 8) (i32.eqz (call $fdstat (local.get $connection) (i32.const 0))))
    (call $check (i32.const 9) (i32.eq (i32.load (i32.const 0)) (i32.const 6)))
    ;; "ping", looked at, then read and sent back as from a file.
    (i64.store (i32.const 64) (i64.const 0x4_0000_0400))
    (call $wait (i32.const 10) (local.get $connection) (i32.const 1))
    (call $check (i32.const 11) (i32.eqz (call $recv
      (local.get $connection) (i32.const 64) (i32.const 1) (i32.const 3) (i32.const 72) (i32.const 76))))
    (call $check (i32.const 12) (i32.eq (i32.load (i32.const 72)) (i32.const 4)))
    (i32.store (i32.const 1024) (i32.const 0))
    (call $check (i32.const 13) (i32.eqz (call $read
      (local.get $connection) (i32.const 64) (i32.const 1) (i32.const 72))))
    (call $check (i32.const 14) (i32.eq (i32.load (i32.const 1024)) (i32.const 0x676e6970)))
    (call $wait (i32.const 15) (local.get $connection) (i32.const 2))
    (call $check (i32.const 16) (i32.eqz (call $write
      (local.get $connection) (i32.const 64) (i32.const 1) (i32.const 72))))
    ;; "pong", in one piece whatever pieces it comes in.
    (call $check (i32.const 17) (i32.eqz (call $recv
      (local.get $connection) (i32.const 64) (i32.const 1) (i32.const 2) (i32.const 72) (i32.const 76))))
    (call $check (i32.const 18) (i32.eq (i32.load (i32.const 1024)) (i32.const 0x676e6f70)))
    (call $check (i32.const 19) (i32.eqz (call $send
      (local.get $connection) (i32.const 64) (i32.const 1) (i32.const 0) (i32.const 72))))
    (call $check (i32.const 20) (i32.eqz (call $shutdown (local.get $connection) (i32.const 2))))
    ;; The other side has hung up.
    (call $check (i32.const 21) (i32.eqz (call $read
      (local.get $connection) (i32.const 64) (i32.const 1) (i32.const 72))))
    (call $check (i32.const 22) (i32.eqz (i32.load (i32.const 72))))
    (call $check (i32.const 23) (i32.eqz (call $close (local.get $connection))))
    (call $exit (i32.add (i32.const 100) (local.get $listener)))))
