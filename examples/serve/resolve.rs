//! From a request's path to an open file, never outside the folder that is served.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

/// A request's path, decoded and known to hold only names: nothing that climbs, hides a slash or ends a C string.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RequestPath {
    /// The names on the way, none of them empty, `.` or `..`.
    names: Vec<Vec<u8>>,
    /// The path ended with a slash, as a folder's does.
    pub(crate) ends_with_slash: bool,
}

impl RequestPath {
    /// `None` for a path that can't name anything in the folder.
    pub(crate) fn parse(path: &str) -> Option<RequestPath> {
        let path = path.strip_prefix('/')?;
        if path.is_empty() {
            return Some(RequestPath { names: Vec::new(), ends_with_slash: true });
        }
        let ends_with_slash = path.ends_with('/');
        let names =
            path.strip_suffix('/').unwrap_or(path).split('/').map(decode_name).collect::<Option<_>>()?;
        Some(RequestPath { names, ends_with_slash })
    }

    /// The name of the last thing on the way; `None` for the folder itself.
    pub(crate) fn file_name(&self) -> Option<&OsStr> {
        self.names.last().map(|name| OsStr::from_bytes(name))
    }

    /// The names on the way.
    pub(crate) fn names(&self) -> impl Iterator<Item = &OsStr> {
        self.names.iter().map(|name| OsStr::from_bytes(name))
    }

    /// The path of something in the folder that this one names.
    pub(crate) fn join(&self, name: &OsStr) -> RequestPath {
        let names = self.names.iter().cloned().chain([name.as_bytes().to_vec()]).collect();
        RequestPath { names, ends_with_slash: false }
    }
}

fn decode_name(encoded: &str) -> Option<Vec<u8>> {
    let name: Vec<u8> = percent_decode_str(encoded).collect();
    let harmless =
        !matches!(&name[..], b"" | b"." | b"..") && !name.iter().any(|byte| matches!(byte, b'/' | 0));
    harmless.then_some(name)
}

/// The folder that is served.
pub(crate) struct Root {
    /// Held open, so that everything is looked up from it whatever happens to its name.
    folder: OwnedFd,
    /// Its path without any symbolic link.
    path: PathBuf,
}

/// What a path leads to.
pub(crate) enum Found {
    File(File),
    Folder(OwnedFd),
}

impl Root {
    /// Opens the folder.
    ///
    /// # Errors
    ///
    /// Where it doesn't exist, is no folder or may not be read.
    pub(crate) fn open(folder: &Path) -> io::Result<Root> {
        let path = folder.canonicalize()?;
        let folder = rustix::fs::openat(CWD, &path, FOLDER, Mode::empty())?;
        Ok(Root { folder, path })
    }

    /// Opens what `path` leads to. Symbolic links are followed as long as they stay in the folder.
    ///
    /// # Errors
    ///
    /// `NotFound` also for what is outside, and for what is neither a file nor a folder.
    pub(crate) fn find(&self, path: &RequestPath) -> io::Result<Found> {
        match self.walk(path.names()) {
            // A link (or a file) where a folder should be, or a link at the end.
            Err(Errno::LOOP | Errno::NOTDIR | Errno::MLINK) => self.follow_links(path),
            // A socket or a device without a driver can't be opened; a name this long can't exist.
            Err(Errno::NXIO | Errno::NODEV | Errno::NAMETOOLONG) => Err(io::ErrorKind::NotFound.into()),
            Err(error) => Err(error.into()),
            Ok(open) => classify(open),
        }
    }

    /// Resolves all links first, then walks the way that has none. If somebody puts a link there in between, the
    /// walk fails; it can't be led outside.
    fn follow_links(&self, path: &RequestPath) -> io::Result<Found> {
        let full: PathBuf = [self.path.as_os_str()].into_iter().chain(path.names()).collect();
        let full = full.canonicalize()?;
        let inside = full.strip_prefix(&self.path).map_err(|_| io::Error::from(io::ErrorKind::NotFound))?;
        match self.walk(inside.iter()) {
            Ok(open) => classify(open),
            Err(_) => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Opens name after name, following no link.
    fn walk<'n>(&self, names: impl Iterator<Item = &'n OsStr>) -> Result<OwnedFd, Errno> {
        let mut names = names.peekable();
        let mut here: Option<OwnedFd> = None;
        while let Some(name) = names.next() {
            let folder = here.as_ref().map_or(self.folder.as_fd(), OwnedFd::as_fd);
            let how = if names.peek().is_some() { FOLDER } else { ANYTHING };
            here = Some(rustix::fs::openat(folder, name, how, Mode::empty())?);
        }
        match here {
            Some(open) => Ok(open),
            // Opened anew: a list of names is read by moving a position, which each request needs for itself.
            None => rustix::fs::openat(&self.folder, ".", FOLDER, Mode::empty()),
        }
    }
}

/// How the last name is opened: a pipe that nobody writes to must not block.
const ANYTHING: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// How a folder on the way is opened.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

fn classify(open: OwnedFd) -> io::Result<Found> {
    match FileType::from_raw_mode(rustix::fs::fstat(&open)?.st_mode) {
        FileType::RegularFile => Ok(Found::File(File::from(open))),
        FileType::Directory => Ok(Found::Folder(open)),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn paths_that_name_nothing_are_refused() {
        let bad = [
            "",
            "x",
            "*",
            "/..",
            "/../x",
            "/a/../b",
            "/a/..",
            "/.",
            "/./a",
            "//",
            "//etc/passwd",
            "/a//b",
            "/%2e%2e/x",
            "/%2E.",
            "/a%2fb",
            "/a%2F..%2Fb",
            "/a%00",
            "/%00",
        ];
        for path in bad {
            assert_eq!(RequestPath::parse(path), None, "{path}");
        }
    }

    #[test]
    fn paths_are_decoded_once() {
        let path = RequestPath::parse("/a%20b/%252e%252e/...").unwrap();
        let names: Vec<_> = path.names().collect();
        assert_eq!(names, ["a b", "%2e%2e", "..."]);
        assert!(!path.ends_with_slash);
        assert!(RequestPath::parse("/").unwrap().ends_with_slash);
        assert!(RequestPath::parse("/a/").unwrap().ends_with_slash);
        assert_eq!(RequestPath::parse("/%ff").unwrap().file_name().unwrap().as_bytes(), b"\xff");
    }

    /// What `path` leads to, as a word.
    fn lookup(root: &Root, path: &str) -> &'static str {
        match root.find(&RequestPath::parse(path).expect(path)) {
            Ok(Found::File(_)) => "file",
            Ok(Found::Folder(_)) => "folder",
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                "none"
            }
            Err(error) => panic!("{path}: {error}"),
        }
    }

    #[test]
    fn links_may_not_leave_the_folder() {
        let base = std::env::temp_dir().join(format!("serve-resolve-{}", std::process::id()));
        let inside = base.join("inside");
        fs::create_dir_all(inside.join("sub")).unwrap();
        fs::write(base.join("secret"), "secret").unwrap();
        fs::write(inside.join("sub/file"), "file").unwrap();
        symlink("sub/file", inside.join("good")).unwrap();
        symlink("sub", inside.join("good_folder")).unwrap();
        symlink(inside.join("sub/file"), inside.join("good_absolute")).unwrap();
        symlink("../secret", inside.join("bad")).unwrap();
        symlink("..", inside.join("up")).unwrap();
        symlink("/etc", inside.join("etc")).unwrap();
        symlink("loop", inside.join("loop")).unwrap();
        symlink("nowhere", inside.join("dangling")).unwrap();

        let root = Root::open(&inside).unwrap();
        for (path, expected) in [
            ("/", "folder"),
            ("/sub", "folder"),
            ("/sub/", "folder"),
            ("/sub/file", "file"),
            ("/good", "file"),
            ("/good_folder", "folder"),
            ("/good_folder/file", "file"),
            ("/good_absolute", "file"),
            ("/bad", "none"),
            ("/up", "none"),
            ("/up/secret", "none"),
            ("/up/inside/sub/file", "file"),
            ("/etc/passwd", "none"),
            ("/dangling", "none"),
            ("/sub/file/x", "none"),
            ("/nothing", "none"),
        ] {
            assert_eq!(lookup(&root, path), expected, "{path}");
        }
        assert!(root.find(&RequestPath::parse("/loop").unwrap()).is_err());
        let long = format!("/{}", "x".repeat(5000));
        assert_eq!(lookup(&root, &long), "none");
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn only_files_and_folders_are_opened() {
        let base = std::env::temp_dir().join(format!("serve-special-{}", std::process::id()));
        fs::create_dir_all(&base).unwrap();
        rustix::fs::mknodat(CWD, base.join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(base.join("socket")).unwrap();
        let root = Root::open(&base).unwrap();
        assert_eq!(lookup(&root, "/pipe"), "none");
        assert_eq!(lookup(&root, "/socket"), "none");
        fs::remove_dir_all(base).unwrap();
    }
}
