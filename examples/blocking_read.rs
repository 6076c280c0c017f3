//! Reading a file: in the coroutine it holds a worker up, in a thread it does not. Run it with
//! `cargo run --example blocking_read`.

use std::path::{Path, PathBuf};
use std::{env, fs, io, process};

use kumihimo as asyncio;

async fn read(path: &Path) -> io::Result<String> {
    // Works, but nothing else runs on this worker meanwhile.
    fs::read_to_string(path)
}

fn read_blocking(path: PathBuf) -> io::Result<String> {
    Ok(fs::read_to_string(path)?.to_uppercase())
}

#[asyncio::main]
async fn main() -> io::Result<()> {
    let path = env::temp_dir().join(format!("myfile-{}.txt", process::id()));
    fs::write(&path, "contents of the file")?;

    println!("{}", read(&path).await?);

    let copy = path.clone();
    println!("{}", asyncio::to_thread(move || read_blocking(copy)).await?);

    fs::remove_file(path)
}
