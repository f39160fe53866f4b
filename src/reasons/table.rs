//! The table of the reasons: the one source for the matcher, `abort-reason reasons`, `docs/reasons.md` and the tests.
//!
//! `start` is the beginning of the text behind the queue id: literal, but for one field at most. `{filter}` stands for a
//! milter's name; `{address}`, `{sender}`, `{to}` and `{client}` for what a client wrote or is called, which ends where
//! sendmail ends it ([`crate::address`], [`crate::envelope`]). `rest` is a regular expression for everything behind it,
//! to the end of the text: both ends are anchored, so that nothing that a remote peer can put into an address, a HELO
//! name, a user name or a subject is taken for evidence. Its groups `stage` (or `where`) and `filter` name these; what its group
//! `address` finds must be one, and that of `bounded` too if it holds `... `. Where two rows fit, the earlier one counts.
//!
//! A line about a refused recipient begins with what a client wrote, whatever that is, and goes on with `... ` and an error
//! text. So no `rest` admits `... `, but in a field that is checked, and in rows that only say that a recipient was refused,
//! which is then true.

use super::class::{Class, Rank, Stage, Timeout};

/// One row of the table: a line that says something about why a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule<'t> {
    /// A stable name; letters as in the sections of sendmail's sources that write the lines.
    pub id: &'t str,
    /// What the line says happened.
    pub class: Class,
    /// How strongly.
    pub rank: Rank,
    /// What the line means to the join, beside its class.
    pub role: Role,
    /// The stage, where the line doesn't name it.
    pub stage: Option<Stage>,
    /// The letter of `T=` that ran out.
    pub timeout: Option<Timeout>,
    /// The versions of sendmail that write it.
    pub versions: &'t str,
    /// The literal beginning.
    pub start: &'t str,
    /// A regular expression for the rest.
    pub rest: &'t str,
    /// A text that fits.
    pub example: &'t str,
}

/// What a line means to the join, beside its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A cause, or what follows from one.
    Cause,
    /// A filter's verdict, or what sendmail says in its place after the filter failed.
    Verdict,
    /// Ends a transaction by refusing MAIL; the queue id stays for the next one.
    RefusesMail,
    /// Refuses one recipient; explains an abort only where no recipient was left.
    RefusesRecipient,
    /// The client's connection broke under TLS: written without a queue id, joined by the process id.
    Connection,
    /// Trouble of sendmail's own, in any of its processes: only that of the process that received the message counts.
    Trouble,
    /// The end of an envelope whose text never came.
    EndOfEnvelope,
    /// A cause, from the time at which the text came.
    Text,
    /// Something was refused, and nobody knows what: nothing follows from what is not there.
    Doubt,
    /// A refusal that ends a transaction, or a client's words that look like one: from what the client did then nothing follows.
    MayHaveEnded,
    /// A filter had the client's connection closed over a recipient. It is not named, and may be PureMessage, which is told to
    /// stop all the same.
    ClosesConnection,
}

/// Any text without `... `.
macro_rules! text {
    () => {
        r"(?:[^.]|\.{1,2}[^.]|\.{3,}[^. ])*\.*"
    };
}

macro_rules! stages {
    () => {
        "(?P<where>negotiate|connect|helo|mail|rcpt|data|header|eoh|body chunk|last body chunk|body|eom|unknown|send_macros|abort_filter|quit_filter)"
    };
}

/// A client as sendmail names it: its host, perhaps with an IDENT name before, its address and `(may be forged)` behind.
macro_rules! client {
    () => {
        r"[^\s,]*(?: ?\[(?:[0-9A-Za-z.:]+|\[UNIX: localhost\])\])?(?: \(may be forged\))?"
    };
}

/// What a filter, or sendmail in its place, told the client.
macro_rules! reply {
    () => {
        concat!(r"reject=(?:[2-5]\d\d[ -]", text!(), "|Command rejected|421, errormode=4)")
    };
}

/// The user of a `SYSERR` line, and what closes it.
macro_rules! user {
    () => {
        r"[\w.@-]{1,64}\): "
    };
}

/// The name of a milter, where it stands first behind a `milter=`.
macro_rules! milter {
    () => {
        r#"(?P<filter>[^,\s"<()]+(?:\([^,\s"<()]*\))?)"#
    };
}

const ALL: &str = "8.12-8.18";

const fn row(
    id: &'static str,
    class: Class,
    versions: &'static str,
    start: &'static str,
    rest: &'static str,
    example: &'static str,
) -> Rule<'static> {
    Rule {
        id,
        class,
        rank: Rank::Decisive,
        role: Role::Cause,
        stage: None,
        timeout: None,
        versions,
        start,
        rest,
        example,
    }
}

impl Rule<'static> {
    const fn ranked(self, rank: Rank) -> Rule<'static> {
        Rule { rank, ..self }
    }
    const fn role(self, role: Role) -> Rule<'static> {
        Rule { role, ..self }
    }
    const fn at(self, stage: Stage) -> Rule<'static> {
        Rule { stage: Some(stage), ..self }
    }
    const fn timeout(self, timeout: Timeout) -> Rule<'static> {
        Rule { timeout: Some(timeout), ..self }
    }
}

use Class::{
    ClientEnded, FilterClosed, FilterFailureSuspected, FilterProtocolError, FilterTimeout, FilterUnreachable, MtaError,
    OtherFilter, PeerDisconnected, PeerProtocolError, PeerTimeout, PolicyRejected, RecipientsRejected,
};
use Rank::{Circumstantial, Consequence};

/// The table.
#[rustfmt::skip]
pub const TABLE: &[Rule<'static>] = &[
    // Failures of a filter (sendmail/milter.c).
    row("M-01r", FilterTimeout, ALL, "Milter ({filter}): timeout ", concat!("(?:before|during) data read(?:, where=", stages!(), ")?"),
        "Milter (PureMessage): timeout before data read, where=eom").timeout(Timeout::Read),
    row("M-01w", FilterTimeout, ALL, "Milter ({filter}): timeout ", concat!("(?:before|during) data write(?:, where=", stages!(), ")?"),
        "Milter (PureMessage): timeout before data write, where=body chunk").timeout(Timeout::Send),
    row("M-02", FilterTimeout, "8.14-8.18", "Milter ({filter}): timeout during data read in ", stages!(),
        "Milter (PureMessage): timeout during data read in eom").timeout(Timeout::Read),
    row("M-03", FilterTimeout, ALL, "Milter read({filter}): timeout before data read", concat!("(?:, where=", stages!(), ")?"),
        "Milter read(PureMessage): timeout before data read, where=header").timeout(Timeout::Read),
    row("M-03a", FilterTimeout, "8.11", "milter_read({filter}): timeout", r"(?: before data read)?(?:\\n)?",
        r"milter_read(PureMessage): timeout before data read\n").timeout(Timeout::Read),
    row("M-03b", FilterTimeout, "8.11", "milter_write({filter}): timeout", r"(?: before data send)?(?:\\n)?",
        r"milter_write(PureMessage): timeout\n").timeout(Timeout::Send),
    row("M-12", FilterTimeout, "8.11-8.18", "milter_data({filter}): EOM ACK/NAK timeout", "",
        "milter_data(PureMessage): EOM ACK/NAK timeout").at(Stage::Eom).timeout(Timeout::End),
    row("M-04", FilterClosed, ALL, "Milter ({filter}): read returned ", concat!(r"-?\d+: ", text!()),
        "Milter (PureMessage): read returned -1: Connection reset by relay.example.com"),
    row("M-04a", FilterClosed, "8.11", "milter_read({filter}): read returned ", concat!(r"-?\d+(?:: ", text!(), r"|, expecting \d+)"),
        "milter_read(PureMessage): read returned 0, expecting 5"),
    row("M-05", FilterClosed, "8.14-8.18", "milter_sys_read({filter}): cmd read returned ", r"-?\d+, expecting \d+",
        "milter_sys_read(PureMessage): cmd read returned 0, expecting 5"),
    row("M-05a", FilterClosed, "8.12-8.13", "milter_read({filter}): cmd read returned ", r"-?\d+, expecting \d+",
        "milter_read(PureMessage): cmd read returned 0, expecting 5"),
    row("M-06", FilterClosed, ALL, "Milter ({filter}): write(", concat!(r"(?P<stage>.)\) returned -?\d+, expected -?\d+: ", text!()),
        "Milter (PureMessage): write(T) returned -1, expected 5: Broken pipe"),
    row("M-06a", FilterClosed, "8.11", "milter_write({filter}): write(", concat!(r"(?P<stage>.)\) returned -?\d+, expected -?\d+: ", text!()),
        "milter_write(PureMessage): write(R) returned -1, expected 29: Broken pipe"),
    row("M-07", FilterClosed, "8.13-8.18", "milter_read({filter}): socket closed", concat!("(?:, where=", stages!(), ")?"),
        "milter_read(PureMessage): socket closed, where=eom").ranked(Consequence),
    row("M-08", FilterClosed, "8.13-8.18", "milter_write({filter}): socket closed", "",
        "milter_write(PureMessage): socket closed").ranked(Consequence),
    row("M-09", FilterProtocolError, "8.11-8.18", "milter_read({filter}): read size ", concat!(r"-?\d+ out of range(?:, where=", stages!(), ")?"),
        "milter_read(PureMessage): read size -1 out of range, where=mail"),
    row("M-10", FilterProtocolError, "8.11-8.18", "milter_write({filter}): length ", r"-?\d+ out of range(?:, cmd=(?P<stage>.))?",
        "milter_write(PureMessage): length 70007 out of range, cmd=L"),
    row("M-11", FilterProtocolError, "8.11-8.18", "milter_send_command({filter}): ", r"(?:action=(?P<stage>\w+) )?returned bogus response .{1,4}",
        "milter_send_command(PureMessage): action=rcpt returned bogus response Z"),
    row("M-13", FilterProtocolError, "8.11-8.18", "milter_data({filter}): returned bogus response ", ".{1,4}",
        "milter_data(PureMessage): returned bogus response Z").at(Stage::Eom),
    row("M-30", FilterProtocolError, ALL, "Milter ({filter}): negotiate: ", "(?:returned .{1,4} instead of .{1,4}|did not return (?:valid|enough) info|version \\d+ != MTA milter version \\d+|(?:filter|protocol) abilities \\w+ != MTA milter abilities \\w+)",
        "Milter (PureMessage): negotiate: returned Z instead of O").at(Stage::Connect),
    row("M-50", FilterProtocolError, ALL, "milter_data({filter}): lied about replacing body, rejecting request and tempfailing message", "",
        "milter_data(PureMessage): lied about replacing body, rejecting request and tempfailing message").at(Stage::Eom),
    row("M-20t", FilterUnreachable, ALL, "Milter ({filter}): error connecting to filter: Connection timed out", concat!("(?: with ", text!(), ")?"),
        "Milter (PureMessage): error connecting to filter: Connection timed out with 127.0.0.1").at(Stage::Connect).timeout(Timeout::Connect),
    row("M-20", FilterUnreachable, ALL, "Milter ({filter}): error connecting to filter: ", text!(),
        "Milter (PureMessage): error connecting to filter: Connection refused by /run/pmx").at(Stage::Connect),
    row("M-20a", FilterUnreachable, "8.11", "X{filter}: error connecting to filter", "",
        "XPureMessage: error connecting to filter").at(Stage::Connect),
    row("M-22", FilterUnreachable, ALL, "Milter ({filter}): local socket name ", r"\S+ unsafe",
        "Milter (PureMessage): local socket name /run/pmx unsafe").at(Stage::Connect),
    row("M-24", FilterUnreachable, ALL, "Milter ({filter}): Unknown host name ", r"\S+",
        "Milter (PureMessage): Unknown host name filter.example").at(Stage::Connect),
    row("M-40", FilterProtocolError, ALL, "Milter ({filter}): init failed to ", "(?:open|negotiate)",
        "Milter (PureMessage): init failed to open").ranked(Consequence).at(Stage::Connect),
    row("M-90", FilterFailureSuspected, ALL, "Milter ({filter}): to error state", "",
        "Milter (PureMessage): to error state").ranked(Consequence),
    // Failures of sendmail itself while it talks to a filter.
    row("M-14", MtaError, ALL, "Milter ({filter}): select(", concat!(r"(?:read|write)\): ", text!()),
        "Milter (PureMessage): select(read): Bad file descriptor"),
    row("M-15", MtaError, ALL, "Milter ({filter}): socket(", r"(?:read|write)\) (?:not ready|\d+ is larger than FD_SETSIZE \d+)",
        "Milter (PureMessage): socket(read) not ready"),
    row("M-23", MtaError, ALL, "Milter ({filter}): error creating socket: ", text!(),
        "Milter (PureMessage): error creating socket: Too many open files").at(Stage::Connect),
    row("M-25", MtaError, ALL, "Milter ({filter}): ", r"(?:empty or missing socket information|no valid socket protocols available|unknown socket type \S+|local socket name \S+ too long|bad address \S+ \(expected port@host\)|invalid port number \S+|unknown port name \S+|Invalid numeric domain spec \S+|Unknown protocol for \S+ \(-?\d+\)|unknown socket protocol|negotiate, impossible state)",
        "Milter (PureMessage): unknown port name foo").at(Stage::Connect),
    row("M-51", MtaError, ALL, "milter_re", concat!(r"(?:open_df|set_df|plbody): ", text!()),
        "milter_reopen_df: sm_io_open df6ANCgptt025619: No such file or directory"),
    row("M-52", MtaError, ALL, "SYSERR(", concat!(user!(), "milter_(?:body|data): ", text!()),
        "SYSERR(root): milter_body: ./df6ANCgptt025619: read error"),
    // What sendmail did next, or what a filter decided (srvrsmtp.c, milter.c).
    row("N-10", OtherFilter, ALL, "milter=", concat!(milter!(), "(?:, action=(?P<stage>connect|helo|mail|data|header|eoh|body))?, (?:", reply!(), "|reject|discard|tempfail)"),
        "milter=avscan, action=mail, reject").role(Role::Verdict),
    row("N-10x", OtherFilter, ALL, "milter=", concat!(milter!(), ", action=(?P<stage>rcpt|unknown), reject=421[ -]", text!()),
        "milter=avscan, action=rcpt, reject=421 4.3.2 shutting down").role(Role::Verdict),
    row("N-10r", RecipientsRejected, ALL, "milter=", concat!(milter!(), ", action=(?P<stage>rcpt), (?:", reply!(), "|reject|discard|tempfail)"),
        "milter=avscan, action=rcpt, reject=550 5.1.1 no such user").role(Role::RefusesRecipient).ranked(Circumstantial),
    row("N-01", FilterFailureSuspected, ALL, "Milter: initialization failed, ", "(?:rejecting commands|temp failing commands|closing connection)",
        "Milter: initialization failed, temp failing commands").role(Role::Verdict).ranked(Consequence).at(Stage::Connect),
    row("N-02", OtherFilter, ALL, "Milter: connect: host=", concat!("[^,]*, addr=[^,]*, (?:(?:rejecting commands|temp failing commands|shutdown)(?:=", text!(), ")?|", reply!(), ")"),
        "Milter: connect: host=relay.example.com, addr=192.0.2.1, temp failing commands").role(Role::Verdict).ranked(Consequence).at(Stage::Connect),
    row("N-03", OtherFilter, ALL, "Milter: helo=", concat!("[^,]*, ", reply!()),
        "Milter: helo=c.example, reject=451 4.3.2 Please try again later").role(Role::Verdict).ranked(Consequence).at(Stage::Helo),
    row("N-04m", OtherFilter, ALL, "Milter: from={address}, ", reply!(),
        "Milter: from=<a@example.org>, reject=550 5.7.1 Command rejected").role(Role::RefusesMail).ranked(Consequence).at(Stage::Mail),
    row("N-04x", RecipientsRejected, ALL, "Milter: to={address}, ", concat!("reject=421[ -]", text!()),
        "Milter: to=<b@example.net>, reject=421 4.3.2 shutting down").role(Role::ClosesConnection).ranked(Circumstantial).at(Stage::Rcpt),
    // What sendmail says in place of a filter that failed with F=4, and no filter by itself.
    row("N-04f", FilterFailureSuspected, "8.14-8.18", "Milter: to={address}, ", "reject=421, errormode=4",
        "Milter: to=<b@example.net>, reject=421, errormode=4").role(Role::ClosesConnection).ranked(Circumstantial).at(Stage::Rcpt),
    row("N-08", OtherFilter, "8.14-8.18", "Milter: unknown={address}, ", concat!("reject=421[ ,-]", text!()),
        "Milter: unknown=<b@example.net>, reject=421, errormode=4").role(Role::Verdict).ranked(Consequence),
    row("N-08d", OtherFilter, "8.14-8.18", "Milter: unknown={address}, discard", "",
        "Milter: unknown=<b@example.net>, discard").role(Role::Verdict).ranked(Consequence),
    // Replies that hold `... `, as a client's words may.
    row("N-04y", RecipientsRejected, ALL, "Milter: to={address}, ", r"reject=421[ -].*\.\.\. .*",
        "Milter: to=<b@example.net>, reject=421 4.7.0 Too many... bye").role(Role::MayHaveEnded).ranked(Circumstantial).at(Stage::Rcpt),
    row("N-08y", OtherFilter, "8.14-8.18", "Milter: unknown={address}, ", r"reject=421[ -].*\.\.\. .*",
        "Milter: unknown=<b@example.net>, reject=421 4.7.0 Too many... bye").role(Role::MayHaveEnded).ranked(Circumstantial),
    row("N-04r", RecipientsRejected, ALL, "Milter: to={address}, ", r"reject=(?:[2-5]\d\d[ -].*|Command rejected)",
        "Milter: to=<b@example.net>, reject=550 5.7.1 Command rejected").role(Role::RefusesRecipient).ranked(Circumstantial).at(Stage::Rcpt),
    row("N-05", OtherFilter, ALL, "Milter: to={address}, discard", "",
        "Milter: to=<b@example.net>, discard").role(Role::Verdict).ranked(Consequence).at(Stage::Rcpt),
    row("N-05m", OtherFilter, ALL, "Milter: from={address}, discard", "",
        "Milter: from=<a@example.org>, discard").role(Role::Verdict).at(Stage::Mail),
    // A reply of a filter's own may hold `... `: then the line may be a client's, too.
    row("N-04d", OtherFilter, ALL, "Milter: from=", r".*\.\.\. .*",
        "Milter: from=<a@example.org>, reject=553 5.1.8 <a@example.org>... Domain does not exist").role(Role::Doubt).ranked(Circumstantial),
    row("N-06", OtherFilter, "8.13-8.18", "Milter: cmd=data, ", concat!("(?:", reply!(), "|discard)"),
        "Milter: cmd=data, reject=550 5.7.1 Command rejected").role(Role::Verdict).ranked(Consequence).at(Stage::Data),
    row("N-07", OtherFilter, ALL, "Milter: data, ", concat!("(?:", reply!(), "|discard)"),
        "Milter: data, reject=554 5.7.1 Command rejected").role(Role::Verdict).ranked(Consequence),
    row("N-06y", OtherFilter, "8.13-8.18", "Milter: cmd=data, ", r"reject=[2-5]\d\d[ -].*\.\.\. .*",
        "Milter: cmd=data, reject=550 5.7.1 Rejected... see http://example.net/why").role(Role::MayHaveEnded).ranked(Circumstantial).at(Stage::Data),
    row("N-07y", OtherFilter, ALL, "Milter: data, ", r"reject=[2-5]\d\d[ -].*\.\.\. .*",
        "Milter: data, reject=550 5.7.1 Rejected... see http://example.net/why").role(Role::MayHaveEnded).ranked(Circumstantial),
    // The client (srvrsmtp.c, util.c, collect.c).
    row("S-01", PeerDisconnected, ALL, "lost input channel from {client} to ", r"(?:[^.]|\.[^.]){1,60} after (?P<stage>\S+)",
        "lost input channel from relay.example.com [192.0.2.1] to MTA after rcpt"),
    row("S-02", PeerTimeout, ALL, "timeout waiting for input from {client} during server cmd read", "",
        "timeout waiting for input from relay.example.com during server cmd read"),
    row("C-08", PeerTimeout, "8.12", "timeout waiting for input from {client} during message collect", "",
        "timeout waiting for input from relay.example.com during message collect").role(Role::Text).at(Stage::Data),
    row("C-01t", PeerTimeout, ALL, "collect: premature EOM: ", concat!("(?:Connection|Operation) timed out", text!()),
        "collect: premature EOM: Connection timed out with relay.example.com").role(Role::Text).at(Stage::Data),
    row("C-01", PeerDisconnected, ALL, "collect: premature EOM", concat!("(?:: ", text!(), ")?"),
        "collect: premature EOM: unexpected close").role(Role::Text).at(Stage::Data),
    row("C-02", PeerDisconnected, "8.12-8.17", "collect: unexpected close on connection from ", concat!(client!(), ", sender=(?P<address>.*)"),
        "collect: unexpected close on connection from relay.example.com, sender=<a@example.org>").role(Role::Text).at(Stage::Data),
    row("C-03", PeerDisconnected, "8.12-8.17", "SYSERR(", concat!(user!(), "collect: I/O error on connection from ", client!(), ", from=", text!()),
        "SYSERR(root): collect: I/O error on connection from relay.example.com, from=<a@example.org>").role(Role::Text).at(Stage::Data),
    row("C-04", PeerTimeout, "8.13-8.17", "SYSERR(", concat!(user!(), "collect: read timeout on connection from ", client!(), ", from=", text!()),
        "SYSERR(root): collect: read timeout on connection from relay.example.com, from=<a@example.org>").role(Role::Text).at(Stage::Data),
    row("C-05", PeerDisconnected, "8.17-8.18", "collect: relay=", concat!(client!(), ", from=(?P<bounded>.*), info=unexpected close"),
        "collect: relay=relay.example.com, from=<a@example.org>, info=unexpected close").role(Role::Text).at(Stage::Data),
    row("C-05i", PeerDisconnected, "8.17-8.18", "SYSERR(", concat!(user!(), "collect: relay=", client!(), ", from=(?P<bounded>.*), info=I/O error(?:: ", text!(), ")?"),
        "SYSERR(root): collect: relay=relay.example.com, from=<a@example.org>, info=I/O error").role(Role::Text).at(Stage::Data),
    row("C-05t", PeerTimeout, "8.17-8.18", "SYSERR(", concat!(user!(), "collect: relay=", client!(), ", from=(?P<bounded>.*), info=read timeout(?:: ", text!(), ")?"),
        "SYSERR(root): collect: relay=relay.example.com, from=<a@example.org>, info=read timeout").role(Role::Text).at(Stage::Data),
    row("C-06", PeerProtocolError, "8.17-8.18", "collect: relay=", concat!(client!(), r", from=(?P<bounded>.*), info=Bare [^,]* not allowed, where=[a-z+]+, status=tempfail"),
        "collect: relay=relay.example.com, from=<a@example.org>, info=Bare linefeed (LF) not allowed, where=body, status=tempfail").role(Role::Text).at(Stage::Data),
    row("C-07", PeerProtocolError, "8.17-8.18", "rejecting server ", concat!("(?P<stage>EHLO|HELO|DATA) from ", client!(), " due to traffic before response"),
        "rejecting server DATA from relay.example.com [192.0.2.1] due to traffic before response"),
    row("C-10", PeerProtocolError, ALL, "message size (", r"\d+\) exceeds maximum \(\d+\)",
        "message size (2212) exceeds maximum (1000)").role(Role::Text).at(Stage::Data),
    row("C-11", PeerProtocolError, ALL, "headers too large (", concat!(r"\d+ max\) from ", client!(), " during message collect"),
        "headers too large (32768 max) from relay.example.com during message collect").role(Role::Text).at(Stage::Data),
    row("C-11o", PeerProtocolError, "8.13-8.18", "header overflow from ", concat!(client!(), " during message collect"),
        "header overflow from relay.example.com during message collect").role(Role::Text).at(Stage::Data),
    row("C-12", PeerProtocolError, "8.18", "Bare linefeed (LF) not allowed", "",
        "Bare linefeed (LF) not allowed").role(Role::Text).at(Stage::Data),
    row("P-02", PeerProtocolError, ALL, "--- 421 ", concat!(r"(?:\d\.\d\.\d )?\S+ (?:Too many bad (?:commands|recipients); closing connection|Command too long, possible attack ", client!(), ")"),
        "--- 421 4.7.0 mx1.example.net Too many bad commands; closing connection"),
    row("P-03", PeerProtocolError, "8.14-8.18", "{client}: SMTP violation, input too long: ", r"\d+",
        "relay.example.com [192.0.2.1]: SMTP violation, input too long: 3024"),
    row("P-04", PeerProtocolError, ALL, "{client}: probable open proxy: command=", concat!(r"(?i:GET|POST|CONNECT|USER)(?: |\\t)", text!()),
        r"relay.example.com [192.0.2.1]: probable open proxy: command=GET / HTTP/1.0\r\n"),
    row("P-05", PeerProtocolError, "8.13-8.18", "rejecting commands from ", concat!(client!(), r" (?:due to pre-greeting traffic(?: after \d+ seconds)?|after \d+ seconds due to pre-greeting traffic)"),
        "rejecting commands from relay.example.com [192.0.2.1] due to pre-greeting traffic after 3 seconds").at(Stage::Connect),
    row("P-06", PeerProtocolError, "8.14-8.18", "{client}: Possible SMTP RCPT flood, shutting down connection.", "",
        "relay.example.com [192.0.2.1]: Possible SMTP RCPT flood, shutting down connection.").at(Stage::Rcpt),
    row("T-02", PeerTimeout, "8.13-8.18", "STARTTLS: read error=timeout", "",
        "STARTTLS: read error=timeout").role(Role::Connection),
    row("T-03e", PeerDisconnected, ALL, "STARTTLS: read error=generic SSL error", concat!(r" \(-?\d+\), .*unexpected eof", text!()),
        "STARTTLS: read error=generic SSL error (-1), errno=0, get_error=error:0A000126:SSL routines::unexpected eof while reading, retry=99, ssl_err=1").role(Role::Connection),
    row("T-03p", PeerProtocolError, ALL, "STARTTLS: read error=generic SSL error", concat!(r" \(-?\d+\), .*get_error=error:[0-9A-Fa-f]*[1-9A-Fa-f][0-9A-Fa-f]*:", text!()),
        "STARTTLS: read error=generic SSL error (-1), errno=0, get_error=error:0A0001BB:SSL routines::bad record type, retry=99, ssl_err=1").role(Role::Connection),
    row("T-04e", PeerDisconnected, ALL, "STARTTLS=read: error:", concat!("[0-9A-Fa-f]+:.*unexpected eof", text!()),
        "STARTTLS=read: error:0A000126:SSL routines::unexpected eof while reading:ssl/record/rec_layer_s3.c:308:").role(Role::Connection),
    row("T-04p", PeerProtocolError, ALL, "STARTTLS=read: error:", concat!("[0-9A-Fa-f]+:", text!()),
        "STARTTLS=read: error:0A0001BB:SSL routines::bad record type:ssl/record/rec_layer_s3.c:1650:").role(Role::Connection),
    row("T-03z", PeerDisconnected, ALL, "STARTTLS: read error=generic SSL error", concat!(r" \(-?\d+\), .*get_error=error:0+:", text!()),
        "STARTTLS: read error=generic SSL error (-1), errno=0, get_error=error:00000000:lib(0)::reason(0), retry=99, ssl_err=1").role(Role::Connection).ranked(Consequence),
    row("T-03", PeerDisconnected, ALL, "STARTTLS: read error=", concat!(r"[^,]+ \(-?\d+\)", text!()),
        "STARTTLS: read error=syscall error (-1), errno=104, get_error=error:00000000:lib(0)::reason(0), retry=99, ssl_err=5").role(Role::Connection),
    // sendmail's rules and recipients (parseaddr.c, err.c).
    row("S-09r", RecipientsRejected, ALL, "ruleset=check_rcpt, arg1={address}", concat!("(?:, arg2=[^,]*)?(?:, relay=", client!(), r")?, reject=[2-5]\d\d[ -].*"),
        "ruleset=check_rcpt, arg1=<b@example.net>, relay=relay.example.com [192.0.2.1], reject=550 5.1.1 <b@example.net>... User unknown").role(Role::RefusesRecipient).ranked(Circumstantial).at(Stage::Rcpt),
    row("S-09d", PolicyRejected, ALL, "ruleset=check_rcpt, arg1={address}", concat!("(?:, arg2=[^,]*)?(?:, relay=", client!(), ")?, discard"),
        "ruleset=check_rcpt, arg1=<b@example.net>, relay=relay.example.com [192.0.2.1], discard").ranked(Consequence).at(Stage::Rcpt),
    row("S-09c", PolicyRejected, ALL, "ruleset=", concat!("(?P<stage>check_data|check_eoh|check_eom), arg1=[^,]*(?:, arg2=[^,]*)?(?:, relay=", client!(), ")?, (?:", reply!(), "|discard)"),
        "ruleset=check_eoh, arg1=3, arg2=512, relay=relay.example.com [192.0.2.1], reject=554 5.7.1 refused"),
    row("S-09h", PolicyRejected, ALL, "ruleset=", concat!(r"[A-Za-z0-9][A-Za-z0-9_-]*, arg1=.*, relay=", client!(), ", (?:", reply!(), "|discard)"),
        "ruleset=CheckSubject, arg1=I love you, relay=relay.example.com [192.0.2.1], reject=553 5.7.1 refused"),
    row("S-09y", PolicyRejected, ALL, "ruleset=", r"[A-Za-z0-9][A-Za-z0-9_-]*, arg1=.*, reject=[2-5]\d\d[ -].*\.\.\. .*",
        "ruleset=check_data, arg1=1, relay=relay.example.com [192.0.2.1], reject=550 5.7.1 Refused... see http://example.net/why").role(Role::MayHaveEnded).ranked(Circumstantial),
    row("S-08t", FilterFailureSuspected, ALL, "Please try again later", "",
        "Please try again later").role(Role::Verdict).ranked(Circumstantial),
    row("S-08x", FilterFailureSuspected, "8.13-8.18", "closing connection", "",
        "closing connection").role(Role::Verdict).ranked(Circumstantial),
    row("S-08d", OtherFilter, ALL, "Command rejected", "",
        "Command rejected").role(Role::Doubt).ranked(Circumstantial),
    row("S-08c", FilterFailureSuspected, ALL, "<", r"(?:[^-].*)?>\.\.\. Please try again later",
        "<b@example.net>... Please try again later").role(Role::Verdict).ranked(Circumstantial),
    // At a low Milter.LogLevel what a filter said of the sender looks like this as well.
    row("S-08", RecipientsRejected, ALL, "<", r"(?:[^-].*)?\.\.\. .+",
        "<b@example.net>... User unknown").role(Role::RefusesRecipient).ranked(Circumstantial).at(Stage::Rcpt),
    // The ends of envelopes (envelope.c, deliver.c).
    row("S-05", ClientEnded, ALL, "to={to}", "(?i:RSET|EHLO|HELO)",
        "to=<b@example.net>, delay=00:00:00, pri=0, stat=RSET"),
    row("S-06", ClientEnded, ALL, "to={to}", "aborted by sender",
        "to=<b@example.net>, delay=00:00:00, pri=0, stat=aborted by sender"),
    row("S-07p", PeerProtocolError, ALL, "to={to}", r"(?:Message exceeds maximum fixed size|Headers too large)(?: \(\d+(?: max)?\))?|Eight bit data not allowed|NUL (?:byte|characters?) (?:is )?not allowed|Bare linefeed \(LF\) not allowed",
        "to=<b@example.net>, delay=00:00:00, pri=405473, stat=Message exceeds maximum fixed size (300000)").ranked(Consequence),
    row("S-07s", MtaError, ALL, "to={to}", "Insufficient disk space; try again later",
        "to=<b@example.net>, delay=00:00:02, pri=30024, stat=Insufficient disk space; try again later").ranked(Consequence),
    row("S-07t", FilterFailureSuspected, ALL, "to={to}", "Please try again later|[^ ]+ closing connection",
        "to=<b@example.net>, delay=00:00:02, pri=30024, stat=Please try again later").role(Role::Verdict).ranked(Circumstantial),
    // What any filter's verdict looks like: explains nothing on its own.
    row("S-07r", OtherFilter, ALL, "to={to}", "Command rejected",
        "to=<b@example.net>, delay=00:00:02, pri=30024, stat=Command rejected").role(Role::Verdict).ranked(Circumstantial),
    row("S-07d", OtherFilter, ALL, "discarded", "",
        "discarded").role(Role::Verdict).ranked(Circumstantial),
    row("S-04", ClientEnded, ALL, "from={sender}, ", concat!(r"size=\d+, class=-?\d+, nrcpts=\d+, (?:(?:[^mr]|m[^s]|r[^e]).*, )?relay=", client!()),
        "from=<a@example.org>, size=0, class=0, nrcpts=1, proto=ESMTP, daemon=MTA, relay=relay.example.com [192.0.2.1]").role(Role::EndOfEnvelope).ranked(Circumstantial),
    // sendmail's own trouble (collect.c, queue.c, err.c).
    row("C-20", MtaError, ALL, "low on space (", r"\S+ needs \d+ bytes \+ \d+ blocks in \S+\), max avail: -?\d+",
        "low on space (SMTP-DAEMON needs 1024 bytes + 100 blocks in /var/spool/mqueue), max avail: 12").role(Role::Verdict).ranked(Consequence),
    row("C-21", MtaError, ALL, "SYSERR(", concat!(user!(), "(?:Out of disk space for temp file|collect: Cannot write|collect: bfcommit|Cannot (?:create|reopen) (?:[^ ]*/)?df[0-9A-Za-z]|queueup: cannot)", text!()),
        "SYSERR(root): collect: Cannot write ./df6ANCgptt025619 (bfcommit, uid=0, gid=51): No space left on device"),
    // Without a map no more than the recipient is refused that it was asked for.
    row("E-01m", MtaError, ALL, "SYSERR(", concat!(user!(), r#"(?:[a-z]+ map "[^"]*": |[a-z]+_?map_lookup|Error (?:in ldap_search|getting LDAP )|\S+ failed to [^:]{1,100} in map )"#, text!()),
        "SYSERR(root): hash map \"access\": missing map file /etc/mail/access.db: No such file or directory").role(Role::RefusesRecipient).ranked(Circumstantial),
    row("E-01", MtaError, ALL, "SYSERR(", concat!(user!(), ".", text!()),
        "SYSERR(root): Can't create transcript file ./xf6ANCgptt025619: No space left on device").ranked(Circumstantial).role(Role::Trouble),
];

/// Texts of `SYSERR` that are no evidence of sendmail's own trouble: those of deliveries, which come after the reception
/// of a message, those about a client, which have rows of their own, and what an address can bring about.
pub(crate) const NO_TROUBLE: &[&str] = &[
    "collect: ",
    "Infinite loop in ruleset",
    "Too many hops",
    "Too many subroutine calls",
    "rewrite: ",
    "buildaddr: ",
    "prescan: ",
    "remotename: ",
    "cataddr: ",
    "putbody",
    "DSN: ",
    "timeout writing",
    "deliver",
    "savemail",
    "returntosender",
    "sendtolist",
    "makeconnection",
    "MX list",
    "dequeue",
    "readqf",
    "orderq",
];

/// What sendmail says of an address behind `... `: what stands before it is in a client's words.
pub(crate) const OF_ADDRESSES: &[&str] = &[
    "User unknown",
    "Relaying denied",
    "Relaying temporarily denied",
    "Unbalanced '",
    "Address \"",
    "Address too long",
    "Syntax error in mailbox address",
    "8-bit character in mailbox address",
    "Illegal character ",
    "Invalid route address",
    "Invalid host name",
    "Colon illegal in host name part",
    "Hostname required",
    "Domain name required",
    "Real domain name required",
    "List:; syntax illegal",
    "Cannot mail directly to ",
    "User address required",
    "non-ASCII recipient address",
    "aliasing/forwarding loop",
    "prescan: ",
    "cataddr: ",
];

/// sendmail's own rulesets, which check no header.
pub(crate) const STANDARD_RULESETS: &[&str] = &[
    "check_relay",
    "check_mail",
    "check_rcpt",
    "check_data",
    "check_compat",
    "check_eoh",
    "check_eom",
    "check_etrn",
    "check_expn",
    "check_vrfy",
    "check_other",
    "srv_features",
    "tls_client",
    "tls_rcpt",
    "tls_server",
    "trust_auth",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_are_unique() {
        let ids: std::collections::BTreeSet<_> = TABLE.iter().map(|rule| rule.id).collect();
        assert_eq!(ids.len(), TABLE.len());
    }
}
