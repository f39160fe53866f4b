//! Logs that sendmails of three versions wrote, with what was done to each message: no abort has a class that is not true of it,
//! in whatever order the logs come.

#![allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)] // Those rules are the core's.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use support::{Order, arrange, config, last_revisions, run, text};

/// Classes that are true of a sender's abort, and what was done.
type Truth<'t> = BTreeMap<&'t str, (Vec<&'t str>, &'t str)>;

fn truth(file: &str) -> Truth<'_> {
    let row = |line| {
        let mut parts = str::splitn(line, 3, ' ');
        let (sender, classes, what) = (parts.next()?, parts.next()?, parts.next()?);
        Some((sender, (classes.split('|').collect(), what)))
    };
    file.lines().map(|line| row(line).expect("three words")).collect()
}

fn folders() -> Vec<PathBuf> {
    let all = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded")).expect("the recordings");
    all.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_dir()).collect()
}

#[test]
fn every_abort_has_a_class_that_is_true_of_it() {
    let mut told = 0;
    let mut wrong = Vec::new();
    for folder in folders() {
        let read = |name: &str| fs::read_to_string(folder.join(name)).expect("a file");
        let (mail, entries, truth_file) = (read("maillog"), read("message_log"), read("truth"));
        let lines = |log: &str| log.lines().map(str::to_owned).collect::<Vec<_>>();
        let truth = truth(&truth_file);
        for order in [Order::Merged, Order::MailFirst, Order::EntriesFirst] {
            let json = r#"{"filter_names": ["PureMessage"]}"#;
            let host = run(&config(json), &arrange(&lines(&mail), &lines(&entries), order), false);
            let objects = last_revisions(&host.records());
            let mut left = truth.clone();
            for abort in objects.iter().filter(|abort| text(abort, "kind") == "abort") {
                let sender = text(abort, "from").trim_matches(['<', '>']);
                let Some((classes, what)) = left.remove(sender) else { continue };
                told += 1;
                if !classes.contains(&text(abort, "class")) {
                    wrong.push(format!("{} {order:?} {what}: {classes:?}, not {abort:#}", folder.display()));
                }
            }
            assert!(left.is_empty(), "{} {order:?}: {left:?}", folder.display());
        }
    }
    assert!(told > 6_500, "{told}");
    assert!(wrong.is_empty(), "{} of {told}: {}", wrong.len(), wrong[..wrong.len().min(6)].join("\n"));
}
