//! The checked-in objects are those of these sources, and they have every symbol of the contract.

#[allow(
    dead_code,
    reason = "shared with the command that builds the objects, which uses the rest"
)]
#[path = "../prebuilt/manifest.rs"]
mod manifest;

use elfin_abi::host::{HOST_FUNCTIONS, Libcall, Setup};
use manifest::{COMMAND, MACHINES, Manifest};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
use std::collections::HashSet;
use std::fs;

fn recorded() -> Manifest {
    Manifest::parse(
        &fs::read_to_string(manifest::folder().join("manifest.toml")).expect("manifest"),
    )
}

fn object(machine: &str) -> Vec<u8> {
    fs::read(manifest::folder().join(format!("{machine}.o"))).expect("a checked-in object")
}

#[test]
fn the_manifest_is_that_of_the_sources() {
    assert_eq!(
        recorded().sources,
        manifest::hash_sources(),
        "the runtime's sources changed since its objects were built: run `{COMMAND}` and commit runtime-lib/prebuilt"
    );
}

#[test]
fn the_objects_are_those_of_the_manifest() {
    let hashes = MACHINES.map(|machine| manifest::sha256(&object(machine)));
    assert_eq!(
        recorded().objects,
        hashes,
        "run `{COMMAND}` and commit runtime-lib/prebuilt"
    );
}

#[test]
fn the_manifest_reads_what_it_writes() {
    let manifest = recorded();
    assert_eq!(Manifest::parse(&manifest.to_text()), manifest);
}

#[test]
fn every_symbol_of_the_contract_is_defined() {
    for machine in MACHINES {
        let data = object(machine);
        let file = object::File::parse(&*data).expect("an object");
        let defined: HashSet<_> = file
            .symbols()
            .filter(|symbol| symbol.is_global() && symbol.is_definition())
            .map(|symbol| symbol.name().expect("a name"))
            .collect();
        let host = HOST_FUNCTIONS
            .iter()
            .flat_map(|function| {
                [Some(function.symbol), function.shared_symbol()]
                    .into_iter()
                    .flatten()
            })
            .filter(|name| !name.is_empty());
        let missing: Vec<_> = host
            .chain(Libcall::ALL.iter().map(|libcall| libcall.symbol()))
            .chain(Setup::ALL.iter().map(|setup| setup.symbol()))
            .chain([elfin_abi::symbol::START])
            .filter(|name| !defined.contains(name))
            .collect();
        assert!(missing.is_empty(), "{machine}.o lacks {missing:?}");
    }
}

#[test]
fn the_objects_name_no_path_and_need_no_unwinder() {
    for machine in MACHINES {
        let data = object(machine);
        let file = object::File::parse(&*data).expect("an object");
        for section in file.sections() {
            let name = section.name().expect("a name");
            assert!(
                !name.starts_with(".eh_frame") && !name.starts_with(".debug"),
                "{machine}.o has {name}"
            );
            let contents = section.data().expect("contents");
            for path in [&b"/src/"[..], b".rs\0", b".cargo"] {
                let found = contents.windows(path.len()).any(|window| window == path);
                assert!(!found, "{machine}.o: {name} holds a path");
            }
        }
    }
}
