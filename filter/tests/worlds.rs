//! Simulated worlds through filters that end at any moment, as a process does that is killed.
#![allow(clippy::disallowed_macros, reason = "says how much was tried; that rule is the core's")]

use abort_reason_filter::{Answer, Filter, Incoming, MailLines};
use abort_reason_simulator::check::{self, hasty, honestly, nothing_lost};
use abort_reason_simulator::engine::{Restart, Run, Step};
use abort_reason_simulator::worlds;
use host::Machine;

#[allow(dead_code, reason = "each test uses a part")]
mod host;

/// Takes what leaves behind a step; whether its record passes.
fn take(run: &mut Run, step: usize, answer: &Answer) -> bool {
    if let Answer::Record(record) = answer {
        assert!(!record.contains(&0));
        run.issued.push((step, String::from_utf8_lossy(record).into_owned()));
    }
    *answer == Answer::Given
}

fn start(machine: &Machine, config: &str) -> Filter<Machine> {
    let mut filter = machine.start(config, 0);
    filter.next_stream();
    filter
}

/// Runs steps through filters; before each of them `happens` may change the machine. A step that restarts kills the process.
fn run(machine: &Machine, config: &str, steps: &[Step<'_>], mut happens: impl FnMut(usize)) -> Run {
    let mut taken = Run::default();
    let mut filter = start(machine, config);
    let tick = |filter: &mut Filter<Machine>, taken: &mut Run, at: usize| {
        filter.next_stream();
        take(taken, at, &filter.answer(Incoming::Tick(0)));
        filter.next_stream();
    };
    // What leaves by the very first ticks may be taken twice.
    tick(&mut filter, &mut taken, 0);
    for (at, step) in steps.iter().enumerate() {
        happens(at);
        if step.restart != Restart::None {
            // Nothing is written on the way out.
            filter = start(machine, config);
        }
        machine.passes(step.pause.into());
        if step.pause > 1_000 {
            tick(&mut filter, &mut taken, at);
        }
        let mail_lines = if step.record.contains(" sendmail[") { MailLines::End } else { MailLines::Pass };
        let passed = take(&mut taken, at, &filter.answer(Incoming::Record(mail_lines, step.record.as_bytes())));
        taken.passed.push(passed);
    }
    // A disk that has failed is well again.
    if let Some(disk) = &machine.disk {
        let mut files = disk.files.borrow_mut();
        (files.room, files.is_shut) = (usize::MAX, false);
    }
    for _ in 0..200 {
        for _ in 0..50 {
            tick(&mut filter, &mut taken, steps.len());
        }
        machine.passes(1_000);
    }
    assert_eq!(filter.health().waiting, 0);
    taken
}

/// Of entries that pass each has passed, or come with what was found out; no abort passes without a word.
fn all_have_passed(steps: &[Step<'_>], taken: &Run) -> check::Result {
    for (step, passed) in steps.iter().zip(&taken.passed) {
        let is_entry = step.record.contains(" q=") && !step.record.contains(" sendmail[");
        let is_issued = || {
            let entry = step.record.split('"').find(|text| text.contains(" q=")).unwrap_or_default();
            taken.issued.iter().any(|(_, record)| record.contains(entry))
        };
        let is_abort = step.record.ends_with("/abort\"}");
        if is_entry && if is_abort { *passed } else { !passed && !is_issued() } {
            return Err(format!("lost: {}", step.record));
        }
    }
    Ok(())
}

#[test]
fn nothing_is_lost_or_wrong_wherever_processes_end() {
    let done = worlds(3_200_000, 300, &mut |world, shipping| {
        let steps = shipping.disturbed(world, Restart::Tickets);
        let taken = run(&Machine::new(), &hasty(shipping), &steps, |_| {});
        honestly(world, &taken)?;
        all_have_passed(&steps, &taken)
    });
    println!("{} worlds", done.unwrap_or_else(|wrong| panic!("{wrong}")));
}

#[test]
fn nothing_is_lost_where_the_disk_fails_meanwhile() {
    let done = worlds(3_300_000, 500, &mut |world, shipping| {
        let steps = shipping.disturbed(world, Restart::Tickets);
        let machine = Machine::new();
        let happens = |at: usize| {
            let Some(disk) = &machine.disk else { return };
            let mut files = disk.files.borrow_mut();
            // What fits of the next entries: some of them whole, and a part of one.
            let fits = 37 * usize::from(shipping.batches[at % shipping.batches.len()]);
            match (at + fits) % 12 {
                0..=2 => files.room = files.file.len() + fits % 600,
                3 => files.is_shut = true,
                4 => (files.room, files.is_shut) = (usize::MAX, false),
                _ => {}
            }
        };
        let taken = run(&machine, &hasty(shipping), &steps, happens);
        nothing_lost(world, &taken)?;
        all_have_passed(&steps, &taken)
    });
    println!("{} worlds", done.unwrap_or_else(|wrong| panic!("{wrong}")));
}
