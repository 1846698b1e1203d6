;; Made by `strings`.
(module
  (@custom "elfin.opaque" "")
  (type $units (array (mut i16)))
  (rec (type $string (struct (field i32) (field (mut (ref null $units)))
    (field (mut (ref null $string))) (field (mut (ref null $string))))))
  (global (export "") (ref extern) (extern.convert_any (struct.new $string
    (i32.const 0) (array.new_fixed $units 0)
    (ref.null $string) (ref.null $string))))
  (global (export "\2c\20") (ref extern) (extern.convert_any (struct.new $string
    (i32.const 2) (array.new_fixed $units 2 (i32.const 44) (i32.const 32))
    (ref.null $string) (ref.null $string))))
  (global (export "\2d") (ref extern) (extern.convert_any (struct.new $string
    (i32.const 1) (array.new_fixed $units 1 (i32.const 45))
    (ref.null $string) (ref.null $string))))
  (global (export "\61\62") (ref extern) (extern.convert_any (struct.new $string
    (i32.const 2) (array.new_fixed $units 2 (i32.const 97) (i32.const 98))
    (ref.null $string) (ref.null $string))))
  (global (export "\61\62\63") (ref extern) (extern.convert_any (struct.new $string
    (i32.const 3) (array.new_fixed $units 3 (i32.const 97) (i32.const 98) (i32.const 99))
    (ref.null $string) (ref.null $string))))
  (global (export "\47\72\c3\bc\c3\9f\65\2c\20\e4\b8\96\e7\95\8c\20\f0\9f\8e\89") (ref extern) (extern.convert_any (struct.new $string
    (i32.const 12) (array.new_fixed $units 12 (i32.const 71) (i32.const 114) (i32.const 252) (i32.const 223) (i32.const 101) (i32.const 44) (i32.const 32) (i32.const 19990) (i32.const 30028) (i32.const 32) (i32.const 55356) (i32.const 57225))
    (ref.null $string) (ref.null $string))))
  (global (export "\6e\6f\74\20\61\20\73\74\72\69\6e\67") (ref extern) (extern.convert_any (struct.new $string
    (i32.const 12) (array.new_fixed $units 12 (i32.const 110) (i32.const 111) (i32.const 116) (i32.const 32) (i32.const 97) (i32.const 32) (i32.const 115) (i32.const 116) (i32.const 114) (i32.const 105) (i32.const 110) (i32.const 103))
    (ref.null $string) (ref.null $string))))
)
