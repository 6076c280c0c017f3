//! Runs cargo, says what it runs, and counts what the tests said.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{Failure, Outcome};
use crate::workspace;

/// One call of cargo.
#[derive(Debug)]
pub struct Cargo {
    /// The subcommand and its options.
    args: Vec<String>,
    /// Variables set for this call.
    envs: Vec<(String, String)>,
    /// The folder of another toolchain's programs; none for the one that runs this program.
    toolchain: Option<PathBuf>,
}

impl Cargo {
    /// `cargo ARGS`; the arguments are separated by blanks.
    pub fn new(args: &str) -> Cargo {
        Cargo {
            args: args.split_whitespace().map(str::to_string).collect(),
            envs: Vec::new(),
            toolchain: None,
        }
    }

    /// More arguments, again separated by blanks.
    pub fn args(mut self, args: &str) -> Cargo {
        self.args.extend(args.split_whitespace().map(str::to_string));
        self
    }

    /// `-p NAME` for each of these.
    pub fn packages<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Cargo {
        names.into_iter().fold(self, |cargo, name| cargo.args("-p").args(name))
    }

    /// A variable of the environment for this call.
    pub fn env(mut self, key: &str, value: impl Into<String>) -> Cargo {
        self.envs.push((key.to_string(), value.into()));
        self
    }

    /// Another toolchain, by the folder of its programs.
    pub fn toolchain(mut self, bin: PathBuf) -> Cargo {
        self.toolchain = Some(bin);
        self
    }

    /// A target folder of its own: see [`workspace::target_dir`].
    pub fn target_dir(self, name: &str) -> Cargo {
        let folder = workspace::target_dir(name);
        self.env("CARGO_TARGET_DIR", folder.display().to_string())
    }

    /// Runs it with its output on the terminal.
    pub fn run(&self) -> Outcome {
        println!("$ {self}");
        let status = self.command().status().map_err(|error| self.not_started(&error))?;
        if status.success() { Ok(()) } else { Err(self.failed()) }
    }

    /// Runs it and gives back what it printed.
    pub fn output(&self) -> Outcome<String> {
        println!("$ {self}");
        let output = self.command().stderr(Stdio::inherit()).output();
        let output = output.map_err(|error| self.not_started(&error))?;
        if !output.status.success() {
            return Err(self.failed());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs tests with their output on the terminal, counting their results on the way.
    pub fn run_tests(&self) -> Outcome<TestCounts> {
        println!("$ {self}");
        let mut child =
            self.command().stdout(Stdio::piped()).spawn().map_err(|error| self.not_started(&error))?;
        let mut counts = TestCounts::default();
        let stdout = child.stdout.take().expect("piped");
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            counts.add_line(&line);
        }
        let status = child.wait().map_err(|error| self.not_started(&error))?;
        counts.failed_otherwise = !status.success() && counts.failed == 0;
        Ok(counts)
    }

    fn command(&self) -> Command {
        let mut command = match &self.toolchain {
            // The `cargo` that runs this program, so that a toolchain chosen with `+name` holds.
            None => Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())),
            Some(bin) => {
                let mut command = Command::new(bin.join("cargo"));
                command.env("RUSTC", bin.join("rustc")).env("RUSTDOC", bin.join("rustdoc"));
                // Both lead back to the toolchain that runs this program: the second one to its compiler's library.
                command.env_remove("RUSTUP_TOOLCHAIN").env_remove("LD_LIBRARY_PATH");
                command
            }
        };
        command.args(&self.args).current_dir(workspace::root()).stdin(Stdio::null());
        command.envs(self.envs.iter().map(|(key, value)| (key, value)));
        command
    }

    fn not_started(&self, error: &std::io::Error) -> Failure {
        Failure::new(format!("`{self}` could not be started: {error}; is cargo in PATH?"))
    }

    fn failed(&self) -> Failure {
        Failure::new(format!("`{self}` failed; the reason stands above"))
    }
}

impl fmt::Display for Cargo {
    /// As one would type it at the root of the repository.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, value) in &self.envs {
            let value = Path::new(value)
                .strip_prefix(workspace::root())
                .map_or(value.clone(), |p| p.display().to_string());
            if value.contains([' ', '"']) {
                write!(f, "{key}='{value}' ")?;
            } else {
                write!(f, "{key}={value} ")?;
            }
        }
        write!(f, "cargo {}", self.args.join(" "))
    }
}

/// What a run of tests said.
#[derive(Debug, Default)]
pub struct TestCounts {
    /// Tests that passed.
    pub passed: usize,
    /// Tests that failed.
    pub failed: usize,
    /// Tests that were not run (`#[ignore]`).
    pub ignored: usize,
    /// Test programs that reported a result.
    pub programs: usize,
    /// Names of the tests that failed.
    pub failures: Vec<String>,
    /// Cargo failed, yet no test did: it did not build, a test program died, or a sanitizer reported something.
    pub failed_otherwise: bool,
}

impl TestCounts {
    /// Takes in one line of cargo's output.
    fn add_line(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.programs += 1;
            self.passed += number_before(result, " passed");
            self.failed += number_before(result, " failed");
            self.ignored += number_before(result, " ignored");
        } else if let Some(name) =
            line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            self.failures.push(name.to_string());
        }
    }

    /// Adds another run's counts.
    pub fn add(&mut self, other: TestCounts) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
        self.programs += other.programs;
        self.failures.extend(other.failures);
        self.failed_otherwise |= other.failed_otherwise;
    }

    /// Prints the summary; an error unless all is well.
    pub fn conclude(self) -> Outcome {
        println!();
        for name in &self.failures {
            println!("FAILED: {name}");
        }
        let TestCounts { passed, failed, ignored, programs, .. } = self;
        println!("{passed} passed, {failed} failed, {ignored} ignored in {programs} test programs");
        if failed > 0 {
            return Err(Failure::new(format!("{failed} tests failed; their output stands above")));
        }
        if self.failed_otherwise {
            return Err(Failure::new(
                "cargo failed though no test did: something did not build, a test program died, or a sanitizer \
                 reported something; it stands above",
            ));
        }
        Ok(())
    }
}

/// The number that stands right before `word`; 0 if there is none.
fn number_before(text: &str, word: &str) -> usize {
    let before = text.find(word).map_or("", |at| &text[..at]);
    before.rsplit(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default().parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_several_programs() {
        let mut counts = TestCounts::default();
        counts.add_line("test a::b ... FAILED");
        counts.add_line("test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 2 filtered out");
        counts.add_line("test result: ok. 12 passed; 0 failed; 4 ignored; 0 measured; 0 filtered out");
        assert_eq!((counts.passed, counts.failed, counts.ignored, counts.programs), (15, 1, 4, 2));
        assert_eq!(counts.failures, ["a::b"]);
        assert!(counts.conclude().is_err());
    }

    #[test]
    fn shown_as_typed() {
        let cargo = Cargo::new("test  --lib").packages(["a", "b"]).env("RUSTFLAGS", "--cfg x");
        assert_eq!(cargo.to_string(), "RUSTFLAGS='--cfg x' cargo test --lib -p a -p b");
    }
}
