//! The records in gzipped blocks of NDJSON, as the report in HTML keeps them: a record is opened by unpacking its block.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::issued::{Latest, Spool};
use crate::trouble::Result;

/// Records in a block.
const RECORDS: usize = 256;

/// Packs the records that are left, a block at a time.
pub struct Blocks<'a, S: Spool>(pub &'a mut Latest<S>);

impl<S: Spool> Iterator for Blocks<'_, S> {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Result<Vec<u8>>> {
        self.pack().transpose()
    }
}

impl<S: Spool> Blocks<'_, S> {
    fn pack(&mut self) -> Result<Option<Vec<u8>>> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        let mut records = 0;
        while records < RECORDS
            && let Some(record) = self.0.next_record()?
        {
            packed.write_all(record)?;
            packed.write_all(b"\n")?;
            records += 1;
        }
        Ok(if records > 0 { Some(packed.finish()?) } else { None })
    }
}
