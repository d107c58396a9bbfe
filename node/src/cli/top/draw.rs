//! One frame: what is known, as rows and columns of a terminal. Pure: no clock, no terminal, nothing asked.
//!
//! A state is told by a letter, a word or a sign, and by a colour on top: nothing is lost without colours.

mod devices;
mod events;
mod fit;
mod foot;
mod head;
mod layout;
mod requests;
mod table;
mod theme;
pub(super) mod units;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget as _;

use self::fit::cut;
use self::layout::Areas;
pub(super) use self::theme::Theme;
use super::board::Board;
use super::viewer::{Firsts, Viewer};

/// What a frame shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'a> {
    /// What is known.
    pub(super) board: &'a Board,
    /// Where the user is.
    pub(super) viewer: &'a Viewer,
    /// The node that the user named.
    pub(super) named: &'a str,
    /// Colours, or none.
    pub(super) theme: Theme,
    /// Now, ms since 1970.
    pub(super) now_ms: u64,
    /// Whether somebody can press keys.
    pub(super) has_keys: bool,
}

/// Draws it; answers with which rows the panes could begin at most.
pub(super) fn draw(scene: &Scene<'_>, area: Rect, frame: &mut Buffer) -> Firsts {
    let trouble = head::trouble(scene);
    let members = scene.board.status.as_ref().map(|status| status.members.len());
    let areas = Areas::of(area, members, trouble.is_some(), scene.has_keys);
    head::draw(scene, areas.head, frame);
    if let Some(trouble) = trouble {
        Line::styled(cut(&trouble, usize::from(area.width)), scene.theme.bad()).render(areas.trouble, frame);
    }
    let (device, part) = devices::draw(scene, areas.devices, frame);
    requests::draw(scene, areas.requests, frame);
    let event = events::draw(scene, areas.events, frame);
    foot::draw(scene, areas.foot, frame);
    if scene.viewer.helps {
        foot::help(scene, area, frame);
    }
    Firsts { device, part, event }
}

/// A frame of its natural height, as lines without colours.
pub(super) fn plain(scene: &Scene<'_>, width: u16) -> String {
    let members = scene.board.status.as_ref().map_or(0, |status| status.members.len());
    let height = layout::natural_height(members, scene.board.events.len());
    let area = Rect::new(0, 0, width, height);
    let mut frame = Buffer::empty(area);
    draw(&Scene { theme: Theme::plain(), has_keys: false, ..*scene }, area, &mut frame);
    text(&frame)
}

/// What stands in a frame.
pub(super) fn text(frame: &Buffer) -> String {
    let rows = frame.content().chunks(usize::from(frame.area.width).max(1));
    let rows: Vec<String> =
        rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned()).collect();
    rows.join("\n").trim_end().to_owned() + "\n"
}

/// The line above a pane: its name, what is to be said of it, and whether keys scroll it.
fn title(scene: &Scene<'_>, area: Rect, frame: &mut Buffer, name: &str, note: Span<'_>, is_chosen: bool) {
    let is_chosen = is_chosen && scene.has_keys;
    let (mark, style) = if is_chosen { ("▶", scene.theme.chosen()) } else { ("─", scene.theme.title()) };
    let width = usize::from(area.width);
    let mut line =
        Line::from(vec![Span::raw(format!("─{mark} ")), Span::styled(name.to_owned(), style), Span::raw(" ")]);
    if !note.content.is_empty() {
        let room = width.saturating_sub(line.width() + 3);
        line.extend([Span::raw("─ "), Span::styled(cut(&note.content, room), note.style), Span::raw(" ")]);
    }
    line.push_span("─".repeat(width.saturating_sub(line.width())));
    line.style(scene.theme.soft()).render(Rect { height: area.height.min(1), ..area }, frame);
}

/// What is below the title.
fn below(area: Rect) -> Rect {
    let taken = area.height.min(1);
    Rect { y: area.y + taken, height: area.height - taken, ..area }
}

/// One line of a pane.
fn row(area: Rect, index: u16) -> Rect {
    Rect { y: area.y + index.min(area.height), height: u16::from(index < area.height), ..area }
}
