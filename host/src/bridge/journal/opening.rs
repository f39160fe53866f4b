//! Makes and opens the journal's file.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;

use redb::{Database, ReadableTable};

use super::{
    CACHE, FORMAT, INPUT, JournalError, KEPT, META, Next, OUTBOX, Result, Sizes, TAKEN, TAKEN_ORDER, number, weight,
};

/// Makes the file, whole or not at all: what a kill or a full disk leaves half-made has another name.
pub(super) fn create(folder: &Path, file: &Path) -> Result<()> {
    let unusable = |error: std::io::Error| JournalError::Store(error.to_string());
    let folder = File::open(folder).map_err(unusable)?;
    match folder.try_lock() {
        // Some disks have no locks, and the store does without them as well.
        Ok(()) | Err(TryLockError::Error(_)) => {}
        Err(TryLockError::WouldBlock) => return Err(JournalError::InUse),
    }
    // Another process may have been faster.
    if std::fs::symlink_metadata(file).is_ok() {
        return Ok(());
    }
    let new = file.with_extension("new");
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(unusable(error)),
        _ => {}
    }
    drop(start(&new)?);
    std::fs::rename(&new, file).map_err(unusable)?;
    // Not every file system can.
    let _ = folder.sync_all();
    Ok(())
}

/// Opens the file, and sees what is there.
pub(super) fn start(file: &Path) -> Result<(Database, Next, Sizes)> {
    let database = Database::builder().set_cache_size(CACHE).create(file)?;
    let start = database.begin_write()?;
    let (next, sizes);
    {
        let mut meta = start.open_table(META)?;
        let format = meta.get("format")?.map(|value| value.value().to_vec());
        match format {
            None => drop(meta.insert("format", FORMAT)?),
            Some(format) if format == FORMAT => {}
            Some(_) => return Err(JournalError::Format),
        }
        start.open_table(TAKEN)?;
        let (input, kept, outbox) = (start.open_table(INPUT)?, start.open_table(KEPT)?, start.open_table(OUTBOX)?);
        let taken = start.open_table(TAKEN_ORDER)?;
        next = Next {
            input: input.last()?.map_or(1, |(key, _)| key.value() + 1),
            // What was accepted is never taken for what comes.
            outbox: number(&meta, "next_outbox")?.max(1),
            taken: taken.last()?.map_or(1, |(key, _)| key.value() + 1),
        };
        sizes = Sizes {
            input: sum(input.iter()?.map(|entry| entry.map(|(_, value)| weight(value.value().2.len()) as usize)))?,
            kept: sum(kept.iter()?.map(|entry| entry.map(|(_, value)| value.value().1.len())))?,
            outbox: sum(outbox.iter()?.map(|entry| entry.map(|(_, value)| value.value().1.len())))?,
        };
    }
    start.commit()?;
    Ok((database, next, sizes))
}

fn sum(sizes: impl Iterator<Item = std::result::Result<usize, redb::StorageError>>) -> Result<u64> {
    let mut sum = 0;
    for size in sizes {
        sum += size? as u64;
    }
    Ok(sum)
}
