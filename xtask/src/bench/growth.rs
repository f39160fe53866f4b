//! Time and memory of `explain` for more of everything: lines, hosts, different queue ids.

use super::files::explain;
use super::logs::{Logs, of_record};
use super::measure::{by_turns, range};
use super::{Bench, Table};
use crate::shell::{Result, io_failure};

/// Messages of the row that the others are held against. Four lines each.
const MESSAGES: u64 = 250_000;

/// What grows, and the options of the generator.
fn rows() -> Vec<(String, [(&'static str, u64); 2])> {
    let lines = [1, 2, 4, 8]
        .map(|times| (format!("{times} million lines"), [("--messages", times * MESSAGES), ("--hosts", 1)]));
    let hosts = [10, 100, 500, 1_000, 5_000]
        .map(|hosts| (format!("1 million lines of {hosts} hosts"), [("--messages", MESSAGES), ("--hosts", hosts)]));
    let ids = [10, 1_000, 100_000]
        .map(|ids| (format!("1 million lines of {ids} queue ids"), [("--messages", MESSAGES), ("--ids", ids)]));
    let most = [("--messages", 10_000_000), ("--aborts", 0)];
    let most = ("40 million lines of 10 million queue ids, no abort".to_owned(), most);
    lines.into_iter().chain(hosts).chain(ids).chain([most]).collect()
}

pub(super) fn table(bench: &Bench) -> Result<Table> {
    let mut table = vec![
        "| `explain` over | wall | CPU for a million lines | memory | aborts with a reason |".to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ];
    let folder = bench.folder.join("growth");
    for (name, options) in rows() {
        let options: Vec<String> =
            options.iter().flat_map(|(name, value)| [(*name).to_owned(), value.to_string()]).collect();
        let logs = Logs::new(folder.clone(), &options)?;
        let millions = logs.lines as f64 / 1e6;
        let output = bench.folder.join("growth.out");
        let costs = by_turns(bench.rounds, &[explain(bench, &logs)], |_| output.clone())?;
        table.push(format!(
            "| {name} | {} | {} | {} | {} |",
            range(&costs[0], |cost| cost.wall, "s"),
            range(&costs[0], |cost| cost.cpu / millions, "s"),
            range(&costs[0], |cost| cost.memory, "MiB"),
            // Where ids come again and again, they don't tell which abort is which.
            if options.iter().any(|option| option == "--ids") {
                String::new()
            } else {
                logs.score(&output, of_record)?
            },
        ));
    }
    // The largest takes gigabytes.
    std::fs::remove_dir_all(&folder).map_err(io_failure(folder.display()))?;
    Ok(table)
}
