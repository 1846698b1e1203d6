(module (func (export "f") (result i32) (local i32)
      i32.const 7
      local.set 0
      i32.const 1
      local.get 0
      local.get 0
      i32.eqz
      select))
