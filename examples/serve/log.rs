//! The access log: a line per request, written by a thread of its own so that a slow terminal stops no request.

use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use http::{Method, StatusCode, Uri, Version};

/// Lines that may wait for the writer; further ones are counted instead of kept.
const WAITING_LINES: usize = 8192;

/// One request.
pub(crate) struct Line {
    pub(crate) peer: SocketAddr,
    pub(crate) method: Method,
    pub(crate) target: Uri,
    pub(crate) version: Version,
    pub(crate) status: StatusCode,
    /// Bytes of the body that were handed to the connection.
    pub(crate) bytes: u64,
    /// From the request's header to the last byte of the answer.
    pub(crate) took: Duration,
    /// The whole answer was handed over.
    pub(crate) complete: bool,
}

/// Where lines go. Without a writer they go nowhere.
pub(crate) struct AccessLog {
    writer: Option<SyncSender<Message>>,
    /// Lines that found no room.
    lost: AtomicU64,
}

/// The thread that writes.
pub(crate) struct Writer {
    writer: SyncSender<Message>,
    thread: JoinHandle<()>,
}

enum Message {
    Line(Box<Line>, SystemTime),
    End,
}

impl AccessLog {
    /// A log that writes to standard output.
    ///
    /// # Errors
    ///
    /// Where the system has no further thread.
    pub(crate) fn to_stdout() -> io::Result<(AccessLog, Writer)> {
        let (writer, lines) = sync_channel(WAITING_LINES);
        let thread =
            std::thread::Builder::new().name("access-log".into()).spawn(move || write_all(&lines))?;
        let log = AccessLog { writer: Some(writer.clone()), lost: AtomicU64::new(0) };
        Ok((log, Writer { writer, thread }))
    }

    /// A log that writes nothing.
    pub(crate) fn quiet() -> AccessLog {
        AccessLog { writer: None, lost: AtomicU64::new(0) }
    }

    /// Writes a line, some time.
    pub(crate) fn write(&self, line: impl FnOnce() -> Line) {
        let Some(writer) = &self.writer else { return };
        if writer.try_send(Message::Line(Box::new(line()), SystemTime::now())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many lines were lost, because standard output took them too slowly.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Writer {
    /// Waits until everything is written.
    pub(crate) fn finish(self) {
        // Both fail only if the thread is gone already, and then there is nothing to wait for.
        let _ = self.writer.send(Message::End);
        let _ = self.thread.join();
    }
}

fn write_all(lines: &Receiver<Message>) {
    let mut out = BufWriter::new(io::stdout());
    // Flushed whenever nothing waits, so a quiet server's lines appear at once and a busy one's in blocks. What can't
    // be written (a closed pipe) is no reason to stop serving.
    while let Ok(Message::Line(line, when)) = lines.recv() {
        let _ = write_line(&mut out, &line, when);
        loop {
            match lines.try_recv() {
                Ok(Message::Line(line, when)) => _ = write_line(&mut out, &line, when),
                Ok(Message::End) => return,
                Err(_) => break,
            }
        }
        let _ = out.flush();
    }
}

fn write_line(out: &mut impl Write, line: &Line, when: SystemTime) -> io::Result<()> {
    // Escaped, so that a request can't forge a line or talk to the terminal.
    let target =
        line.target.path_and_query().map_or_else(|| line.target.to_string(), |target| target.to_string());
    writeln!(
        out,
        "{peer} [{when}] \"{method} {target} {version:?}\" {status} {bytes} {took:.1}ms{how}",
        peer = line.peer.ip(),
        when = httpdate::fmt_http_date(when),
        method = line.method,
        target = target.escape_default(),
        version = line.version,
        status = line.status.as_u16(),
        bytes = line.bytes,
        took = line.took.as_secs_f64() * 1e3,
        how = if line.complete { "" } else { " broken off" },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line() {
        let line = Line {
            peer: "[::1]:9".parse().unwrap(),
            method: Method::GET,
            target: "/a%20b?c='".parse().unwrap(),
            version: Version::HTTP_2,
            status: StatusCode::PARTIAL_CONTENT,
            bytes: 7,
            took: Duration::from_micros(1540),
            complete: false,
        };
        let mut out = Vec::new();
        write_line(&mut out, &line, SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "::1 [Thu, 01 Jan 1970 00:00:00 GMT] \"GET /a%20b?c=\\' HTTP/2.0\" 206 7 1.5ms broken off\n"
        );
    }
}
