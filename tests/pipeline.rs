//! The example pipeline: what it counts, that its queues hold the stages back, and that Ctrl-C lets what was found be counted.

#[path = "support/example.rs"]
mod example;
#[path = "support/folder.rs"]
mod folder;
#[path = "support/interruptible.rs"]
mod interruptible;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Output, Stdio};

use folder::Folder;
use interruptible::interruptible;
use rustix::process::{Pid, Signal, kill_process};

/// So many files of one word.
fn fill(folder: &Folder, files: usize) {
    for n in 0..files {
        folder.write(&format!("{}/{n}", n % 7), "word\n");
    }
}

fn pipeline(folder: &Folder, arguments: &[&str]) -> Command {
    let mut program = Command::new(example::executable("pipeline"));
    program.current_dir(&folder.0).args(arguments);
    program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    interruptible(&mut program);
    program
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("it prints text")
}

/// The lines about queues, as numbers: found, read, counted, each of how many, and under way.
fn watched(errors: &str) -> Vec<[usize; 7]> {
    let numbers = |line: &str| -> Vec<usize> {
        line.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect()
    };
    let lines = errors.lines().filter(|line| line.starts_with("found "));
    lines
        .map(|line| numbers(line).try_into().unwrap_or_else(|_| panic!("seven numbers in {line:?}")))
        .collect()
}

/// What it complains of.
fn complaints(output: &Output) -> Vec<&str> {
    text(&output.stderr).lines().filter(|line| !line.starts_with("found ")).collect()
}

#[test]
fn it_counts_words_however_many_workers_and_however_short_the_queues() {
    let folder = Folder::new("pipeline-counts");
    let mut expected = BTreeMap::new();
    for n in 0..200_usize {
        let words =
            ["alpha", "Beta", "GAMMA", "één", "2"].iter().enumerate().map(|(at, word)| (word, n % (at + 2)));
        let mut contents = String::new();
        for (word, times) in words {
            *expected.entry(word.to_lowercase()).or_insert(0) += times;
            contents.extend((0..times).map(|_| format!("{word}, ")));
        }
        folder.write(&format!("all/{}/{n}.txt", n % 10), contents);
    }
    symlink("/etc", folder.0.join("all/etc")).unwrap();
    let mut words: Vec<_> = expected.iter().map(|(word, times)| (*times, word)).collect();
    words.sort_by(|(a, word), (b, other)| b.cmp(a).then(word.cmp(other)));
    let mut lines: Vec<_> = words.iter().map(|(times, word)| format!("{times:>9}  {word}")).collect();
    let sum: usize = expected.values().sum();
    lines.push(format!("{sum:>9}  words, 5 different ones, in 200 files"));
    for (workers, queue) in [("1", "1"), ("2", "16"), ("32", "1"), ("4", "1000000")] {
        let arguments = ["--workers", workers, "--queue", queue, "all"];
        let output = pipeline(&folder, &arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(complaints(&output), [""; 0]);
        assert_eq!(text(&output.stdout).lines().collect::<Vec<_>>(), lines, "{arguments:?}");
    }
}

#[test]
fn a_slow_stage_holds_back_those_before_it() {
    let folder = Folder::new("pipeline-slow");
    fill(&folder, 50);
    let output =
        pipeline(&folder, &["--workers", "1", "--queue", "3", "--delay", "40", "."]).output().unwrap();
    assert!(output.status.success() && text(&output.stdout).ends_with("in 50 files\n"), "{output:?}");
    let watched = watched(text(&output.stderr));
    for seen @ [found, of_found, read, of_read, counted, of_counted, under_way] in &watched {
        assert_eq!([of_found, of_read, of_counted], [&3; 3]);
        assert!(found <= of_found && read <= of_read && counted <= of_counted, "{seen:?}");
        // Besides what is in the queues each of the three who work has one.
        assert!(*under_way <= 3 * 3 + 3, "{seen:?}");
    }
    // The counter takes two seconds: there was time to look, and the queues before it were full.
    assert!(watched.iter().any(|[found, _, read, ..]| [found, read] == [&3; 2]), "{watched:?}");
}

#[test]
fn ctrl_c_ends_the_search_and_what_was_found_is_counted() {
    let folder = Folder::new("pipeline-interrupted");
    fill(&folder, 2000);
    let mut child = Ended(pipeline(&folder, &["--queue", "4", "--delay", "10", "."]).spawn().unwrap());
    let mut errors = BufReader::new(child.0.stderr.take().unwrap());
    // It takes ten seconds, and is in the middle of it.
    let mut line = String::new();
    assert!(errors.read_line(&mut line).unwrap() > 0);
    kill_process(Pid::from_child(&child.0), Signal::INT).unwrap();
    let (mut printed, mut rest) = (String::new(), String::new());
    child.0.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    errors.read_to_string(&mut rest).unwrap();
    assert_eq!(child.0.wait().unwrap().code(), Some(130), "{printed}{rest}");
    assert!(rest.lines().all(|line| line.starts_with("found ")), "{rest}");
    let numbers: Vec<usize> = printed.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [times, sum, different, files] = numbers[..] else { panic!("four numbers in {printed:?}") };
    assert_eq!((times, sum, different), (files, files, 1), "{printed}");
    // Whatever was under way when it was looked at has been counted.
    let [.., under_way] = watched(&line)[0];
    assert!(files >= under_way && (1..2000).contains(&files), "{line}{printed}");
}

/// Ends it, should it not do so by itself.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_counted() {
    let folder = Folder::new("pipeline-errors");
    folder.write("good", [b"word \xff word".as_slice(), &[0]].concat());
    let output = pipeline(&folder, &["missing", "good", "/dev/null"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "        2  word\n        2  words, 1 different ones, in 1 files\n");
    let mut complaints = complaints(&output);
    complaints.sort();
    assert_eq!(complaints[0], "pipeline: /dev/null: neither a file nor a folder");
    assert!(complaints[1].starts_with("pipeline: missing: No such file"), "{complaints:?}");
    assert_eq!(complaints.len(), 2);
}

#[test]
fn nothing_to_count_is_no_error() {
    let folder = Folder::new("pipeline-empty");
    let output = pipeline(&folder, &["."]).output().unwrap();
    assert_eq!((output.status.code(), complaints(&output).len()), (Some(0), 0), "{output:?}");
    assert_eq!(text(&output.stdout), "        0  words, 0 different ones, in 0 files\n");
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let folder = Folder::new("pipeline-pipe");
    fill(&folder, 3);
    let mut child = Ended(pipeline(&folder, &["."]).spawn().unwrap());
    drop(child.0.stdout.take());
    assert!(child.0.wait().unwrap().success());
}

#[test]
fn bad_arguments_are_refused_and_help_is_given() {
    let folder = Folder::new("pipeline-arguments");
    for (arguments, complaint) in [
        (&[][..], "no path was given"),
        (&["--workers", "0", "."], "--workers takes a number from 1 to 256, not \"0\""),
        (&["--workers", "257", "."], "not \"257\""),
        (&["--queue", "many", "."], "--queue takes a number from 1 to 1000000, not \"many\""),
        (&[".", "--delay"], "--delay takes a number from 0 to 3600000, not \"\""),
        (&["--fast", "."], "what is --fast for?"),
    ] {
        let output = pipeline(&folder, arguments).output().unwrap();
        let complaints = text(&output.stderr);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), ""), "{complaints}");
        assert!(complaints.starts_with("pipeline: ") && complaints.contains(complaint), "{complaints}");
        assert!(complaints.contains("usage: pipeline [--workers N]"), "{complaints}");
    }
    let output = pipeline(&folder, &["--help"]).output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    assert!(text(&output.stdout).starts_with("usage: pipeline [--workers N]"));
}
