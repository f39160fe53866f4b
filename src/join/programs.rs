//! Which programs are sendmail: their lines are evidence. A mail log has lines of others, too, and what these write may be
//! a stranger's words.

use serde::{Deserialize, Serialize};

use crate::queue_id::QueueId;
use crate::words;

/// How many programs are remembered that are sendmail by what they wrote.
const MOST: usize = 16;

/// The longest name of a program: sendmail cuts what `-L` says.
const LONGEST: usize = 32;

/// What sendmail's first line begins with (main.c, daemon.c).
const FIRST_LINE: &[u8] = b"starting daemon (8.";

/// The programs that are sendmail by what they wrote.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Programs {
    learnt: Vec<Box<[u8]>>,
}

impl Programs {
    /// Whether a line is sendmail's: by the names of the configuration, by what the program has written, or because the
    /// process is the one that made the queue id. One without a name is what the host says it is.
    pub(crate) fn is_mail(&self, names: &[String], program: &[u8], pid: Option<u32>, id: Option<&QueueId>) -> bool {
        if program.is_empty() || self.is_named(names, program) {
            return true;
        }
        let made = id.and_then(QueueId::connection).map(|(connection, _)| connection.pid());
        made.is_some() && made == pid
    }

    /// Whether a program is sendmail by its name or by what it has written.
    pub(crate) fn is_named(&self, names: &[String], program: &[u8]) -> bool {
        let fits = |name: &String| match name.strip_suffix('*') {
            Some(start) => words::begins(program, start.as_bytes()),
            None => words::same(name.as_bytes(), program),
        };
        names.iter().any(fits) || self.learnt.iter().any(|known| **known == *program)
    }

    /// Notes a program that writes what sendmail writes when it starts.
    pub(crate) fn learn(&mut self, program: &[u8], text: &[u8]) {
        if text.starts_with(FIRST_LINE)
            && self.learnt.len() < MOST
            && program.len() <= LONGEST
            && !self.learnt.iter().any(|known| **known == *program)
        {
            self.learnt.push(program.into());
        }
    }
}
