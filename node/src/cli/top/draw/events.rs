//! What happened, the newest first.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget as _;

use super::fit::cut;
use super::units::clock;
use super::{Scene, below, row, title};
use crate::cli::top::board::Happening;
use crate::cli::top::story::{Kind, in_words, kind};
use crate::cli::top::viewer::Pane;

/// Columns of the time and the sign.
const BEFORE: usize = 11;

/// Draws it; answers with the last event, from the newest, that it could begin with.
pub(super) fn draw(scene: &Scene<'_>, area: Rect, frame: &mut Buffer) -> usize {
    if area.height == 0 {
        return 0;
    }
    let events = &scene.board.events;
    let rows = usize::from(area.height - 1);
    let last = events.len().saturating_sub(rows.max(1));
    let first = scene.viewer.first_event.min(last);
    let note = if first > 0 { format!("{first} newer above") } else { "UTC".to_owned() };
    title(
        scene,
        area,
        frame,
        "what happened",
        Span::styled(note, scene.theme.text()),
        scene.viewer.pane == Pane::Events,
    );
    let area = below(area);
    if events.is_empty() {
        Line::styled("Nothing yet.", scene.theme.soft()).render(row(area, 0), frame);
    }
    for (index, happening) in (0..area.height).zip(events.iter().rev().skip(first)) {
        line(scene, happening, usize::from(area.width)).render(row(area, index), frame);
    }
    last
}

fn line<'a>(scene: &Scene<'_>, happening: &Happening, columns: usize) -> Line<'a> {
    let kind = kind(&happening.event);
    let sign = match kind {
        Kind::Bad => "!",
        Kind::Doubt => "?",
        Kind::Good => "+",
        Kind::Plan => "=",
    };
    let style = scene.theme.of_kind(kind);
    let words = cut(&in_words(happening, scene.board.status.as_ref()), columns.saturating_sub(BEFORE));
    Line::from(vec![
        Span::raw(format!("{} ", clock(happening.at_ms))),
        Span::styled(format!("{sign} "), style),
        Span::styled(words, style),
    ])
}
