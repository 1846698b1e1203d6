(; A program of AssemblyScript's kind: its message is UTF-16 in its own memory, behind its length. ;)
(module
  (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "\18\00\00\00n\00o\00 \00m\00o\00r\00e\00 \00m\00i\00l\00k\00")
  (func $milk
    (call $abort (i32.const 20) (i32.const 0) (i32.const 1) (i32.const 23))
    unreachable)
  (func (export "_start") (call $milk)))
