//! The records that the engine has issued, until it can issue no more: a late reason makes it issue an abort again, and
//! only the last revision is to be shown.
//!
//! The engine remembers an abort for as long as its limits allow, which may be to the end of the logs; so nothing can be
//! shown before. The records go to a spool, the host's affair. In memory remain some
//! 50 bytes for each abort: its id and the number of its last record. A million aborts, a year of a busy site, take
//! about 50 MB.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, Write};

use abort_reason::{Output, Revision};

use crate::advise::{Advice, Advisor};
use crate::record;
use crate::trouble::{Result, Trouble};

/// Where records are kept aside: a temporary file, or memory.
pub trait Spool: Read + Write + Seek {}

impl<S: Read + Write + Seek> Spool for S {}

/// Collects issued records.
pub(crate) struct Issued<S: Spool> {
    spool: BufWriter<S>,
    records: u64,
    /// The last record of each abort, by its id.
    last: HashMap<u128, u64>,
    superseded: HashSet<u64>,
}

impl<S: Spool> Issued<S> {
    pub(crate) fn new(spool: S) -> Issued<S> {
        let spool = BufWriter::with_capacity(256 * 1024, spool);
        Issued { spool, records: 0, last: HashMap::new(), superseded: HashSet::new() }
    }

    /// Takes a record; one without a reason is not what anybody asked for.
    pub(crate) fn push(&mut self, output: &Output) -> Result<()> {
        let Some(Revision { id, number }) = output.tells else { return Ok(()) };
        if let Some(earlier) = self.last.insert(id, self.records)
            && number > 0
        {
            self.superseded.insert(earlier);
        }
        self.records += 1;
        // JSON holds no line ends but those between its tokens, and the engine writes none.
        self.spool.write_all(&output.data)?;
        Ok(self.spool.write_all(b"\n")?)
    }

    /// Nothing more will be issued: the last revision of every abort, in the order in which they were issued.
    pub(crate) fn into_latest(self) -> Result<Latest<S>> {
        let mut spool = self.spool.into_inner().map_err(|error| Trouble::Spool(error.into_error()))?;
        spool.rewind()?;
        let spool = BufReader::with_capacity(256 * 1024, spool);
        Ok(Latest { spool, superseded: self.superseded, at: 0, record: Vec::new() })
    }
}

/// Gives the records out.
pub struct Latest<S: Spool> {
    spool: BufReader<S>,
    superseded: HashSet<u64>,
    at: u64,
    record: Vec<u8>,
}

impl<S: Spool> Latest<S> {
    /// Whether the records come from more than one host. Begins again with the first record.
    pub fn several_hosts(&mut self) -> Result<bool> {
        self.rewind()?;
        let (mut first, mut several) = (None, false);
        while let Some(record) = self.next_record()?
            && !several
        {
            let host = record::host(record);
            several = first.is_some() && host.is_some() && host != first;
            first = first.or(host);
        }
        self.rewind()?;
        Ok(several)
    }

    /// What an advisor, who has seen the entries, makes of the records, all of them.
    pub fn advise(&mut self, mut advisor: Advisor) -> Result<Advice> {
        self.rewind()?;
        while let Some(record) = self.next_record()? {
            advisor.record(record);
        }
        self.rewind()?;
        Ok(advisor.advice())
    }

    /// Begins again with the first record.
    pub fn rewind(&mut self) -> Result<()> {
        self.at = 0;
        Ok(self.spool.rewind()?)
    }

    /// The next record.
    pub fn next_record(&mut self) -> Result<Option<&[u8]>> {
        loop {
            self.record.clear();
            if self.spool.read_until(b'\n', &mut self.record)? == 0 {
                return Ok(None);
            }
            self.at += 1;
            if !self.superseded.contains(&(self.at - 1)) {
                return Ok(self.record.strip_suffix(b"\n"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latest(records: &[Output]) -> Vec<String> {
        let mut issued = Issued::new(std::io::Cursor::new(Vec::new()));
        for record in records {
            issued.push(record).unwrap();
        }
        let mut latest = issued.into_latest().unwrap();
        let mut all = Vec::new();
        while let Some(record) = latest.next_record().unwrap() {
            all.push(String::from_utf8(record.to_vec()).unwrap());
        }
        all
    }

    fn record(id: u32, number: u32) -> Output {
        let tells = Some(Revision { id: id.into(), number });
        Output { data: text(id, number).into_bytes(), ticket: 0, behind: 0, tells }
    }

    fn text(id: u32, revision: u32) -> String {
        format!(r#"{{"message":"m{id}","abort":{{"revision":{revision}}}}}"#)
    }

    #[test]
    fn only_the_last_revision_stays() {
        let records = [record(1, 0), record(2, 0), record(1, 1), record(3, 0), record(1, 2), record(3, 1)];
        assert_eq!(latest(&records), [text(2, 0), text(1, 2), text(3, 1)]);
    }

    #[test]
    fn what_has_no_reason_is_left_out() {
        let entry = Output { data: b"{\"message\":\"a\"}".to_vec(), tells: None, ..record(2, 0) };
        assert_eq!(latest(&[entry, record(1, 0)]), [text(1, 0)]);
    }
}
