//! The page that lists a folder.

use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rustix::fs::{AtFlags, Dir, FileType};

use super::resolve::{Found, RequestPath, Root};

/// More names than this are only counted: a page must fit in memory.
const MOST_NAMES: usize = 10_000;

/// What stays as it is in a link.
const LINK: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One line of the page.
struct Entry {
    name: OsString,
    /// The bytes of a file; `None` for a folder.
    size: Option<u64>,
}

/// Makes the page for `folder`, which is found at `path`. Blocks.
///
/// # Errors
///
/// Where the folder can't be read.
pub(crate) fn page(root: &Root, path: &RequestPath, folder: &OwnedFd) -> io::Result<String> {
    let mut entries = Vec::new();
    let mut left_out = 0_u64;
    for name in names(folder)? {
        let name = name?;
        if entries.len() == MOST_NAMES {
            left_out += 1;
        } else if let Some(entry) = look_at(root, path, folder, name) {
            entries.push(entry);
        }
    }
    entries.sort_by(|a, b| (a.size.is_some(), &a.name).cmp(&(b.size.is_some(), &b.name)));
    Ok(render(path, &entries, left_out))
}

fn names(folder: &OwnedFd) -> io::Result<impl Iterator<Item = io::Result<OsString>>> {
    let entries =
        Dir::read_from(folder)?.map(|entry| Ok(OsString::from_vec(entry?.file_name().to_bytes().to_vec())));
    Ok(entries.filter(|name| !matches!(name, Ok(name) if name == "." || name == "..")))
}

/// `None` for what a request wouldn't get either: pipes, sockets, links that leave the folder.
fn look_at(root: &Root, path: &RequestPath, folder: &OwnedFd, name: OsString) -> Option<Entry> {
    let stat = rustix::fs::statat(folder, &name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    let size = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Some(stat.st_size as u64),
        FileType::Directory => None,
        FileType::Symlink => match root.find(&path.join(&name)).ok()? {
            Found::File(file) => Some(file.metadata().ok()?.len()),
            Found::Folder(_) => None,
        },
        _ => return None,
    };
    Some(Entry { name, size })
}

fn render(path: &RequestPath, entries: &[Entry], left_out: u64) -> String {
    let title: String = path.names().fold("/".to_owned(), |title, name| title + &escape(name) + "/");
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>body{{font-family:sans-serif;margin:2em}}td:last-child{{text-align:right;padding-left:2em}}</style>\n\
         <h1>{title}</h1>\n<table>\n"
    );
    if path.file_name().is_some() {
        page += "<tr><td><a href=\"../\">../</a><td>\n";
    }
    for Entry { name, size } in entries {
        let (slash, size) = match size {
            Some(size) => ("", human(*size)),
            None => ("/", String::new()),
        };
        let (link, name) = (encode(name), escape(name));
        // Writing to a String can't fail. The "./" keeps "a:b" from being a scheme.
        let _ = writeln!(page, "<tr><td><a href=\"./{link}{slash}\">{name}{slash}</a><td>{size}");
    }
    page += "</table>\n";
    if left_out > 0 {
        let _ = writeln!(page, "<p>and {left_out} more");
    }
    page
}

/// A name as a part of a link.
pub(crate) fn encode(name: &OsStr) -> String {
    percent_encode(name.as_bytes(), LINK).to_string()
}

/// A name as text of a page.
fn escape(name: &OsStr) -> String {
    let mut text = String::new();
    for letter in name.to_string_lossy().chars() {
        match letter {
            '&' => text += "&amp;",
            '<' => text += "&lt;",
            '>' => text += "&gt;",
            '"' => text += "&quot;",
            '\'' => text += "&#39;",
            letter => text.push(letter),
        }
    }
    text
}

/// A size for people.
pub(crate) fn human(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut size = bytes as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1024.0 {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn names_are_escaped_links_encoded_and_order_kept() {
        let base = std::env::temp_dir().join(format!("serve-listing-{}", std::process::id()));
        let inside = base.join("inside");
        fs::create_dir_all(inside.join("zoo")).unwrap();
        fs::write(base.join("secret"), "secret").unwrap();
        fs::write(inside.join("<script>&\"'.txt"), "12345").unwrap();
        fs::write(inside.join("50% #1?.txt"), vec![0; 1536]).unwrap();
        fs::write(inside.join("a:b"), "").unwrap();
        symlink("../secret", inside.join("leak")).unwrap();
        symlink("a:b", inside.join("link")).unwrap();

        let root = Root::open(&inside).unwrap();
        let path = RequestPath::parse("/").unwrap();
        let Ok(Found::Folder(folder)) = root.find(&path) else { panic!("not a folder") };
        let page = page(&root, &path, &folder).unwrap();
        fs::remove_dir_all(base).unwrap();

        let rows: Vec<_> = page.lines().filter(|line| line.starts_with("<tr>")).collect();
        assert_eq!(
            rows,
            [
                "<tr><td><a href=\"./zoo/\">zoo/</a><td>",
                "<tr><td><a href=\"./50%25%20%231%3F.txt\">50% #1?.txt</a><td>1.5 KiB",
                "<tr><td><a href=\"./%3Cscript%3E%26%22%27.txt\">&lt;script&gt;&amp;&quot;&#39;.txt</a><td>5 B",
                "<tr><td><a href=\"./a%3Ab\">a:b</a><td>0 B",
                "<tr><td><a href=\"./link\">link</a><td>0 B",
            ]
        );
    }

    #[test]
    fn sizes() {
        assert_eq!(human(0), "0 B");
        assert_eq!(human(1023), "1023 B");
        assert_eq!(human(1024), "1.0 KiB");
        assert_eq!(human(1 << 30), "1.0 GiB");
        assert_eq!(human(u64::MAX), "16.0 EiB");
    }
}
