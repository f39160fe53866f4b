//! Lines in place of a screen: one for each abort as it comes.

use std::io::{self, Write};

use super::board::Row;
use super::{PAUSE, Watch};
use crate::failure::{Failure, Result, say};
use crate::text::many;

/// Shows aborts until a signal comes.
pub(super) fn run(watch: &mut Watch) -> Result<()> {
    let mut lines = Vec::new();
    let mut missing = Vec::new();
    // Such messages may have no record: said at the first, and then whenever it has become twice as many.
    let mut unreachable = 0;
    while !watch.is_asked_to_end() {
        let more = watch.step(&mut |row| lines.push(row.to_line()));
        write(&mut lines)?;
        let now = watch.missing();
        if now != missing {
            now.iter().for_each(|path| say(&format!("waiting for {path}")));
            missing = now;
        }
        let count = watch.engine.stats().filter_unreachable;
        if count > 0 && count >= 2 * unreachable {
            unreachable = count;
            say(&format!("sendmail could not connect to the filter: {}", many(count, "time so far", "times so far")));
        }
        if !more {
            std::thread::sleep(PAUSE);
        }
    }
    watch.finish(&mut |row: &Row| lines.push(row.to_line()));
    write(&mut lines)?;
    let totals: Vec<String> =
        watch.board.totals().iter().map(|(class, total)| format!("{} {class}", total.count)).collect();
    if !totals.is_empty() {
        say(&format!("shown: {}", totals.join(", ")));
    }
    Ok(())
}

fn write(lines: &mut Vec<String>) -> Result<()> {
    let mut out = io::stdout().lock();
    let mut written = Ok(());
    for line in lines.drain(..) {
        written = written.and_then(|()| writeln!(out, "{line}"));
    }
    written.and_then(|()| out.flush()).map_err(|error| Failure::writing("standard output", &error))
}
