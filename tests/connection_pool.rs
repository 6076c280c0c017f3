//! The example connection pool: that every request has its end, and every connection too, however it is run and interrupted.

#[path = "support/example.rs"]
mod example;
#[path = "support/interruptible.rs"]
mod interruptible;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use interruptible::interruptible;
use rustix::process::{Pid, Signal, kill_process};

/// Nothing here takes this long, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn connection_pool(arguments: &[&str]) -> Command {
    let mut program = Command::new(example::executable("connection_pool"));
    program.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    interruptible(&mut program);
    program
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("it prints text")
}

/// What it says in the end.
#[derive(Debug)]
struct Summary {
    /// All of them, those that were answered, not answered, and those that got no connection.
    requests: [usize; 4],
    /// Opened, used again, broken, closed at the end.
    connections: [usize; 4],
    /// What it printed before: a line for each request that failed.
    failures: Vec<String>,
}

fn summary(printed: &str) -> Summary {
    let numbers = |line: &str| -> [usize; 4] {
        let numbers: Vec<_> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        numbers.try_into().unwrap_or_else(|_| panic!("four numbers in {line:?}"))
    };
    let mut lines: Vec<String> = printed.lines().map(String::from).collect();
    let (connections, requests) = (lines.pop().unwrap(), lines.pop().unwrap());
    Summary { requests: numbers(&requests), connections: numbers(&connections), failures: lines }
}

/// What is so in every run that was not interrupted.
fn ended(output: &Output) -> Summary {
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "{output:?}");
    let summary = summary(text(&output.stdout));
    let [all, answered, unanswered, unconnected] = summary.requests;
    assert_eq!(all, answered + unanswered + unconnected, "{summary:?}");
    assert_eq!(summary.failures.len(), unanswered + unconnected, "{summary:?}");
    nothing_is_left_open(&summary);
    summary
}

fn nothing_is_left_open(summary: &Summary) {
    let [opened, _, broken, closed] = summary.connections;
    assert_eq!(opened, broken + closed, "{summary:?}");
}

/// More time for a connection than the tests have.
const FOR_EVER: &str = "3600000";

#[test]
fn every_request_is_answered_but_those_that_the_server_ignores() {
    for connections in ["1", "4", "100"] {
        let arguments =
            ["--clients", "8", "--requests", "20", "--wait", FOR_EVER, "--connections", connections];
        let summary = ended(&connection_pool(&arguments).output().unwrap());
        let [all, _, unanswered, unconnected] = summary.requests;
        assert_eq!((all, unconnected), (160, 0), "{summary:?}");
        // One in forty. On a machine that is very busy others may be late as well.
        assert!(unanswered >= 4, "{summary:?}");
        for ignored in ["39", "79", "119", "159"] {
            let line = format!("{ignored}: no answer within 100ms");
            assert!(summary.failures.contains(&line), "{summary:?}");
        }
        // A connection is good for twenty answers, and one that owes an answer is good for nothing.
        let [opened, used_again, broken, closed] = summary.connections;
        assert!(broken >= unanswered && opened >= 8, "{summary:?}");
        assert!(opened + used_again >= 160 && closed <= connections.parse().unwrap(), "{summary:?}");
    }
}

#[test]
fn who_waits_too_long_is_told_that_the_pool_is_exhausted() {
    // Each has the connection for five times as long as the others wait.
    let arguments = ["--connections", "1", "--clients", "40", "--requests", "1", "--wait", "1"];
    let summary = ended(&connection_pool(&arguments).output().unwrap());
    let [all, _, _, unconnected] = summary.requests;
    assert!(all == 40 && unconnected > 0, "{summary:?}");
    let told = summary.failures.iter().filter(|line| line.contains("no connection was free within 1ms"));
    assert!(told.clone().count() > 0, "{summary:?}");
    for line in told {
        assert!(line.contains("the pool has 1, and ") && line.ends_with("or fewer clients"), "{line}");
    }
}

#[test]
fn bad_arguments_are_refused_and_help_is_given() {
    for (arguments, complaint) in [
        (&["--connections", "0"][..], "--connections takes a number from 1 to 1000, not \"0\""),
        (&["--connections", "1001"], "not \"1001\""),
        (&["--clients", "-1"], "--clients takes a number from 1 to 10000, not \"-1\""),
        (&["--requests", "many"], "--requests takes a number from 1 to 1000000, not \"many\""),
        (&["--wait"], "--wait takes a number from 1 to 3600000, not \"\""),
        (&["10"], "what is 10 for?"),
        (&["--fast"], "what is --fast for?"),
    ] {
        let output = connection_pool(arguments).output().unwrap();
        let complaints = text(&output.stderr);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), ""), "{complaints}");
        assert!(
            complaints.starts_with("connection_pool: ") && complaints.contains(complaint),
            "{complaints}"
        );
        assert!(complaints.contains("usage: connection_pool [--connections N]"), "{complaints}");
    }
    let output = connection_pool(&["--help"]).output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    assert!(text(&output.stdout).starts_with("usage: connection_pool [--connections N]"));
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
fn ctrl_c_ends_it_with_everything_given_back() {
    let arguments = ["--clients", "50", "--requests", "1000000", "--wait", FOR_EVER, "--connections", "8"];
    let mut program = Ended(connection_pool(&arguments).spawn().unwrap());
    let mut output = BufReader::new(program.0.stdout.take().unwrap());
    // Once a request has failed all clients are under way: they wait for connections, and for answers.
    let mut printed = String::new();
    assert!(output.read_line(&mut printed).unwrap() > 0);
    kill_process(Pid::from_child(&program.0), Signal::INT).unwrap();
    let interrupted = Instant::now();
    std::io::Read::read_to_string(&mut output, &mut printed).unwrap();
    assert_eq!(program.0.wait().unwrap().code(), Some(130), "{printed}");
    assert!(interrupted.elapsed() < PATIENCE, "{:?}", interrupted.elapsed());
    let summary = summary(&printed);
    nothing_is_left_open(&summary);
    let [_, answered, unanswered, unconnected] = summary.requests;
    assert!(answered > 0 && unconnected == 0, "{summary:?}");
    assert_eq!(summary.failures.len(), unanswered, "{summary:?}");
}
