//! The table: the aborts in columns that fit the terminal.
//!
//! The widths depend on the terminal alone, not on what stands in the rows, so that the rows can be written page by page
//! and any number of them needs the memory of one page.

use std::io::Write;

use abort_reason::{Kind, Outcome, Status, WhyNot};
use comfy_table::{Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table, Width, presets};

use super::Latest;
use super::summary::Summary;
use crate::failure::Result;
use crate::output::Output;
use crate::text::visible;
use abort_reason_explain::record::{self, Abort};

/// Rows made at a time.
const PAGE: usize = 500;
/// Lines that a row may take before it is cut.
const ROW_LINES: usize = 3;
/// The width where there is no terminal to ask.
const WIDTH: u16 = 132;
/// A table narrower than this can't be read.
const LEAST_WIDTH: u16 = 60;

/// How text may look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    /// Columns of the terminal.
    pub(crate) width: u16,
    /// Whether colours are welcome.
    pub(crate) colour: bool,
}

impl Style {
    /// For standard output: colours only on a terminal, and only unless `NO_COLOR` asks for none.
    pub(crate) fn of_terminal(terminal: bool) -> Style {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let width = Table::new().width().filter(|_| terminal).unwrap_or(WIDTH);
        Style { width: width.max(LEAST_WIDTH), colour: terminal && wanted }
    }

    /// A table without lines, which such a style can show.
    pub(crate) fn table(self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(self.width);
        if self.colour {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table
    }

    /// The heading of a column.
    pub(crate) fn heading(self, text: &str) -> Cell {
        let cell = Cell::new(text.to_uppercase());
        if self.colour { cell.add_attribute(Attribute::Bold) } else { cell }
    }
}

/// Writes the rows, then the summary.
pub(super) fn write(latest: &mut Latest, out: &mut Output, mut summary: Summary) -> Result<()> {
    let style = Style::of_terminal(out.is_terminal());
    let columns = Columns::for_width(style.width, latest.several_hosts()?);
    let mut page = columns.page(style, true);
    while let Some(record) = latest.next_record()? {
        let Some(abort) = record::abort(record) else { continue };
        summary.add(record, &abort);
        page.add_row(columns.row(&abort, style));
        if page.row_count() == PAGE {
            write_page(&page, out)?;
            page = columns.page(style, false);
        }
    }
    if page.row_count() > 0 {
        write_page(&page, out)?;
    }
    let text = summary.to_text(style);
    out.write_all(text.as_bytes()).map_err(|error| out.failure(&error))
}

fn write_page(page: &Table, out: &mut Output) -> Result<()> {
    out.write_all(text_of(page).as_bytes()).map_err(|error| out.failure(&error))
}

/// A table as text, without the blanks that fill its lines up.
pub(crate) fn text_of(table: &Table) -> String {
    table.lines().flat_map(|line| [line.trim_end().to_owned(), "\n".to_owned()]).collect()
}

/// What a column shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Time,
    Host,
    QueueId,
    From,
    Class,
    Outcome,
    Reason,
}

/// The columns and their widths, the blanks around them among them.
struct Columns(Vec<(Column, u16)>);

impl Columns {
    /// As many columns as fit; the reason gets what the others leave.
    fn for_width(width: u16, hosts: bool) -> Columns {
        let mut columns = vec![(Column::Time, 21), (Column::QueueId, 17), (Column::Class, 26)];
        let taken: u16 = columns.iter().map(|(_, width)| width).sum();
        let mut left = width.saturating_sub(taken);
        // In order of importance; the reason must keep enough.
        for (column, width, reason, wanted) in
            [(Column::Outcome, 21, 40, true), (Column::Host, 12, 40, hosts), (Column::From, 26, 50, true)]
        {
            if wanted && left >= width + reason {
                columns.push((column, width));
                left -= width;
            }
        }
        if left < 20 {
            // On a narrow terminal the time gives way to the reason.
            let (_, time) = columns.remove(0);
            left = (width + time).saturating_sub(taken);
        }
        columns.push((Column::Reason, left));
        columns.sort_by_key(|(column, _)| *column as u8);
        Columns(columns)
    }

    fn page(&self, style: Style, heading: bool) -> Table {
        let mut page = style.table();
        if heading {
            page.set_header(self.0.iter().map(|(column, _)| style.heading(column.heading())));
        } else {
            // Without a row there is no column to constrain: an empty heading makes them, and is not shown.
            page.set_header(self.0.iter().map(|_| Cell::new("")));
        }
        for (column, (_, width)) in page.column_iter_mut().zip(&self.0) {
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(*width)));
            column.set_cell_alignment(CellAlignment::Left);
        }
        page
    }

    fn row(&self, abort: &Abort, style: Style) -> comfy_table::Row {
        let mut row =
            comfy_table::Row::from(self.0.iter().map(|(column, _)| column.cell(abort, style)).collect::<Vec<_>>());
        row.max_height(ROW_LINES);
        row
    }
}

impl Column {
    fn heading(self) -> &'static str {
        match self {
            Column::Time => "time",
            Column::Host => "host",
            Column::QueueId => "queue id",
            Column::From => "from",
            Column::Class => "class",
            Column::Outcome => "the mail was",
            Column::Reason => "reason",
        }
    }

    fn cell(self, abort: &Abort, style: Style) -> Cell {
        let text = match self {
            // To the second, without the zone: the rows are in order, and the formats for programs have it all.
            Column::Time => {
                abort.time.as_deref().map(|time| time.chars().take(19).collect::<String>().replace('T', " "))
            }
            Column::Host => abort.host.clone(),
            Column::QueueId => Some(abort.queue_id.clone()),
            Column::From => abort.from.clone(),
            Column::Class => Some(class(abort)),
            Column::Outcome => Some(spaced(abort.outcome.as_str())),
            Column::Reason => abort.reason.clone().or_else(|| abort.why_not.map(why_not)),
        };
        let cell = Cell::new(visible(&text.unwrap_or_default()));
        match self {
            _ if !style.colour => cell,
            Column::Class => cell.fg(colour(abort.ignorable)),
            Column::Outcome if abort.outcome == Outcome::DeliveredUnscanned => {
                cell.fg(Color::Red).add_attribute(Attribute::Bold)
            }
            _ => cell,
        }
    }
}

/// Red for what wants action, none for what can be ignored.
fn colour(ignorable: Option<bool>) -> Color {
    match ignorable {
        Some(true) => Color::Reset,
        Some(false) => Color::Red,
        None => Color::Yellow,
    }
}

fn class(abort: &Abort) -> String {
    let class = spaced(abort.class.as_str());
    match abort.kind {
        Kind::Abort if abort.status == Status::Inferred => format!("{class}, inferred"),
        Kind::Abort => class,
        kind => format!("{class}, {}", kind.as_str()),
    }
}

/// Why there is no reason, where one would stand.
pub(crate) fn why_not(why_not: WhyNot) -> String {
    let said = match why_not {
        WhyNot::NoMailLines => "no line of the mail log has this queue id",
        WhyNot::OnlyOrdinaryLines => "only ordinary lines in the mail log",
        WhyNot::Evicted => "given up because memory was short",
        WhyNot::StartedLate => "the mail log begins after it",
        WhyNot::AmbiguousHost => "several hosts have this queue id",
        WhyNot::OtherHost => "its lines are of a host of another name",
        WhyNot::StatelessHost => "it could not wait for its lines",
    };
    format!("({said})")
}

/// A word of the record as people write it.
pub(crate) fn spaced(word: &str) -> String {
    word.replace('_', " ")
}
