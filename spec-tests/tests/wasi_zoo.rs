//! The path zoo: every `path_*` function on every path that was ever trouble, below directories that may be
//! changed and below directories that may only be read, with both resolvers.
//!
//! Expected is what `wasi/zoo.txt` has: for each operation the errno of each path and what became of the
//! directory (`+made -gone *changed`). BLESS=1 rewrites it. Whatever it says, two things must hold: what is
//! outside stays as it was, and a path that leads outside leads nowhere.

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use support::{Guest, Place, dir, expect_text, places, scratch};

const OPERATIONS: &[&str] = &[
    "path_create_directory",
    "path_filestat_get",
    "path_filestat_get follow",
    "path_filestat_set_times",
    "path_filestat_set_times follow",
    "path_link from",
    "path_link from follow",
    "path_link to",
    "path_open",
    "path_open follow",
    "path_open write follow",
    "path_open creat",
    "path_open creat follow",
    "path_open creat excl follow",
    "path_open directory",
    "path_open directory follow",
    "path_open trunc follow",
    "path_open trunc read follow",
    "path_readlink",
    "path_remove_directory",
    "path_rename from",
    "path_rename file to",
    "path_rename directory to",
    "path_symlink at",
    "path_symlink to",
    "path_unlink_file",
];

/// Where a path leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leads {
    /// Nowhere but inside.
    Inside,
    /// Outside, when a link at its end is followed.
    OutsideIfFollowed,
    /// Outside.
    Outside,
}
use Leads::{Inside, Outside, OutsideIfFollowed};

/// What the golden text calls it, and its bytes.
struct Specimen {
    name: String,
    bytes: Vec<u8>,
    leads: Leads,
}

/// The paths. `outside` is the absolute path of the directory outside.
fn paths(outside: &Path) -> Vec<Specimen> {
    let plain = [
        ("", Inside),
        (".", Inside),
        ("./", Inside),
        ("./.", Inside),
        ("file", Inside),
        ("file/", Inside),
        ("file/.", Inside),
        ("file/..", Inside),
        ("file/x", Inside),
        ("dir", Inside),
        ("dir/", Inside),
        ("dir/.", Inside),
        ("dir/..", Inside),
        ("dir/../file", Inside),
        ("dir//inner", Inside),
        ("dir/./inner", Inside),
        ("empty", Inside),
        ("empty/", Inside),
        ("new", Inside),
        ("new/", Inside),
        ("new/.", Inside),
        ("no/new", Inside),
        ("no/../file", Inside),
        ("link", Inside),
        ("link/", Inside),
        ("sym", Inside),
        ("sym/", Inside),
        ("sym/.", Inside),
        ("sym/..", Inside),
        ("sym/inner", Inside),
        ("self/self/file", Inside),
        ("up/file", Inside),
        ("dangling", Inside),
        ("dangling/", Inside),
        ("loop", Inside),
        ("loop/", Inside),
        ("loop/x", Inside),
        ("c1", Inside),
        ("c0", Inside),
        ("e1/inner", Inside),
        ("e0/inner", Inside),
        ("..", Outside),
        ("../", Outside),
        ("../outside/secret", Outside),
        ("../outside/new", Outside),
        ("../0/file", Outside),
        ("dir/../..", Outside),
        ("a/../../x", Outside),
        ("dir/../../outside/secret", Outside),
        ("sym/../../outside/secret", Outside),
        ("self/..", Outside),
        ("/", Outside),
        ("//", Outside),
        ("/file", Outside),
        ("out", OutsideIfFollowed),
        ("out/", Outside),
        ("outdir", OutsideIfFollowed),
        ("outdir/", Outside),
        ("outdir/.", Outside),
        ("outdir/..", Outside),
        ("outdir/secret", Outside),
        ("outdir/new", Outside),
        ("abs", OutsideIfFollowed),
        ("abs/", Outside),
        ("absdir/secret", Outside),
        ("evil1", OutsideIfFollowed),
        ("evil1/", Outside),
        ("evil1/secret", Outside),
        ("dangling-out", OutsideIfFollowed),
        ("dangling-out/", Outside),
        ("dangling-abs", OutsideIfFollowed),
    ];
    let mut paths: Vec<Specimen> = plain
        .iter()
        .map(|&(path, leads)| Specimen {
            name: format!("\"{path}\""),
            bytes: path.into(),
            leads,
        })
        .collect();
    let mut add = |name: &str, bytes: Vec<u8>, leads| {
        paths.push(Specimen {
            name: name.to_owned(),
            bytes,
            leads,
        });
    };
    add("\"file\\0\"", b"file\0".to_vec(), Inside);
    add("\"file\\0x\"", b"file\0x".to_vec(), Inside);
    add("\"\\0\"", b"\0".to_vec(), Inside);
    add("not UTF-8", b"\xff\xfe".to_vec(), Inside);
    let absolute = outside.join("secret").to_str().expect("UTF-8").to_owned();
    add("absolute", absolute.into_bytes(), Outside);
    for len in [4095, 4096, 5000, 100_000] {
        // Dots and slashes that lead to `file`.
        let mut path = b"./".repeat((len - 4) / 2);
        path.resize(len - 4, b'/');
        path.extend_from_slice(b"file");
        add(&format!("{len} bytes"), path, Inside);
    }
    for len in [255, 256] {
        add(&format!("a name of {len} bytes"), vec![b'n'; len], Inside);
    }
    add("200 levels up", b"../".repeat(200), Outside);
    paths
}

/// Operations that do not follow a link at the end of the path.
fn keeps_link(operation: &str) -> bool {
    !operation.ends_with("follow")
}

/// Operations that change nothing.
fn only_looks(operation: &str) -> bool {
    ["path_filestat_get", "path_readlink"]
        .iter()
        .any(|name| operation.starts_with(name))
        || [
            "path_open",
            "path_open follow",
            "path_open write follow",
            "path_open directory",
            "path_open directory follow",
        ]
        .contains(&operation)
}

/// Makes the directory in which an operation takes place. Chains of links, by the first letter of their names, are made
/// where they are needed.
fn furnish(home: &Path, outside: &Path, chains: impl Fn(u8) -> bool) {
    fs::create_dir(home).expect("directory");
    fs::write(home.join("file"), "content").expect("file");
    fs::create_dir(home.join("dir")).expect("directory");
    fs::write(home.join("dir/inner"), "inner").expect("file");
    fs::create_dir(home.join("empty")).expect("directory");
    let link = |target: &Path, name: &str| symlink(target, home.join(name)).expect("link");
    for (name, target) in [
        ("link", "file"),
        ("sym", "dir"),
        ("self", "."),
        ("up", "dir/.."),
        ("dangling", "nothing"),
        ("loop", "loop"),
        ("out", "../outside/secret"),
        ("outdir", "../outside"),
        ("evil1", "evil2/"),
        ("evil2", "../outside"),
        ("dangling-out", "../outside/new"),
    ] {
        link(Path::new(target), name);
    }
    link(&outside.join("secret"), "abs");
    link(outside, "absdir");
    link(&outside.join("new"), "dangling-abs");
    for (letter, end) in [('c', "file"), ('e', "dir")] {
        if chains(letter as u8) {
            // Links 0 to 40: 41 of them, or 40 from the second on.
            for number in 0..40 {
                let target = format!("{letter}{}", number + 1);
                link(Path::new(&target), &format!("{letter}{number}"));
            }
            link(Path::new(end), &format!("{letter}40"));
        }
    }
}

/// Everything below a directory: what it is, what it holds, whether its time was set.
fn survey(directory: &Path) -> BTreeMap<String, String> {
    fn below(directory: &Path, prefix: &str, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(directory).expect("directory") {
            let entry = entry.expect("entry");
            let (path, raw) = (entry.path(), entry.file_name());
            let name = format!("{prefix}{}", raw.to_string_lossy());
            let metadata = fs::symlink_metadata(&path).expect("metadata");
            // The time that the guest sets, and no other file has.
            let dated = metadata.mtime() == 1_000_000_000;
            let (kind, links) = (metadata.file_type(), metadata.nlink());
            let what = if kind.is_symlink() {
                format!(
                    "link {dated} {}",
                    fs::read_link(&path).expect("link").display()
                )
            } else if kind.is_dir() {
                below(&path, &format!("{name}/"), found);
                format!("directory {dated}")
            } else {
                format!("file {dated} {links} {:?}", fs::read(&path).expect("file"))
            };
            found.insert(name, what);
        }
    }
    let mut found = BTreeMap::new();
    below(directory, "", &mut found);
    let dated = fs::metadata(directory).expect("metadata").mtime() == 1_000_000_000;
    found.insert(".".to_owned(), format!("directory {dated}"));
    found
}

/// How two surveys differ.
fn difference(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    for (name, what) in after {
        match before.get(name) {
            None => _ = write!(text, " +{}", shorten(name)),
            Some(old) if old != what => _ = write!(text, " *{}", shorten(name)),
            Some(_) => {}
        }
    }
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        let _ = write!(text, " -{}", shorten(name));
    }
    text
}

fn shorten(name: &str) -> String {
    match name.chars().count() {
        _ if name.contains(char::REPLACEMENT_CHARACTER) => "(not UTF-8)".to_owned(),
        0..100 => name.to_owned(),
        len => format!("({len} characters)"),
    }
}

/// Carries out an operation on every path, and says what came of it, paths with the same outcome together.
fn visit(guest: &Guest, operation: &str, read_only: bool) -> String {
    let scratch = scratch();
    let home = scratch.path().join("box");
    let outside = home.join("outside");
    fs::create_dir_all(&outside).expect("directory");
    fs::write(outside.join("secret"), "secret").expect("file");
    let paths = paths(&outside);
    // Where nothing may change, all can take place in one directory.
    let one = read_only || only_looks(operation);
    if one {
        furnish(&home.join("0"), &outside, |_| true);
    }
    let mut input = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        if !one {
            let chains = |letter| path.bytes.first() == Some(&letter);
            furnish(&home.join(index.to_string()), &outside, chains);
        }
        input.extend_from_slice(&path.bytes);
        input.push(1);
    }
    let surveys = || -> Vec<_> {
        let count = if one { 1 } else { paths.len() };
        (0..count)
            .map(|index| survey(&home.join(index.to_string())))
            .collect()
    };
    let before = surveys();
    let outside_before = survey(&outside);

    let ended = guest.run(
        scratch.path(),
        &[operation, if one { "one" } else { "" }],
        &input,
    );
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{operation}");
    let errnos: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(errnos.len(), paths.len(), "{operation}");

    assert_eq!(survey(&outside), outside_before, "{operation}: outside");
    let after = surveys();
    let mut outcomes: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (index, (path, errno)) in paths.iter().zip(errnos).enumerate() {
        let home = if one { 0 } else { index };
        let changes = difference(&before[home], &after[home]);
        let place = format!("{operation} {}", path.name);
        let leads_outside = match path.leads {
            Inside => false,
            OutsideIfFollowed => !keeps_link(operation),
            Outside => true,
        };
        // The text of a link is no path yet.
        if leads_outside && operation != "path_symlink to" {
            assert_ne!(errno, "SUCCESS", "{place}");
        }
        if one {
            assert_eq!(changes, "", "{place}");
        }
        if errno != "SUCCESS" {
            assert_eq!(changes, "", "{place}: {errno}");
        }
        outcomes
            .entry(format!("{errno}{changes}"))
            .or_default()
            .push(&path.name);
    }
    let mut text = String::new();
    for (outcome, names) in outcomes {
        let _ = writeln!(text, "{outcome}: {}", names.join(", "));
    }
    text
}

fn zoo(place: Place) {
    let mut text = String::new();
    for (read_only, heading) in [(false, "a directory"), (true, "a read-only directory")] {
        let guest = Guest::build("zoo", place, &[dir("box", "/", read_only)]);
        for operation in OPERATIONS {
            let outcomes = visit(&guest, operation, read_only);
            let _ = write!(text, "# {operation}, below {heading}\n{outcomes}\n");
        }
    }
    expect_text("zoo.txt", &text, &format!("{place:?}"));
}

#[test]
fn the_path_zoo_everywhere() {
    for place in places() {
        zoo(place);
    }
}
