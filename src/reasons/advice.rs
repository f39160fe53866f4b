//! What an administrator can do about a class, naming the setting.

use serde::Serialize;

use super::class::Class;

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// A stable name.
    pub id: &'static str,
    /// One or two sentences.
    pub text: &'static str,
    /// Where to read more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<&'static str>,
}

/// The advice for a class.
pub const fn advice(class: Class) -> Advice {
    let (id, text, url) = match class {
        Class::PeerDisconnected => (
            "ignore-disconnect",
            "Nothing to do: the client went away before the message was complete. It will try again if it is a mail server.",
            Some("https://www.rfc-editor.org/rfc/rfc5321#section-3.8"),
        ),
        Class::PeerTimeout => (
            "ignore-peer-timeout",
            "Nothing to do: the client was silent for too long. If it happens to known senders, look at the network between (MTU, firewall) and at Timeout.command and Timeout.datablock in sendmail.cf.",
            Some("https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.2"),
        ),
        Class::PeerProtocolError => (
            "ignore-protocol-error",
            "Nothing to do unless the sender is known: the client broke SMTP or a limit (MaxMessageSize, MaxHeadersLength).",
            Some("https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.1"),
        ),
        Class::ClientEnded => (
            "ignore-client-ended",
            "Nothing to do: the client gave the transaction up with RSET, QUIT or a new EHLO, as SMTP allows.",
            Some("https://www.rfc-editor.org/rfc/rfc5321#section-4.1.1.5"),
        ),
        Class::RecipientsRejected => (
            "ignore-recipients-rejected",
            "Nothing to do: no recipient was accepted, so there was no message. Look at the access map or the recipient check if mail is missing.",
            Some("https://www.rfc-editor.org/rfc/rfc5321#section-3.6.2"),
        ),
        Class::PolicyRejected => (
            "check-ruleset",
            "sendmail's own rules ended the message. If it should have been accepted, look at the ruleset or header check that the line names.",
            None,
        ),
        Class::FilterTimeout => (
            "raise-milter-timeout",
            "PureMessage was slower than sendmail waits. Raise the timeout that the record names in T= of INPUT_MAIL_FILTER (minutes where mail is large or look-ups are slow), or give PureMessage more processes (concurrency_limit, max_pooled_procs in pmx.conf) and faster DNS.",
            None,
        ),
        Class::FilterClosed => (
            "check-filter-crash",
            "The filter closed its connection. Look in PureMessage's log for a crash or restart at that time, at its timeout in pmx.conf against Timeout.command of sendmail, and at limits on processes and file descriptors.",
            None,
        ),
        Class::FilterUnreachable => (
            "check-filter-running",
            "sendmail could not connect to the filter. Check that PureMessage runs and listens on the S= address of INPUT_MAIL_FILTER, that a socket's directory has safe permissions, and raise listen_queue_size in pmx.conf if it is overloaded.",
            None,
        ),
        Class::FilterProtocolError => (
            "check-filter-version",
            "The filter's answers made no sense to sendmail. Check that the S= address is PureMessage's own port and that PureMessage's and sendmail's versions fit together.",
            None,
        ),
        Class::OtherFilter => (
            "check-other-filter",
            "Another milter failed or refused the message; PureMessage was only told to stop. Look in that filter's log; with O Milter.LogLevel=14 in sendmail.cf sendmail names it.",
            None,
        ),
        Class::MtaError => (
            "check-mta",
            "sendmail itself failed. Look at disk space in the queue directory, file descriptors and the rest of the line.",
            None,
        ),
        Class::FilterFailureSuspected => (
            "raise-milter-loglevel",
            "The mail was treated as after a filter failure, but sendmail did not log which. Set O Milter.LogLevel=9 (confMILTER_LOG_LEVEL) so that the next one is named.",
            None,
        ),
        Class::Unexplained => (
            "raise-loglevel",
            "The mail log holds no cause. Check that abort-reason reads this host's mail log, and that LogLevel is at least 9, sendmail's default, and Milter.LogLevel not below it; a sendmail child that is killed leaves no line.",
            None,
        ),
    };
    Advice { id, text, url }
}
