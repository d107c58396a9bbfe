//! The table as a picture: one panel a quantity, over the size of the fleet.

use super::Row;
use crate::picture::svg::{Style, Svg};

const PANEL: (f64, f64) = (280.0, 170.0);
const MARGIN: (f64, f64) = (70.0, 40.0);
const COLUMNS: usize = 3;
const LABEL: Style = Style { size: 11.0, colour: "#333", anchor: "middle", bold: false };
const LINE: &str = "#1f6fb2";

/// A quantity of a row, if it was measured.
type Quantity = fn(&Row) -> Option<f64>;

const PANELS: [(&str, Quantity); 6] = [
    ("control messages/s a node, idle", |row| Some(row.idle_messages_per_s)),
    ("control bytes/s a node, idle", |row| Some(row.idle_bytes_per_s)),
    ("first suspicion of a silent death, s", |row| Some(row.suspected_s.mean)),
    ("everybody has given it up, s", |row| Some(row.known_s.mean)),
    ("verdict to new plan everywhere, s", |row| Some(row.replanned_s.mean)),
    ("cold start to one whole mesh, s", |row| row.formed_s),
];

/// An SVG picture of the rows.
#[expect(clippy::cast_precision_loss, reason = "six panels")]
pub fn chart(rows: &[Row]) -> String {
    let mut svg = Svg::default();
    let (width, height) = (PANEL.0 + MARGIN.0, PANEL.1 + 2.0 * MARGIN.1);
    for (i, (title, quantity)) in PANELS.iter().enumerate() {
        let corner = (MARGIN.0 + width * (i % COLUMNS) as f64, MARGIN.1 + height * (i / COLUMNS) as f64);
        let measured = rows.iter().filter_map(|row| Some((row.nodes as f64, quantity(row)?)));
        let points: Vec<_> = measured.filter(|(_, value)| value.is_finite()).collect();
        panel(&mut svg, corner, title, &points);
    }
    svg.finish(width * COLUMNS as f64 + MARGIN.0 / 2.0, height * PANELS.len().div_ceil(COLUMNS) as f64)
}

fn panel(svg: &mut Svg, (left, top): (f64, f64), title: &str, points: &[(f64, f64)]) {
    let (right, bottom) = (left + PANEL.0, top + PANEL.1);
    let (first, last) = points.iter().fold((f64::MAX, 1.0_f64), |(a, b), (n, _)| (a.min(n.ln()), b.max(n.ln())));
    let most = points.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max) * 1.15;
    let at = |(nodes, value): &(f64, f64)| {
        let along = (nodes.ln() - first) / (last - first).max(f64::MIN_POSITIVE);
        (left + PANEL.0 * along, top + PANEL.1 * (1.0 - value / most))
    };
    svg.text((left, top - 12.0), title, Style { anchor: "start", bold: true, ..LABEL });
    svg.line((left, top), (left, bottom), "#888", false);
    svg.line((left, bottom), (right, bottom), "#888", false);
    for share in [0.0, 0.5, 1.0] {
        let label = format!("{:.2}", most * share);
        svg.text((left - 5.0, bottom - PANEL.1 * share + 4.0), &label, Style { anchor: "end", ..LABEL });
    }
    let line: Vec<_> = points.iter().map(at).collect();
    svg.path(&line, LINE);
    for ((nodes, _), (x, y)) in points.iter().zip(&line) {
        svg.rect((x - 2.5, y - 2.5), (5.0, 5.0), LINE, "");
        svg.text((*x, bottom + 16.0), &format!("{nodes}"), LABEL);
    }
}
