//! The `Range` header.

use std::ops::Range;

/// What a `Range` header asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The whole file. Also for what we don't do: several ranges at once, other units, nonsense (RFC 9110, 14.2).
    Whole,
    /// These bytes; never empty.
    Part(Range<u64>),
    /// Bytes that the file doesn't have.
    Unsatisfiable,
}

/// Reads a `Range` header for a file of `length` bytes.
pub(crate) fn parse(header: &str, length: u64) -> Asked {
    let Some((first, last)) = header.strip_prefix("bytes=").and_then(|ranges| ranges.split_once('-')) else {
        return Asked::Whole;
    };
    match (position(first), position(last)) {
        // bytes=-500: the last 500.
        (Position::None, Position::At(0)) => Asked::Unsatisfiable,
        (Position::None, Position::At(count)) => part(length.saturating_sub(count), length),
        // bytes=500-
        (Position::At(first), Position::None) => part(first, length),
        (Position::At(first), Position::At(last)) if first <= last => {
            part(first, length.min(last.saturating_add(1)))
        }
        _ => Asked::Whole,
    }
}

fn part(start: u64, end: u64) -> Asked {
    if start < end { Asked::Part(start..end) } else { Asked::Unsatisfiable }
}

enum Position {
    None,
    At(u64),
    Nonsense,
}

fn position(text: &str) -> Position {
    if text.is_empty() {
        Position::None
    } else if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        Position::Nonsense
    } else {
        // Digits only: what doesn't fit is beyond the end of any file.
        Position::At(text.parse().unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (header, expected) in [
            ("bytes=0-0", Asked::Part(0..1)),
            ("bytes=0-99", Asked::Part(0..100)),
            ("bytes=0-1000", Asked::Part(0..100)),
            ("bytes=99-", Asked::Part(99..100)),
            ("bytes=-1", Asked::Part(99..100)),
            ("bytes=-1000", Asked::Part(0..100)),
            ("bytes=5-99999999999999999999999", Asked::Part(5..100)),
            ("bytes=100-", Asked::Unsatisfiable),
            ("bytes=100-200", Asked::Unsatisfiable),
            ("bytes=99999999999999999999999-", Asked::Unsatisfiable),
            ("bytes=-0", Asked::Unsatisfiable),
            ("bytes=-", Asked::Whole),
            ("bytes=5-4", Asked::Whole),
            ("bytes=+5-6", Asked::Whole),
            ("bytes=0-1,3-4", Asked::Whole),
            ("bytes= 0-1", Asked::Whole),
            ("bytes", Asked::Whole),
            ("lines=0-1", Asked::Whole),
            ("", Asked::Whole),
        ] {
            assert_eq!(parse(header, 100), expected, "{header}");
        }
    }

    #[test]
    fn an_empty_file_has_no_range() {
        assert_eq!(parse("bytes=0-", 0), Asked::Unsatisfiable);
        assert_eq!(parse("bytes=-5", 0), Asked::Unsatisfiable);
        assert_eq!(parse("bytes=0-0", 0), Asked::Unsatisfiable);
    }
}
