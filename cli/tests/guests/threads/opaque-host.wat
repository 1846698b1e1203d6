;; The module that `opaque.wat` is linked to: it stands in for the host.
(module
  (@custom "elfin.opaque" "")
  (rec (type $node (sub (struct (field $value i32) (field $next externref)))))
  (func (export "new") (param i32 externref) (result (ref extern))
    (extern.convert_any (struct.new $node (local.get 0) (local.get 1))))
  (func $node (param externref) (result (ref $node))
    (ref.cast (ref $node) (any.convert_extern (local.get 0))))
  (func (export "value") (param externref) (result i32) (struct.get $node $value (call $node (local.get 0))))
  (func (export "next") (param externref) (result externref) (struct.get $node $next (call $node (local.get 0))))
  (global (export "constant") (ref extern) (extern.convert_any (struct.new $node (i32.const 1000) (ref.null extern))))
  (table (export "table") 2 externref (extern.convert_any (struct.new $node (i32.const 2000) (ref.null extern)))))
