//! `elfin inspect`, of modules and of executables.

use super::*;

#[test]
fn inspect_a_module() {
    let scratch = scratch(&["main.wat", "hello.wat", "add.wat"]);
    let text = run_elfin(scratch.path(), "inspect main.wat");
    text.expect_code(0);
    for line in [
        "  wasi_snapshot_preview1.proc_exit: func (i32) -> ()",
        "  env.add: func (i32, i32) -> (i32)   not provided by elfin",
        "  _start: func () -> ()",
        "  1.. pages of 65536 bytes",
        "  a module for the imports from env: --link env=FILE, or --unknown-imports trap",
    ] {
        assert!(
            text.text().lines().any(|found| found == line),
            "no {line:?} in:\n{}",
            text.text()
        );
    }
    let json = |name: &str| -> Value {
        let finished = run_elfin(scratch.path(), &format!("inspect {name} --json"));
        serde_json::from_slice(&finished.expect_code(0).stdout).expect("JSON")
    };
    let main = json("main.wat");
    assert_eq!(main["kind"], "module");
    assert_eq!(main["imports"][1]["module"], "env");
    assert_eq!(main["imports"][1]["provided"], false);
    assert_eq!(main["exports"][1]["name"], "_start");
    assert_eq!(main["memories"][0]["initial_pages"], 1);
    assert_eq!(main["features"], Value::Array(vec![]));
    assert_eq!(json("hello.wat")["needs"], Value::Array(vec![]));
    assert!(
        json("add.wat")["needs"][0]
            .as_str()
            .is_some_and(|need| need.contains("--invoke"))
    );
    fs::write(
        scratch.path().join("nameless.wat"),
        r#"(module (import "" "f" (func)))"#,
    )
    .expect("guest");
    assert_eq!(
        json("nameless.wat")["needs"][0],
        r#"a module for the imports from "": --link =FILE, or --unknown-imports trap"#
    );
    fs::write(scratch.path().join("bad.wasm"), b"\0asm\x01\0\0\0\x01").expect("file");
    let bad = run_elfin(scratch.path(), "inspect bad.wasm");
    assert!(
        bad.expect_code(1).stderr.contains("at offset 0x"),
        "{}",
        bad.stderr
    );
}

/// A module that stands in for the host says so, in a section without content.
#[test]
fn what_is_opaque() {
    let scratch = scratch(&["add.wat"]);
    let module = |content: &str| format!(r#"(module (@custom "elfin.opaque" "{content}"))"#);
    fs::write(scratch.path().join("host.wat"), module("")).expect("module");
    fs::write(scratch.path().join("more.wat"), module("x")).expect("module");
    let line = "its objects are opaque to other modules once they are converted to an externref";
    for (name, opaque) in [("host.wat", true), ("add.wat", false)] {
        let text = run_elfin(scratch.path(), &format!("inspect {name}"));
        let text = text.expect_code(0).text();
        assert_eq!(text.lines().any(|found| found == line), opaque, "{text}");
        let json = run_elfin(scratch.path(), &format!("inspect {name} --json"));
        let json: Value = serde_json::from_slice(&json.expect_code(0).stdout).expect("JSON");
        assert_eq!(json["opaque"], opaque);
    }
    let more = run_elfin(scratch.path(), "build more.wat");
    let expected = "unsupported feature: content of the custom section elfin.opaque";
    assert!(
        more.expect_code(1).stderr.contains(expected),
        "{}",
        more.stderr
    );
}

/// Imports, exports and signatures call a type by one name: the first index that there is for it.
#[test]
fn one_type_has_one_name() {
    let scratch = scratch(&[]);
    let module = r#"(module
        (type $f (func))
        (type $s (struct (field i64)))
        (type $same (struct (field i64)))
        (import "env" "g" (global (ref null $s)))
        (import "env" "t" (table 1 (ref null $same)))
        (tag (export "e") (param (ref null $same)))
        (global (export "own") (ref null $s) (ref.null $s))
        (func (export "x") (param (ref $same)) (result (ref null $f)) (ref.null $f)))"#;
    fs::write(scratch.path().join("types.wat"), module).expect("module");
    let text = run_elfin(scratch.path(), "inspect types.wat");
    text.expect_code(0);
    for line in [
        "  env.g: global (ref null 1)   not provided by elfin",
        "  env.t: table 1.. entries of (ref null 1)   not provided by elfin",
        "  e: tag ((ref null 1)) -> ()",
        "  own: global (ref null 1)",
        "  x: func ((ref 1)) -> ((ref null 0))",
        "  1.. entries of (ref null 1)",
    ] {
        assert!(
            text.text().lines().any(|found| found == line),
            "no {line:?} in:\n{}",
            text.text()
        );
    }
}

#[test]
fn what_inspect_says_is_what_build_does() {
    let Some(root) = support::real_modules() else {
        support::announce("SKIPPED: ../shared/data/modules is not on this machine");
        return;
    };
    let unsupported = support::unsupported_modules();
    for (name, directory) in support::case_directories(&root) {
        let mut command = elfin(&directory);
        command.args(["inspect", "--json", "module.wasm"]);
        let inspected = finish(command, None);
        let json: Value = serde_json::from_slice(&inspected.expect_code(0).stdout).expect("JSON");
        let needs = json["needs"].as_array().expect("needs");
        let refused = |other: &&support::Unsupported| other.name == name && other.target.is_none();
        match unsupported.iter().find(refused) {
            None => assert!(needs.is_empty(), "{name}: {needs:?}"),
            Some(support::Unsupported { feature, .. }) => {
                let need = format!("unsupported feature: {feature} ");
                assert!(
                    needs[0]
                        .as_str()
                        .is_some_and(|text| text.starts_with(&need)),
                    "{name}: {needs:?}"
                );
                let features = json["features"].as_array().expect("features");
                assert!(
                    features.iter().any(|used| used == feature.as_str()),
                    "{name}: {features:?}"
                );
            }
        }
    }
}

#[test]
fn inspect_an_executable() {
    let scratch = scratch(&["create.wat", "hello.wat"]);
    let line = "build create.wat -o app --dir /srv/data::/data:ro --dir out --env A=b=c \
                --inherit-env HOME --arg -v -O s --target riscv64";
    run_elfin(scratch.path(), line).expect_code(0);
    let finished = run_elfin(scratch.path(), "inspect app --json");
    let json: Value = serde_json::from_slice(&finished.expect_code(0).stdout).expect("JSON");
    assert_eq!(json["kind"], "executable");
    assert_eq!(json["target"], "riscv64");
    assert_eq!(
        json["size"],
        fs::metadata(scratch.path().join("app")).expect("app").len()
    );
    let expected = serde_json::json!({
        "dirs": [
            { "host": "/srv/data", "guest": "/data", "read_only": true },
            { "host": "out", "guest": "out", "read_only": false },
        ],
        "env": [{ "name": "A", "value": "b=c" }],
        "inherit_env": ["HOME"],
        "args": ["-v"],
        "inherit_all_env": false, "tcp_listen": [], "null_streams": [], "max_open_files": 4096,
            "max_memory": null, "max_stack": 8 << 20, "in_image": true,
    });
    assert_eq!(json["policy"], expected);
    let functions = [
        "wasi_snapshot_preview1.path_open",
        "wasi_snapshot_preview1.proc_exit",
    ];
    let mut found: Vec<_> = json["host_functions"].as_array().expect("array").clone();
    found.sort_by_key(Value::to_string);
    assert_eq!(found, functions);
    assert_eq!(json["provenance"]["elfin"], env!("CARGO_PKG_VERSION"));
    assert_eq!(json["provenance"]["opt_level"], "s");
    assert_eq!(json["provenance"]["memory"], "guarded");
    assert_eq!(
        json["provenance"]["module_sha256"][0]
            .as_str()
            .map(str::len),
        Some(64)
    );
    let permissions: Vec<_> = json["segments"]
        .as_array()
        .expect("segments")
        .iter()
        .map(|segment| {
            segment["permissions"]
                .as_str()
                .expect("permissions")
                .to_owned()
        })
        .collect();
    assert!(
        permissions.contains(&"r-x".into()) && permissions.contains(&"rw-".into()),
        "{permissions:?}"
    );

    let text = run_elfin(scratch.path(), "inspect app");
    for line in [
        "  directory /srv/data as /data, read only",
        "  environment variable HOME, inherited",
        "  argument -v",
    ] {
        assert!(
            text.expect_code(0)
                .text()
                .lines()
                .any(|found| found == line),
            "{}",
            text.text()
        );
    }

    // What no function in the program asks for is not even in the image.
    run_elfin(scratch.path(), "build hello.wat --dir /srv/data --env A=b").expect_code(0);
    let finished = run_elfin(scratch.path(), "inspect hello --json");
    let json: Value = serde_json::from_slice(&finished.expect_code(0).stdout).expect("JSON");
    assert_eq!(json["policy"]["in_image"], false);

    let foreign = env!("CARGO_BIN_EXE_elfin");
    let finished = run_elfin(scratch.path(), &format!("inspect {foreign}"));
    assert!(
        finished.expect_code(1).stderr.contains("not made by elfin"),
        "{}",
        finished.stderr
    );
}
