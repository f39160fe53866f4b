//! Finds the row of the table that a text fits: first by literal bytes, and only then by a regular expression.

use std::sync::Arc;

use memchr::memmem;
use once_cell::sync::Lazy;
use regex::bytes::{Regex, RegexBuilder};

use crate::address;
use crate::envelope::client;
use crate::words::behind_start;

use super::class::{Class, Rank, Stage, Timeout};
use super::start::{Behind, Named, Start};
use super::table::{NO_TROUBLE, OF_ADDRESSES, Role, Rule, STANDARD_RULESETS, TABLE};

/// A rule as the matcher uses it: a row of the table, or one of the configuration.
#[derive(Debug, Clone)]
pub(crate) struct CompiledRule {
    pub id: Box<str>,
    pub class: Class,
    pub rank: Rank,
    pub role: Role,
    pub stage: Option<Stage>,
    pub timeout: Option<Timeout>,
    start: Start,
    /// None where nothing may follow.
    rest: Option<Regex>,
    groups: Groups,
}

/// Where the groups of an expression stand, if it has them.
#[derive(Debug, Clone, Copy)]
struct Groups {
    filter: Option<usize>,
    stage: Option<usize>,
    /// The stage in the words of [`Stage::from_where`].
    at: Option<usize>,
    /// What must be an address.
    address: Option<usize>,
    /// What must be one if it holds `... `.
    bounded: Option<usize>,
}

impl Groups {
    fn new(rest: &Regex) -> Groups {
        let place = |name: &str| rest.capture_names().position(|group| group == Some(name));
        let [filter, stage, at, address, bounded] = ["filter", "stage", "where", "address", "bounded"].map(place);
        Groups { filter, stage, at, address, bounded }
    }

    /// Whether it matters where they stand in a text: to find that costs ten times what a match does.
    fn are_wanted(&self, text: &[u8]) -> bool {
        let always = [self.filter, self.stage, self.at, self.address];
        always.iter().any(Option::is_some) || self.bounded.is_some() && memmem::find(text, b"... ").is_some()
    }
}

/// What a text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Match<'t> {
    /// Index for [`Matcher::rule`].
    pub rule: u16,
    pub filter: Option<&'t [u8]>,
    pub stage: Option<Stage>,
}

/// All rules, by what their texts begin with. Copies share them.
#[derive(Debug, Clone)]
pub(crate) struct Matcher(Arc<Rules>);

#[derive(Debug)]
struct Rules {
    list: Vec<CompiledRule>,
    /// How many of them, the first ones, are the configuration's.
    added: usize,
    /// Rules whose start has no literal before the name of something: tried where no other start fits.
    anywhere: Vec<(u16, memmem::Finder<'static>)>,
    /// For each first byte the rules whose start begins with it, grouped by what stands before the filter's name.
    by_first_byte: Vec<Vec<Group>>,
}

#[derive(Debug, Clone)]
struct Group {
    before: Box<[u8]>,
    /// What may close a filter's name behind `before`: mostly `):`.
    closes: Vec<Box<[u8]>>,
    /// Every rule of the group names a filter.
    all_named: bool,
    rules: Vec<u16>,
}

/// The rows of the table, compiled once in a process; a test compiles every row.
static ROWS: Lazy<Vec<CompiledRule>> =
    Lazy::new(|| TABLE.iter().filter_map(|row| CompiledRule::new(row).ok()).collect());

/// The matcher of the table alone, which most engines share.
static BUILT_IN: Lazy<Matcher> = Lazy::new(|| Matcher(Arc::new(Rules::new(Vec::new()))));

impl CompiledRule {
    /// Compiles a rule; the error is the regular expression's.
    pub(crate) fn new(rule: &Rule<'_>) -> Result<CompiledRule, regex::Error> {
        let expression = RegexBuilder::new(&format!("^(?:{})$", rule.rest))
            .unicode(false)
            .dot_matches_new_line(true)
            .size_limit(1 << 20)
            .dfa_size_limit(1 << 20)
            .build()?;
        Ok(CompiledRule {
            id: rule.id.into(),
            class: rule.class,
            rank: rule.rank,
            role: rule.role,
            stage: rule.stage,
            timeout: rule.timeout,
            start: Start::new(rule.start),
            groups: Groups::new(&expression),
            rest: Some(expression).filter(|_| !rule.rest.is_empty()),
        })
    }

    /// Whether such a line says that sendmail gave up on the filter that it names, whoever was to blame.
    pub(crate) fn is_filter_failure(&self) -> bool {
        self.class.is_filter_failure() || self.class == Class::MtaError && self.start.close().is_some()
    }

    /// Whether a text that begins with [`Start::before`] fits, by what stands behind it: the filter and the stage that it
    /// names.
    fn fit<'t>(&self, behind: &mut Behind<'t>) -> Option<(Option<&'t [u8]>, Option<Stage>)> {
        let (filter, rest) = self.start.split(behind)?;
        let Some(expression) = &self.rest else { return rest.is_empty().then_some((filter, self.stage)) };
        if !self.groups.are_wanted(rest) {
            return expression.is_match(rest).then_some((filter, self.stage));
        }
        let mut places = expression.capture_locations();
        expression.captures_read(&mut places, rest)?;
        let found = |group: Option<usize>| places.get(group?).map(|(start, end)| &rest[start..end]);
        let fails = |group, fits: fn(&[u8]) -> bool| found(group).is_some_and(|found| !fits(found));
        if fails(self.groups.address, address::is_one) || fails(self.groups.bounded, address::may_be_one) {
            return None;
        }
        let name = |group| std::str::from_utf8(found(group)?).ok();
        let stage = name(self.groups.stage).and_then(Stage::from_log);
        let stage = stage.or_else(|| name(self.groups.at).and_then(Stage::from_where));
        Some((filter.or_else(|| found(self.groups.filter)), stage.or(self.stage)))
    }
}

/// Whether sendmail's line about a ruleset says that a message is quarantined.
fn is_quarantine(text: &[u8]) -> bool {
    memmem::find_iter(text, b", relay=").any(|at| {
        let relay = &text[at + 8..];
        client(relay).is_some_and(|length| relay[length..].starts_with(b", quarantine="))
    })
}

impl Group {
    /// What stands behind [`Group::before`], if a text begins so, and whether a rule of the group may match it. Not a part of
    /// what asks the regular expressions: an interpreter may have a stack of 8 KiB.
    #[inline(never)]
    fn behind<'t>(&self, text: &'t [u8]) -> Option<(&'t [u8], bool)> {
        let behind = behind_start(text, &self.before)?;
        Some((behind, self.may_match(behind)))
    }

    /// Whether a rule of the group may match a text, by what stands behind [`Group::before`].
    fn may_match(&self, behind: &[u8]) -> bool {
        !self.all_named || Named::new(behind).is_closed_by_any(&self.closes)
    }
}

impl Rules {
    fn new(added: Vec<CompiledRule>) -> Rules {
        let mut rules = added;
        let replaced = rules.len();
        for row in ROWS.iter() {
            if !rules[..replaced].iter().any(|rule| rule.id == row.id) {
                rules.push(row.clone());
            }
        }
        let mut by_first_byte: Vec<Vec<Group>> = vec![Vec::new(); 256];
        let mut anywhere = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            let index = index as u16;
            if let Some(needle) = rule.start.needle() {
                anywhere.push((index, memmem::Finder::new(needle).into_owned()));
            }
            let before = &rule.start.before;
            let Some(first) = before.first() else { continue };
            let groups = &mut by_first_byte[usize::from(*first)];
            let at = groups.iter().position(|group| group.before == *before).unwrap_or_else(|| {
                groups.push(Group { before: before.clone(), closes: Vec::new(), all_named: true, rules: Vec::new() });
                groups.len() - 1
            });
            groups[at].rules.push(index);
            groups[at].all_named &= rule.start.close().is_some();
            if let Some(close) = rule.start.close()
                && !groups[at].closes.iter().any(|known| **known == *close)
            {
                groups[at].closes.push(close.into());
            }
        }
        Rules { list: rules, added: replaced, anywhere, by_first_byte }
    }
}

impl Matcher {
    /// A matcher of the table with the rules of the configuration, which come first; one with the id of a row replaces it.
    pub(crate) fn new(added: &[CompiledRule]) -> Matcher {
        if added.is_empty() { BUILT_IN.clone() } else { Matcher(Arc::new(Rules::new(added.to_vec()))) }
    }

    pub(crate) fn rule(&self, index: u16) -> &CompiledRule {
        &self.0.list[usize::from(index)]
    }

    /// Matches every row's example, so that the regular expressions have made what they make at their first use.
    pub(crate) fn warm_up(&self) {
        for row in TABLE {
            std::hint::black_box(self.find(row.example.as_bytes()));
        }
    }

    /// Whether a rule of the configuration may match a text that begins so.
    pub(crate) fn added_may_match(&self, start: &[u8]) -> bool {
        self.0.list[..self.0.added].iter().any(|rule| {
            let before = &rule.start.before;
            before.starts_with(start) || start.starts_with(before)
        })
    }

    /// Whether any rule may match a text, by literal bytes alone.
    #[inline(never)]
    pub(crate) fn may_match(&self, text: &[u8]) -> bool {
        let Some(first) = text.first() else { return false };
        let mut known_start = false;
        for group in &self.0.by_first_byte[usize::from(*first)] {
            let Some(behind) = behind_start(text, &group.before) else { continue };
            known_start = true;
            if group.may_match(behind) {
                return true;
            }
        }
        !known_start && self.0.anywhere.iter().any(|(_, needle)| needle.find(text).is_some())
    }

    /// The first rule that the whole text fits.
    pub(crate) fn find<'t>(&self, text: &'t [u8]) -> Option<Match<'t>> {
        let mut known_start = false;
        for group in &self.0.by_first_byte[usize::from(*text.first()?)] {
            let Some((behind, may_match)) = group.behind(text) else { continue };
            known_start = true;
            if !may_match {
                continue;
            }
            let mut behind = Behind::new(behind);
            for index in &group.rules {
                let rule = self.rule(*index);
                if let Some((filter, stage)) = rule.fit(&mut behind) {
                    if self.checked(*index, text) {
                        return Some(Match { rule: *index, filter, stage });
                    }
                    // What may be a client's words may be another row's.
                    if rule.role != Role::MayHaveEnded {
                        return None;
                    }
                }
            }
        }
        if known_start { None } else { self.find_anywhere(text) }
    }

    /// The first rule without a start of its own that fits.
    #[inline(never)]
    fn find_anywhere<'t>(&self, text: &'t [u8]) -> Option<Match<'t>> {
        self.0.anywhere.iter().find_map(|(index, needle)| {
            needle.find(text)?;
            let (filter, stage) = self.rule(*index).fit(&mut Behind::new(text))?;
            Some(Match { rule: *index, filter, stage })
        })
    }

    /// Some `SYSERR` lines are no evidence, nor is what a client wrote; and a header may imitate a refusal in sendmail's line
    /// about a quarantine.
    fn checked(&self, index: u16, text: &[u8]) -> bool {
        let rule = self.rule(index);
        if rule.role == Role::MayHaveEnded {
            let said = memmem::rfind(text, b"... ").map_or(&b""[..], |at| &text[at + 4..]);
            if OF_ADDRESSES.iter().any(|start| said.starts_with(start.as_bytes())) {
                return false;
            }
        }
        if rule.class == Class::PolicyRejected && matches!(rule.role, Role::Cause | Role::MayHaveEnded) {
            let name = text.strip_prefix(b"ruleset=").unwrap_or_default();
            let name = &name[..memchr::memchr(b',', name).unwrap_or_default()];
            let is_of_text = [&b"check_data"[..], b"check_eoh", b"check_eom"].contains(&name);
            let of_its_own = !is_of_text && STANDARD_RULESETS.iter().any(|ruleset| ruleset.as_bytes() == name);
            let is_of_header = rule.groups.stage.is_none() && rule.stage.is_none();
            return !(is_quarantine(text) || is_of_header && of_its_own);
        }
        if rule.class != Class::MtaError || rule.rank != Rank::Circumstantial {
            return true;
        }
        let said = memmem::find(text, b"): ").map_or(&b""[..], |at| &text[at + 3..]);
        !NO_TROUBLE.iter().any(|start| said.starts_with(start.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_compiles_and_finds_its_example() {
        let matcher = Matcher::new(&[]);
        assert_eq!(matcher.0.list.len(), TABLE.len());
        for row in TABLE {
            let found = matcher.find(row.example.as_bytes()).unwrap_or_else(|| panic!("{}: {}", row.id, row.example));
            assert_eq!(&*matcher.rule(found.rule).id, row.id, "{}", row.example);
            if row.start.contains("{filter}") {
                assert_eq!(found.filter, Some(&b"PureMessage"[..]), "{}", row.id);
            }
        }
    }

    /// A client can make sendmail write any beginning, then `... ` and an error text.
    #[test]
    fn no_row_goes_on_as_an_error_text() {
        let matcher = Matcher::new(&[]);
        let errors = [
            "User unknown",
            "Unbalanced '('",
            "Unbalanced ')'",
            "Address \"x, stat=Sent (x\" too long (255 bytes max)",
        ];
        for (row, error) in TABLE.iter().flat_map(|row| errors.map(|error| (row, error))) {
            // That a recipient was refused, or something, is true of such a line.
            let refuses = |index: u16| {
                matches!(matcher.rule(index).role, Role::RefusesRecipient | Role::Doubt | Role::MayHaveEnded)
            };
            for between in ["", "(", " ", ".nouser@example.net", ": y", ", reject=550 y", " (x)"] {
                let text = format!("{}{between}... {error}", row.example);
                let found = matcher.find(text.as_bytes()).filter(|found| !refuses(found.rule));
                assert_eq!(found.map(|found| &*matcher.rule(found.rule).id), None, "{text}");
            }
        }
    }

    /// Texts that look like evidence and are none: normal actions, deliveries, and what a peer can write.
    #[test]
    fn what_is_no_evidence() {
        let matcher = Matcher::new(&[]);
        for text in [
            "",
            "Milter (PureMessage) add: header: X-PMX-Version: 6",
            "Milter add: header: X: Milter (PureMessage): timeout before data read, where=eom",
            "Milter accept: message",
            "Milter: no active filter",
            "Milter (PureMessage): abort filter",
            "Milter (PureMessage): quit filter",
            "Milter (PureMessage): init success to negotiate",
            "milter=PureMessage, action=rcpt, continue",
            "milter=PureMessage, action=mail, accepted",
            "to=<a@b>, delay=00:00:01, mailer=esmtp, relay=x, dsn=4.0.0, stat=Deferred: Connection refused by x",
            "to=<a@b>, delay=00:00:01, mailer=esmtp, relay=x, dsn=2.0.0, stat=Sent (lost input channel from x)",
            "SYSERR(root): putbody: write error: Broken pipe",
            "DSN: I/O error",
            "relay.example.com [192.0.2.1] did not issue MAIL/EXPN/VRFY/ETRN during connection to MTA",
            "<-- RCPT TO:<lost input channel from x to MTA after rcpt>",
            "--- 451 4.3.2 Please try again later",
            "collect: relay=h, from=<\"a, info=unexpected close\"@e>, info=Bare linefeed (LF) not allowed, where=body, status=replaced",
            // An address without brackets stands at the beginning of sendmail's error text.
            "Milter (PureMessage): timeout before data read, where=eom... User unknown",
            "Milter (PureMessage): read returned -1: Connection reset by peer... User unknown",
            "Milter (PureMessage): error connecting to filter: Connection refused by x... User unknown",
            "Milter (PureMessage): to error state... User unknown",
            "lost input channel from x [1.2.3.4] to MTA after rcpt... User unknown",
            "x [1.2.3.4]: SMTP violation, input too long: 9... User unknown",
            "ruleset=check_mail, arg1=<a@b>, relay=x [1.2.3.4], reject=553 5.1.8 no such domain",
            "ruleset=check_relay, arg1=x, arg2=1.2.3.4, relay=x [1.2.3.4], reject=550 5.7.1 Access denied",
        ] {
            let found = matcher.find(text.as_bytes()).map(|found| matcher.rule(found.rule).id.clone());
            assert_eq!(found, None, "{text}");
        }
    }

    #[test]
    fn stages_and_filters() {
        let matcher = Matcher::new(&[]);
        for (text, filter, stage) in [
            ("Milter (f(1)): timeout before data read, where=last body chunk", "f(1)", Some(Stage::Body)),
            ("Milter (f1): timeout before data read, where=quit_filter", "f1", None),
            ("Milter (f1): write(D) returned -1, expected 31: Broken pipe", "f1", None),
            ("Milter (f1): write(M) returned -1, expected 31: Broken pipe", "f1", Some(Stage::Mail)),
            ("milter=avscan, action=rcpt, reject=550 5.1.1 no", "avscan", Some(Stage::Rcpt)),
            ("lost input channel from x [192.0.2.1] to My after MTA after rcpt", "", Some(Stage::Rcpt)),
            ("lost input channel from x [192.0.2.1] to MTA after nothing", "", None),
        ] {
            let found = matcher.find(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(found.filter.unwrap_or_default(), filter.as_bytes(), "{text}");
            assert_eq!(found.stage, stage, "{text}");
        }
    }
}
