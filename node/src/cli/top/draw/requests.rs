//! The requests that the node took in the last minute: figures, and a chart by the second.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Sparkline, SparklineBar, Widget as _};

use super::units::duration;
use super::{Scene, below, row, title};
use crate::observe::recent::{SECONDS, Second};

/// Columns before a chart, and after it, where its greatest value stands.
const BEFORE: u16 = 9;
const AFTER: u16 = 9;
/// Seconds over which the rate is taken.
const RATE_OVER: usize = 5;

/// Draws it.
pub(super) fn draw(scene: &Scene<'_>, area: Rect, frame: &mut Buffer) {
    if area.height == 0 {
        return;
    }
    title(scene, area, frame, "requests", Span::styled("to this node, in the last minute", scene.theme.text()), false);
    let area = below(area);
    figures(scene, &scene.board.seconds).render(row(area, 0), frame);
    // Above and below the marks equally many rows; with one row for all that there is no chart.
    let high = area.height.saturating_sub(2) / 2;
    if high == 0 {
        return;
    }
    let columns = area.width.saturating_sub(BEFORE + AFTER);
    let seconds = &scene.board.seconds;
    let shown = &seconds[seconds.len().saturating_sub(usize::from(columns))..];
    let top = Rect { y: area.y + 1, height: high, ..area };
    rate(scene, shown, top, frame);
    marks(scene, shown).render(row(area, 1 + high), frame);
    latency(scene, shown, Rect { y: top.y + high + 1, ..top }, frame);
}

fn figures<'a>(scene: &Scene<'_>, seconds: &[Second]) -> Line<'a> {
    let theme = scene.theme;
    let sum = |of: fn(&Second) -> u32| seconds.iter().map(|second| u64::from(of(second))).sum::<u64>();
    let (answered, degraded, failed) = (sum(|s| s.answered), sum(|s| s.degraded), sum(|s| s.failed));
    let last = &seconds[seconds.len().saturating_sub(RATE_OVER)..];
    let recent: u64 = last.iter().map(all).sum();
    let tenths = 10 * recent / (last.len().max(1) as u64);
    let slowest = seconds.iter().rev().find(|second| second.p50_us.is_some());
    let at_most = |us: Option<u64>| us.map_or_else(|| "–".to_owned(), |us| format!("≤ {}", duration(us)));
    let some = |count: u64, style: Style| if count > 0 { style } else { Style::new() };
    Line::from(vec![
        Span::styled(format!("{}.{} /s", tenths / 10, tenths % 10), theme.title()),
        Span::raw(format!("   p50 {}", at_most(slowest.and_then(|s| s.p50_us)))),
        Span::raw(format!("   p99 {}   ", at_most(slowest.and_then(|s| s.p99_us)))),
        Span::raw(format!("{answered} answered, ")),
        Span::styled(format!("{degraded} degraded"), some(degraded, theme.doubt())),
        Span::raw(", "),
        Span::styled(format!("{failed} failed"), some(failed, theme.bad())),
    ])
}

fn rate(scene: &Scene<'_>, seconds: &[Second], area: Rect, frame: &mut Buffer) {
    let theme = scene.theme;
    let style = |second: &Second| match (second.failed, second.degraded) {
        (0, 0) => theme.good(),
        (0, _) => theme.doubt(),
        _ => theme.bad(),
    };
    let bars: Vec<_> = seconds.iter().map(|second| (Some(all(second)), style(second))).collect();
    let most = bars.iter().filter_map(|(count, _)| *count).max().unwrap_or(0);
    chart(scene, area, frame, "rate", &format!("{most} /s"), most, &bars);
}

fn latency(scene: &Scene<'_>, seconds: &[Second], area: Rect, frame: &mut Buffer) {
    let bars: Vec<_> = seconds.iter().map(|second| (second.p99_us, scene.theme.plan())).collect();
    let most = bars.iter().filter_map(|(us, _)| *us).max();
    let scale = most.map_or_else(|| "–".to_owned(), duration);
    chart(scene, area, frame, "p99", &scale, most.unwrap_or(0), &bars);
}

/// Letters below the seconds with degraded and failed requests.
fn marks<'a>(scene: &Scene<'_>, seconds: &[Second]) -> Line<'a> {
    let theme = scene.theme;
    let label = format!("{:<width$}", "d F", width = usize::from(BEFORE));
    let marks = seconds.iter().map(|second| match (second.failed, second.degraded) {
        (0, 0) => Span::raw(" "),
        (0, _) => Span::styled("d", theme.doubt()),
        _ => Span::styled("F", theme.bad()),
    });
    Line::from(std::iter::once(Span::styled(label, theme.soft())).chain(marks).collect::<Vec<_>>())
}

/// Bars with a name before them and the greatest value behind.
fn chart(
    scene: &Scene<'_>,
    area: Rect,
    frame: &mut Buffer,
    name: &str,
    scale: &str,
    most: u64,
    bars: &[(Option<u64>, Style)],
) {
    let soft = scene.theme.soft();
    Line::styled(name.to_owned(), soft).render(row(area, 0), frame);
    let width = u16::try_from(bars.len()).unwrap_or(u16::MAX);
    let of_bars = Rect { x: area.x + BEFORE, width: width.min(area.width.saturating_sub(BEFORE)), ..area };
    let bars = bars.iter().map(|(value, style)| SparklineBar::from(*value).style(Some(*style)));
    Sparkline::default().data(bars).max(most.max(1)).render(of_bars, frame);
    let x = of_bars.right() + 1;
    let behind = Rect { x, width: area.right().saturating_sub(x), ..area };
    Line::styled(scale.to_owned(), soft).render(row(behind, 0), frame);
}

/// All requests of a second, answered or not.
fn all(second: &Second) -> u64 {
    u64::from(second.answered) + u64::from(second.failed)
}

const _: () = assert!(SECONDS == 60 && 80 - BEFORE - AFTER >= 60, "a minute fits into 80 columns");
