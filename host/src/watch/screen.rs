//! The screen: what wants action on top, the aborts below, and how the join does.

use std::io;
use std::mem::ManuallyDrop;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use crossterm::clipboard::CopyToClipboard;
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Borders, Cell, Clear, Paragraph, Row as TableRow, Table, TableState, Wrap};
use ratatui::{DefaultTerminal, Frame};

use super::board::{Board, Row};
use super::{Log, PAUSE, Watch};
use crate::explain::table;
use crate::failure::{Exit, Failure, Result};

/// Lines of the totals.
const TOTALS: usize = 5;

/// Keys that are taken at a time.
const MOST_KEYS: usize = 64;

/// A longer text is cut in the details: what to do must stay in sight.
const LONGEST: usize = 240;

const KEYS: &str = "q quit  ↑↓ move  Enter details  a only what wants action  / filter  y copy queue id";

/// What the user chose.
#[derive(Debug, Default)]
struct View {
    list: TableState,
    /// The abort under the cursor: rows come above it.
    chosen: Option<String>,
    only_action: bool,
    filter: String,
    typing: bool,
    details: bool,
    said: Option<String>,
    colour: bool,
}

/// Shows the screen until the user or a signal ends it. The terminal is left as it was.
pub(super) fn run(watch: &mut Watch) -> Result<()> {
    let terminal = ratatui::try_init().map_err(|error| terminal_failed(&error))?;
    // Its own end complains on standard error, and that it can't do where the terminal is gone.
    let mut terminal = ManuallyDrop::new(terminal);
    let done = show(watch, &mut terminal);
    let _ = terminal.show_cursor();
    let _ = ratatui::try_restore();
    done
}

fn show(watch: &mut Watch, terminal: &mut DefaultTerminal) -> Result<()> {
    let mut view = View { colour: table::Style::of_terminal(true).colour, ..View::default() };
    let events = events();
    while !watch.is_asked_to_end() {
        let more = watch.step(&mut |_| {});
        view.follow(&watch.board);
        terminal.draw(|frame| view.draw(frame, watch)).map_err(|error| terminal_failed(&error))?;
        let first = if more { events.try_recv().ok() } else { events.recv_timeout(PAUSE).ok() };
        // All that has come, but no more: the logs wait.
        let come = first.into_iter().chain(events.try_iter().take(MOST_KEYS));
        for event in come.collect::<Vec<_>>() {
            match event.map_err(|error| terminal_failed(&error))? {
                Event::Key(key) if key.kind == KeyEventKind::Press && view.key(key, &watch.board) => return Ok(()),
                // What is drawn next has the new size.
                _ => {}
            }
            view.follow(&watch.board);
        }
    }
    Ok(())
}

/// Keys and sizes, read on a thread of its own: where the terminal is gone it never comes back, and this must.
fn events() -> Receiver<io::Result<Event>> {
    let (sender, receiver) = sync_channel(MOST_KEYS);
    thread::spawn(move || {
        loop {
            let event = event::read();
            let failed = event.is_err();
            if sender.send(event).is_err() || failed {
                return;
            }
        }
    });
    receiver
}

fn terminal_failed(error: &io::Error) -> Failure {
    Failure::new(Exit::Io, format!("the terminal failed: {error}")).hint("--plain writes lines instead.")
}

impl View {
    /// Takes a key; true if it ends the program.
    fn key(&mut self, key: KeyEvent, board: &Board) -> bool {
        self.said = None;
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return true;
        }
        if self.typing {
            match key.code {
                KeyCode::Enter => self.typing = false,
                KeyCode::Esc => (self.typing, self.filter) = (false, String::new()),
                KeyCode::Backspace => drop(self.filter.pop()),
                KeyCode::Char(c) if !c.is_control() && self.filter.len() < 100 => self.filter.push(c),
                _ => {}
            }
            return false;
        }
        match key.code {
            KeyCode::Char('q') => return true,
            KeyCode::Esc if self.details => self.details = false,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Char('a') => self.only_action = !self.only_action,
            KeyCode::Char('/') => self.typing = true,
            KeyCode::Enter => self.details = !self.details,
            KeyCode::Down | KeyCode::Char('j') => self.step(board, 1),
            KeyCode::Up | KeyCode::Char('k') => self.step(board, -1),
            KeyCode::PageDown => self.step(board, 20),
            KeyCode::PageUp => self.step(board, -20),
            KeyCode::Home => self.step(board, isize::MIN),
            KeyCode::Char('y') => self.copy(board),
            _ => {}
        }
        false
    }

    /// Moves the cursor.
    fn step(&mut self, board: &Board, by: isize) {
        let ids: Vec<&str> = board.rows(&self.filter, self.only_action).map(|row| row.id.as_str()).collect();
        let at = self.chosen.as_ref().and_then(|id| ids.iter().position(|other| other == id));
        let next = match at {
            Some(at) => at.saturating_add_signed(by).min(ids.len().saturating_sub(1)),
            None => 0,
        };
        self.chosen = ids.get(next).map(|id| (*id).to_owned());
    }

    /// Keeps the cursor on its abort.
    fn follow(&mut self, board: &Board) {
        let at = self
            .chosen
            .as_ref()
            .and_then(|id| board.rows(&self.filter, self.only_action).position(|row| row.id == *id));
        self.list.select(at);
        if at.is_none() {
            self.chosen = None;
            self.details = false;
        }
    }

    fn row<'b>(&'b self, board: &'b Board) -> Option<&'b Row> {
        let id = self.chosen.as_ref()?;
        board.rows(&self.filter, self.only_action).find(|row| row.id == *id)
    }

    fn copy(&mut self, board: &Board) {
        let Some(queue_id) = self.row(board).map(|row| row.queue_id.clone()) else { return };
        let copied = crossterm::execute!(io::stdout(), CopyToClipboard::to_clipboard_from(&queue_id));
        self.said = copied.is_ok().then(|| format!("copied {queue_id}"));
    }

    fn draw(&mut self, frame: &mut Frame<'_>, watch: &Watch) {
        let board = &watch.board;
        let totals = board.totals();
        let lines = totals.len().clamp(1, TOTALS) as u16;
        let areas = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(lines),
            Constraint::Min(3),
            Constraint::Length(1),
            Constraint::Length(1),
        ]);
        let [head, classes, list, health, keys] = areas.areas(frame.area());
        frame.render_widget(self.head(board), head);
        let totals = totals.iter().take(TOTALS).map(|(class, total)| {
            Line::styled(format!("  {:>7}  {class}", total.count), self.style(total.wants_action))
        });
        let totals: Vec<Line<'_>> = totals.collect();
        let nothing = Line::from("  no aborts yet");
        frame.render_widget(if totals.is_empty() { Text::from(nothing) } else { Text::from(totals) }, classes);
        self.draw_list(frame, board, list);
        frame.render_widget(Line::from(health_of(watch)), health);
        let keys_line = match (&self.said, self.typing) {
            (_, true) => format!("filter: {}_   (Enter keeps it, Esc clears it)", self.filter),
            (Some(said), _) => said.clone(),
            _ => KEYS.to_owned(),
        };
        frame.render_widget(Line::styled(keys_line, Style::new().add_modifier(Modifier::DIM)), keys);
        if self.details
            && let Some(row) = self.row(board)
        {
            draw_details(frame, row);
        }
    }

    fn head(&self, board: &Board) -> Line<'static> {
        let wanting: u64 = board.totals.values().filter(|total| total.wants_action).map(|total| total.count).sum();
        let mut spans = vec![
            Span::styled("abort-reason", Style::new().add_modifier(Modifier::BOLD)),
            Span::raw(format!("   {} in all, {wanting} of them want action", board.count_all())),
        ];
        if board.unscanned > 0 {
            spans.push(Span::styled(format!("   {} DELIVERED UNSCANNED", board.unscanned), self.style(true)));
        }
        if self.only_action {
            spans.push(Span::raw("   [only what wants action]"));
        }
        if !self.filter.is_empty() {
            spans.push(Span::raw(format!("   [{}]", self.filter)));
        }
        Line::from(spans)
    }

    fn draw_list(&mut self, frame: &mut Frame<'_>, board: &Board, area: Rect) {
        // More than fit on any screen are not laid out.
        let shown = usize::from(area.height) + self.list.selected().unwrap_or_default() + 1;
        let rows = board.rows(&self.filter, self.only_action).take(shown).map(|row| {
            let cells = [&row.time, &row.host, &row.queue_id, &row.class, &row.outcome, &row.reason];
            TableRow::new(cells.map(|text| Cell::from(text.clone()))).style(self.style(row.wants_action))
        });
        let widths = [
            Constraint::Length(20),
            Constraint::Max(12),
            Constraint::Length(16),
            Constraint::Length(24),
            Constraint::Length(20),
            Constraint::Min(20),
        ];
        let header = TableRow::new(["TIME", "HOST", "QUEUE ID", "CLASS", "OUTCOME", "REASON"])
            .style(Style::new().add_modifier(Modifier::BOLD));
        let table = Table::new(rows.collect::<Vec<_>>(), widths)
            .header(header)
            .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
            .block(Block::new().borders(Borders::TOP));
        frame.render_stateful_widget(table, area, &mut self.list);
    }

    fn style(&self, wants_action: bool) -> Style {
        match (wants_action, self.colour) {
            (true, true) => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
            (true, false) => Style::new().add_modifier(Modifier::BOLD),
            (false, _) => Style::new(),
        }
    }
}

/// How the join does.
fn health_of(watch: &Watch) -> String {
    let of = |log: &Log| {
        let name = log.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let heard = match (log.missing(), log.heard) {
            (Some(why), _) => why.to_owned(),
            (None, Some(heard)) => format!("{} lines, {} s ago", log.lines, heard.elapsed().as_secs()),
            (None, None) => "silent".to_owned(),
        };
        format!("{}: {heard}", crate::text::visible(&name))
    };
    let stats = watch.engine.stats();
    let logs: Vec<String> = watch.logs.iter().map(of).collect();
    let unreachable = match stats.filter_unreachable {
        0 => String::new(),
        count => format!("filter not reached {count}   "),
    };
    let logs = logs.join("   ");
    format!("{unreachable}{logs}   held {}   evicted {}   unreadable {}", stats.held, stats.evicted, stats.other)
}

/// All of an abort, over the list.
fn draw_details(frame: &mut Frame<'_>, row: &Row) {
    let area = frame.area();
    let (width, height) = (area.width.saturating_sub(4).min(100), area.height.saturating_sub(4).min(18));
    let place = Rect::new((area.width - width) / 2, (area.height - height) / 2, width, height);
    let fields = [
        ("class", row.class.as_str()),
        ("reason", &row.reason),
        ("status", row.status.as_str()),
        ("outcome", &row.outcome),
        ("to do", &row.advice),
        ("time", &row.time),
        ("host", &row.host),
        ("from", &row.from),
        ("relay", &row.relay),
        ("to", &row.to),
        ("id", &row.id),
    ];
    let lines = fields.iter().filter(|(_, text)| !text.is_empty()).map(|(name, text)| {
        Line::from(vec![
            Span::styled(format!("{name:>8}  "), Style::new().add_modifier(Modifier::DIM)),
            Span::raw(short(text)),
        ])
    });
    let title = format!(" {} {} ", row.kind.as_str(), row.queue_id);
    let text = Paragraph::new(lines.collect::<Vec<_>>()).wrap(Wrap { trim: false });
    frame.render_widget(Clear, place);
    frame.render_widget(text.block(Block::bordered().title(title)), place);
}

/// The beginning of a long text.
fn short(text: &str) -> String {
    let mut cut: String = text.chars().take(LONGEST).collect();
    if cut.len() < text.len() {
        cut.push_str(" ...");
    }
    cut
}
