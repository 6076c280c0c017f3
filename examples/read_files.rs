//! Reads many files at once, in threads, and prints the size of each in the order in which they were found. Run it with
//! `cargo run --example read_files -- [--at-once N] PATH...`, where a path is that of a file or of a folder.
//!
//! Files have no readiness to wait for, so `to_thread` reads each in a thread of the loop's default executor. A window
//! of tasks keeps those threads busy, and bounds what is open and waits, however many files there are. Links and devices
//! in folders are passed over.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use kumihimo as asyncio;

const USAGE: &str = "usage: read_files [--at-once N] PATH...";

/// Files on their way, unless told otherwise: so many that the threads (32 at most) have work while the first of them is
/// slow.
const AT_ONCE: usize = 64;

/// Bytes that are read in one go.
const CHUNK: usize = 64 << 10;

/// What was asked for.
struct Args {
    at_once: usize,
    paths: Vec<PathBuf>,
}

/// What a file, or some files, contain.
#[derive(Clone, Copy, Default)]
struct Size {
    bytes: u64,
    lines: u64,
}

/// A path, and whether there is a file.
type Found = (PathBuf, io::Result<()>);

fn parse(mut args: impl Iterator<Item = std::ffi::OsString>) -> Result<Args, String> {
    let mut parsed = Args { at_once: AT_ONCE, paths: Vec::new() };
    while let Some(arg) = args.next() {
        if arg == "--at-once" {
            let number = args.next().and_then(|number| number.to_str()?.parse().ok());
            parsed.at_once = number.filter(|n| *n > 0).ok_or("--at-once takes a number above zero")?;
        } else if arg.to_str().is_some_and(|arg| arg.starts_with("--")) {
            return Err(format!("unknown option {}", arg.display()));
        } else {
            parsed.paths.push(arg.into());
        }
    }
    if parsed.paths.is_empty() { Err("no path was given".into()) } else { Ok(parsed) }
}

/// The files at or below a path, sorted; blocks.
fn find(path: PathBuf) -> Vec<Found> {
    let mut found = Vec::new();
    match fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => walk(path, &mut found),
        Ok(metadata) if metadata.is_file() => found.push((path, Ok(()))),
        // Opening a pipe might wait for ever.
        Ok(_) => found.push((path, Err(io::Error::other("neither a file nor a folder")))),
        Err(error) => found.push((path, Err(error))),
    }
    found
}

fn walk(folder: PathBuf, found: &mut Vec<Found>) {
    let entries = fs::read_dir(&folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(error) => return found.push((folder, Err(error))),
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(entry.path(), found),
            Ok(kind) if kind.is_file() => found.push((entry.path(), Ok(()))),
            Ok(_) => {}
            Err(error) => found.push((entry.path(), Err(error))),
        }
    }
}

/// Reads a file from its beginning to its end; blocks.
fn read(path: PathBuf) -> io::Result<Size> {
    let mut file = File::open(path)?;
    let (mut size, mut chunk) = (Size::default(), vec![0; CHUNK]);
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(size),
            Ok(length) => {
                size.bytes += length as u64;
                size.lines += chunk[..length].iter().filter(|byte| **byte == b'\n').count() as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Starts reading what was found, if it is a file.
async fn size_of(found: Found) -> (PathBuf, io::Result<Size>) {
    let (path, there) = found;
    let size = match there {
        Ok(()) => {
            let path = path.clone();
            asyncio::to_thread(move || read(path)).await
        }
        Err(error) => Err(error),
    };
    (path, size)
}

/// Prints a line for each file, and the sum. Gives how many could not be read.
async fn read_all(args: Args, out: &mut impl Write) -> io::Result<usize> {
    let (mut total, mut files, mut failures) = (Size::default(), 0_usize, 0);
    let mut found = Vec::new();
    for path in args.paths {
        found.extend(asyncio::to_thread(move || find(path)).await);
    }
    let mut found = found.into_iter();
    // In order: the file in front is the next to be printed. `as_completed` would give the next that is ready.
    let mut window = VecDeque::with_capacity(args.at_once.min(found.len()));
    loop {
        window
            .extend(found.by_ref().take(args.at_once - window.len()).map(size_of).map(asyncio::create_task));
        let Some(first) = window.pop_front() else { break };
        match first.await {
            (path, Ok(size)) => {
                writeln!(out, "{:>12} bytes {:>9} lines  {}", size.bytes, size.lines, path.display())?;
                total.bytes += size.bytes;
                total.lines += size.lines;
                files += 1;
            }
            (path, Err(error)) => {
                eprintln!("read_files: {}: {error}", path.display());
                failures += 1;
            }
        }
    }
    writeln!(out, "{:>12} bytes {:>9} lines  in {files} files", total.bytes, total.lines)?;
    out.flush()?;
    Ok(failures)
}

#[asyncio::main]
async fn main() -> ExitCode {
    let args = match parse(std::env::args_os().skip(1)) {
        Ok(args) => args,
        Err(error) => {
            eprintln!("read_files: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match read_all(args, &mut BufWriter::new(io::stdout())).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        // Whoever reads us has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("read_files: the standard output: {error}");
            ExitCode::FAILURE
        }
    }
}
