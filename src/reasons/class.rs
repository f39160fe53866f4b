//! What happened, whose fault it is, how strongly a line says so, and at which stage of the SMTP transaction.

use crate::spelled::spelled;

spelled! {
    /// What happened.
    Class {
        /// The SMTP client closed or reset the connection.
        PeerDisconnected = "peer_disconnected",
        /// The SMTP client said nothing for longer than sendmail waits.
        PeerTimeout = "peer_timeout",
        /// The SMTP client broke the protocol or a limit.
        PeerProtocolError = "peer_protocol_error",
        /// RSET, QUIT or a new EHLO in the middle of a transaction.
        ClientEnded = "client_ended",
        /// Every recipient was refused, and the client gave up.
        RecipientsRejected = "recipients_rejected",
        /// sendmail's own rules refused or discarded the message before PureMessage had judged it.
        PolicyRejected = "policy_rejected",
        /// The filter took longer than sendmail waits.
        FilterTimeout = "filter_timeout",
        /// The filter closed or reset its connection.
        FilterClosed = "filter_closed",
        /// sendmail could not connect to the filter.
        FilterUnreachable = "filter_unreachable",
        /// The filter's answers made no sense.
        FilterProtocolError = "filter_protocol_error",
        /// Another milter failed, or refused the message.
        OtherFilter = "other_filter",
        /// sendmail itself failed.
        MtaError = "mta_error",
        /// The mail was refused as after a filter failure, but no line names one.
        FilterFailureSuspected = "filter_failure_suspected",
        /// Nothing in the log explains it.
        Unexplained = "unexplained",
    }
}

spelled! {
    /// Who caused it.
    Fault {
        /// The SMTP client.
        Peer = "peer",
        /// PureMessage, or the filter that the evidence names.
        Filter = "filter",
        /// Another filter of this sendmail.
        OtherFilter = "other filter",
        /// sendmail or its host.
        Mta = "mta",
        /// Nobody knows.
        Unknown = "unknown",
    }
}

spelled! {
    /// How strongly a line says so; the first is the strongest.
    Rank {
        /// Names a cause.
        Decisive = "decisive",
        /// Follows a cause; decides only what nothing better does.
        Consequence = "consequence",
        /// An inference from what is there and what is not.
        Circumstantial = "circumstantial",
    }
}

spelled! {
    /// The stage of the transaction at which it ended, in milter's words.
    Stage {
        /// Connection and negotiation with the filter.
        Connect = "connect",
        /// HELO or EHLO.
        Helo = "helo",
        /// MAIL.
        Mail = "mail",
        /// RCPT.
        Rcpt = "rcpt",
        /// The DATA command, or the client's sending of the text.
        Data = "data",
        /// Handing a header to the filter.
        Header = "header",
        /// End of the headers.
        Eoh = "eoh",
        /// Handing the body to the filter.
        Body = "body",
        /// End of the message: waiting for the verdict.
        Eom = "eom",
    }
}

spelled! {
    /// The letter of `T=` that ran out.
    Timeout {
        /// Connecting to the filter.
        Connect = "C",
        /// Sending to the filter.
        Send = "S",
        /// Reading a reply.
        Read = "R",
        /// From the end of the message to the last answer.
        End = "E",
    }
}

impl Class {
    /// Who caused it.
    pub const fn fault(self) -> Fault {
        match self {
            Class::PeerDisconnected
            | Class::PeerTimeout
            | Class::PeerProtocolError
            | Class::ClientEnded
            | Class::RecipientsRejected
            | Class::PolicyRejected => Fault::Peer,
            Class::FilterTimeout
            | Class::FilterClosed
            | Class::FilterUnreachable
            | Class::FilterProtocolError
            | Class::FilterFailureSuspected => Fault::Filter,
            Class::OtherFilter => Fault::OtherFilter,
            Class::MtaError => Fault::Mta,
            Class::Unexplained => Fault::Unknown,
        }
    }

    /// Whether an administrator may ignore it; `None` where that depends.
    pub const fn ignorable(self) -> Option<bool> {
        match self.fault() {
            Fault::Peer => Some(true),
            Fault::Filter | Fault::Mta => Some(false),
            Fault::OtherFilter | Fault::Unknown => None,
        }
    }

    /// Whether sendmail gave up on a filter.
    pub const fn is_filter_failure(self) -> bool {
        matches!(
            self,
            Class::FilterTimeout | Class::FilterClosed | Class::FilterUnreachable | Class::FilterProtocolError
        )
    }
}

impl Stage {
    /// The stage at which sendmail waits for a filter, as `where=` names it. What it sends of the text is a `body chunk`; up to
    /// 8.14.3 it calls the end of the text `body`.
    pub fn from_where(name: &str) -> Option<Stage> {
        if name == "body" { Some(Stage::Eom) } else { Stage::from_log(name) }
    }

    /// The stage that sendmail names: `action=`, the letter of a milter command, or the last SMTP command. `startup` is none: so
    /// sendmail calls whatever command it does not know.
    pub fn from_log(name: &str) -> Option<Stage> {
        Some(match name {
            "negotiate" | "connect" | "O" | "C" => Stage::Connect,
            "helo" | "ehlo" | "H" => Stage::Helo,
            "mail" | "M" | "check_mail" => Stage::Mail,
            "rcpt" | "R" | "check_rcpt" => Stage::Rcpt,
            "data" | "T" | "check_data" => Stage::Data,
            "header" | "L" => Stage::Header,
            "eoh" | "N" | "check_eoh" => Stage::Eoh,
            "body" | "body chunk" | "last body chunk" | "B" => Stage::Body,
            "eom" | "E" | "check_eom" => Stage::Eom,
            _ => return None,
        })
    }
}
