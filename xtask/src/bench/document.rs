//! The tables in `BENCHMARKS.md`: each stands between two comments that name it.

use std::fmt::Write;

use crate::shell::{Failure, Result, io_failure};
use crate::workspace::root;

/// Puts a table where the one of its name stands, with the machine that it was measured on, and prints it.
pub(super) fn write(name: &str, table: &[String]) -> Result<()> {
    let file = root().join("BENCHMARKS.md");
    let text = std::fs::read_to_string(&file).map_err(io_failure("BENCHMARKS.md"))?;
    let table = format!("\n{}\n\n{}\n", table.join("\n"), machine());
    println!("{table}");
    let text = replaced(&text, name, &table)
        .ok_or_else(|| Failure::new(format!("BENCHMARKS.md has no place for the table `{name}`: {}", begin(name))))?;
    std::fs::write(&file, text).map_err(io_failure("BENCHMARKS.md"))
}

fn begin(name: &str) -> String {
    format!("<!-- cargo xtask bench {name} -->")
}

const END: &str = "<!-- end -->";

fn replaced(text: &str, name: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(&begin(name))?;
    let (_, behind) = rest.split_once(END)?;
    Some(format!("{before}{}\n{table}\n{END}{behind}", begin(name)))
}

/// `Measured on 2 cores of an AMD EPYC.`
fn machine() -> String {
    let mut text = String::from("Measured on ");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        model.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, model)| model);
    let _ = write!(text, "{cores} cores, {}, {}.", model.unwrap_or("of an unknown kind"), std::env::consts::OS);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_replaces_the_one_of_its_name() {
        let text = "# F\n<!-- cargo xtask bench a -->\nold\n<!-- end -->\n\n<!-- cargo xtask bench b -->\nkept\n<!-- end -->\n";
        let new = "# F\n<!-- cargo xtask bench a -->\n\n| new |\n\n<!-- end -->\n\n<!-- cargo xtask bench b -->\nkept\n<!-- end -->\n";
        assert_eq!(replaced(text, "a", "\n| new |\n").as_deref(), Some(new));
        assert_eq!(replaced(new, "a", "\n| new |\n").as_deref(), Some(new));
        assert_eq!(replaced(text, "c", "x"), None);
    }
}
