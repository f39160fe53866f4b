//! Lines in place of a screen: one for each abort as it comes.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use super::board::Row;
use super::{PAUSE, Watch};
use crate::failure::{Failure, Result, say};
use crate::text::many;

/// Without a message for which sendmail could not connect for so long, the next one is of another outage.
const APART: Duration = Duration::from_mins(5);

/// Messages for which sendmail could not connect: they may have no record. Said of the first of an outage, and then whenever
/// they have become twice as many.
#[derive(Default)]
struct Outage {
    /// All so far, and of them those before this outage.
    all: u64,
    before: u64,
    told: u64,
    last: Option<Instant>,
}

impl Outage {
    /// How many this outage has, where that is to be said.
    fn news(&mut self, all: u64, now: Instant) -> Option<u64> {
        if all <= self.all {
            return None;
        }
        if self.last.replace(now).is_none_or(|last| now.duration_since(last) > APART) {
            (self.before, self.told) = (self.all, 0);
        }
        self.all = all;
        let count = all - self.before;
        let is_news = count >= 2 * self.told;
        if is_news {
            self.told = count;
        }
        is_news.then_some(count)
    }
}

/// Shows aborts until a signal comes.
pub(super) fn run(watch: &mut Watch) -> Result<()> {
    let mut lines = Vec::new();
    let mut missing = Vec::new();
    let mut outage = Outage::default();
    while !watch.is_asked_to_end() {
        let more = watch.step(&mut |row| lines.push(row.to_line()));
        write(&mut lines)?;
        let now = watch.missing();
        if now != missing {
            now.iter().for_each(|path| say(&format!("waiting for {path}")));
            missing = now;
        }
        if let Some(count) = outage.news(watch.engine.stats().filter_unreachable, Instant::now()) {
            let messages = many(count, "message", "messages");
            say(&format!("sendmail could not connect to the filter: {messages} so far"));
        }
        if !more {
            std::thread::sleep(PAUSE);
        }
    }
    let doubt = watch.finish(&mut |row: &Row| lines.push(row.to_line()));
    write(&mut lines)?;
    doubt.iter().for_each(|doubt| say(doubt));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outage_is_said() {
        let (mut outage, began) = (Outage::default(), Instant::now());
        let mut at = |secs: u64, all: u64| outage.news(all, began + Duration::from_secs(secs));
        assert_eq!([at(0, 0), at(1, 3), at(2, 4), at(3, 6), at(3, 6)], [None, Some(3), None, Some(6), None]);
        assert_eq!([at(86_400, 7), at(86_401, 9)], [Some(1), Some(3)], "the next day");
    }
}
