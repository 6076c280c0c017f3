//! The command line.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// What `--help` prints.
pub(crate) const USAGE: &str = "\
usage: serve FOLDER [options]

Serves the files of FOLDER over HTTP/1.1 and HTTP/2 (without TLS, by prior knowledge).

  --port N               port to listen on; 0 picks a free one          (8080)
  --bind ADDR            address to listen on                           (127.0.0.1)
  --max-connections N    further clients wait until one leaves          (4096)
  --request-timeout S    seconds to find an answer; then 503            (30)
  --header-timeout S     seconds a client may take to send a request    (10)
  --idle-timeout S       seconds without a byte sent; then it is closed (60)
  --shutdown-timeout S   seconds running requests get to finish         (10)
  --workers N            threads that run the server                    (one per core)
  --quiet                no line per request
  --self-test            serve on a free port, request every file, check, exit
  --help                 this text";

/// What the command line asked for.
#[derive(Debug)]
pub(crate) enum Wish {
    Help,
    Serve(Options),
}

/// Everything that can be set.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The folder whose files are served.
    pub(crate) folder: PathBuf,
    /// Where to listen.
    pub(crate) address: SocketAddr,
    /// How many connections may be open at once; at least 1.
    pub(crate) max_connections: usize,
    /// How long finding an answer (not sending it) may take.
    pub(crate) request_timeout: Duration,
    /// How long a client may take to send a request's header; also how long an HTTP/1 connection is kept without one.
    pub(crate) header_timeout: Duration,
    /// How long a connection stays open while nothing is sent over it.
    pub(crate) idle_timeout: Duration,
    /// How long a graceful shutdown waits for running requests.
    pub(crate) shutdown_timeout: Duration,
    /// Worker threads; `None` is one per core.
    pub(crate) workers: Option<usize>,
    /// No access log.
    pub(crate) quiet: bool,
    /// Test the server and leave.
    pub(crate) self_test: bool,
}

impl Options {
    fn new() -> Options {
        Options {
            folder: PathBuf::new(),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            max_connections: 4096,
            request_timeout: Duration::from_secs(30),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            shutdown_timeout: Duration::from_secs(10),
            workers: None,
            quiet: false,
            self_test: false,
        }
    }
}

/// Reads the arguments, without the program's name. An `Err` is a sentence for the user.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Wish, String> {
    let mut arguments = arguments.into_iter();
    let mut options = Options::new();
    let mut folder = None;
    while let Some(argument) = arguments.next() {
        // Only a folder's name may be something else than UTF-8.
        let flag = argument.to_str().filter(|text| text.starts_with('-'));
        let Some(flag) = flag else {
            if folder.replace(PathBuf::from(&argument)).is_some() {
                return Err(format!("one folder only; what is {argument:?} for?"));
            }
            continue;
        };
        let (flag, attached) = match flag.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (flag, None),
        };
        let mut value = || match attached.clone() {
            Some(value) => Ok(value),
            None => match arguments.next().map(OsString::into_string) {
                Some(Ok(value)) => Ok(value),
                Some(Err(value)) => Err(format!("{flag} {value:?}: not valid text")),
                None => Err(format!("{flag} needs a value")),
            },
        };
        match flag {
            "--port" => options.address.set_port(number(flag, &value()?, 0)?),
            "--bind" => options.address.set_ip(address(flag, &value()?)?),
            "--max-connections" => options.max_connections = number(flag, &value()?, 1)?,
            "--workers" => options.workers = Some(number(flag, &value()?, 1)?),
            "--request-timeout" => options.request_timeout = seconds(flag, &value()?)?,
            "--header-timeout" => options.header_timeout = seconds(flag, &value()?)?,
            "--idle-timeout" => options.idle_timeout = seconds(flag, &value()?)?,
            "--shutdown-timeout" => options.shutdown_timeout = seconds(flag, &value()?)?,
            "--quiet" | "--self-test" | "--help" | "-h" if attached.is_some() => {
                return Err(format!("{flag} takes no value"));
            }
            "--quiet" => options.quiet = true,
            "--self-test" => options.self_test = true,
            "--help" | "-h" => return Ok(Wish::Help),
            _ => return Err(format!("unknown option {flag}; --help lists them all")),
        }
    }
    options.folder = folder.ok_or("which folder? usage: serve FOLDER [options]; --help lists the options")?;
    Ok(Wish::Serve(options))
}

fn number<N: TryFrom<u32>>(flag: &str, value: &str, least: u32) -> Result<N, String> {
    value
        .parse::<u32>()
        .ok()
        .filter(|number| *number >= least)
        .and_then(|number| N::try_from(number).ok())
        .ok_or_else(|| format!("{flag} {value}: not a number that fits here (at least {least})"))
}

fn address(flag: &str, value: &str) -> Result<IpAddr, String> {
    value.parse().map_err(|_| format!("{flag} {value}: not an IP address, such as 127.0.0.1 or ::"))
}

/// Time-outs are between a millisecond and a day.
fn seconds(flag: &str, value: &str) -> Result<Duration, String> {
    value
        .parse::<f64>()
        .ok()
        .filter(|seconds| (0.001..=86_400.0).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("{flag} {value}: not a number of seconds between 0.001 and 86400"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Options {
        match parse(line.split_whitespace().map(OsString::from)) {
            Ok(Wish::Serve(options)) => options,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn error(line: &str) -> String {
        parse(line.split_whitespace().map(OsString::from)).expect_err(line)
    }

    #[test]
    fn defaults_and_every_option() {
        let plain = options("docs");
        assert_eq!(plain.folder, PathBuf::from("docs"));
        assert_eq!(plain.address, "127.0.0.1:8080".parse().unwrap());
        assert!(!plain.quiet && !plain.self_test && plain.workers.is_none());

        let all = options(
            "--port 0 --bind=::1 x --max-connections 7 --request-timeout 0.5 --workers=2 --quiet --self-test",
        );
        assert_eq!(all.address, "[::1]:0".parse().unwrap());
        assert_eq!((all.max_connections, all.workers), (7, Some(2)));
        assert_eq!(all.request_timeout, Duration::from_millis(500));
        assert!(all.quiet && all.self_test);
    }

    #[test]
    fn errors_name_the_culprit() {
        assert!(error("").contains("which folder?"));
        assert!(error("a b").contains("\"b\""));
        assert!(error("a --prot 1").contains("--prot"));
        assert!(error("a --port").contains("needs a value"));
        assert!(error("a --port 65536").contains("65536"));
        assert!(error("a --bind here").contains("here"));
        assert!(error("a --max-connections 0").contains("at least 1"));
        assert!(error("a --idle-timeout NaN").contains("NaN"));
        assert!(error("a --quiet=yes").contains("takes no value"));
        assert!(matches!(parse(["-h".into()]), Ok(Wish::Help)));
    }
}
