//! Programs that read the same logs, by turns: what each costs, and how many aborts it gives a reason.

use super::logs::Logs;
use super::measure::{Contender, by_turns, range, ratio};
use super::{Bench, Table};
use crate::shell::Result;

/// The table of them; the ratios are to the first one. `name` is of the files with their output.
pub(super) fn table(bench: &Bench, name: &str, over: &str, logs: &Logs, contenders: &[Contender]) -> Result<Table> {
    let output = |place: usize| bench.folder.join(format!("{name}.{place}"));
    let costs = by_turns(bench.rounds, contenders, output)?;
    let mut table = vec![
        format!("| {over} | CPU | of {} | memory | aborts with a reason |", contenders[0].name),
        "|---|---|---|---|---|".to_owned(),
    ];
    for (place, contender) in contenders.iter().enumerate() {
        let written = contender.file.clone().unwrap_or_else(|| output(place));
        let found = contender.finds.map(|finds| logs.score(&written, finds)).transpose()?;
        table.push(format!(
            "| {} | {} | {:.2} | {} | {} |",
            contender.name,
            range(&costs[place], |cost| cost.cpu, "s"),
            ratio(&costs[place], &costs[0]),
            range(&costs[place], |cost| cost.memory, "MiB"),
            found.unwrap_or_default(),
        ));
    }
    Ok(table)
}
