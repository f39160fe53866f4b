//! `reasons`, `check`, `completions`, `--help`, `--version`.

mod common;

use common::{Folder, program, run, run_with};

#[test]
fn reasons_in_three_formats() {
    let json: Vec<serde_json::Value> =
        serde_json::from_slice(&run(program().args(["reasons", "--format", "json"])).ok().stdout).unwrap();
    assert!(json.len() > 50);
    let table = run(program().arg("reasons")).ok();
    let page = run(program().args(["reasons", "--format", "markdown"])).ok();
    for row in &json {
        let id = row["id"].as_str().unwrap();
        assert!(table.text().contains(id) && page.text().contains(&format!("| {id} |")), "{id}");
        for field in ["class", "fault", "rank", "versions", "start", "rest", "example", "advice"] {
            assert!(!row[field].is_null(), "{id} has no {field}");
        }
    }
}

#[test]
fn check_says_what_a_configuration_means() {
    let folder = Folder::new();
    let file = folder.file("config.yaml", "# ours\nfilter_names: [pmx]\nhold_secs: 2.5\nlimits:\n  messages: 1000\n");
    let ran = run(program().arg("check").arg(file)).ok();
    for part in [
        "config.yaml is valid. In effect:",
        "PureMessage's milter is called pmx; every other is another filter\n",
        "an abort waits 2.5 s for its reason\n",
        "a reason waits 3600 s of log time for its abort (default)\n",
        "for 1000 messages",
    ] {
        assert!(ran.text().contains(part), "{part:?} is missing in\n{}", ran.text());
    }
    for empty in ["", "# nothing\n", "{}", "  \n"] {
        assert!(
            run_with(program().args(["check", "-"]), empty.as_bytes())
                .ok()
                .text()
                .contains("5 s for its reason (default)")
        );
    }
}

/// What is the module's alone is not judged, and that is said.
#[test]
fn check_takes_a_file_for_fluent_bit() {
    let config = b"hold_secs: 2.5\nfluent_bit:\n  report_secs: 60\n";
    let ran = run_with(program().args(["check", "-"]), config).ok();
    for part in ["an abort waits 2.5 s for its reason\n", "`fluent_bit` is not looked at here"] {
        assert!(ran.text().contains(part), "{part:?} is missing in\n{}", ran.text());
    }
}

#[test]
fn options_take_the_place_of_the_configuration() {
    let folder = Folder::new();
    let file = folder.file("config.json", r#"{"filter_names": ["other"]}"#);
    let mut command = folder.explain(common::MAILLOG, common::MESSAGE_LOG);
    let abort = |ran: common::Ran| ran.ok().objects()[0]["abort"].clone();
    let own = abort(run(command.arg("--config").arg(&file)));
    assert_eq!((&own["class"], &own["own_filter"]), (&"filter_timeout".into(), &true.into()));
    let mut command = program();
    command.args(["explain", "--maillog"]).arg(folder.path("maillog")).arg(folder.path("message_log"));
    // Another filter's failure, without a verdict: not the cause.
    let other = abort(run(command.arg("--config").arg(&file)));
    assert_eq!((&other["class"], &other["own_filter"]), (&"unexplained".into(), &serde_json::Value::Null), "{other:#}");
}

#[test]
fn help_and_version_are_worth_reading() {
    let help = run(program().arg("--help")).ok();
    for part in ["Examples:", "explain", "pipe", "reasons", "check", "completions", "Exit codes:"] {
        assert!(help.text().contains(part), "{part}");
    }
    for command in ["explain", "pipe", "reasons", "check", "completions"] {
        let help = run(program().args([command, "--help"])).ok();
        assert!(help.text().lines().count() > 8, "{}", help.text());
        // The options must not speak for the command.
        assert!(!help.text().contains("Settings that") && !help.text().contains("Options of"), "{}", help.text());
    }
    assert!(run(program().args(["pipe", "--help"])).ok().words().contains("the lines go through unchanged"));
    assert_eq!(run(program().arg("--version")).ok().text(), concat!("abort-reason ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn completions_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(program().args(["completions", shell])).ok();
        assert!(script.text().contains("abort-reason") && script.text().contains("maillog"), "{shell}");
    }
}
