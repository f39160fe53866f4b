//! The records in gzipped blocks of NDJSON, as the report in HTML keeps them: a record is opened by unpacking its block.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::issued::{Latest, Spool};
use crate::trouble::Result;

/// Records in a block, and bytes of them, but for a larger record: a browser unpacks a block at a time.
const RECORDS: usize = 256;
const BYTES: usize = 4 << 20;

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
        let (mut records, mut bytes) = (0, 0);
        while records < RECORDS
            && bytes < BYTES
            && let Some(record) = self.0.next_record()?
        {
            let record_bytes = record.len();
            packed.write_all(record)?;
            packed.write_all(b"\n")?;
            records += 1;
            bytes += record_bytes;
        }
        Ok(if records > 0 { Some(packed.finish()?) } else { None })
    }
}
