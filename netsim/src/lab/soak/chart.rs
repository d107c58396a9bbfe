//! A soak as a picture: requests by outcome, faults, memory and descriptors over time.

use super::{Sample, SoakReport, WITNESSES};
use crate::picture::svg::{Style, Svg};

const LEFT: f64 = 70.0;
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 110.0;
const GAP: f64 = 50.0;
const LABEL: Style = Style { size: 11.0, colour: "#333", anchor: "start", bold: false };
const COLOURS: [&str; 2] = ["#1f6fb2", "#c05a1c"];

/// What one line of a panel shows of a sample.
type Line<'a> = (&'static str, Box<dyn Fn(&Sample) -> f64 + 'a>);

/// An SVG picture of the report.
#[expect(clippy::cast_precision_loss, reason = "counts and bytes of a picture")]
pub fn chart(report: &SoakReport) -> String {
    let end = report.samples.last().map_or(1.0, |sample| sample.at_s).max(1.0);
    let mut svg = Svg::default();
    let requests: [Line<'_>; 2] = [
        ("#9fc5e8", Box::new(|s: &Sample| s.requests.total() as f64)),
        ("#c05a1c", Box::new(|s: &Sample| (s.requests.degraded + s.requests.failed) as f64)),
    ];
    let witness = |of: fn(&Sample, usize) -> f64| -> Vec<Line<'_>> {
        (0..WITNESSES.min(report.nodes))
            .map(|i| -> Line<'_> { (COLOURS[i % COLOURS.len()], Box::new(move |s: &Sample| of(s, i))) })
            .collect()
    };
    let slowest: [Line<'_>; 1] = [(COLOURS[0], Box::new(|s: &Sample| s.slowest_ms))];
    let panels: [(&str, &[Line<'_>]); 4] = [
        ("requests a sample (blue), of these degraded or failed (orange)", &requests),
        ("slowest answer of a sample, ms", &slowest),
        ("resident memory of the witnesses, MB", &witness(|s, i| s.resident_bytes[i] as f64 / 1e6)),
        ("open descriptors of the witnesses", &witness(|s, i| s.descriptors[i] as f64)),
    ];
    let mut top = GAP;
    for (title, lines) in panels {
        panel(&mut svg, top, title, report, end, lines);
        top += HEIGHT + GAP;
    }
    for fault in &report.faults {
        let (x, width) = (LEFT + WIDTH * fault.at_s / end, (WIDTH * fault.lasts_s / end).max(1.5));
        svg.rect((x, top - GAP + 14.0), (width, 10.0), "#a33", &format!("{:.1} s: {}", fault.at_s, fault.what));
    }
    svg.text((LEFT, top - GAP + 8.0), "faults (point at one to read it)", LABEL);
    svg.finish(LEFT + WIDTH + 30.0, top + 10.0)
}

fn panel(svg: &mut Svg, top: f64, title: &str, report: &SoakReport, end: f64, lines: &[Line<'_>]) {
    let values = report.samples.iter().flat_map(|sample| lines.iter().map(move |(_, of)| of(sample)));
    let most = values.fold(f64::MIN_POSITIVE, f64::max) * 1.1;
    svg.text((LEFT, top - 8.0), title, Style { bold: true, ..LABEL });
    svg.line((LEFT, top), (LEFT, top + HEIGHT), "#888", false);
    svg.line((LEFT, top + HEIGHT), (LEFT + WIDTH, top + HEIGHT), "#888", false);
    for share in [0.0, 0.5, 1.0] {
        let at = (LEFT - 6.0, top + HEIGHT * (1.0 - share) + 4.0);
        svg.text(at, &format!("{:.0}", most * share), Style { anchor: "end", ..LABEL });
    }
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let at = (LEFT + WIDTH * share, top + HEIGHT + 14.0);
        svg.text(at, &format!("{:.0} s", end * share), Style { anchor: "middle", ..LABEL });
    }
    for (colour, of) in lines {
        let at = |sample: &Sample| (LEFT + WIDTH * sample.at_s / end, top + HEIGHT * (1.0 - of(sample) / most));
        svg.path(&report.samples.iter().map(at).collect::<Vec<_>>(), colour);
    }
}
