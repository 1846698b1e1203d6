//! Exceptions of a C++ program, in both encodings: what it prints is what the same source prints when it is compiled
//! natively (`expected.txt`). How the modules were made: `guests/exceptions-cpp/recipe`.

mod support;

use std::fs;

use support::{TARGETS, guest, run_elfin, run_executable};

#[test]
fn a_cpp_program_throws_and_catches() {
    let folder = guest("exceptions-cpp");
    let expected = fs::read_to_string(folder.join("expected.txt")).expect("expected output");
    for module in ["exceptions.wasm", "exceptions-legacy.wasm"] {
        let scratch = tempfile::tempdir().expect("scratch");
        fs::copy(folder.join(module), scratch.path().join("app.wasm")).expect("guest");
        run_elfin(scratch.path(), "build app.wasm --target all").expect_code(0);
        for target in TARGETS {
            let executable = scratch.path().join(format!("app-{target}"));
            let run =
                |argv: &[&str]| run_executable(target, &executable, argv, scratch.path(), None);
            let ran = run(&["app"]);
            assert_eq!(ran.expect_code(0).text(), expected, "{module} {target}");
            assert!(ran.stderr.is_empty(), "{}", ran.stderr);
            // With an argument it ends in std::terminate, whose handler exits.
            let ended = run(&["app", "x"]);
            let text = ended.expect_code(3).text();
            assert!(text.starts_with(&expected), "{module} {target}: {text}");
            assert!(text.ends_with("terminate\n"), "{module} {target}: {text}");
        }
    }
}
