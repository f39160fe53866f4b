//! Writes a pair of logs for measuring: what sendmail 8.17 and PureMessage write of ordinary traffic, aborts among it.
//!
//!     cargo run --release --example traffic -- FOLDER [--messages N] [--hosts N] [--ids N] [--aborts N] [--seed N]
//!
//! FOLDER gets `maillog` and `message_log`, each in order of time, and `truth`: a line `queue-id class` for each abort. Of
//! 1,000 messages 20 end in an abort (`--aborts`), of causes whose lines a real sendmail wrote; of the reasons without a
//! wait, a tenth is written behind the abort's entry. `--ids` bounds the different queue ids, which then come again and
//! again. Everything follows from the seed.

#![allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)] // Those rules are the core's.

use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::{cmp::Reverse, env, fs};

const USAGE: &str = "usage: traffic FOLDER [--messages N] [--hosts N] [--ids N] [--aborts N] [--seed N]";

const DIGITS: &[u8; 60] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwx";
const RULES: [&str; 8] =
    ["__HAS_MSGID", "__SANE_MSGID", "__MIME_TEXT_ONLY", "HTML_70_90", "NO_REAL_NAME", "BODY_SIZE", "__CT", "__TO_MALF"];

/// Milliseconds between two messages.
const PACE: u64 = 20;
/// 2026-11-20 08:00:00, in milliseconds since the month began.
const START: u64 = (19 * 24 + 8) * 3_600_000;

struct Options {
    messages: u64,
    hosts: u64,
    ids: u64,
    aborts: u64,
    seed: u64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Some((folder, options)) = options(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(64);
    };
    match write(Path::new(folder), &options) {
        Ok((lines, aborts)) => {
            println!("{} messages, {aborts} aborts, {lines} lines", options.messages);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{folder}: {error}");
            ExitCode::from(74)
        }
    }
}

fn options(arguments: &[String]) -> Option<(&str, Options)> {
    let (folder, rest) = arguments.split_first()?;
    let mut options = Options { messages: 200_000, hosts: 1, ids: u64::MAX, aborts: 20, seed: 1 };
    for pair in rest.chunks(2) {
        let [name, value] = pair else { return None };
        let value = value.parse().ok()?;
        match name.as_str() {
            "--messages" => options.messages = value,
            "--hosts" => options.hosts = value,
            "--ids" => options.ids = value,
            "--aborts" => options.aborts = value,
            "--seed" => options.seed = value,
            _ => return None,
        }
    }
    (options.hosts > 0 && options.ids > 0).then_some((folder, options))
}

/// A line that is not yet due: when, in which order of two at a time, of which log.
type Line = Reverse<(u64, u64, bool, String)>;

fn write(folder: &Path, options: &Options) -> io::Result<(u64, u64)> {
    fs::create_dir_all(folder)?;
    let file = |name: &str| File::create(folder.join(name)).map(BufWriter::new);
    let (mut mail, mut entries, mut truth) = (file("maillog")?, file("message_log")?, file("truth")?);
    let (mut random, mut waiting, mut lines, mut aborts) = (Random(options.seed), BinaryHeap::<Line>::new(), 0, 0);
    for n in 0..options.messages {
        // The first lines of a message may be written up to 0.4 s before it.
        let now = START + PACE * n;
        while let Some(Reverse((at, ..))) = waiting.peek()
            && *at + 400 < now
        {
            put(waiting.pop(), &mut mail, &mut entries)?;
        }
        let message = Message::new(n, options, &mut random);
        if random.below(1_000) < options.aborts {
            let class = message.abort(now, &mut random, &mut |at, is_mail, text| {
                lines += 1;
                waiting.push(Reverse((at, lines, is_mail, text)));
            });
            aborts += 1;
            writeln!(truth, "{} {class}", message.id)?;
        } else {
            message.deliver(now, &mut random, &mut |at, is_mail, text| {
                lines += 1;
                waiting.push(Reverse((at, lines, is_mail, text)));
            });
        }
    }
    while !waiting.is_empty() {
        put(waiting.pop(), &mut mail, &mut entries)?;
    }
    for mut file in [mail, entries, truth] {
        file.flush()?;
    }
    Ok((lines, aborts))
}

fn put(line: Option<Line>, mail: &mut impl Write, entries: &mut impl Write) -> io::Result<()> {
    match line {
        Some(Reverse((_, _, true, text))) => mail.write_all(text.as_bytes()),
        Some(Reverse((_, _, false, text))) => entries.write_all(text.as_bytes()),
        None => Ok(()),
    }
}

struct Message {
    n: u64,
    id: String,
    host: u64,
    pid: u64,
    from: String,
    to: String,
    client: String,
    address: String,
    size: u64,
}

impl Message {
    fn new(n: u64, options: &Options, random: &mut Random) -> Message {
        let number = n % options.ids;
        let pid = 1_000 + number * 7 % 60_000;
        // The time at which the id was made, in UTC, and the number of it within the second.
        let made = START + PACE * number;
        let [day, hour, minute, second] =
            [1 + made / 86_400_000, made / 3_600_000 % 24, made / 60_000 % 60, made / 1_000 % 60];
        let digits = [day, hour, minute, second, number / 60 % 60, number % 60];
        let digits: String = digits.iter().map(|digit| char::from(DIGITS[(digit % 60) as usize])).collect();
        let id = format!("6A{digits}{pid:06}");
        let client = random.below(5_000);
        Message {
            n,
            id,
            host: number % options.hosts + 1,
            pid,
            from: format!("<user{client}@example.com>"),
            to: format!("<rcpt{}@example.net>", random.below(999)),
            client: format!("host{client}.dyn.example.edu"),
            address: format!("203.0.{}.{}", client / 250, client % 250),
            size: 500 + random.below(89_500),
        }
    }

    fn deliver(&self, now: u64, random: &mut Random, write: &mut dyn FnMut(u64, bool, String)) {
        let texts = [
            self.come(),
            "Milter (PureMessage) add: header: X-PMX-Version: 6.4.9.2830568, Antispam-Engine: 2.7.2.2107409, Antispam-Data: 2026.11.20.75115".into(),
            format!(
                "to={}, delay=00:00:01, xdelay=00:00:00, mailer=esmtp, pri=30500, relay=store.example.net. [198.51.100.7], dsn=2.0.0, stat=Sent ({} Message accepted for delivery)",
                self.to, self.id
            ),
        ];
        for (place, text) in (0..).zip(texts) {
            let at = now + place * 300;
            write(at, true, self.mail(at, &text));
        }
        let first = random.below(4) as usize;
        let hits: String = RULES[first..first + 4].iter().map(|rule| format!("h={rule} ")).collect();
        let (score, took) = (random.below(1_000), random.below(100));
        let what = format!("p=0.{score:03} {hits}Size={} r={} tm=0.{took:02} a=a/eom", self.size, self.client);
        write(now + 350, false, self.entry(now + 350, &what));
    }

    /// Writes an abort of some cause, and tells its class.
    fn abort(&self, now: u64, random: &mut Random, write: &mut dyn FnMut(u64, bool, String)) -> &'static str {
        let (class, wait, texts) = self.cause(random);
        let wait = wait * 1_000;
        let is_late = wait == 0 && random.below(10) == 0;
        for (place, text) in (0..).zip(texts) {
            let at = if is_late { now + 400 } else { now - 400 } + place;
            write(at, true, self.mail(at, &text));
        }
        let what = format!("r={} tm={}.04 a=c/abort", self.client, wait / 1_000);
        write(now + wait, false, self.entry(now + wait, &what));
        class
    }

    /// A class, the seconds until the abort, and what sendmail logs.
    fn cause(&self, random: &mut Random) -> (&'static str, u64, Vec<String>) {
        let Message { from, to, client, address, .. } = self;
        let relay = format!("{client} [{address}]");
        let ended = |recipients| {
            format!("from={from}, size=0, class=0, nrcpts={recipients}, proto=ESMTP, daemon=MTA, relay={relay}")
        };
        let failed = |what: &str| {
            vec![
                self.come(),
                what.to_owned(),
                "Milter (PureMessage): to error state".into(),
                "Milter: data, reject=451 4.3.2 Please try again later".into(),
                format!("to={to}, delay=00:00:03, pri=30500, stat=Please try again later"),
            ]
        };
        let lost = format!("lost input channel from {relay} to MTA after rcpt");
        match random.below(10) {
            0 => (
                "filter_timeout",
                [5, 30, 290, 1_800][random.below(4) as usize],
                failed("Milter (PureMessage): timeout before data read, where=eom"),
            ),
            1 => (
                "filter_timeout",
                [5, 30][random.below(2) as usize],
                vec![
                    "Milter (PureMessage): timeout before data read, where=rcpt".into(),
                    "Milter (PureMessage): to error state".into(),
                    format!("Milter: to={to}, reject=451 4.3.2 Please try again later"),
                    ended(1),
                ],
            ),
            2 => ("filter_closed", 0, failed("milter_sys_read(PureMessage): cmd read returned 0, expecting 5")),
            3 => (
                "filter_closed",
                0,
                failed(&format!("Milter (PureMessage): read returned -1: Connection reset by {client}")),
            ),
            4 => ("peer_disconnected", 0, vec![lost, ended(1)]),
            5 => (
                "peer_disconnected",
                0,
                vec![
                    "collect: premature EOM: unexpected close".into(),
                    format!("collect: relay={client}, from={from}, info=unexpected close"),
                    self.come(),
                ],
            ),
            6 => (
                "peer_timeout",
                0,
                vec![format!("SYSERR(root): collect: relay={client}, from={from}, info=read timeout"), self.come()],
            ),
            7 => (
                "peer_timeout",
                0,
                vec![format!("timeout waiting for input from {client} during server cmd read"), lost, ended(1)],
            ),
            8 => ("client_ended", 0, vec![ended(1)]),
            _ => (
                "recipients_rejected",
                0,
                vec![
                    format!(
                        "ruleset=check_rcpt, arg1=<nouser@example.org>, relay={relay}, reject=550 5.1.1 <nouser@example.org>... User unknown"
                    ),
                    ended(0),
                ],
            ),
        }
    }

    /// The line of a message whose text has come.
    fn come(&self) -> String {
        let Message { n, from, client, address, size, .. } = self;
        format!(
            "from={from}, size={size}, class=0, nrcpts=1, msgid=<{n}@mail.example.org>, proto=ESMTP, daemon=MTA, relay={client} [{address}]"
        )
    }

    fn mail(&self, at: u64, text: &str) -> String {
        let (day, time) = date(at);
        format!("Nov {day:2} {time} mx{} sm-mta[{}]: {}: {text}\n", self.host, self.pid, self.id)
    }

    fn entry(&self, at: u64, what: &str) -> String {
        let (day, time) = date(at);
        format!("2026-11-{day:02}T{time} q={} f={} t={} {what}\n", self.id, self.from, self.to)
    }
}

/// Day of the month, and time of the day.
fn date(ms: u64) -> (u64, String) {
    let seconds = ms / 1_000;
    (1 + seconds / 86_400, format!("{:02}:{:02}:{:02}", seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60))
}

/// Numbers without a pattern that a log would show (`SplitMix64`).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
