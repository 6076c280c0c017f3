//! `--self-test`: requests everything from the running server and compares.

use std::fmt::Debug;
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use kumihimo as asyncio;
use kumihimo::hyper::HyperExecutor;
use kumihimo::net::TcpStream;

use super::file_body::CHUNK;
use super::listing::encode;

/// What was tried, and what went wrong.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) checks: u64,
    pub(crate) failures: Vec<String>,
}

impl Report {
    fn check<T: PartialEq + Debug>(&mut self, what: &str, got: T, expected: T) {
        self.checks += 1;
        if got != expected {
            self.failures.push(format!("{what}: got {got:?}, expected {expected:?}"));
        }
    }

    fn broken(&mut self, what: &str, error: &dyn std::error::Error) {
        self.failures.push(format!("{what}: {error}"));
    }
}

/// Tests the server at `address`, which serves `folder`.
pub(crate) async fn test(address: SocketAddr, folder: PathBuf) -> Report {
    // A client that blocks, on a thread of its own, as a program outside would be.
    let (mut report, files) = asyncio::to_thread(move || over_http1(address, &folder)).await;
    // And one on this runtime, which sends all its requests over one connection.
    if let Err(error) = over_http2(address, &files, &mut report).await {
        report.broken("HTTP/2", &*error);
    }
    report
}

/// A file, and the path to request it by.
struct Known {
    file: PathBuf,
    path: String,
}

fn over_http1(address: SocketAddr, folder: &Path) -> (Report, Vec<Known>) {
    let mut client = Client::new(address);
    let mut known = Vec::new();
    let mut folders = vec![(folder.to_owned(), "/".to_owned())];
    while let Some((folder, path)) = folders.pop() {
        client.folder(&path);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries.flatten(),
            Err(error) => {
                client.report.broken(&path, &error);
                continue;
            }
        };
        for entry in entries {
            let path = format!("{path}{}", encode(&entry.file_name()));
            // Links are left alone: which of them may be followed is the server's affair.
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push((entry.path(), path + "/")),
                Ok(kind) if kind.is_file() => known.push(Known { file: entry.path(), path }),
                _ => {}
            }
        }
    }
    for known in &known {
        if let Err(error) = client.file(known) {
            client.report.broken(&known.path, &*error);
        }
    }
    client.strangers();
    (client.report, known)
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

struct Client {
    agent: ureq::Agent,
    base: String,
    report: Report,
}

impl Client {
    fn new(address: SocketAddr) -> Client {
        let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build();
        Client { agent: config.into(), base: format!("http://{address}"), report: Report::default() }
    }

    fn get(&self, path: &str, headers: &[(&str, &str)]) -> Result<Response<ureq::Body>, ureq::Error> {
        let request = self.agent.get(format!("{}{path}", self.base));
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).call()
    }

    /// One file in all the ways there are.
    fn file(&mut self, known: &Known) -> Result<(), AnyError> {
        let Known { file, path } = known;
        let length = fs::metadata(file)?.len();
        self.report.files += 1;

        let mut whole = self.get(path, &[])?;
        self.report.check(&format!("GET {path}"), whole.status(), StatusCode::OK);
        let same = same_bytes(&mut whole.body_mut().as_reader(), &mut File::open(file)?)?;
        self.report.check(&format!("bytes of {path}"), same, Ok(length));
        self.report.bytes += length;

        let head = self.agent.head(format!("{}{path}", self.base)).call()?;
        self.report.check(&format!("HEAD {path}"), text(&head, "content-length"), length.to_string());

        let modified = text(&whole, "last-modified");
        let unchanged = self.get(path, &[("if-modified-since", &modified)])?;
        self.report.check(&format!("GET {path} again"), unchanged.status(), StatusCode::NOT_MODIFIED);

        let beyond = self.get(path, &[("range", &format!("bytes={length}-"))])?;
        self.report.check(&format!("beyond {path}"), beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
        if length > 0 {
            self.part(known, length / 2, length, &modified)?;
            self.part(known, 0, length.min(10), &modified)?;
        }
        Ok(())
    }

    fn part(&mut self, known: &Known, start: u64, end: u64, modified: &str) -> Result<(), AnyError> {
        let Known { file, path } = known;
        let range = format!("bytes={start}-{}", end - 1);
        let what = format!("{range} of {path}");
        let mut part = self.get(path, &[("range", &range), ("if-range", modified)])?;
        self.report.check(&what, part.status(), StatusCode::PARTIAL_CONTENT);
        let mut expected = File::open(file)?;
        io::copy(&mut Read::by_ref(&mut expected).take(start), &mut io::sink())?;
        let same = same_bytes(&mut part.body_mut().as_reader(), &mut expected.take(end - start))?;
        self.report.check(&what, same, Ok(end - start));
        Ok(())
    }

    fn folder(&mut self, path: &str) {
        self.expect(path, StatusCode::OK);
        if path != "/" {
            self.expect(path.trim_end_matches('/'), StatusCode::MOVED_PERMANENTLY);
        }
    }

    /// Paths that must lead nowhere.
    fn strangers(&mut self) {
        for path in
            ["/no-such-file", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd", "//etc/passwd", "/%00"]
        {
            self.expect(path, StatusCode::NOT_FOUND);
        }
    }

    fn expect(&mut self, path: &str, status: StatusCode) {
        match self.get(path, &[]) {
            Ok(response) => self.report.check(&format!("GET {path}"), response.status(), status),
            Err(error) => self.report.broken(path, &error),
        }
    }
}

fn text(response: &Response<ureq::Body>, name: &str) -> String {
    response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// `Ok` with how many bytes both have, `Err` with where they differ, give or take a chunk.
fn same_bytes(got: &mut dyn Read, expected: &mut dyn Read) -> io::Result<Result<u64, u64>> {
    let mut count = 0;
    loop {
        let got = chunk(got)?;
        if got != chunk(expected)? {
            return Ok(Err(count));
        }
        count += got.len() as u64;
        if got.is_empty() {
            return Ok(Ok(count));
        }
    }
}

/// The next bytes, as many as there are up to the size of a chunk.
fn chunk(from: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(CHUNK as usize);
    from.take(CHUNK).read_to_end(&mut bytes)?;
    Ok(bytes)
}

async fn over_http2(address: SocketAddr, known: &[Known], report: &mut Report) -> Result<(), AnyError> {
    let stream = TcpStream::connect(address).await?;
    let (client, connection) = hyper::client::conn::http2::handshake(HyperExecutor, stream).await?;
    let connection = asyncio::create_task(connection);
    // A few at once: they share the connection.
    let requests: Vec<_> = known
        .iter()
        .take(20)
        .map(|known| {
            let mut client = client.clone();
            let target = format!("http://{address}{}", known.path).parse::<Uri>();
            asyncio::create_task(async move {
                let request = Request::get(target?).body(Empty::<Bytes>::new())?;
                let response = client.send_request(request).await?;
                Ok::<_, AnyError>((response.status(), response.into_body().collect().await?.to_bytes()))
            })
        })
        .collect();
    for (request, known) in requests.into_iter().zip(known) {
        let (status, bytes) = request.await?;
        report.check(&format!("GET {} over HTTP/2", known.path), status, StatusCode::OK);
        let same = same_bytes(&mut &bytes[..], &mut File::open(&known.file)?)?;
        report.check(
            &format!("bytes of {} over HTTP/2", known.path),
            same,
            Ok(fs::metadata(&known.file)?.len()),
        );
    }
    drop(client);
    connection.await?;
    Ok(())
}
