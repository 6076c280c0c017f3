//! Counts the words of files in a pipeline: a thread finds the files, tasks read them, tasks count, one adds up.
//! Run it with `cargo run --release --example pipeline -- PATH...`, where a path is that of a file or of a folder.
//!
//! Between the stages stand queues that hold so many items at most. A stage that is slower than the one before it has that
//! wait, and so on up to the thread: few files are in memory, however many there are. The end travels the other way: a stage
//! that has nothing left to do shuts down the queue behind it. Ctrl-C ends the search only: what was found is still counted.

use std::collections::HashMap;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, ffi::OsString, fs};

use asyncio::{CancelledError, Queue, QueueShutDown};
use kumihimo as asyncio;

const USAGE: &str = "usage: pipeline [--workers N] [--queue N] [--delay MILLISECONDS] PATH...

Counts the words of all files in the PATHs, with N tasks that read, and N that count (2 unless given).
N items fit into each queue between them (16). With a delay, a counter rests after each file, and the
queues before it fill up.
";

/// How many of the most frequent words are shown.
const SHOWN: usize = 10;

/// How often is shown what is in the queues.
const EVERY: Duration = Duration::from_millis(250);

// === what goes from stage to stage ===

/// A path, and whether there is a file.
type Found = (PathBuf, io::Result<()>);

/// A file, and how far it has come: its text, or its words.
struct File<T> {
    path: PathBuf,
    contents: io::Result<T>,
    _ticket: Ticket,
}

type Words = HashMap<String, u64>;

/// Marks what was found as done: at the end of the pipeline, or wherever it is dropped.
struct Ticket(Queue<Found>);

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.task_done().expect("there is one ticket for each item");
    }
}

// === the stages ===

/// The first: puts the files at or below a path into the queue, and waits while that is full. It blocks, and runs in a thread.
fn find(path: PathBuf, found: &Queue<Found>) -> Result<(), QueueShutDown> {
    match fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => walk(path, found),
        Ok(metadata) if metadata.is_file() => found.blocking_put((path, Ok(()))),
        // Opening a pipe might wait for ever.
        Ok(_) => found.blocking_put((path, Err(io::Error::other("neither a file nor a folder")))),
        Err(error) => found.blocking_put((path, Err(error))),
    }
}

/// The same for what is in a folder, but for links and devices.
fn walk(folder: PathBuf, found: &Queue<Found>) -> Result<(), QueueShutDown> {
    let entries = fs::read_dir(&folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(error) => return found.blocking_put((folder, Err(error))),
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_type().is_ok_and(|kind| kind.is_dir() || kind.is_file()) {
            find(entry.path(), found)?;
        }
    }
    Ok(())
}

/// A stage in the middle: takes items from one queue, and puts what becomes of them into the next, several at a time.
async fn stage<A, B, W, F>(workers: usize, input: Queue<A>, output: Queue<B>, work: W)
where
    A: Send + 'static,
    B: Send + 'static,
    W: Fn(A) -> F + Clone + Send + 'static,
    F: Future<Output = B> + Send,
{
    let workers = (0..workers).map(|_| {
        let (input, output, work) = (input.clone(), output.clone(), work.clone());
        async move {
            while let Ok(item) = input.get().await {
                // Waits while the next stage is behind. That one is gone only if it has failed.
                let Ok(()) = output.put(work(item).await).await else { break };
            }
        }
    });
    let workers = asyncio::gather(workers.collect::<Vec<_>>());
    asyncio::finally(workers, async {
        // If a worker has panicked there may be items left, and somebody who waits to put more.
        input.shutdown(true);
        output.shutdown(false);
    })
    .await;
}

/// Reads a file. Files have no readiness to wait for: a thread does it.
async fn read((path, there): Found, ticket: Ticket) -> File<String> {
    let file = path.clone();
    let contents = match there {
        Ok(()) => asyncio::to_thread(move || fs::read(file)).await,
        Err(error) => Err(error),
    };
    let contents = contents.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    File { path, contents, _ticket: ticket }
}

/// Counts the words of a text.
async fn count(file: File<String>, delay: Duration) -> File<Words> {
    let contents = file.contents.map(|text| {
        let mut words = Words::new();
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            *words.entry(word.to_lowercase()).or_default() += 1;
        }
        words
    });
    asyncio::sleep(delay).await;
    File { path: file.path, contents, _ticket: file._ticket }
}

/// What there is in all files together.
#[derive(Default)]
struct Total {
    words: Words,
    files: usize,
    failures: usize,
}

/// The last: adds up.
async fn add_up(counted: Queue<File<Words>>) -> Total {
    let mut total = Total::default();
    while let Ok(file) = counted.get().await {
        match file.contents {
            Ok(words) => {
                total.files += 1;
                words.into_iter().for_each(|(word, times)| *total.words.entry(word).or_default() += times);
            }
            Err(error) => {
                total.failures += 1;
                let _ = writeln!(io::stderr(), "pipeline: {}: {error}", file.path.display());
            }
        }
    }
    total
}

// === the program ===

/// What was asked for.
struct Args {
    workers: usize,
    queue: usize,
    delay: Duration,
    paths: Vec<PathBuf>,
}

fn parse(mut arguments: impl Iterator<Item = OsString>) -> Result<Args, String> {
    let mut args = Args { workers: 2, queue: 16, delay: Duration::ZERO, paths: Vec::new() };
    while let Some(argument) = arguments.next() {
        let mut number = |least: u64, most: u64| {
            let (text, option) = (arguments.next().unwrap_or_default(), argument.display());
            let number = text.to_str().and_then(|text| text.parse().ok());
            let number = number.filter(|n| (least..=most).contains(n));
            number.ok_or_else(|| format!("{option} takes a number from {least} to {most}, not {text:?}"))
        };
        match argument.to_str() {
            Some("--workers") => args.workers = number(1, 256)? as usize,
            Some("--queue") => args.queue = number(1, 1_000_000)? as usize,
            Some("--delay") => args.delay = Duration::from_millis(number(0, 3_600_000)?),
            Some(option) if option.starts_with("--") => return Err(format!("what is {option} for?")),
            _ => args.paths.push(argument.into()),
        }
    }
    if args.paths.is_empty() { Err("no path was given".into()) } else { Ok(args) }
}

/// Runs the pipeline to its end. An interruption is handed out beside what was counted before.
async fn run(args: Args) -> (Total, Option<CancelledError>) {
    let (found, texts, counted) = (Queue::new(args.queue), Queue::new(args.queue), Queue::new(args.queue));
    let watching = asyncio::create_task(watch(found.clone(), texts.clone(), counted.clone()));
    let tickets = found.clone();
    let reading = move |found| read(found, Ticket(tickets.clone()));
    let readers = asyncio::create_task(stage(args.workers, found.clone(), texts.clone(), reading));
    let counting = move |text| count(text, args.delay);
    let counters = asyncio::create_task(stage(args.workers, texts, counted.clone(), counting));
    let adding = asyncio::create_task(add_up(counted));

    let (paths, searched) = (args.paths, found.clone());
    let search = async {
        asyncio::to_thread(move || paths.into_iter().try_for_each(|path| find(path, &searched))).await.ok();
        found.join().await;
    };
    // Ctrl-C cancels `main`, which is here. The others are tasks of their own, and go on.
    let interrupted = asyncio::catch_cancelled(search).await.err();
    // The thread that searches, if it still does, gets an error, and ends. Everything else ends stage by stage.
    found.shutdown(false);
    found.join().await;
    readers.await;
    counters.await;
    watching.cancel();
    (adding.await, interrupted)
}

/// Shows again and again how full the queues are.
async fn watch(found: Queue<Found>, texts: Queue<File<String>>, counted: Queue<File<Words>>) {
    loop {
        asyncio::sleep(EVERY).await;
        let (most, under_way) = (found.maxsize(), found.statistics().unfinished);
        let sizes = [found.qsize(), texts.qsize(), counted.qsize()];
        let [found, read, counted] = sizes;
        eprintln!(
            "found {found}/{most}, read {read}/{most}, counted {counted}/{most}; under way {under_way}"
        );
    }
}

/// Prints the most frequent words, and the sum.
fn print(total: &Total, out: &mut impl Write) -> io::Result<()> {
    let mut words: Vec<_> = total.words.iter().collect();
    // Among words that are as frequent the alphabet decides.
    words.sort_by(|(a, a_times), (b, b_times)| b_times.cmp(a_times).then(a.cmp(b)));
    for (word, times) in words.iter().take(SHOWN) {
        writeln!(out, "{times:>9}  {word}")?;
    }
    let sum: u64 = total.words.values().sum();
    writeln!(out, "{sum:>9}  words, {} different ones, in {} files", words.len(), total.files)?;
    out.flush()
}

#[asyncio::main]
async fn main() -> ExitCode {
    if env::args_os().skip(1).any(|argument| argument == "--help") {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let args = match parse(env::args_os().skip(1)) {
        Ok(args) => args,
        Err(error) => {
            eprint!("pipeline: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let (total, interrupted) = run(args).await;
    let printed = print(&total, &mut BufWriter::new(io::stdout()));
    if let Some(interrupted) = interrupted {
        interrupted.raise().await;
    }
    match printed {
        Ok(()) if total.failures == 0 => ExitCode::SUCCESS,
        // Whoever reads us has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pipeline: the standard output: {error}");
            ExitCode::FAILURE
        }
        Ok(()) => ExitCode::FAILURE,
    }
}
