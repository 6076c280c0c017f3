//! The example server as its clients see it: a process of its own, real sockets, good clients and bad ones.

#[path = "support/example.rs"]
mod example;
#[allow(dead_code)]
#[path = "support/processes.rs"]
mod processes;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use kumihimo as asyncio;
use kumihimo::hyper::HyperExecutor;
use rustix::process::{Pid, Signal, kill_process};

/// The program's modules again, for their unit tests: cargo doesn't run those of an example.
#[allow(dead_code)]
#[path = "../examples/serve/main.rs"]
mod program;

/// The size of `large`, which is one hole.
const LARGE: u64 = 64 << 20;

/// Nothing here takes this long, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(60);

// === the folder ===

/// A folder to serve; removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let base = std::env::temp_dir().join(format!("kumihimo-serve-{name}-{}", std::process::id()));
        let inside = base.join("inside");
        fs::create_dir_all(inside.join("sub/deep")).unwrap();
        fs::write(base.join("secret"), "secret").unwrap();
        fs::write(inside.join("hello.txt"), "hello, world\n").unwrap();
        fs::write(inside.join("empty"), "").unwrap();
        fs::write(inside.join("sub/with space & <signs>.html"), "<p>").unwrap();
        let pattern: Vec<u8> = (0..700_001_u32).map(|i| (i % 251) as u8).collect();
        fs::write(inside.join("sub/deep/pattern.bin"), pattern).unwrap();
        File::create(inside.join("large")).unwrap().set_len(LARGE).unwrap();
        symlink("../secret", inside.join("leak")).unwrap();
        symlink("/etc", inside.join("etc")).unwrap();
        Folder(base)
    }

    fn served(&self) -> PathBuf {
        self.0.join("inside")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

// === the server ===

struct Server {
    child: Child,
    address: SocketAddr,
    lines: Receiver<String>,
}

impl Server {
    fn start(folder: &Folder, options: &[&str]) -> Server {
        let mut child = Command::new(example::executable("serve"))
            .arg(folder.served())
            .args(["--port", "0"])
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the example should start");
        let (send, lines) = mpsc::channel();
        let outputs: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for output in outputs {
            let send = send.clone();
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    let _ = send.send(line);
                }
            });
        }
        let address = loop {
            let line = lines.recv_timeout(PATIENCE).expect("the server should say where it listens");
            if let Some((_, address)) = line.split_once(" at http://") {
                break address.trim_end_matches('/').parse().unwrap();
            }
        };
        Server { child, address, lines }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end; gives what was printed since the start.
    fn wait(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "the server should end");
            thread::sleep(Duration::from_millis(10));
        };
        let mut printed = String::new();
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(5)) {
            printed += &line;
            printed += "\n";
        }
        (status, printed)
    }

    fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// Waits until the server has no more descriptors open than `count`.
    fn descriptors_return_to(&self, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.descriptors() > count {
            assert!(Instant::now() < deadline, "{} descriptors are open, not {count}", self.descriptors());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client { stream: BufReader::new(stream) }
    }

    /// The status and body for one raw request on a new connection.
    fn ask(&self, request: &[u8]) -> (u16, Vec<u8>) {
        let mut client = self.connect();
        // The server may refuse, and close, before it has everything.
        let _ = client.stream.get_mut().write_all(request);
        client.response()
    }

    fn status(&self, request: &[u8]) -> u16 {
        self.ask(request).0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// === a client ===

struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    fn send(&mut self, path: &str) {
        write!(self.stream.get_mut(), "GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    }

    fn get(&mut self, path: &str) -> (u16, Vec<u8>) {
        self.send(path);
        self.response()
    }

    /// The status, and the length of the body that follows.
    fn head(&mut self) -> (u16, usize) {
        let mut status = String::new();
        self.stream.read_line(&mut status).unwrap();
        let status = status.split(' ').nth(1).unwrap_or_else(|| panic!("a status line, not {status:?}"));
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).unwrap();
            match line.trim_end().to_ascii_lowercase().split_once(": ") {
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(_) => {}
                None => return (status.parse().unwrap(), length),
            }
        }
    }

    fn response(&mut self) -> (u16, Vec<u8>) {
        let (status, length) = self.head();
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        (status, body)
    }

    /// How long the server takes to close the connection from now on.
    fn until_closed(&mut self) -> Duration {
        let start = Instant::now();
        // An end or a reset, both are closed; but no time-out.
        if let Err(error) = self.stream.read_to_end(&mut Vec::new()) {
            assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "the server should close");
        }
        start.elapsed()
    }
}

/// Clients that do nothing wrong, as long as this lives.
struct GoodClients {
    stop: std::sync::Arc<AtomicBool>,
    answers: std::sync::Arc<AtomicUsize>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl GoodClients {
    fn start(server: &Server, count: usize) -> GoodClients {
        let (stop, answers) = <(std::sync::Arc<AtomicBool>, std::sync::Arc<AtomicUsize>)>::default();
        let threads = (0..count)
            .map(|_| {
                let (stop, answers, mut client) = (stop.clone(), answers.clone(), server.connect());
                thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        assert_eq!(client.get("/hello.txt"), (200, b"hello, world\n".to_vec()));
                        answers.fetch_add(1, Ordering::Relaxed);
                        thread::sleep(Duration::from_millis(20));
                    }
                })
            })
            .collect();
        GoodClients { stop, answers, threads }
    }

    /// Every client gets further answers.
    fn go_on(&self) {
        let (start, before) = (Instant::now(), self.answers.load(Ordering::Relaxed));
        while self.answers.load(Ordering::Relaxed) < before + 2 * self.threads.len() {
            assert!(!self.threads.iter().any(thread::JoinHandle::is_finished), "a good client failed");
            assert!(start.elapsed() < PATIENCE, "good clients should be answered");
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().expect("a good client failed"));
    }
}

// === the tests ===

#[test]
fn self_test_finds_nothing() {
    let folder = Folder::new("self-test");
    let output =
        Command::new(example::executable("serve")).arg(folder.served()).arg("--self-test").output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("self-test: 5 files"), "{printed}");
    assert!(printed.contains(" 0 failures"), "{printed}");
}

#[test]
fn mistakes_on_the_command_line_are_explained() {
    for (arguments, sentence) in [
        (&["/no/such/folder"][..], "can't serve /no/such/folder: No such file or directory"),
        (&["/etc/passwd"], "can't serve /etc/passwd: Not a directory"),
        (&[], "which folder?"),
        (&[".", "--prot", "80"], "unknown option --prot"),
        (&[".", "--port", "many"], "--port many"),
    ] {
        let output = Command::new(example::executable("serve")).args(arguments).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{printed}");
        assert!(printed.contains(sentence), "{printed}");
    }
}

#[test]
fn bad_clients_get_their_answer_and_good_ones_go_on() {
    let folder = Folder::new("bad-clients");
    let server = Server::start(&folder, &["--header-timeout", "1", "--quiet"]);
    assert_eq!(server.connect().get("/hello.txt").0, 200);
    // Until that client's departure is noticed.
    thread::sleep(Duration::from_millis(100));
    let at_start = server.descriptors();
    let good = GoodClients::start(&server, 100);
    good.go_on();

    paths_outside_are_not_found(&server, &good);
    bad_headers_are_refused(&server, &good);
    huge_headers_are_refused(&server, &good);
    slow_headers_are_cut_off(&server, &good);
    clients_that_vanish_leave_nothing(&server, &good);

    good.finish();
    server.descriptors_return_to(at_start);
}

fn paths_outside_are_not_found(server: &Server, good: &GoodClients) {
    for path in [
        "/../secret",
        "/sub/../../secret",
        "/%2e%2e/secret",
        "/%2E%2e%2fsecret",
        "/..%2fsecret",
        "//etc/passwd",
        "/%2fetc/passwd",
        "/leak",
        "/etc/passwd",
        "/hello.txt%00",
        "/hello.txt/",
        "/hello.txt/x",
        "/nothing",
        "http://other/../secret",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
        let (status, body) = server.ask(request.as_bytes());
        assert_eq!((status, &body[..]), (404, &b"404 Not Found\n"[..]), "{path}");
    }
    good.go_on();
}

fn bad_headers_are_refused(server: &Server, good: &GoodClients) {
    for request in [
        &b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nName: a\0b\r\n\r\n",
        b"GET /a\0b HTTP/1.1\r\n\r\n",
        b"GET secret HTTP/1.1\r\nHost: test\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: one\r\nHost: two\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"G<T / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 what TLS says first\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nno preface after all",
    ] {
        assert_eq!(server.status(request), 400, "{}", request.escape_ascii());
    }
    assert_eq!(server.status(b"POST /hello.txt HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n"), 405);
    assert_eq!(server.ask(b"GET /hello.txt HTTP/1.0\r\n\r\n"), (200, b"hello, world\n".to_vec()));
    good.go_on();
}

fn huge_headers_are_refused(server: &Server, good: &GoodClients) {
    let long_value = format!("GET / HTTP/1.1\r\nName: {}\r\n\r\n", "x".repeat(1 << 20));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "Name: x\r\n".repeat(500));
    let endless = format!("GET / HTTP/1.1\r\nName: {}", "x".repeat(20_000));
    let long_path = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(30_000));
    for request in [long_value, many, endless, long_path] {
        assert_eq!(server.status(request.as_bytes()), 431, "{}...", &request[..40]);
    }
    good.go_on();
}

fn slow_headers_are_cut_off(server: &Server, good: &GoodClients) {
    // What is sent at once, and what is dripped after it: a byte now and then must not buy any time.
    let cases =
        [("", ""), ("", "GET / HTTP/1.1\r\n"), ("GET / HTTP/1.1\r\nName: ", "x"), ("PRI * HTTP/2.0", "")];
    let slow: Vec<_> = cases
        .into_iter()
        .map(|(start, drip)| {
            let mut client = server.connect();
            thread::spawn(move || {
                let began = Instant::now();
                client.stream.get_mut().write_all(start.as_bytes()).unwrap();
                let mut stream = client.stream.get_ref().try_clone().unwrap();
                let dripping = thread::spawn(move || {
                    for byte in drip.bytes().cycle().take(20) {
                        thread::sleep(Duration::from_millis(100));
                        if stream.write_all(&[byte]).is_err() {
                            break;
                        }
                    }
                });
                client.until_closed();
                let took = began.elapsed();
                dripping.join().unwrap();
                took
            })
        })
        .collect();
    good.go_on();
    for client in slow {
        let took = client.join().unwrap();
        assert!(took > Duration::from_millis(900), "cut off too early: {took:?}");
        assert!(took < Duration::from_secs(10), "cut off too late: {took:?}");
    }
    good.go_on();
}

fn clients_that_vanish_leave_nothing(server: &Server, good: &GoodClients) {
    for round in 0..50 {
        let mut client = server.connect();
        match round % 3 {
            // In the middle of a header.
            0 => client.stream.get_mut().write_all(b"GET /large HT").unwrap(),
            // Before the answer.
            1 => client.send("/large"),
            // In the middle of the answer; what it hasn't read makes the close a reset.
            _ => {
                client.send("/large");
                client.stream.read_exact(&mut [0; 1000]).unwrap();
            }
        }
    }
    good.go_on();
}

#[test]
fn ranges_conditions_and_folders() {
    let folder = Folder::new("ranges");
    let server = Server::start(&folder, &["--quiet"]);
    let ask = |path: &str, headers: &str| {
        server.ask(
            format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{headers}\r\n").as_bytes(),
        )
    };
    assert_eq!(ask("/hello.txt", "Range: bytes=7-11\r\n"), (206, b"world".to_vec()));
    assert_eq!(ask("/hello.txt", "Range: bytes=-7\r\n"), (206, b" world\n"[0..].to_vec()));
    assert_eq!(ask("/hello.txt", "Range: bytes=99-\r\n").0, 416);
    assert_eq!(ask("/hello.txt", "Range: bytes=0-1,4-5\r\n"), (200, b"hello, world\n".to_vec()));
    assert_eq!(ask("/hello.txt", "Range: bytes=0-1\r\nIf-Range: \"tag\"\r\n").0, 200);
    assert_eq!(ask("/large", "Range: bytes=67108860-\r\n"), (206, vec![0; 4]));
    assert_eq!(ask("/hello.txt", "If-Modified-Since: Fri, 31 Dec 2100 23:59:59 GMT\r\n"), (304, vec![]));
    assert_eq!(ask("/hello.txt", "If-Modified-Since: Sat, 31 Dec 1988 23:59:59 GMT\r\n").0, 200);
    assert_eq!(ask("/empty", ""), (200, vec![]));
    assert_eq!(ask("/sub", "").0, 301);
    let (status, page) = ask("/sub/", "");
    let page = String::from_utf8(page).unwrap();
    assert_eq!(status, 200);
    assert!(page.contains("href=\"./with%20space%20%26%20%3Csigns%3E.html\""), "{page}");
    assert!(page.contains(">with space &amp; &lt;signs&gt;.html<"), "{page}");

    fs::write(folder.served().join("sub/index.html"), "<p>index").unwrap();
    assert_eq!(ask("/sub/", ""), (200, b"<p>index".to_vec()));
}

#[test]
fn no_more_connections_than_allowed() {
    let folder = Folder::new("limit");
    let server = Server::start(&folder, &["--max-connections", "2", "--quiet"]);
    let (mut first, mut second, mut third) = (server.connect(), server.connect(), server.connect());
    assert_eq!(first.get("/hello.txt").0, 200);
    assert_eq!(second.get("/hello.txt").0, 200);
    third.send("/hello.txt");
    third.stream.get_ref().set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(third.stream.fill_buf().is_err(), "the third should wait");
    drop(first);
    third.stream.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(third.response().0, 200);
    assert_eq!(second.get("/hello.txt").0, 200);
}

#[test]
fn an_answer_that_takes_too_long_is_given_up() {
    let folder = Folder::new("request-timeout");
    let crowd = folder.served().join("crowd");
    fs::create_dir(&crowd).unwrap();
    for name in 0..5000 {
        File::create(crowd.join(name.to_string())).unwrap();
    }
    // Listing that many names takes more than a millisecond.
    let server = Server::start(&folder, &["--request-timeout", "0.001", "--quiet"]);
    assert_eq!(server.connect().get("/crowd/").0, 503);
}

#[test]
fn a_client_that_stops_reading_is_closed() {
    let folder = Folder::new("idle");
    let server = Server::start(&folder, &["--idle-timeout", "0.5", "--quiet"]);
    assert_eq!(server.status(b"GET /hello.txt HTTP/1.0\r\n\r\n"), 200);
    // Until that client's departure is noticed.
    thread::sleep(Duration::from_millis(100));
    let at_start = server.descriptors();
    let mut client = server.connect();
    client.send("/large");
    client.stream.read_exact(&mut [0; 1000]).unwrap();
    thread::sleep(Duration::from_millis(100));
    assert!(server.descriptors() > at_start);
    server.descriptors_return_to(at_start);
}

#[test]
fn sigint_lets_running_requests_finish() {
    if processes::ignores_sigint() {
        println!("skipped: SIGINT is ignored here, and children inherit that");
        return;
    }
    shutdown_finishes_a_download(Signal::INT);
}

#[test]
fn sigterm_lets_running_requests_finish() {
    shutdown_finishes_a_download(Signal::TERM);
}

fn shutdown_finishes_a_download(signal: Signal) {
    let folder = Folder::new(&format!("shutdown-{}", signal.as_raw()));
    let server = Server::start(&folder, &["--shutdown-timeout", "60"]);
    let mut idle = server.connect();
    assert_eq!(idle.get("/hello.txt").0, 200);
    let mut silent = server.connect();
    let mut download = server.connect();
    download.send("/large");
    let (status, length) = download.head();
    assert_eq!((status, length as u64), (200, LARGE));

    server.signal(signal);
    // Who asks for nothing is let go at once; the port is closed; the download goes on.
    assert!(idle.until_closed() < Duration::from_secs(20));
    assert!(silent.until_closed() < Duration::from_secs(20));
    assert!(TcpStream::connect(server.address).is_err(), "a new client should be refused");
    let mut rest = vec![1; length];
    download.stream.read_exact(&mut rest).unwrap();
    assert!(rest.iter().all(|byte| *byte == 0));
    download.stream.get_ref().shutdown(Shutdown::Both).unwrap();

    let (status, printed) = server.wait();
    assert_eq!(status.code(), Some(0), "{printed}");
    assert!(printed.contains("\"GET /large HTTP/1.1\" 200 67108864"), "{printed}");
    assert!(
        printed.contains("served 2 requests, 64.0 MiB (67108877 bytes), over 3 connections"),
        "{printed}"
    );
}

#[test]
fn http2_requests_share_a_connection_and_finish_too() {
    let folder = Folder::new("http2");
    let server = Server::start(&folder, &["--shutdown-timeout", "60"]);
    let address = server.address;
    let get = |path: &str, filler: usize| {
        let target = format!("http://{address}{path}");
        Request::get(target).header("filler", "x".repeat(filler)).body(Empty::<Bytes>::new()).unwrap()
    };
    asyncio::run(async {
        let stream = asyncio::net::TcpStream::connect(address).await.unwrap();
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(HyperExecutor, stream).await.unwrap();
        let connection = asyncio::create_task(connection);
        let small: Vec<_> = (0..50).map(|_| client.send_request(get("/hello.txt", 0))).collect();
        let mut large = client.send_request(get("/large", 0)).await.unwrap().into_body();
        for response in small {
            let body = response.await.unwrap().into_body().collect().await.unwrap();
            assert_eq!(body.to_bytes(), "hello, world\n");
        }
        let huge = client.send_request(get("/hello.txt", 20_000)).await.unwrap();
        assert_eq!(huge.status(), 431);

        // Its window is small: most of it is still on the other side.
        server.signal(Signal::TERM);
        asyncio::sleep(Duration::from_millis(300)).await;
        let mut length = 0;
        while let Some(frame) = large.frame().await {
            length += frame.unwrap().into_data().unwrap().len() as u64;
        }
        assert_eq!(length, LARGE);
        drop(client);
        connection.await.unwrap();
    });
    let (status, printed) = server.wait();
    assert_eq!(status.code(), Some(0), "{printed}");
    assert!(printed.contains("\"GET /large HTTP/2.0\" 200 67108864"), "{printed}");
    assert!(printed.contains("served 51 requests"), "{printed}");
}

#[test]
fn shutdown_waits_no_longer_than_told() {
    let folder = Folder::new("shutdown-limit");
    let server = Server::start(&folder, &["--shutdown-timeout", "0.5"]);
    let mut client = server.connect();
    client.send("/large");
    client.stream.read_exact(&mut [0; 1000]).unwrap();
    let start = Instant::now();
    server.signal(Signal::TERM);
    let (status, printed) = server.wait();
    assert!(start.elapsed() < Duration::from_secs(20));
    assert_eq!(status.code(), Some(0), "{printed}");
    assert!(printed.contains("1 connections didn't finish in time"), "{printed}");
    assert!(printed.contains("1 broken off"), "{printed}");
}
