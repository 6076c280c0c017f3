//! The command line.

use std::net::SocketAddr;

use crate::child::Request;
use crate::measure::Scale;
use crate::rows::{self, Entry, Group};
use crate::runtimes::Contender;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
The same work on kumihimo, tokio, smol and bare epoll, and on process pools, in turn; medians, and ratios to the better
peer.

  --rows NAME,..   only these rows (--list names them)
  --only NAME,..   only these contenders: kumihimo, tokio, smol, epoll, cpython, procspawn
  --rounds N       turns per contender and row (default 11; the rows that take seconds take fewer)
  --workers N      threads per runtime (default: as many as there are cores); process pools have 2 processes
  --quick          a tenth of the work and 3 rounds: to see that it runs, not to quote
  --write          write docs/benchmarks.md and docs/benchmarks.svg (needs all rows and contenders)
  --list           the rows and the work each one does
";

/// Turns per contender and row unless told otherwise: odd, so that a median is a measured value.
const ROUNDS: usize = 11;

/// Turns under `--quick`.
const QUICK_ROUNDS: usize = 3;

/// What the program was asked to do.
pub(crate) enum Command {
    /// Measure.
    Contest(Args),
    /// Measure one row of one contender in this fresh process (started by the contest).
    Child(Request),
    /// Be the far end of many connections (started by the `idle` row).
    HoldConnections { address: SocketAddr, count: usize },
    /// Print the options.
    Help,
}

/// The choices of one contest.
pub(crate) struct Args {
    /// The rows to run, in order.
    pub(crate) rows: Vec<Entry>,
    /// Who takes part, in order.
    pub(crate) contenders: Vec<Contender>,
    /// Turns per contender.
    pub(crate) rounds: usize,
    /// Threads per runtime.
    pub(crate) workers: usize,
    /// How much of the work.
    pub(crate) scale: Scale,
    /// Whether to write the page and the chart.
    pub(crate) write: bool,
    /// Whether only to list the rows.
    pub(crate) list: bool,
}

impl Args {
    /// Who takes part in the rows of `group`, in the order of the columns.
    pub(crate) fn contenders_of(&self, group: Group) -> impl Iterator<Item = Contender> + '_ {
        group.contenders().iter().copied().filter(|contender| self.contenders.contains(contender))
    }

    /// Reads the arguments after the program's name.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Command, String> {
        let mut args = Args {
            rows: rows::all(),
            contenders: Contender::all(),
            rounds: 0,
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            scale: Scale::Full,
            write: false,
            list: false,
        };
        let mut partial = false;
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value; see --help"));
            match word.as_str() {
                "--rows" => {
                    (args.rows, partial) =
                        (value()?.split(',').map(rows::find).collect::<Result<_, _>>()?, true)
                }
                "--only" => {
                    (args.contenders, partial) =
                        (value()?.split(',').map(Contender::find).collect::<Result<_, _>>()?, true);
                }
                "--rounds" => args.rounds = count(&word, &value()?)?,
                "--workers" => args.workers = count(&word, &value()?)?,
                "--quick" => args.scale = Scale::Quick,
                "--write" => args.write = true,
                "--list" => args.list = true,
                "--help" | "-h" => return Ok(Command::Help),
                "--child" => return Request::decode(&mut words).map(Command::Child),
                "--hold-connections" => {
                    let address = value()?.parse().map_err(|error| format!("{word}: {error}"))?;
                    return Ok(Command::HoldConnections { address, count: count(&word, &value()?)? });
                }
                _ => return Err(format!("unknown option {word}; see --help")),
            }
        }
        let complete = !partial && args.contenders.contains(&Contender::Kumihimo);
        if args.write && !complete {
            return Err("--write needs every row and contender: leave out --rows and --only".into());
        }
        if args.rounds == 0 {
            args.rounds = if matches!(args.scale, Scale::Full) { ROUNDS } else { QUICK_ROUNDS };
        }
        Ok(Command::Contest(args))
    }
}

/// A whole number above zero.
pub(crate) fn count(option: &str, text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err(format!("{option} needs a whole number above 0, not {text:?}")),
    }
}
