//! The size of `hello.wat` per target is a golden number: it changes knowingly.
//!
//! `BLESS=1 cargo test -p elfin --test size` rewrites `hello-sizes.txt`; the diff is reviewed.

mod support;

use std::fs;
use std::path::Path;

use support::{TARGETS, guest, run_elfin};

/// The promise for x86_64; other targets stay within one and a half of it.
const LIMIT: u64 = 6 << 10;

#[test]
fn hello() {
    let scratch = tempfile::tempdir().expect("scratch");
    fs::copy(guest("hello.wat"), scratch.path().join("hello.wat")).expect("guest");
    run_elfin(scratch.path(), "build hello.wat --target all").expect_code(0);
    let sizes = TARGETS.map(|target| {
        fs::metadata(scratch.path().join(format!("hello-{target}")))
            .expect("executable")
            .len()
    });
    assert!(sizes[0] <= LIMIT, "{} bytes for x86_64", sizes[0]);
    assert!(
        sizes.iter().all(|size| size * 2 <= sizes[0] * 3),
        "{sizes:?}"
    );

    let found: String = TARGETS
        .iter()
        .zip(sizes)
        .map(|(target, size)| format!("{target} {size}\n"))
        .collect();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hello-sizes.txt");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&golden, &found).expect("golden file");
    }
    let expected = fs::read_to_string(&golden).expect("golden file");
    assert_eq!(
        found, expected,
        "sizes changed; if they should have, run this test with BLESS=1"
    );
}
