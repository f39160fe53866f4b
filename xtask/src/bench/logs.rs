//! The logs that all programs read, and which of their aborts a program gave its reason.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::measure::Finds;
use crate::shell::{Failure, Result, announce, io_failure, read};
use crate::workspace::{root, target};

/// A pair of logs, `maillog` and `message_log`, with the truth of its aborts.
pub(super) struct Logs {
    pub(super) folder: PathBuf,
    /// Lines of both.
    pub(super) lines: u64,
}

impl Logs {
    /// Writes them; `options` as of `examples/traffic.rs`.
    pub(super) fn new(folder: PathBuf, options: &[String]) -> Result<Logs> {
        let mut command = Command::new(target()?.join("release/examples/traffic"));
        announce(command.arg(&folder).args(options));
        // `9 messages, 1 aborts, 36 lines`
        let written = read(&mut command)?;
        let lines = written.trim_end().rsplit(", ").next().and_then(|lines| lines.strip_suffix(" lines")?.parse().ok());
        let lines =
            lines.ok_or_else(|| Failure::new(format!("the generator of logs does not say how many: {written}")))?;
        Ok(Logs { folder, lines })
    }

    /// What a peer is given, for the folder that it reads from.
    pub(super) fn peer(&self, name: &str) -> Result<PathBuf> {
        let text = fs::read_to_string(root().join("benches/peers").join(name)).map_err(io_failure(name))?;
        let file = self.folder.join(name);
        let text = text.replace("@FOLDER@", &self.folder.display().to_string());
        fs::write(&file, text).map_err(io_failure(file.display()))?;
        Ok(file)
    }

    pub(super) fn mail(&self) -> PathBuf {
        self.folder.join("maillog")
    }

    pub(super) fn entries(&self) -> PathBuf {
        self.folder.join("message_log")
    }

    /// Both logs in one file, in order of time; of one second's lines, those of the mail log first.
    pub(super) fn both(&self) -> Result<PathBuf> {
        let file = self.folder.join("both");
        let lines = |path: &Path| File::open(path).map(|file| BufReader::new(file).lines());
        let failed = |error| io_failure(file.display())(error);
        let mut mail = lines(&self.mail()).map_err(failed)?.map_while(std::result::Result::ok).peekable();
        let mut entries = lines(&self.entries()).map_err(failed)?.map_while(std::result::Result::ok).peekable();
        let mut both = File::create(&file).map(BufWriter::new).map_err(failed)?;
        // `Nov 20 08:00:00`, and `2026-11-20T08:00:00`, of one month.
        let of_mail =
            |line: &String| line.get(4..15).map(|time| time.replacen(' ', "0", usize::from(time.starts_with(' '))));
        let of_entry = |line: &String| line.get(8..19).map(|time| time.replace('T', " "));
        loop {
            let mail_is_next = match (mail.peek(), entries.peek()) {
                (None, None) => break,
                (mail, None) => mail.is_some(),
                (None, _) => false,
                (Some(mail), Some(entry)) => of_mail(mail) <= of_entry(entry),
            };
            let line = if mail_is_next { mail.next() } else { entries.next() }.unwrap_or_default();
            both.write_all(line.as_bytes()).and_then(|()| both.write_all(b"\n")).map_err(failed)?;
        }
        both.flush().map_err(failed)?;
        Ok(file)
    }

    /// How many aborts got a reason; a wrong class counts as none. `a of b`.
    pub(super) fn score(&self, output: &Path, finds: Finds) -> Result<String> {
        let file = self.folder.join("truth");
        let truth = fs::read_to_string(&file).map_err(io_failure(file.display()))?;
        let truth: HashMap<&str, &str> = truth.lines().filter_map(|line| line.split_once(' ')).collect();
        let output = File::open(output).map_err(io_failure(output.display()))?;
        // The last word on each.
        let given: HashMap<String, Option<String>> =
            BufReader::new(output).lines().map_while(std::result::Result::ok).filter_map(|line| finds(&line)).collect();
        let right = given.iter().filter(|(id, class)| {
            truth.get(id.as_str()).is_some_and(|truth| class.as_ref().is_none_or(|class| class == truth))
        });
        Ok(format!("{} of {}", right.count(), truth.len()))
    }
}

/// Queue id and class of a record with a reason, as abort-reason writes it.
pub(super) fn of_record(line: &str) -> Option<(String, Option<String>)> {
    let record: serde_json::Value = serde_json::from_str(line.get(line.find('{')?..)?).ok()?;
    let abort = &record["abort"];
    Some((abort["queue_id"].as_str()?.into(), Some(abort["class"].as_str()?.into())))
}
