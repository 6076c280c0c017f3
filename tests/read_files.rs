//! The example that reads many files: what it prints, in which order, and what it says of files that cannot be read.

#[path = "support/example.rs"]
mod example;
#[path = "support/folder.rs"]
mod folder;

use std::os::unix::fs::symlink;
use std::process::{Command, Output, Stdio};

use folder::Folder;

fn read_files(folder: &Folder, args: &[&str]) -> Output {
    let mut command = Command::new(example::executable("read_files"));
    command.current_dir(&folder.0).args(args).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The columns of each line: bytes, lines, and the path or the sum's number of files.
fn columns(output: &Output) -> Vec<(u64, u64, String)> {
    text(&output.stdout)
        .lines()
        .map(|line| {
            let (sizes, path) = line.split_once("lines  ").unwrap();
            let (bytes, lines) = sizes.split_once("bytes").unwrap();
            (bytes.trim().parse().unwrap(), lines.trim().parse().unwrap(), path.into())
        })
        .collect()
}

#[test]
fn many_files_in_order_however_many_at_once() {
    let folder = Folder::new("read-order");
    let mut expected = Vec::new();
    let (mut bytes, mut lines) = (0, 0);
    for n in 0..300_u64 {
        let name = format!("all/{:03}/file-{n:03}", n / 100);
        // Sizes around the size of a chunk; early ones are large, so that later ones are ready before.
        let length = if n % 50 == 0 { 400_000 - n } else { n };
        let contents: Vec<u8> = (0..length).map(|at| if at % 7 == 6 { b'\n' } else { b'x' }).collect();
        folder.write(&name, &contents);
        expected.push((length, length / 7, name));
        (bytes, lines) = (bytes + length, lines + length / 7);
    }
    expected.push((bytes, lines, "in 300 files".into()));
    for at_once in ["1", "3", "64", "1000"] {
        let output = read_files(&folder, &["--at-once", at_once, "all"]);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
        assert_eq!(columns(&output), expected, "{at_once} at once");
    }
}

#[test]
fn paths_keep_their_order_and_links_are_passed_over() {
    let folder = Folder::new("read-paths");
    folder.write("b", "one\ntwo");
    folder.write("dir/empty", "");
    folder.write("dir/deep/file", "x");
    symlink("/etc", folder.0.join("dir/etc")).unwrap();
    symlink("..", folder.0.join("dir/deep/round")).unwrap();
    let output = read_files(&folder, &["b", "dir", "b"]);
    let paths: Vec<_> = columns(&output).into_iter().map(|(bytes, _, path)| (bytes, path)).collect();
    let expected = [(7, "b"), (1, "dir/deep/file"), (0, "dir/empty"), (7, "b"), (15, "in 4 files")];
    assert_eq!(paths, expected.map(|(bytes, path)| (bytes, path.to_owned())));
    assert!(output.status.success());
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_read() {
    let folder = Folder::new("read-errors");
    folder.write("good", "good\n");
    let output = read_files(&folder, &["missing", "good", "/dev/null"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(columns(&output), [(5, 1, "good".to_owned()), (5, 1, "in 1 files".to_owned())]);
    let errors: Vec<_> = text(&output.stderr).lines().collect();
    assert!(errors[0].starts_with("read_files: missing: No such file"), "{errors:?}");
    assert_eq!(errors[1..], ["read_files: /dev/null: neither a file nor a folder"]);
}

#[test]
fn wrong_arguments_are_explained() {
    let folder = Folder::new("read-arguments");
    let wrong: [(&[&str], &str); 5] = [
        (&[], "no path was given"),
        (&["--at-once", "0", "x"], "--at-once takes a number"),
        (&["--at-once", "many", "x"], "--at-once takes a number"),
        (&["x", "--at-once"], "--at-once takes a number"),
        (&["--fast", "x"], "unknown option --fast"),
    ];
    for (args, error) in wrong {
        let output = read_files(&folder, args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let said = text(&output.stderr);
        assert!(said.contains(error) && said.contains("usage: read_files"), "{args:?}: {said}");
    }
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let folder = Folder::new("read-pipe");
    for n in 0..3000 {
        folder.write(&format!("{n:04}"), "x");
    }
    let mut child = Command::new(example::executable("read_files"))
        .arg(&folder.0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
}
