//! A program of Rust's standard library: files, environment, time, and a listener that it was given.
//!
//! files work      uses /data and prints what it sees, a line each
//! files listen N  accepts N connections from descriptor FD (environment) and answers each line in capitals

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::net::TcpListener;
use std::os::fd::FromRawFd;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

fn walk(directory: &Path, found: &mut BTreeMap<String, u64>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), found)?;
        } else {
            found.insert(entry.path().display().to_string(), entry.metadata()?.len());
        }
    }
    Ok(())
}

fn work() -> io::Result<()> {
    let variables: BTreeMap<String, String> = std::env::vars().collect();
    println!("variables {variables:?}");

    fs::create_dir_all("/data/a/b/c")?;
    for number in 0..50 {
        let text = "line\n".repeat(number);
        fs::write(format!("/data/a/b/file-{number:02}"), text)?;
    }
    fs::rename("/data/a/b/file-10", "/data/a/b/c/moved")?;
    fs::copy("/data/a/b/file-49", "/data/a/copy")?;
    fs::hard_link("/data/a/copy", "/data/a/same")?;
    fs::remove_file("/data/a/b/file-00")?;
    let mut found = BTreeMap::new();
    walk(Path::new("/data"), &mut found)?;
    println!("{} files, {} bytes", found.len(), found.values().sum::<u64>());
    println!("moved {}", found["/data/a/b/c/moved"]);

    let mut file = OpenOptions::new().read(true).write(true).create(true).open("/data/log")?;
    file.write_all(b"0123456789")?;
    file.seek(SeekFrom::Start(3))?;
    let mut middle = [0; 4];
    file.read_exact(&mut middle)?;
    file.set_len(5)?;
    file.sync_all()?;
    drop(file);
    let mut file = OpenOptions::new().append(true).open("/data/log")?;
    file.write_all(b"!")?;
    file.sync_data()?;
    println!("{} {:?}", String::from_utf8_lossy(&middle), fs::read_to_string("/data/log")?);
    let lines = BufReader::new(File::open("/data/a/copy")?).lines().count();
    println!("{lines} lines");

    let start = Instant::now();
    std::thread::sleep(Duration::from_millis(30));
    let slept = start.elapsed();
    println!("slept {}", slept >= Duration::from_millis(30) && slept < Duration::from_secs(30));
    let modified = fs::metadata("/data/log")?.modified()?;
    let age = SystemTime::now().duration_since(modified).unwrap_or_default();
    println!("fresh {}", age < Duration::from_secs(60));

    let kind = |result: io::Result<()>| result.err().map(|error| error.kind());
    println!("{:?}", kind(File::open("/data/nothing").map(drop)));
    println!("{:?}", kind(fs::create_dir("/data/a")));
    println!("{:?}", kind(fs::remove_dir("/data/a")));
    println!("{:?}", kind(OpenOptions::new().write(true).create_new(true).open("/data/log").map(drop)));
    let outside = File::open("/data/../etc/passwd").map(drop);
    println!("{}", matches!(&outside, Err(error) if error.kind() != ErrorKind::NotFound));
    let ungranted = kind(fs::write("/elsewhere", ""));
    println!("{ungranted:?}");
    fs::remove_dir_all("/data/a")?;
    println!("left {:?}", fs::read_dir("/data")?.map(|e| Ok(e?.file_name())).collect::<io::Result<Vec<_>>>()?);
    Ok(())
}

fn listen(count: usize) -> io::Result<()> {
    let fd = std::env::var("FD").ok().and_then(|fd| fd.parse().ok()).unwrap_or(3);
    // SAFETY: the descriptor was given to this program, and nothing else here uses it.
    let listener = unsafe { TcpListener::from_raw_fd(fd) };
    for _ in 0..count {
        let (stream, _) = listener.accept()?;
        for line in BufReader::new(&stream).lines() {
            writeln!(&stream, "{}", line?.to_uppercase())?;
        }
    }
    Ok(())
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("work") => work(),
        Some("listen") => listen(arguments[2].parse().expect("a number")),
        _ => std::process::exit(2),
    }
}
