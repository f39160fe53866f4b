//! The order of the files of one log: a line is due by its time, and where two files have lines of one second, those of
//! the older file come first.
//!
//! Which file is older its content says, by where it begins. Of two that begin in one second, the one that never leaves
//! that second came before; then the file system's time of the last change counts, and at last the names that rotation
//! gives. The order in which files are named on a command line says nothing: shells sort names.

use std::cmp::Reverse;

use crate::probe::Probed;

/// Orders files from the oldest to the newest.
pub(crate) fn key(probed: &Probed) -> impl Ord + use<> {
    let name = &probed.log.name;
    // What the file system does not know, as standard input, is not over yet.
    let changed = probed.log.bytes.changed_ns().unwrap_or(i64::MAX);
    (probed.start, Reverse(probed.one_second), changed, age(name), name.clone())
}

/// What the end of a name says of a file's age: `maillog-20261122`, `maillog-20261123`, `maillog.2.gz`, `maillog.1`,
/// `maillog`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    Dated(u64),
    Numbered(Reverse<u64>),
    Current,
}

fn age(name: &str) -> Age {
    let packed = [".gz", ".xz", ".zst"].iter().find_map(|end| name.strip_suffix(end));
    let name = packed.unwrap_or(name);
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    match (name[stem.len()..].parse(), stem.as_bytes().last()) {
        (Ok(date @ 19_000_000..), Some(b'-' | b'.' | b'_')) => Age::Dated(date),
        (Ok(number), Some(b'.')) => Age::Numbered(Reverse(number)),
        _ => Age::Current,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_which_file_is_older() {
        let names = [
            "log/maillog-20261122.gz",
            "log/maillog-20261123",
            "log/maillog.10",
            "log/maillog.2.xz",
            "log/maillog.1",
            "log/mail4",
        ];
        assert!(names.map(age).is_sorted());
        assert_eq!(age("99999999999999999999999"), Age::Current);
    }
}
