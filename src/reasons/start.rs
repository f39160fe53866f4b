//! How texts of a rule begin: with literals, and between them perhaps one field that is none.

use crate::address;
use crate::envelope::{ToLine, client};
use crate::words::behind_start;

/// Something literal, or a field that is not, with literals around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Start {
    pub before: Box<[u8]>,
    field: Option<(Field, Box<[u8]>)>,
}

/// What is not literal in a start. All but the first stand for what a client wrote, or for lines that hold such.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    /// The name of a milter.
    Filter,
    /// An address.
    Address,
    /// The sender of a `from=` line, which is cut where it is long.
    Sender,
    /// Recipients and all other fields of a `to=` line, to the text of `stat=`.
    To,
    /// A client's name and address.
    Client,
}

impl Field {
    const NAMES: [(&str, Field); 5] = [
        ("{filter}", Field::Filter),
        ("{address}", Field::Address),
        ("{sender}", Field::Sender),
        ("{to}", Field::To),
        ("{client}", Field::Client),
    ];

    /// Where a text that begins with the field may go on.
    fn end(self, text: &[u8]) -> Option<End<'_>> {
        Some(match self {
            Field::Filter => End::Named(Named::new(text)),
            Field::Address => End::At(address::leading(text)?.1),
            Field::Sender => End::At(address::sender(text)?.1),
            Field::To => End::At(ToLine::fields(text).filter(|line| !line.delivery)?.stat),
            Field::Client => End::At(&text[client(text)?..]),
        })
    }
}

/// Where a field ends: before a text, or where a name does, which the text behind it tells.
#[derive(Clone, Copy)]
enum End<'t> {
    Named(Named<'t>),
    At(&'t [u8]),
}

/// A text behind [`Start::before`]. The rules of a group mostly ask for one field there, which is searched for once.
pub(super) struct Behind<'t> {
    text: &'t [u8],
    found: Option<(Field, Option<End<'t>>)>,
}

impl<'t> Behind<'t> {
    pub(super) fn new(text: &'t [u8]) -> Behind<'t> {
        Behind { text, found: None }
    }

    fn end(&mut self, field: Field) -> Option<End<'t>> {
        match self.found {
            Some((known, end)) if known == field => end,
            _ => self.found.insert((field, field.end(self.text))).1,
        }
    }
}

impl Start {
    pub(super) fn new(text: &str) -> Start {
        let found = Field::NAMES.iter().find_map(|(name, field)| Some((text.split_once(name)?, *field)));
        match found {
            Some(((before, behind), field)) => {
                Start { before: before.as_bytes().into(), field: Some((field, behind.as_bytes().into())) }
            }
            None => Start { before: text.as_bytes().into(), field: None },
        }
    }

    /// The filter that a text names and what follows the start in it, if it begins so.
    pub(super) fn split<'t>(&self, behind: &mut Behind<'t>) -> Option<(Option<&'t [u8]>, &'t [u8])> {
        let Some((field, literal)) = &self.field else { return Some((None, behind.text)) };
        match behind.end(*field)? {
            End::Named(named) => named.split(literal).map(|(name, rest)| (Some(name), rest)),
            End::At(rest) => Some((None, behind_start(rest, literal)?)),
        }
    }

    /// Whether no literal stands first; then what stands behind the field.
    pub(super) fn needle(&self) -> Option<&[u8]> {
        let behind = self.field.as_ref().map_or(&b""[..], |(_, behind)| behind);
        self.before.is_empty().then_some(behind)
    }

    /// What closes a filter's name.
    pub(super) fn close(&self) -> Option<&[u8]> {
        match &self.field {
            Some((Field::Filter, behind)) => behind.split(|b| *b == b' ').next(),
            _ => None,
        }
    }
}

/// A text behind the literal that precedes a filter's name. A name holds neither blanks nor commas.
#[derive(Clone, Copy)]
pub(super) struct Named<'t> {
    text: &'t [u8],
    token: usize,
}

impl<'t> Named<'t> {
    pub(super) fn new(text: &'t [u8]) -> Named<'t> {
        let token = text.iter().take(128).position(|b| matches!(b, b' ' | b',')).unwrap_or(text.len().min(128));
        Named { text, token }
    }

    pub(super) fn is_closed_by_any(&self, closes: &[Box<[u8]>]) -> bool {
        closes.iter().any(|close| self.text[..self.token].ends_with(close))
    }

    /// Splits at `behind`, whose first word closes the name.
    fn split(self, behind: &[u8]) -> Option<(&'t [u8], &'t [u8])> {
        let close = behind.iter().position(|b| *b == b' ').unwrap_or(behind.len());
        let name = self.token.checked_sub(close).filter(|length| *length > 0)?;
        behind_start(&self.text[name..], behind).map(|rest| (&self.text[..name], rest))
    }
}
