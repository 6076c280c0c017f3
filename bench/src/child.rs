//! Rows that need a process of their own: this program started again for one turn.

use std::error::Error;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use crate::args::count;
use crate::machine::allow_descriptors;
use crate::measure::{Plan, Sample, Scale};
use crate::rows::{self, Measured};
use crate::runtimes::Contender;

/// One turn, to be done in a fresh process.
pub(crate) struct Request {
    /// The row's name.
    row: String,
    /// Whose turn.
    contender: Contender,
    /// How.
    plan: Plan,
}

impl Request {
    /// The request for one turn.
    pub(crate) fn new(row: &str, contender: Contender, plan: Plan) -> Request {
        Request { row: row.into(), contender, plan }
    }

    /// As arguments of this program.
    fn encode(&self) -> [String; 5] {
        let scale = if self.plan.scale == Scale::Full { "full" } else { "quick" };
        [
            "--child".into(),
            self.row.clone(),
            self.contender.name().into(),
            self.plan.workers.to_string(),
            scale.into(),
        ]
    }

    /// From the arguments after `--child`.
    pub(crate) fn decode(words: &mut impl Iterator<Item = String>) -> Result<Request, String> {
        let mut next = || words.next().ok_or("--child is for this program's own use");
        let row = next()?;
        let contender = Contender::find(&next()?)?;
        let workers = count("--child", &next()?)?;
        let scale = if next()? == "full" { Scale::Full } else { Scale::Quick };
        Ok(Request { row, contender, plan: Plan { workers, scale } })
    }
}

/// Has `request` done by a fresh process; `None` if that contender has no such row.
pub(crate) fn ask(request: &Request) -> Option<Measured> {
    ask_and_parse(request).transpose()
}

/// Starts the process and reads the values that it prints; `None` if it prints none.
fn ask_and_parse(request: &Request) -> Result<Option<Sample>, Box<dyn Error + Send + Sync>> {
    let output =
        Command::new(std::env::current_exe()?).args(request.encode()).stderr(Stdio::piped()).output()?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(text.trim().trim_start_matches("kumihimo-bench: ").into());
    }
    let text = String::from_utf8(output.stdout)?;
    let sample: Sample = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    Ok((!sample.is_empty()).then_some(sample))
}

/// The fresh process: does the turn and prints its values, or nothing if the contender has no such row.
pub(crate) fn answer(request: &Request) -> Result<(), String> {
    let row = rows::find(&request.row)?;
    let Some(measured) = (row.turn)(request.contender, request.plan) else { return Ok(()) };
    let sample = measured.map_err(|error| error.to_string())?;
    let words: Vec<String> = sample.iter().map(f64::to_string).collect();
    println!("{}", words.join(" "));
    Ok(())
}

/// Connects `count` times to `address` and holds the connections until standard input ends.
pub(crate) fn hold_connections(address: SocketAddr, count: usize) -> Result<(), String> {
    allow_descriptors(count as u64 + 20)?;
    let connect =
        |_| TcpStream::connect(address).map_err(|error| format!("connecting to {address}: {error}"));
    let held: Vec<TcpStream> = (0..count).map(connect).collect::<Result<_, _>>()?;
    let ended = std::io::stdin().read_to_end(&mut Vec::new());
    drop(held);
    ended.map(drop).map_err(|error| format!("standard input: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_survives_the_command_line() {
        let words =
            Request::new("memory", Contender::Smol, Plan { workers: 3, scale: Scale::Quick }).encode();
        let decoded = Request::decode(&mut words.into_iter().skip(1)).expect("it decodes");
        assert_eq!(
            (decoded.row.as_str(), decoded.contender, decoded.plan.workers),
            ("memory", Contender::Smol, 3)
        );
        assert!(decoded.plan.scale == Scale::Quick);
    }
}
