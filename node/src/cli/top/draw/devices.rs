//! Devices × parts: who is there, who holds what, and how quickly it ran of late.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Paragraph, Widget as _, Wrap};
use rocoin::node::{MemberSnapshot, NodeSnapshot};

use super::table::Table;
use super::{Scene, below, layout, row, title};
use crate::cli::members::{Names, by_name};
use crate::cli::top::islands;
use crate::cli::top::viewer::Pane;

/// Draws it; answers with the last device and the last part it could begin with.
pub(super) fn draw(scene: &Scene<'_>, area: Rect, frame: &mut Buffer) -> (usize, usize) {
    let Some(status) = &scene.board.status else {
        title(scene, area, frame, "devices", Span::raw(""), false);
        nothing_yet(scene, below(area), frame);
        return (0, 0);
    };
    let mut members: Vec<(String, &MemberSnapshot)> =
        status.members.iter().map(|member| (Names(&status.members).of(member.node), member)).collect();
    members.sort_by(|(a, m), (b, n)| by_name(a, b).then(m.node.cmp(&n.node)));
    let rows = usize::from(area.height.saturating_sub(layout::DEVICES_HEAD));
    let last = members.len().saturating_sub(rows.max(1));
    let first = scene.viewer.first_device.min(last);
    let shown = &members[first..members.len().min(first + rows)];

    let table = Table::of(scene, status, &members, area.width);
    title(scene, area, frame, "devices", note(scene, status, first, shown.len()), scene.viewer.pane == Pane::Devices);
    let area = below(area);
    table.parts().render(row(area, 0), frame);
    table.replicas().render(row(area, 1), frame);
    for (index, (name, member)) in (2..).zip(shown) {
        table.device(name, member).render(row(area, index), frame);
    }
    (last, table.last_part())
}

/// What is left out, and who is not heard of.
fn note<'a>(scene: &Scene<'_>, status: &NodeSnapshot, first: usize, shown: usize) -> Span<'a> {
    let all = status.members.len();
    let range = (shown < all).then(|| format!("{} to {} of {all}", first + 1, first + shown));
    let lost = islands::in_words(status, &scene.board.lost_at_ms);
    let style = if lost.is_some() { scene.theme.bad() } else { scene.theme.text() };
    Span::styled([range, lost].into_iter().flatten().collect::<Vec<_>>().join("; "), style)
}

fn nothing_yet(scene: &Scene<'_>, area: Rect, frame: &mut Buffer) {
    let text = match &scene.board.all_gone {
        None => Text::raw("Waiting for the first answer …"),
        Some(gone) => Text::from(vec![
            Line::styled(gone.why.clone(), scene.theme.bad()),
            Line::raw("It is asked again until it answers."),
            Line::raw(""),
            Line::raw(format!(
                "Does a node run at {}? `rocoin node` says where its HTTP interface is; name it with --node HOST:PORT, and the \
                 token that it asks for with --http-token-file FILE.",
                scene.named
            )),
        ]),
    };
    Paragraph::new(text).wrap(Wrap { trim: true }).render(area, frame);
}
