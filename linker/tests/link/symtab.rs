//! Symbols for tools.

use crate::support::*;
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};

#[test]
fn a_reader_finds_symbols_and_sections() {
    for machine in Machine::ALL {
        let mut b = Builder::new(machine);
        let start = b.start("f");
        b.define_local("inside", start, 4);
        b.returns("f", 30);
        let image = link(&[&b]).unwrap();
        let bytes = elfin_linker::with_symbols(&image);
        assert_eq!(bytes[64..image.bytes.len()], image.bytes[64..]);
        assert_eq!(machine.run(&bytes), 30);

        let file = object::File::parse(&*bytes).unwrap();
        let symbols: Vec<_> = file
            .symbols()
            .map(|s| (s.name().unwrap(), s.address()))
            .collect();
        let expected = ["inside", "_start", "f"].map(|name| (name, address(&image, name)));
        assert_eq!(symbols, expected);
        let text = file.section_by_name(".text").unwrap();
        let code = code_segment(&image);
        assert_eq!((text.address(), text.size()), (code.address, code.mem_size));
        assert_eq!(file.entry(), address(&image, "_start"));
    }
}
