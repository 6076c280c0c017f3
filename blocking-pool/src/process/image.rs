//! The main program's code: where it is, and which build it is.

// Where nothing is known of programs in memory, only the names are used.
#![cfg_attr(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")), allow(dead_code))]

use std::ops::Range;
use std::sync::OnceLock;

use super::function;

/// Whether it is known on this platform how to find a program's code. If not, no address is its.
pub(crate) const KNOWN: bool = cfg!(any(target_os = "linux", target_os = "android", target_os = "freebsd"));

/// What is known of the main program. Never changes while the process lives.
struct Image {
    /// Addresses of its executable segments; empty where they can't be known.
    code: Vec<Range<usize>>,
    /// Equal in two processes if their main programs are the same build.
    fingerprint: u64,
}

/// Whether `address` is code of the main program, not of a shared library.
pub(crate) fn contains(address: usize) -> bool {
    image().code.iter().any(|segment| segment.contains(&address))
}

/// A number that differs between builds of the program, and between versions of our protocol.
pub(crate) fn fingerprint() -> u64 {
    image().fingerprint
}

fn image() -> &'static Image {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    IMAGE.get_or_init(platform::image)
}

/// The part of the fingerprint that changes with the protocol.
fn protocol() -> u64 {
    mix(super::hook::PROTOCOL.into(), 0)
}

/// Mixes in where the anchor is, for functions are counted from it: a program may contain two versions of this crate.
fn with_anchor(fingerprint: u64, code: &[Range<usize>]) -> u64 {
    let begin = code.first().map_or(0, |segment| segment.start);
    mix(fingerprint, function::anchor_address().wrapping_sub(begin) as u64)
}

/// One step of a hash, good enough to tell builds apart; nobody attacks it.
fn mix(hash: u64, word: u64) -> u64 {
    (hash ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
}

/// The hash of `bytes`. Eight at a time: debug builds hash their whole code this way at each start.
fn hash(mut hash: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        hash = mix(hash, u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(mix(hash, u64::from_le_bytes(last)), bytes.len() as u64)
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
mod platform {
    use std::ffi::{c_int, c_void};
    use std::slice;

    use super::{Image, hash, protocol, with_anchor};

    /// The note's type that holds a build id (`NT_GNU_BUILD_ID`).
    const BUILD_ID: u32 = 3;

    /// Reads the main program's headers as they are in memory.
    pub(super) fn image() -> Image {
        let mut image = Image { code: Vec::new(), fingerprint: protocol() };
        // SAFETY: `describe` has the type that is asked for, gets our `image` back, and does not unwind: it only
        // reads, and its allocations abort if they fail.
        unsafe { libc::dl_iterate_phdr(Some(describe), (&raw mut image).cast()) };
        image
    }

    /// Called with the first object, which is the main program, and by returning 1 with no other.
    unsafe extern "C" fn describe(info: *mut libc::dl_phdr_info, _: usize, image: *mut c_void) -> c_int {
        // SAFETY: the linker's description is valid during the call; `image` is the caller's, which nobody else uses
        // meanwhile.
        let (info, image) = unsafe { (&*info, &mut *image.cast::<Image>()) };
        // SAFETY: that is what the two fields say.
        let headers = unsafe { slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
        let mut build_id = None;
        for header in headers {
            let begin = (info.dlpi_addr as usize).wrapping_add(header.p_vaddr as usize);
            if header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0 {
                image.code.push(begin..begin.saturating_add(header.p_memsz as usize));
            } else if header.p_type == libc::PT_NOTE {
                // SAFETY: notes with a header of their own are loaded, are read only, and stay for good.
                let notes = unsafe { slice::from_raw_parts(begin as *const u8, header.p_filesz as usize) };
                build_id = build_id.or_else(|| super::build_id(notes, BUILD_ID));
            }
        }
        let begin = with_anchor(image.fingerprint, &image.code);
        image.fingerprint = match build_id {
            Some(id) => hash(begin, id),
            None => image.code.iter().fold(begin, |sum, code| {
                // SAFETY: an executable segment of the main program is mapped readable, and nobody writes to it. (A
                // linker may be told to make code unreadable; the platforms where that is usual write build ids.)
                hash(sum, unsafe { slice::from_raw_parts(code.start as *const u8, code.len()) })
            }),
        };
        1
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
mod platform {
    use super::{Image, protocol};

    /// Nothing is known here; the pool says so.
    pub(super) fn image() -> Image {
        Image { code: Vec::new(), fingerprint: protocol() }
    }
}

/// The GNU note of this type in a segment of notes: name size, content size, type, then both, padded to four bytes.
fn build_id(mut notes: &[u8], wanted: u32) -> Option<&[u8]> {
    loop {
        let (head, rest) = notes.split_first_chunk::<12>()?;
        let (fields, _) = head.as_chunks::<4>();
        let [name_size, size, kind] = [0, 1, 2].map(|i| u32::from_ne_bytes(fields[i]));
        let (name, rest) = rest.split_at_checked((name_size as usize).next_multiple_of(4))?;
        let (content, rest) = rest.split_at_checked((size as usize).next_multiple_of(4))?;
        if kind == wanted && name == b"GNU\0" {
            return content.get(..size as usize);
        }
        notes = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_code_is_inside_and_the_rest_is_not() {
        assert!(contains(own_code_is_inside_and_the_rest_is_not as fn() as usize));
        assert!(!contains(libc::getpid as *const () as usize));
        assert!(!contains(&raw const *image() as usize));
        assert!(!contains(0));
        assert_ne!(fingerprint(), protocol());
    }

    #[test]
    fn a_build_id_is_found_among_other_notes() {
        let note = |kind: u32, name: &[u8], content: &[u8]| {
            let mut note = Vec::new();
            for word in [name.len() as u32, content.len() as u32, kind] {
                note.extend(word.to_ne_bytes());
            }
            for part in [name, content] {
                note.extend(part);
                note.resize(note.len().next_multiple_of(4), 0);
            }
            note
        };
        let other = note(3, b"Other\0", b"content");
        let id = note(3, b"GNU\0", b"12345");
        assert_eq!(build_id(&[&other[..], &id].concat(), 3), Some(&b"12345"[..]));
        assert_eq!(build_id(&other, 3), None);
        assert_eq!(build_id(&id[..id.len() - 1], 3), None);
        let lie = [u32::MAX.to_ne_bytes(), u32::MAX.to_ne_bytes(), 3_u32.to_ne_bytes()].concat();
        assert_eq!(build_id(&lie, 3), None);
    }

    #[test]
    fn hashes_tell_lengths_and_bytes_apart() {
        let mut seen = std::collections::HashSet::new();
        for length in 0..20 {
            assert!(seen.insert(hash(1, &vec![0; length])));
            assert!(length == 0 || seen.insert(hash(1, &vec![1; length])));
        }
    }
}
