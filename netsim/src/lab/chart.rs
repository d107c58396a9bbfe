//! Measurements as a picture: one panel a target and mesh, each series as the share of trials that were not slower.

use super::measure::{Measured, Series};
use crate::picture::svg::{Style, Svg};

const PANEL: (f64, f64) = (420.0, 150.0);
const CELL: (f64, f64) = (500.0, 270.0);
const MARGIN: (f64, f64) = (50.0, 30.0);
const COLUMNS: usize = 2;
const LABEL: Style = Style { size: 11.0, colour: "#333", anchor: "start", bold: false };
const COLOURS: [&str; 6] = ["#1f6fb2", "#c05a1c", "#3a8f3a", "#8a4fb0", "#b08a1c", "#555555"];

/// An SVG picture.
#[expect(clippy::cast_precision_loss, reason = "a few panels")]
pub fn chart(all: &[Measured]) -> String {
    let mut svg = Svg::default();
    let drawn: Vec<&Measured> = all.iter().filter(|m| m.series.iter().any(|s| !s.values.is_empty())).collect();
    for (i, measured) in drawn.iter().enumerate() {
        let corner = (MARGIN.0 + CELL.0 * (i % COLUMNS) as f64, MARGIN.1 + CELL.1 * (i / COLUMNS) as f64);
        panel(&mut svg, corner, measured);
    }
    svg.finish(MARGIN.0 + CELL.0 * COLUMNS as f64, MARGIN.1 + CELL.1 * drawn.len().div_ceil(COLUMNS) as f64)
}

#[expect(clippy::cast_precision_loss, reason = "a few series of some trials")]
fn panel(svg: &mut Svg, (left, top): (f64, f64), measured: &Measured) {
    let bottom = top + PANEL.1;
    let title = format!("{}, {} nodes: {}", measured.target, measured.nodes, measured.target.what());
    svg.text((left, top - 10.0), &title, Style { bold: true, ..LABEL });
    svg.line((left, top), (left, bottom), "#888", false);
    svg.line((left, bottom), (left + PANEL.0, bottom), "#888", false);
    let limits = |series: &Series| series.limits.iter().map(|limit| limit.most).collect::<Vec<_>>();
    let all = measured.series.iter().flat_map(|series| series.values.iter().copied().chain(limits(series)));
    let most = all.fold(f64::MIN_POSITIVE, f64::max) * 1.08;
    let x = |value: f64| left + PANEL.0 * value / most;
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let label = format!("{:.*}", if most < 10.0 { 2 } else { 0 }, most * share);
        svg.text((left + PANEL.0 * share, bottom + 14.0), &label, Style { anchor: "middle", ..LABEL });
    }
    for (i, series) in measured.series.iter().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        let mut sorted = series.values.clone();
        sorted.sort_by(f64::total_cmp);
        let count = series.trials().max(1) as f64;
        let mut line = vec![(left, bottom)];
        for (rank, value) in sorted.iter().enumerate() {
            line.push((x(*value), bottom - PANEL.1 * rank as f64 / count));
            line.push((x(*value), bottom - PANEL.1 * (rank + 1) as f64 / count));
        }
        svg.path(&line, colour);
        for limit in &series.limits {
            svg.line((x(limit.most), top), (x(limit.most), bottom), colour, true);
        }
        let at = (left + 4.0, bottom + 30.0 + 13.0 * i as f64);
        svg.rect((left - 8.0, at.1 - 8.0), (8.0, 8.0), colour, "");
        svg.text(at, &format!("{}, {}", series.name, series.unit), LABEL);
    }
}
