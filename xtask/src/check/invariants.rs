//! The invariants of ARCHITECTURE.md that can be checked from outside the compiler.
//!
//! What a call is allowed to do is the compiler's affair: `clippy.toml` forbids the core clock, files and environment
//! by name, and `#![forbid(unsafe_code)]` the rest. What is here makes sure that nobody switches that off.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::shell::{Failure, Result, io_failure, read};
use crate::workspace::{cargo, root, shown};

/// A file of the core that is longer asks for a split.
const MOST_LINES: usize = 500;

/// All that the core may bring into a module: what `regex`, `once_cell`, `serde` and `serde_json` need, and nothing besides.
const MAY_NEED: &[&str] = &[
    "abort-reason",
    "aho-corasick",
    "itoa",
    "memchr",
    "once_cell",
    "regex",
    "regex-automata",
    "regex-syntax",
    "serde",
    "serde_core",
    "serde_json",
    "zmij",
    // At build time only: what `serde_derive` is made of.
    "serde_derive",
    "proc-macro2",
    "quote",
    "syn",
    "unicode-ident",
];

/// What must not stand in the core's code, comments apart.
const MUST_NOT_STAND: &[&str] = &[
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::os",
    "Instant",
    "SystemTime",
    "extern \"",
    "no_mangle",
    "export_name",
    "static mut",
    "thread_local!",
    "println!",
    "print!",
    "clippy::disallowed",
];

/// No file of `src/` above [`MOST_LINES`].
pub(crate) fn short_files() -> Result<()> {
    let long = sources()?.into_iter().filter_map(|(file, text)| {
        let lines = text.lines().count();
        (lines > MOST_LINES).then(|| format!("{} has {lines} lines", shown(&file)))
    });
    none(long, &format!("at most {MOST_LINES} lines"))
}

/// None of [`MUST_NOT_STAND`] in `src/`, and unsafe code forbidden for good.
pub(crate) fn pure_sources() -> Result<()> {
    let mut found = Vec::new();
    for (file, text) in sources()? {
        found.extend(offences(&text).into_iter().map(|(line, what)| format!("{}:{line}: {what}", shown(&file))));
    }
    let lib = root().join("src/lib.rs");
    let lib = std::fs::read_to_string(&lib).map_err(io_failure(lib.display()))?;
    if !lib.lines().any(|line| line.trim() == "#![forbid(unsafe_code)]") {
        found.push("src/lib.rs: #![forbid(unsafe_code)] is missing".into());
    }
    none(found.into_iter(), "see ARCHITECTURE.md")
}

/// The core's dependencies are all in [`MAY_NEED`], on every platform.
pub(crate) fn dependency_tree() -> Result<()> {
    let mut tree = cargo("tree");
    tree.args(["--locked", "--package", "abort-reason", "--edges", "normal,build", "--target", "all"]);
    let tree = read(tree.args(["--prefix", "none", "--format", "{p}"]))?;
    let names: BTreeSet<&str> =
        tree.lines().filter_map(|line| line.split(' ').next()).filter(|name| !name.is_empty()).collect();
    let strangers = names.into_iter().filter(|name| !MAY_NEED.contains(name)).map(str::to_owned);
    none(
        strangers,
        "the core may need nothing of its own beyond regex, once_cell, serde and serde_json; see `cargo tree -p abort-reason -e normal`",
    )
}

/// Lines of a source file with something that must not stand there.
fn offences(text: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = line.trim_start();
        if code.starts_with("//") {
            continue;
        }
        found.extend(MUST_NOT_STAND.iter().filter(|what| code.contains(**what)).map(|what| (number + 1, *what)));
    }
    found
}

/// The core's source files, in order.
pub(super) fn sources() -> Result<Vec<(PathBuf, String)>> {
    let mut files = Vec::new();
    collect(&root().join("src"), &mut files)?;
    files.sort();
    Ok(files)
}

fn collect(folder: &Path, files: &mut Vec<(PathBuf, String)>) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(io_failure(folder.display()))? {
        let path = entry.map_err(io_failure(folder.display()))?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).map_err(io_failure(path.display()))?;
            files.push((path, text));
        }
    }
    Ok(())
}

pub(super) fn none(found: impl Iterator<Item = String>, rule: &str) -> Result<()> {
    let found: Vec<String> = found.collect();
    if found.is_empty() { Ok(()) } else { Err(Failure::new(format!("{} ({rule})", found.join("; ")))) }
}

#[cfg(test)]
mod tests {
    use super::offences;

    #[test]
    fn code_is_looked_at_and_comments_are_not() {
        let text = "//! reads no std::fs\nuse std::fs;\n    // Instant\nlet now = Instant::now();\n";
        assert_eq!(offences(text), [(2, "std::fs"), (4, "Instant")]);
    }
}
