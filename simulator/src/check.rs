//! What must hold of a world, however it is shipped, and on every face.

use std::collections::{BTreeMap, BTreeSet};

use abort_reason::Config;
use serde_json::Value;

use crate::engine::{Restart, Run, Step, run};
use crate::shipping::Shipping;
use crate::world::{Truth, World};

/// What a check finds wrong.
pub type Result<T = ()> = std::result::Result<T, String>;

/// Says of what is wrong where it is.
pub trait Named {
    /// The same, as found there.
    #[must_use]
    fn named(self, place: &str) -> Self;
}

impl Named for Result {
    fn named(self, place: &str) -> Result {
        self.map_err(|wrong| format!("{place}: {wrong}"))
    }
}

/// What all configurations have in common.
pub const NAMES: &str = r#""filter_names": ["PureMessage"]"#;

/// Waits longer than any world lasts.
fn patient() -> String {
    format!(r#"{{{NAMES}, "hold_secs": 86400, "lookback_secs": 86400}}"#)
}

/// Lets nothing wait, and says later what it has found out.
fn annotating() -> String {
    patient().replacen('{', r#"{"mode": "annotate", "#, 1)
}

/// The configuration of a way of shipping.
pub fn hasty(shipping: &Shipping) -> String {
    format!(r#"{{{NAMES}, "hold_secs": {}}}"#, shipping.hold_secs)
}

/// The least that can be remembered.
fn tiny() -> String {
    format!(
        r#"{{{NAMES}, "unlogged": true, "hold_secs": 1, "limits": {{"join_bytes": 65536, "messages": 16,
        "per_message": 8, "passed_bytes": 16384, "seen_ids": 4096, "text_bytes": 256, "hosts": 4}}}}"#
    )
}

/// The same configuration, under which every line is read in full.
fn in_full(json: &str) -> String {
    json.replacen('{', r#"{"glance": false, "#, 1)
}

/// A configuration that is known to be right.
pub fn config(json: &str) -> Result<Config> {
    Config::from_json(json).map_err(|error| error.to_string())
}

/// What a check has looked at.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Records that are issued in the world.
    pub records: usize,
    /// Lines that were told at a glance.
    pub unread: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.records += other.records;
        self.unread += other.unread;
    }
}

/// Checks a world on the native engine.
pub fn native(world: &World, shipping: &Shipping) -> Result<Tally> {
    let step = |record| Step { record, pause: 0, restart: Restart::None };
    let in_order: Vec<Step<'_>> = world.mail_first().into_iter().map(step).collect();
    let first = run(&config(&patient())?, &in_order)?;
    exactly(world, &first).named("mail log first")?;

    let mixed = run(&config(&patient())?, &shipping.interleaved(world))?;
    exactly(world, &mixed).named("in any order")?;
    same(&comparable(world, &first), &comparable(world, &mixed)).named("in any order")?;

    let replayed = shipping.replayed(world);
    let again = run(&config(&patient())?, &shipping.interleaved(&replayed))?;
    same(&comparable(world, &first), &comparable(world, &again)).named("a stretch read again")?;

    if world.steady {
        // A record that left before a line of its evidence came goes without it; what it says is the same.
        let disordered = shipping.disordered(world);
        let mixed = run(&config(&patient())?, &shipping.interleaved(&disordered))?;
        exactly(world, &mixed).named("in disorder")?;
    }

    let mixed_unread = mixed.unread;
    let in_full_mixed = run(&config(&in_full(&patient()))?, &shipping.interleaved(world))?;
    alike(&in_full_mixed, &mixed).named("told at a glance")?;

    let steps = shipping.interleaved(world);
    let annotated = run(&config(&annotating())?, &steps)?;
    at_once(world, &steps, &annotated).named("annotated")?;
    exactly(world, &annotated).named("annotated, the last words")?;

    let apart = Shipping::apart(world);
    let steps = shipping.interleaved(&apart);
    let taken_apart = run(&config(&patient())?, &steps)?;
    exactly(world, &taken_apart).named("taken apart")?;
    alike(&run(&config(&in_full(&patient()))?, &steps)?, &taken_apart).named("taken apart, told at a glance")?;

    let json = hasty(shipping);
    let hasty = config(&json)?;
    let steps = shipping.disturbed(&replayed, Restart::None);
    let straight = run(&hasty, &steps)?;
    exactly(world, &straight).named("with little patience")?;
    let in_full = run(&config(&in_full(&json))?, &steps)?;
    alike(&in_full, &straight).named("told at a glance with little patience")?;
    let restarted = run(&hasty, &shipping.disturbed(&replayed, Restart::Snapshot))?;
    // A restored engine learns anew how lines begin, and reads more of them in full.
    alike(&straight, &restarted).named("restarted by snapshot")?;

    // Tickets don't bring back what has left, nor what was known of the clocks: an entry that is read again behind such a
    // restart is a new one, and which of two under one id it is may be past knowing where a clock changes.
    if world.steady {
        let restarted = run(&hasty, &shipping.disturbed(world, Restart::Tickets))?;
        honestly(world, &restarted).named("restarted by tickets")?;
    }
    let tight = run(&config(&tiny())?, &steps)?;
    honestly(world, &tight).named("with little memory")?;
    Ok(Tally { records: world.truth.len(), unread: mixed_unread })
}

/// Each abort leaves behind its own entry, whatever else waits.
fn at_once(world: &World, steps: &[Step<'_>], run: &Run) -> Result {
    let aborts: BTreeSet<&str> =
        world.truth.iter().filter(|truth| truth.kind == "abort").map(|truth| truth.entry.as_str()).collect();
    let mut came = BTreeSet::new();
    for (number, step) in steps.iter().enumerate() {
        let record: Value = serde_json::from_str(step.record).map_err(|error| error.to_string())?;
        let Some(entry) = record["message"].as_str().filter(|entry| aborts.contains(entry)) else { continue };
        let leaves = |(behind, issued): &(usize, String)| {
            *behind == number + 1 && issued.starts_with(&step.record[..step.record.len() - 1])
        };
        // Of one that is read again all is said.
        if came.insert(entry.to_owned()) && !run.issued.iter().any(leaves) {
            return Err(format!("it waits: {entry}"));
        }
    }
    Ok(())
}

/// The last revision of each object, with the entry that it is about.
fn objects(run: &Run) -> Result<Vec<(String, Value)>> {
    let mut last: BTreeMap<String, (String, Value)> = BTreeMap::new();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for (_, record) in &run.issued {
        let mut record: Value = serde_json::from_str(record).map_err(|error| error.to_string())?;
        let abort = record["abort"].take();
        if !abort.is_null() {
            last.insert(text(&abort["id"]), (text(&record["message"]), abort));
        }
    }
    Ok(last.into_values().collect())
}

/// Every record of the truth is there, and nothing beside it; with its class where the log tells all and no clock changes
/// on the way: where one does, which lines belong to which of two aborts under one id may be past knowing.
pub fn exactly(world: &World, run: &Run) -> Result {
    judged(world, run, |truth, abort| world.steady && truth.told && truth.class != abort["class"])
}

/// Every abort is there, and what is said of it is true: its class, or that nothing is known, or a guess that says so.
pub fn honestly(world: &World, run: &Run) -> Result {
    judged(world, run, |_, _| false)
}

/// Every abort is there.
pub fn nothing_lost(world: &World, run: &Run) -> Result {
    let told = objects(run)?;
    let lost = |truth: &&Truth| truth.kind == "abort" && !told.iter().any(|(entry, _)| *entry == truth.entry);
    world.truth.iter().find(lost).map_or(Ok(()), |truth| Err(format!("lost: {truth:?}")))
}

fn judged(world: &World, run: &Run, wrong: impl Fn(&Truth, &Value) -> bool) -> Result {
    let mut told = objects(run)?;
    for truth in &world.truth {
        let mine = told.iter().position(|(entry, _)| *entry == truth.entry);
        let Some((_, abort)) = mine.map(|at| told.swap_remove(at)) else {
            // A failure that nobody remembers is not told of.
            if truth.kind == "abort" {
                return Err(format!("lost: {truth:?}"));
            }
            continue;
        };
        let guess =
            abort["class"] == "unexplained" || abort["status"] == "inferred" || abort["status"] == "provisional";
        if wrong(truth, &abort) || truth.class != abort["class"] && !guess || truth.kind != abort["kind"] {
            return Err(format!("{truth:?}\nis not {abort:#}"));
        }
    }
    match told.first() {
        Some((_, abort)) => Err(format!("invented: {abort:#}")),
        None => Ok(()),
    }
}

/// The records, to be compared with those of another order: without the number of their revision where they are no aborts,
/// since those may have passed before, and without `why_not`: which ids had to share a place in the table of seen ones
/// depends on their order. Where a clock changes on the way, what is known of it depends on what has come:
/// nothing is compared then.
fn comparable(world: &World, run: &Run) -> BTreeSet<String> {
    let records = run.issued.iter().map(|(_, record)| record).filter(|_| world.steady);
    let unnumbered = |record: &String| record.replace(r#""revision":1}"#, r#""revision":0}"#);
    let numbered = |record: &str| record.contains(r#""kind":"abort""#);
    records.map(|record| without_why(if numbered(record) { record.clone() } else { unnumbered(record) })).collect()
}

/// Whether an engine that reads more lines in full, and one that tells more of them at a glance, issue the same in the same
/// order. Of an id that had to share a place in the table of seen ones in one of the two, since ordinary lines stay out of it in
/// the other, nothing is said of why.
fn alike(in_full: &Run, glance: &Run) -> Result {
    let unsaid = [r#""why_not":"evicted""#, r#""why_not":"no_mail_lines""#, r#""why_not":"started_late""#];
    let is_unsaid = |run: &Run, at: usize| {
        run.issued.get(at).is_some_and(|(_, record)| unsaid.iter().any(|why| record.contains(why)))
    };
    let plain = |run: &Run| -> Vec<(usize, String)> {
        let plain = |(at, (step, record)): (usize, &(usize, String))| {
            let unsaid = is_unsaid(in_full, at) || is_unsaid(glance, at);
            (*step, if unsaid { without_why(record.clone()) } else { record.clone() })
        };
        run.issued.iter().enumerate().map(plain).collect()
    };
    same(&plain(in_full), &plain(glance))
}

/// A record without its `why_not`.
fn without_why(record: String) -> String {
    match record.split_once(r#","why_not":""#) {
        Some((before, rest)) => before.to_owned() + rest.split_once('"').map_or("", |(_, rest)| rest),
        None => record,
    }
}

/// Whether two lists are the same; the first difference if not.
pub fn same<T: PartialEq + std::fmt::Debug>(a: impl IntoIterator<Item = T>, b: impl IntoIterator<Item = T>) -> Result {
    let (mut a, mut b) = (a.into_iter(), b.into_iter());
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ok(()),
            (a, b) if a == b => {}
            (a, b) => {
                let (a, b) = (format!("{a:?}"), format!("{b:?}"));
                let at = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
                let from = |text: &str| text.chars().skip(at.saturating_sub(80)).take(160).collect::<String>();
                return Err(format!("{a}\nis not the same from …{}\nwhich is …{}", from(&a), from(&b)));
            }
        }
    }
}
