//! Follows a log as it grows: over rotations by renaming and by truncation, and from when it appears.
//!
//! The file that was renamed is read until nothing has come for a while: its writer may hold it open for some time.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use abort_reason_explain::LONGEST_LINE;

/// How long a renamed file is still read behind its last line.
const LINGERS: Duration = Duration::from_secs(10);
/// Renamed files that are read at a time; a log that is rotated more often within that time loses the oldest.
const MOST_BEFORE: usize = 4;
/// Bytes at a file's beginning by which it is known again.
const HEAD: usize = 128;
/// Bytes read at a time; other files have their turn between.
const AT_A_TIME: usize = 1 << 18;

/// One log.
#[derive(Debug)]
pub(super) struct Follower {
    path: PathBuf,
    current: Option<Open>,
    /// What was renamed, and is not known to be over.
    before: Vec<Open>,
    /// The first file is read from its end on.
    from_end: bool,
    /// Something that can be read stands under the log's name.
    is_there: bool,
}

#[derive(Debug)]
struct Open {
    file: File,
    inode: (u64, u64),
    position: u64,
    head: Vec<u8>,
    /// What was read behind the last line end.
    rest: Vec<u8>,
    /// When something came last.
    heard: Instant,
}

impl Follower {
    /// A log that is there, or will be. `from_end`: what it holds now is not wanted.
    pub(super) fn new(path: &Path, from_end: bool) -> Follower {
        // What is not there yet comes whole.
        let from_end = from_end && path.exists();
        Follower { path: path.to_owned(), current: None, before: Vec::new(), from_end, is_there: false }
    }

    /// Gives the lines that have come, without their line ends; whether there may be more at once.
    pub(super) fn read(&mut self, line: &mut dyn FnMut(&[u8])) -> io::Result<bool> {
        let mut more = false;
        for open in &mut self.before {
            more |= open.read(line)?;
        }
        // Until the new file has begun its writer may not have opened it.
        let has_begun = self.current.as_ref().is_some_and(|open| open.position > 0);
        self.before.retain_mut(|open| {
            let is_over = has_begun && open.heard.elapsed() > LINGERS;
            if is_over {
                open.end(line);
            }
            !is_over
        });
        if let Some(open) = &mut self.current {
            open.notice_truncation(line)?;
            more |= open.read(line)?;
        }
        Ok(more || self.look(line)?)
    }

    /// Whether the log is there.
    pub(super) fn is_there(&self) -> bool {
        self.is_there
    }

    /// Opens what has come to stand under the log's name; whether something has.
    fn look(&mut self, line: &mut dyn FnMut(&[u8])) -> io::Result<bool> {
        self.is_there = false;
        let none = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        let metadata = match fs::metadata(&self.path) {
            Err(error) if none(&error) => return Ok(false),
            metadata => metadata?,
        };
        // To open a pipe would wait for its writer.
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no regular file"));
        }
        let inode = (metadata.dev(), metadata.ino());
        if self.current.as_ref().is_some_and(|open| open.inode == inode) {
            self.is_there = true;
            return Ok(false);
        }
        let file = match File::open(&self.path) {
            // It has gone again.
            Err(error) if none(&error) => return Ok(false),
            file => file?,
        };
        self.is_there = true;
        // Another file may stand there than a moment ago.
        let metadata = file.metadata()?;
        let mut open = Open {
            file,
            inode: (metadata.dev(), metadata.ino()),
            position: 0,
            head: Vec::new(),
            rest: Vec::new(),
            heard: Instant::now(),
        };
        if std::mem::take(&mut self.from_end) {
            open.position = open.file.seek(SeekFrom::End(0))?;
            // A line that is being written is not half of one.
            if open.position > 0 && open.byte_before()? != b'\n' {
                open.skip_line();
            }
        }
        open.note_head()?;
        if let Some(mut gone) = self.current.replace(open) {
            while gone.read(line)? {}
            gone.heard = Instant::now();
            self.before.push(gone);
            if self.before.len() > MOST_BEFORE {
                self.before.remove(0).end(line);
            }
        }
        Ok(true)
    }
}

impl Open {
    /// Reads on; true if a whole block came.
    fn read(&mut self, line: &mut dyn FnMut(&[u8])) -> io::Result<bool> {
        let known = self.rest.len();
        let read = (&self.file).take(AT_A_TIME as u64).read_to_end(&mut self.rest)?;
        if read == 0 {
            return Ok(false);
        }
        self.heard = Instant::now();
        self.position += read as u64;
        if known == 0 {
            // What a writer leaves behind that goes on where it was before the file was truncated.
            let hole = self.rest.iter().take_while(|byte| **byte == 0).count();
            self.rest.drain(..hole);
        }
        if self.head.len() < HEAD {
            self.note_head()?;
        }
        let Some(end) = memchr::memrchr(b'\n', &self.rest[known..]).map(|at| known + at) else {
            if self.rest.len() > LONGEST_LINE {
                self.end(line);
            }
            return Ok(read == AT_A_TIME);
        };
        for whole in self.rest[..end].split(|byte| *byte == b'\n') {
            line(whole.strip_suffix(b"\r").unwrap_or(whole));
        }
        self.rest.drain(..=end);
        Ok(read == AT_A_TIME)
    }

    /// Gives what has no line end, and will get none.
    fn end(&mut self, line: &mut dyn FnMut(&[u8])) {
        if !self.rest.is_empty() {
            line(&std::mem::take(&mut self.rest));
        }
    }

    /// Begins again where the file is shorter than it was, or begins otherwise.
    fn notice_truncation(&mut self, line: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let mut head = [0; HEAD];
        let is_shorter = self.file.metadata()?.len() < self.position;
        let now = &mut head[..self.head.len()];
        let is_other = is_shorter || self.file.read_exact_at(now, 0).is_err() || *now != *self.head;
        if is_other {
            self.end(line);
            (self.position, self.head) = (self.file.seek(SeekFrom::Start(0))?, Vec::new());
        }
        Ok(())
    }

    fn note_head(&mut self) -> io::Result<()> {
        let mut head = [0; HEAD];
        let length = self.file.read_at(&mut head, 0)?.min(self.position as usize);
        self.head = head[..length].to_vec();
        Ok(())
    }

    fn byte_before(&self) -> io::Result<u8> {
        let mut byte = [0];
        self.file.read_exact_at(&mut byte, self.position - 1)?;
        Ok(byte[0])
    }

    /// Passes over the rest of a line, if it is there already.
    fn skip_line(&mut self) {
        // Its end is awaited as any line's; with this in front it is no line of either log.
        self.rest.push(b'~');
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    struct Log {
        folder: tempfile::TempDir,
        follower: Follower,
    }

    impl Log {
        fn new(from_end: bool, before: &str) -> Log {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("log");
            if !before.is_empty() {
                fs::write(&path, before).unwrap();
            }
            Log { follower: Follower::new(&path, from_end), folder }
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("log")
        }

        fn append(&self, text: &str) {
            let file = File::options().append(true).create(true).open(self.path());
            file.unwrap().write_all(text.as_bytes()).unwrap();
        }

        fn lines(&mut self) -> Vec<String> {
            let mut lines = Vec::new();
            for _ in 0..3 {
                self.follower.read(&mut |line| lines.push(String::from_utf8(line.to_vec()).unwrap())).unwrap();
            }
            lines
        }
    }

    #[test]
    fn it_waits_for_the_file_and_for_whole_lines() {
        let mut log = Log::new(false, "");
        assert_eq!((log.lines(), log.follower.is_there()), (vec![], false));
        log.append("a\nb");
        assert_eq!(log.lines(), ["a"]);
        log.append("c\r\n\nd\n");
        assert_eq!(log.lines(), ["bc", "", "d"]);
    }

    #[test]
    fn from_the_end_on_nothing_old_comes_and_no_half_line() {
        let mut log = Log::new(true, "old\nhal");
        assert_eq!(log.lines(), Vec::<String>::new());
        log.append("f\nnew\n");
        assert_eq!(log.lines(), ["~f", "new"]);
    }

    #[test]
    fn a_renamed_file_is_read_to_its_end() {
        let mut log = Log::new(false, "a\n");
        assert_eq!(log.lines(), ["a"]);
        let mut old = File::options().append(true).open(log.path()).unwrap();
        old.write_all(b"b\n").unwrap();
        fs::rename(log.path(), log.folder.path().join("log.1")).unwrap();
        log.append("d\n");
        assert_eq!(log.lines(), ["b", "d"]);
        // Its writer has not opened the new one yet.
        old.write_all(b"c\n").unwrap();
        assert_eq!(log.lines(), ["c"]);
    }

    #[test]
    fn a_truncated_file_begins_again() {
        let mut log = Log::new(false, "a first line\n");
        assert_eq!(log.lines(), ["a first line"]);
        fs::write(log.path(), "b\n").unwrap();
        assert_eq!(log.lines(), ["b"]);
        // Longer than before: only its beginning tells.
        fs::write(log.path(), "another beginning\nand more\n").unwrap();
        assert_eq!(log.lines(), ["another beginning", "and more"]);
    }

    #[test]
    fn a_hole_before_a_line_is_none_of_it() {
        let mut log = Log::new(false, "a\nb\nc\nd\n");
        assert_eq!(log.lines().len(), 4);
        fs::write(log.path(), "").unwrap();
        assert_eq!(log.lines(), Vec::<String>::new());
        log.append("\0\0\0\0e\nf\n");
        assert_eq!(log.lines(), ["e", "f"]);
    }

    #[test]
    fn the_old_file_is_read_until_the_new_one_begins() {
        let mut log = Log::new(false, "a\n");
        assert_eq!(log.lines(), ["a"]);
        let mut old = File::options().append(true).open(log.path()).unwrap();
        fs::rename(log.path(), log.folder.path().join("log.1")).unwrap();
        log.append("");
        log.lines();
        log.follower.before[0].heard = Instant::now().checked_sub(2 * LINGERS).unwrap();
        log.lines();
        old.write_all(b"b\n").unwrap();
        assert_eq!(log.lines(), ["b"]);
    }

    #[test]
    fn what_is_no_file_is_waited_out() {
        let mut log = Log::new(false, "a\n");
        assert_eq!(log.lines(), ["a"]);
        fs::remove_file(log.path()).unwrap();
        log.lines();
        assert!(!log.follower.is_there());
        fs::create_dir(log.path()).unwrap();
        assert!(log.follower.read(&mut |_| {}).is_err());
        fs::remove_dir(log.path()).unwrap();
        log.append("b\n");
        assert_eq!(log.lines(), ["b"]);
    }

    #[test]
    fn a_line_without_end_does_not_grow_for_ever() {
        let mut log = Log::new(false, "");
        log.append(&"x".repeat(3 * LONGEST_LINE));
        let mut pieces = 0;
        while log.follower.read(&mut |line| pieces += line.len()).unwrap() || pieces == 0 {}
        assert!(pieces > LONGEST_LINE && log.follower.current.as_ref().unwrap().rest.len() <= LONGEST_LINE);
    }
}
