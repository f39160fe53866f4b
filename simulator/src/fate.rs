//! How messages end in the worlds that are made up.

/// How a message ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Delivered,
    TimeoutAtRcpt,
    TimeoutAtEom,
    /// As above, and PureMessage does not notice.
    TimeoutUnnoticed,
    /// The same with an empty `F=`: the message is delivered.
    TimeoutDelivered,
    Closed,
    Lost,
    Silent,
    LostInData,
    LostUnderTls,
    Reset,
    RecipientsRefused,
    OtherFilterFails,
    OtherFilterRefuses,
    /// Another filter refuses MAIL, so that the next message has the same id.
    MailRefused,
    Killed,
    /// sendmail's milter logging is off.
    Suspected,
    /// Another filter refuses DATA, and the client gives up.
    DataRefused,
    /// Another filter discards: at once, with the text, or not at all since the client leaves before.
    DiscardedAtMail,
    Discarded,
    DiscardedThenLost,
    /// sendmail refuses the headers, and the client leaves before it hears of that.
    HeadersThenLost,
    /// sendmail gives PureMessage up for trouble of its own, with an empty `F=`, and PureMessage does not notice.
    OwnTrouble,
    /// As a client under TLS that breaks the protocol, where OpenSSL's words stand in a line before sendmail's.
    BrokenTls,
}

impl Fate {
    /// PureMessage judges the message as if nothing had been.
    pub(crate) fn is_judged(self) -> bool {
        matches!(self, Fate::Delivered | Fate::TimeoutUnnoticed | Fate::OwnTrouble)
    }

    /// PureMessage has heard how large it is.
    pub(crate) fn has_size(self) -> bool {
        matches!(
            self,
            Fate::Delivered
                | Fate::TimeoutAtEom
                | Fate::TimeoutUnnoticed
                | Fate::TimeoutDelivered
                | Fate::Closed
                | Fate::OtherFilterFails
                | Fate::OtherFilterRefuses
                | Fate::Suspected
                | Fate::OwnTrouble
        )
    }

    /// PureMessage has heard of a recipient.
    pub(crate) fn has_recipient(self) -> bool {
        !matches!(self, Fate::MailRefused | Fate::RecipientsRefused | Fate::DiscardedAtMail | Fate::Discarded)
    }
}

pub(crate) const FATES: [Fate; 24] = [
    Fate::Delivered,
    Fate::Lost,
    Fate::Reset,
    Fate::MailRefused,
    Fate::TimeoutAtRcpt,
    Fate::TimeoutAtEom,
    Fate::TimeoutUnnoticed,
    Fate::TimeoutDelivered,
    Fate::Closed,
    Fate::Silent,
    Fate::LostInData,
    Fate::LostUnderTls,
    Fate::RecipientsRefused,
    Fate::OtherFilterFails,
    Fate::OtherFilterRefuses,
    Fate::Killed,
    Fate::Suspected,
    Fate::DataRefused,
    Fate::DiscardedAtMail,
    Fate::Discarded,
    Fate::DiscardedThenLost,
    Fate::HeadersThenLost,
    Fate::OwnTrouble,
    Fate::BrokenTls,
];
