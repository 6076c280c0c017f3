//! From a request to its response.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{
    ACCEPT_RANGES, ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HOST, IF_MODIFIED_SINCE, IF_RANGE,
    LAST_MODIFIED, LOCATION, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::Either;
use hyper::body::{Bytes, Incoming};
use kumihimo as asyncio;

use super::file_body::{self, CHUNK, FileBody};
use super::first::first;
use super::listing;
use super::log::AccessLog;
use super::measured::{Asked, Content, Measured, full};
use super::range;
use super::resolve::{Found, RequestPath, Root};
use super::stats::Stats;

/// The folder that is served, and what all connections share.
pub(crate) struct Site {
    pub(crate) root: Root,
    pub(crate) log: AccessLog,
    pub(crate) stats: Stats,
    /// How long finding an answer may take.
    pub(crate) request_timeout: Duration,
}

impl Site {
    /// Answers a request; never fails, since an error is an answer too.
    pub(crate) async fn respond(
        self: Arc<Site>,
        peer: SocketAddr,
        request: Request<Incoming>,
    ) -> Result<Response<Measured>, Infallible> {
        let (head, _body) = request.into_parts();
        let asked = Asked {
            peer,
            method: head.method.clone(),
            target: head.uri.clone(),
            version: head.version,
            since: asyncio::Instant::now(),
        };
        let in_time = async {
            asyncio::sleep(self.request_timeout).await;
            refusal(StatusCode::SERVICE_UNAVAILABLE)
        };
        let response = first(self.answer(&head), in_time).await;
        Ok(Measured::wrap(response, self, asked))
    }

    async fn answer(self: &Arc<Site>, head: &http::request::Parts) -> Response<Content> {
        if is_malformed(head) {
            return refusal(StatusCode::BAD_REQUEST);
        }
        if !matches!(head.method, Method::GET | Method::HEAD) {
            let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        let Some(path) = RequestPath::parse(head.uri.path()) else {
            return refusal(StatusCode::NOT_FOUND);
        };
        // Most requests want a small file whole: found, opened and read in one visit to the thread pool.
        let read_small = head.method == Method::GET && !wants_less(&head.headers);
        let site = Arc::clone(self);
        let response = match asyncio::to_thread(move || site.look_up(&path, read_small)).await {
            Ok(Thing::File(file)) => file.respond(head),
            Ok(Thing::Page(page)) => plain(StatusCode::OK, "text/html; charset=utf-8", page),
            Ok(Thing::Folder(path)) => redirect(&path, head.uri.query()),
            Err(error) => refusal(status_of(&error)),
        };
        if head.method == Method::HEAD { without_body(response) } else { response }
    }

    /// Finds what a path leads to. Blocks.
    fn look_up(&self, path: &RequestPath, read_small: bool) -> io::Result<Thing> {
        match self.root.find(path)? {
            // A file is no folder.
            Found::File(_) if path.ends_with_slash => Err(io::ErrorKind::NotFound.into()),
            Found::File(file) => FoundFile::open(file, path, read_small).map(Thing::File),
            Found::Folder(_) if !path.ends_with_slash => {
                let path = path.names().map(|name| format!("/{}", listing::encode(name)));
                Ok(Thing::Folder(path.collect::<String>() + "/"))
            }
            Found::Folder(folder) => {
                let index = path.join("index.html".as_ref());
                match self.root.find(&index) {
                    Ok(Found::File(file)) => FoundFile::open(file, &index, read_small).map(Thing::File),
                    _ => listing::page(&self.root, path, &folder).map(Thing::Page),
                }
            }
        }
    }
}

/// What a path leads to.
enum Thing {
    File(FoundFile),
    /// The page that lists a folder.
    Page(String),
    /// A folder whose slash is missing; its path with it.
    Folder(String),
}

struct FoundFile {
    file: File,
    length: u64,
    /// Whole seconds, as in headers; `None` where a header can't say it.
    modified: Option<SystemTime>,
    /// By the name that was asked for.
    content_type: HeaderValue,
    /// All of it, where it is small and wanted.
    bytes: Option<Bytes>,
}

impl FoundFile {
    fn open(file: File, path: &RequestPath, read_small: bool) -> io::Result<FoundFile> {
        let metadata = file.metadata()?;
        let length = metadata.len();
        let bytes = match read_small && length <= CHUNK {
            true => Some(file_body::read(&file, 0..length)?),
            false => None,
        };
        let name = path.file_name().map(OsString::from).unwrap_or_default();
        Ok(FoundFile {
            file,
            length,
            modified: modified(&metadata),
            content_type: content_type(&name),
            bytes,
        })
    }

    fn respond(self, head: &http::request::Parts) -> Response<Content> {
        let headers = &head.headers;
        if let (Some(modified), Some(since)) = (self.modified, date(headers, &IF_MODIFIED_SINCE))
            && modified <= since
        {
            let mut response = Response::new(full(""));
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            self.describe(response.headers_mut());
            return response;
        }
        match self.asked_range(head) {
            range::Asked::Whole => self.send(StatusCode::OK, None),
            range::Asked::Part(part) => self.send(StatusCode::PARTIAL_CONTENT, Some(part)),
            range::Asked::Unsatisfiable => {
                let mut response = refusal(StatusCode::RANGE_NOT_SATISFIABLE);
                response.headers_mut().insert(CONTENT_RANGE, header(format!("bytes */{}", self.length)));
                response
            }
        }
    }

    fn asked_range(&self, head: &http::request::Parts) -> range::Asked {
        let Some(asked) = head.headers.get(RANGE).and_then(|range| range.to_str().ok()) else {
            return range::Asked::Whole;
        };
        // "If it is still that one": our only validator is the date, and it has to be the same.
        let still_that = !head.headers.contains_key(IF_RANGE)
            || (self.modified.is_some() && self.modified == date(&head.headers, &IF_RANGE));
        match head.method == Method::GET && still_that {
            true => range::parse(asked, self.length),
            false => range::Asked::Whole,
        }
    }

    /// The response with these bytes of the file, or all.
    fn send(mut self, status: StatusCode, part: Option<Range<u64>>) -> Response<Content> {
        let mut headers = HeaderMap::with_capacity(8);
        self.describe(&mut headers);
        if let Some(part) = &part {
            let range = format!("bytes {}-{}/{}", part.start, part.end - 1, self.length);
            headers.insert(CONTENT_RANGE, header(range));
        }
        let part = part.unwrap_or(0..self.length);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(part.end - part.start));
        headers.insert(CONTENT_TYPE, self.content_type);
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        let mut response = Response::new(match self.bytes.take() {
            Some(bytes) => full(bytes),
            None => Either::Right(FileBody::new(self.file, part)),
        });
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }

    /// What is said about a file whether or not it is sent.
    fn describe(&self, headers: &mut HeaderMap) {
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if let Some(modified) = self.modified {
            headers.insert(LAST_MODIFIED, header(httpdate::fmt_http_date(modified)));
        }
    }
}

/// What is well-formed HTTP but no request that a server gets: a host or a star where a path should be, or not exactly
/// one `Host` where there has to be one (RFC 9112, 3.2).
fn is_malformed(head: &http::request::Parts) -> bool {
    let hosts = head.headers.get_all(HOST).iter().count();
    !head.uri.path().starts_with('/') || hosts > 1 || (hosts == 0 && head.version == Version::HTTP_11)
}

/// The request may be content with less than the whole file.
fn wants_less(headers: &HeaderMap) -> bool {
    headers.contains_key(RANGE) || headers.contains_key(IF_MODIFIED_SINCE)
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

fn modified(metadata: &Metadata) -> Option<SystemTime> {
    /// The first second of the year 10000, which dates in headers have no room for.
    const END_OF_DATES: u64 = 253_402_300_800;
    let seconds = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_secs();
    (seconds < END_OF_DATES).then(|| UNIX_EPOCH + Duration::from_secs(seconds))
}

fn content_type(name: &OsString) -> HeaderValue {
    let mime = mime_guess::from_path(name).first_or_octet_stream();
    match mime.type_() {
        mime_guess::mime::TEXT => header(format!("{mime}; charset=utf-8")),
        _ => header(mime.to_string()),
    }
}

fn status_of(error: &io::Error) -> StatusCode {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => StatusCode::NOT_FOUND,
        // A circle of links, which std has no stable name for.
        _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => StatusCode::NOT_FOUND,
        io::ErrorKind::PermissionDenied => StatusCode::FORBIDDEN,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A header made of our own words, which are all visible ASCII.
fn header(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

fn plain(status: StatusCode, content_type: &'static str, text: String) -> Response<Content> {
    let length = text.len();
    let mut response = Response::new(full(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn refusal(status: StatusCode) -> Response<Content> {
    plain(status, "text/plain; charset=utf-8", format!("{status}\n"))
}

fn redirect(path: &str, query: Option<&str>) -> Response<Content> {
    let location = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut response = refusal(StatusCode::MOVED_PERMANENTLY);
    response.headers_mut().insert(LOCATION, header(location));
    response
}

fn without_body(response: Response<Content>) -> Response<Content> {
    response.map(|_| full(""))
}
