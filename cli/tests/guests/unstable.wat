;; What was different in `wasi_unstable`: attributes, positions, subscriptions. In the first granted directory
;; there is a file "five" of five bytes with two names. Exits with the number of the check that failed.
(module
  (import "wasi_unstable" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_unstable" "fd_filestat_get" (func $fd_filestat (param i32 i32) (result i32)))
  (import "wasi_unstable" "path_filestat_get" (func $path_filestat (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_unstable" "fd_seek" (func $seek (param i32 i64 i32 i32) (result i32)))
  (import "wasi_unstable" "fd_tell" (func $tell (param i32 i32) (result i32)))
  (import "wasi_unstable" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_unstable" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_unstable" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "five")
  (data (i32.const 32) "unstable\n")

  (func $check (param $number i32) (param $holds i32)
    (if (i32.eqz (local.get $holds)) (then (call $exit (local.get $number)))))

  ;; The attributes at 1024, of 56 bytes: a regular file, two links in 32 bits, five bytes.
  (func $attributes (param $number i32)
    (call $check (local.get $number) (i32.eq (i32.load (i32.const 1040)) (i32.const 4)))
    (call $check (local.get $number) (i32.eq (i32.load (i32.const 1044)) (i32.const 2)))
    (call $check (local.get $number) (i64.eq (i64.load (i32.const 1048)) (i64.const 5)))
    (call $check (local.get $number) (i64.ne (i64.load (i32.const 1064)) (i64.const 0)))
    (call $check (local.get $number) (i64.ne (i64.load (i32.const 1072)) (i64.const 0)))
    (call $check (local.get $number) (i64.eq (i64.load (i32.const 1080)) (i64.const -1)))
    (memory.fill (i32.const 1024) (i32.const 255) (i32.const 64)))

  (func $position (param $number i32) (param $fd i32) (param $offset i64) (param $whence i32) (param $is i64)
    (call $check (local.get $number) (i32.eqz
      (call $seek (local.get $fd) (local.get $offset) (local.get $whence) (i32.const 2048))))
    (call $check (local.get $number) (i64.eq (i64.load (i32.const 2048)) (local.get $is))))

  (func (export "_start") (local $fd i32)
    (memory.fill (i32.const 1024) (i32.const 255) (i32.const 64))
    (call $check (i32.const 1) (i32.eqz (call $path_filestat
      (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 1024))))
    (call $attributes (i32.const 2))
    (call $check (i32.const 3) (i32.eqz (call $open
      (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 0)
      (i64.const 0x0820_0026) (i64.const 0) (i32.const 0) (i32.const 16))))
    (local.set $fd (i32.load (i32.const 16)))
    (call $check (i32.const 4) (i32.eqz (call $fd_filestat (local.get $fd) (i32.const 1024))))
    (call $attributes (i32.const 5))
    ;; From the end (1), from here (0), from the start (2); no other.
    (call $position (i32.const 6) (local.get $fd) (i64.const -2) (i32.const 1) (i64.const 3))
    (call $position (i32.const 7) (local.get $fd) (i64.const 1) (i32.const 0) (i64.const 4))
    (call $position (i32.const 8) (local.get $fd) (i64.const 2) (i32.const 2) (i64.const 2))
    (call $position (i32.const 9) (local.get $fd) (i64.const 0) (i32.const 0) (i64.const 2))
    (call $check (i32.const 10) (i32.eq (i32.const 28)
      (call $seek (local.get $fd) (i64.const 0) (i32.const 3) (i32.const 2048))))
    (call $check (i32.const 11) (i32.eqz (call $tell (local.get $fd) (i32.const 2048))))
    (call $check (i32.const 12) (i64.eq (i64.load (i32.const 2048)) (i64.const 2)))
    ;; Two subscriptions of 56 bytes: the monotonic clock in a millisecond, under a name that is no number of
    ;; a clock; and, an hour away, the wall clock.
    (i64.store (i32.const 3072) (i64.const 7))
    (i64.store (i32.const 3088) (i64.const 0xdead_beef_dead_beef))
    (i32.store (i32.const 3096) (i32.const 1))
    (i64.store (i32.const 3104) (i64.const 1_000_000))
    (i64.store (i32.const 3128) (i64.const 8))
    (i64.store (i32.const 3160) (i64.const 3_600_000_000_000))
    (call $check (i32.const 13) (i32.eqz
      (call $poll (i32.const 3072) (i32.const 4096) (i32.const 2) (i32.const 5000))))
    (call $check (i32.const 14) (i32.eq (i32.load (i32.const 5000)) (i32.const 1)))
    (call $check (i32.const 15) (i64.eq (i64.load (i32.const 4096)) (i64.const 7)))
    (call $check (i32.const 16) (i64.eqz (i64.load (i32.const 4104))))
    ;; The file, where a clock has its name.
    (i64.store (i32.const 3080) (i64.const 1))
    (i64.store (i32.const 3088) (i64.extend_i32_u (local.get $fd)))
    (call $check (i32.const 17) (i32.eqz
      (call $poll (i32.const 3072) (i32.const 4096) (i32.const 1) (i32.const 5000))))
    (call $check (i32.const 18) (i64.eq (i64.load (i32.const 4104)) (i64.const 0x1_0000)))
    (i64.store (i32.const 64) (i64.const 0x9_0000_0020))
    (call $check (i32.const 19) (i32.eqz
      (call $write (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 72))))))
