//! The records that the engine has issued, until it can issue no more: a late reason makes it issue an abort again, and
//! only the last revision is to be shown.
//!
//! The engine remembers an abort for as long as its limits allow, which may be to the end of the logs; so nothing can be
//! shown before. The records go to a spool, in memory up to 32 MiB and then in a temporary file. In memory remain some
//! 50 bytes for each abort: its id and the number of its last record. A million aborts, a year of a busy site, take
//! about 50 MB.

use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead, BufReader, BufWriter, Seek, Write};

use tempfile::SpooledTempFile;

use super::record;
use crate::failure::{Exit, Failure, Result};

const IN_MEMORY: usize = 32 * 1024 * 1024;

/// Collects issued records.
pub(super) struct Issued {
    spool: BufWriter<SpooledTempFile>,
    records: u64,
    /// The last record of each abort, by its id.
    last: HashMap<u128, u64>,
    superseded: HashSet<u64>,
    host: Option<String>,
    several_hosts: bool,
}

impl Issued {
    pub(super) fn new() -> Issued {
        let spool = BufWriter::with_capacity(256 * 1024, SpooledTempFile::new(IN_MEMORY));
        Issued { spool, records: 0, last: HashMap::new(), superseded: HashSet::new(), host: None, several_hosts: false }
    }

    /// Takes a record; one without a reason is not what anybody asked for.
    pub(super) fn push(&mut self, record: &[u8]) -> Result<()> {
        let Some(head) = record::head(record) else { return Ok(()) };
        let id = u128::from_str_radix(&head.id, 16).unwrap_or_default();
        if let Some(earlier) = self.last.insert(id, self.records)
            && head.revision > 0
        {
            self.superseded.insert(earlier);
        }
        self.several_hosts |= self.host.is_some() && head.host.is_some() && self.host != head.host;
        self.host = self.host.take().or(head.host);
        self.records += 1;
        // JSON holds no line ends but those between its tokens, and the engine writes none.
        self.spool.write_all(record).and_then(|()| self.spool.write_all(b"\n")).map_err(|error| spooling(&error))
    }

    /// Whether the records come from more than one host.
    pub(super) fn several_hosts(&self) -> bool {
        self.several_hosts
    }

    /// Nothing more will be issued: the last revision of every abort, in the order in which they were issued.
    pub(super) fn into_latest(self) -> Result<Latest> {
        let spool = self.spool.into_inner().map_err(|error| spooling(error.error()));
        let mut spool = spool?;
        spool.rewind().map_err(|error| spooling(&error))?;
        let spool = BufReader::with_capacity(256 * 1024, spool);
        Ok(Latest { spool, superseded: self.superseded, at: 0, record: Vec::new() })
    }
}

/// Gives the records out.
pub(super) struct Latest {
    spool: BufReader<SpooledTempFile>,
    superseded: HashSet<u64>,
    at: u64,
    record: Vec<u8>,
}

impl Latest {
    /// The next record.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>> {
        loop {
            self.record.clear();
            if self.spool.read_until(b'\n', &mut self.record).map_err(|error| spooling(&error))? == 0 {
                return Ok(None);
            }
            self.at += 1;
            if !self.superseded.contains(&(self.at - 1)) {
                return Ok(self.record.strip_suffix(b"\n"));
            }
        }
    }
}

fn spooling(error: &io::Error) -> Failure {
    Failure::new(Exit::Io, format!("cannot use a temporary file in {}: {error}", std::env::temp_dir().display()))
        .hint("Make room there, or name another folder in TMPDIR.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latest(records: &[String]) -> Vec<String> {
        let mut issued = Issued::new();
        for record in records {
            issued.push(record.as_bytes()).unwrap();
        }
        let mut latest = issued.into_latest().unwrap();
        let mut all = Vec::new();
        while let Some(record) = latest.next().unwrap() {
            all.push(String::from_utf8(record.to_vec()).unwrap());
        }
        all
    }

    fn record(id: u32, revision: u32) -> String {
        format!(r#"{{"message":"m{id}","abort":{{"id":"{id:032x}","revision":{revision}}}}}"#)
    }

    #[test]
    fn only_the_last_revision_stays() {
        let records = [record(1, 0), record(2, 0), record(1, 1), record(3, 0), record(1, 2), record(3, 1)];
        assert_eq!(latest(&records), [record(2, 0), record(1, 2), record(3, 1)]);
    }

    #[test]
    fn what_has_no_reason_is_left_out() {
        assert_eq!(latest(&["{\"message\":\"a\"}".into(), record(1, 0), "no JSON".into()]), [record(1, 0)]);
    }
}
