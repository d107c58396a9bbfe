//! Whom one looks at, what it serves, and whether what is shown is of now.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget as _;
use rocoin::membership::State;
use rocoin::node::NodeSnapshot;

use super::units::{age, clock};
use super::{Scene, row};
use crate::cli::members::Names;

/// Draws it.
pub(super) fn draw(scene: &Scene<'_>, area: Rect, frame: &mut Buffer) {
    let state = connection(scene);
    let left = Rect { width: area.width.saturating_sub(u16::try_from(state.width() + 1).unwrap_or(u16::MAX)), ..area };
    let first = match &scene.board.status {
        Some(status) => who(scene, status),
        None => {
            Line::from(vec![Span::styled("rocoin top", scene.theme.title()), Span::raw(format!("  {}", scene.named))])
        }
    };
    first.render(row(left, 0), frame);
    Line::from(state).right_aligned().render(row(area, 0), frame);
    if let Some(status) = &scene.board.status {
        led(scene, status).render(row(area, 1), frame);
    }
}

fn who<'a>(scene: &Scene<'_>, status: &NodeSnapshot) -> Line<'a> {
    let theme = scene.theme;
    let (served, parts) = (status.parts_served, status.parts.len());
    let style = match (served, parts) {
        (_, 0) => theme.doubt(),
        (0, _) => theme.alarm(),
        (some, all) if some < all => theme.bad(),
        _ => theme.good(),
    };
    let bundle = status.bundle.as_ref();
    let bundle = bundle.map_or_else(|| "no bundle".to_owned(), |bundle| format!("{} {}", bundle.name, bundle.version));
    let leaving = if status.draining { " (leaving)" } else { "" };
    Line::from(vec![
        Span::styled(status.name.clone(), theme.title()),
        Span::raw(format!(" ({}){leaving}   {bundle}: ", status.node.short())),
        Span::styled(format!("{served} of {parts} parts served"), style),
    ])
}

fn led<'a>(scene: &Scene<'_>, status: &NodeSnapshot) -> Line<'a> {
    let theme = scene.theme;
    let alive = status.members.iter().filter(|member| member.state == State::Alive).count();
    let all = status.members.len();
    let leader = match &status.leader {
        Some(leader) => Span::raw(format!("leader {}", Names(&status.members).of(*leader))),
        None => Span::styled("NO LEADER", theme.bad()),
    };
    let epoch = status.epoch.as_deref().unwrap_or("none");
    let load = format!("{} open, {} waiting", status.open_requests, status.queued_jobs);
    Line::from(vec![
        Span::styled(format!("{alive} of {all} alive"), if alive < all { theme.doubt() } else { theme.good() }),
        Span::raw("  "),
        leader,
        Span::raw(format!(", term {}  epoch {epoch}  {load}", status.term.0)),
    ])
}

/// Whether what is shown is of now, in a word.
fn connection<'a>(scene: &Scene<'_>) -> Span<'a> {
    let board = scene.board;
    let since = |ms: u64| age(scene.now_ms.saturating_sub(ms));
    match (board.heard_ms, &board.all_gone) {
        (Some(heard), _) if scene.viewer.is_paused() => {
            Span::styled(format!(" PAUSED {} ", since(heard)), scene.theme.alarm())
        }
        (Some(heard), Some(_)) => Span::styled(format!(" OLD {} ", since(heard)), scene.theme.alarm()),
        (Some(_), None) if !scene.has_keys => Span::raw(format!("{} UTC", clock(scene.now_ms))),
        (Some(_), None) => Span::styled("live", scene.theme.good()),
        (None, Some(_)) => Span::styled(" NO ANSWER ", scene.theme.alarm()),
        (None, None) => Span::raw("asking …"),
    }
}

/// What is wrong with looking, if anything.
pub(super) fn trouble(scene: &Scene<'_>) -> Option<String> {
    let board = scene.board;
    match (&board.all_gone, &board.named_gone) {
        _ if board.status.is_none() => None,
        (Some(gone), _) => Some(format!("! no answer since {}, asking again: {}", clock(gone.since_ms), gone.why)),
        (None, Some(gone)) if board.is_elsewhere() => {
            let since = clock(gone.since_ms);
            let (named, source) = (scene.named, &board.source);
            Some(format!("! {named} is gone since {since}; this is what {source} tells until it is back"))
        }
        _ => None,
    }
}
