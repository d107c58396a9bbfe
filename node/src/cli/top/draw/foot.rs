//! What keys do, in a line, and all that stands for something, in a box.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Clear, Paragraph, Widget as _};

use super::Scene;
use super::units::clock;

const KEYS: [(&str, &str); 6] =
    [("q", "quit"), ("p", "pause"), ("tab", "pane"), ("↑↓", "scroll"), ("←→", "parts"), ("?", "help")];

const HELP: [&str; 21] = [
    "q, Esc, Ctrl-C      quit",
    "p, space            pause, go on",
    "tab                 choose the pane that keys scroll",
    "↑ ↓, j k            by a row;  PgUp PgDn by a page;  g G to the ends",
    "← →, h l            other parts, where not all fit",
    "",
    "> the node that tells all this        * the node that leads",
    "R ready, and how long its student ran of late, if it was used",
    "L planned and being loaded            · does not hold that part",
    "U alive, but not reached from here    S suspect",
    "D given up: it died, hangs or is cut off",
    "",
    "rate: requests a second               p99: 99 of 100 were faster",
    "d: a second with degraded answers     F: with failed requests",
    "≤: an upper bound, at most 19 % too large",
    "open: requests without an answer yet  waiting: runs for a worker",
    "",
    "+ somebody or something is there      = leadership, plans, bundles",
    "? somebody may be lost                ! somebody or something is",
    "It is one node's view. Another may see the mesh otherwise for a",
    "moment, and in a partition for longer.",
];

/// Draws the line.
pub(super) fn draw(scene: &Scene<'_>, area: Rect, frame: &mut Buffer) {
    let keys = KEYS
        .iter()
        .flat_map(|(key, what)| [Span::styled(*key, scene.theme.chosen()), Span::raw(format!(" {what}   "))]);
    Line::from(keys.collect::<Vec<_>>()).render(area, frame);
    let time = Line::from(format!("{} UTC", clock(scene.now_ms)));
    let width = u16::try_from(time.width()).unwrap_or(u16::MAX);
    // In a narrow window keys are worth more than the time.
    if area.width >= 70 {
        time.render(Rect { x: area.right() - width, width, ..area }, frame);
    }
}

/// Draws the box over everything else.
pub(super) fn help(scene: &Scene<'_>, area: Rect, frame: &mut Buffer) {
    let text: Vec<Line<'_>> = HELP.iter().map(|line| Line::raw(*line)).collect();
    let size = |length: usize| Constraint::Max(u16::try_from(length).unwrap_or(u16::MAX).saturating_add(2));
    let longest = HELP.iter().map(|line| line.chars().count()).max().unwrap_or_default();
    let of_box = area.centered(size(longest + 2), size(HELP.len()));
    Clear.render(of_box, frame);
    let block = Block::bordered().title(Span::styled(" help ", scene.theme.chosen()));
    let inner = block.inner(of_box);
    block.render(of_box, frame);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    Paragraph::new(Text::from(text)).render(inner, frame);
}
