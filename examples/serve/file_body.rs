//! A file as the body of a response, read piece by piece in the thread pool.

use std::fs::File;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use kumihimo as asyncio;

/// How much is read at once. A connection holds about two of these, whatever the size of its file.
pub(crate) const CHUNK: u64 = 128 * 1024;

/// The bytes of a part of a file.
///
/// hyper asks for the next chunk when it has sent most of the last one, so a slow client makes us read slowly.
pub(crate) struct FileBody {
    /// Shared with the job that reads.
    file: Arc<File>,
    /// What is still to be read.
    rest: Range<u64>,
    /// The chunk that is being read, which is the first of `rest`.
    reading: Option<Reading>,
}

type Reading = Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send>>;

impl FileBody {
    pub(crate) fn new(file: File, part: Range<u64>) -> FileBody {
        FileBody { file: Arc::new(file), rest: part, reading: None }
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let body = &mut *self;
        if body.rest.is_empty() {
            return Poll::Ready(None);
        }
        let reading = body.reading.get_or_insert_with(|| {
            let file = Arc::clone(&body.file);
            let chunk = body.rest.start..body.rest.end.min(body.rest.start + CHUNK);
            Box::pin(asyncio::to_thread(move || read(&file, chunk)))
        });
        let chunk = ready!(reading.as_mut().poll(cx));
        body.reading = None;
        match &chunk {
            Ok(bytes) => body.rest.start += bytes.len() as u64,
            Err(_) => body.rest.end = body.rest.start,
        }
        Poll::Ready(Some(chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.end - self.rest.start)
    }
}

/// Reads a part of a file. Blocks.
///
/// # Errors
///
/// `UnexpectedEof` where the file has become shorter: the length that was promised can't be kept, so the connection has
/// to break.
pub(crate) fn read(file: &File, part: Range<u64>) -> io::Result<Bytes> {
    let length = (part.end - part.start) as usize;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let offset = part.start + bytes.len() as u64;
        // Into spare capacity, which needs no clearing beforehand.
        match rustix::io::pread(file, rustix::buffer::spare_capacity(&mut bytes), offset) {
            Ok(0) => {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the file became shorter while it was read",
                ));
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // The capacity may be larger than what was asked for.
    bytes.truncate(length);
    Ok(Bytes::from(bytes))
}
