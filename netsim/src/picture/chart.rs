//! Lines over a quantity, as a picture and as a table.

use std::fmt::Write as _;

use super::svg::{Style, Svg};

const PANEL: (f64, f64) = (440.0, 260.0);
const MARGIN: (f64, f64) = (70.0, 62.0);
const LEGEND: f64 = 250.0;
/// Below the panel: the axis, its label, the note.
const FOOT: f64 = 84.0;
/// Along an axis, about.
const TICKS: f64 = 5.0;
const LABEL: Style = Style { size: 11.0, colour: "#333", anchor: "middle", bold: false };
const NOTE: Style = Style { size: 9.0, colour: "#777", anchor: "start", bold: false };
/// Told apart by people who see no red or no green, too (after Okabe and Ito).
const COLOURS: [&str; 8] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555", "#8a6d1f"];

/// What an axis shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// With its unit.
    pub label: String,
    /// Whether equal steps are equal ratios; values that are not positive are then left out.
    pub log: bool,
}

impl Axis {
    /// Equal steps are equal differences.
    pub fn linear(label: impl Into<String>) -> Self {
        Self { label: label.into(), log: false }
    }

    /// Equal steps are equal ratios.
    pub fn log(label: impl Into<String>) -> Self {
        Self { label: label.into(), log: true }
    }

    fn place(&self, value: f64) -> f64 {
        if self.log { value.ln() } else { value }
    }

    fn value(&self, place: f64) -> f64 {
        if self.log { place.exp() } else { place }
    }

    /// Round values within a range of places.
    fn ticks(&self, Range(low, high): &Range) -> Vec<f64> {
        let (low, high) = (self.value(*low), self.value(*high));
        if self.log {
            #[expect(clippy::cast_possible_truncation, reason = "an exponent")]
            let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
            let ticks = decades.flat_map(|decade| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(decade)));
            let ticks: Vec<f64> = ticks.filter(|tick| (low * 0.999..=high * 1.001).contains(tick)).collect();
            if ticks.len() >= 3 {
                // Over many decades the powers of ten are enough.
                let every = if ticks.len() > 9 { 3 } else { 1 };
                return ticks.into_iter().step_by(every).collect();
            }
        }
        let rough = (high - low) / TICKS;
        let decade = 10_f64.powf(rough.log10().floor());
        let step = [10.0, 5.0, 2.0, 1.0].map(|digit| digit * decade).into_iter().find(|step| *step <= 1.5 * rough);
        let step = step.unwrap_or(rough);
        let first = (low / step - 1e-9).ceil();
        (0..20_i32).map(|i| (first + f64::from(i)) * step).take_while(|tick| *tick <= high + step * 1e-9).collect()
    }

    fn shows(&self, value: f64) -> bool {
        value.is_finite() && (!self.log || value > 0.0)
    }
}

/// One series.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// For the legend.
    pub name: String,
    /// From left to right; what is not finite is left out of the picture and empty in the table.
    pub points: Vec<(f64, f64)>,
}

/// Some lines over one quantity.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Above the picture.
    pub title: String,
    /// Below the title.
    pub subtitle: String,
    /// What it is over.
    pub x: Axis,
    /// What is shown.
    pub y: Axis,
    /// At most eight are told apart.
    pub lines: Vec<Line>,
    /// Whether each point is drawn as a mark (measured places) or only the line (a distribution).
    pub marks: bool,
}

impl Chart {
    /// A table: `x`, then one column a line; empty where a line has no value. `note` precedes it, each line after `# `.
    pub fn csv(&self, note: &str) -> String {
        let mut text: String = note.lines().map(|line| format!("# {line}\n")).collect();
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let names: Vec<_> = self.lines.iter().map(|line| quoted(&line.name)).collect();
        _ = writeln!(text, "{},{}", quoted(&self.x.label), names.join(","));
        let mut places: Vec<f64> = self.lines.iter().flat_map(|line| line.points.iter().map(|(x, _)| *x)).collect();
        places.sort_by(f64::total_cmp);
        places.dedup();
        for place in places {
            let value = |line: &Line| {
                let found = line.points.iter().find(|(x, y)| x.total_cmp(&place).is_eq() && y.is_finite());
                found.map_or_else(String::new, |(_, y)| format!("{y}"))
            };
            _ = writeln!(text, "{place},{}", self.lines.iter().map(value).collect::<Vec<_>>().join(","));
        }
        text
    }

    /// An SVG picture with `note` below it, at most two lines.
    pub fn svg(&self, note: &str) -> String {
        let mut svg = Svg::default();
        let (left, top) = MARGIN;
        let (right, bottom) = (left + PANEL.0, top + PANEL.1);
        let shown = |line: &Line| {
            let points = line.points.iter().copied().filter(|(x, y)| self.x.shows(*x) && self.y.shows(*y));
            points.map(|(x, y)| (self.x.place(x), self.y.place(y))).collect::<Vec<_>>()
        };
        let lines: Vec<Vec<(f64, f64)>> = self.lines.iter().map(shown).collect();
        let (x, y) =
            (Range::of(lines.iter().flatten().map(|p| p.0), 0.0), Range::of(lines.iter().flatten().map(|p| p.1), 0.05));
        let at = |&(px, py): &(f64, f64)| (left + PANEL.0 * x.share(px), bottom - PANEL.1 * y.share(py));

        svg.text((left, top - 38.0), &self.title, Style { anchor: "start", bold: true, size: 13.0, ..LABEL });
        svg.text((left, top - 22.0), &self.subtitle, Style { anchor: "start", ..LABEL });
        for tick in self.y.ticks(&y) {
            let up = bottom - PANEL.1 * y.share(self.y.place(tick));
            svg.line((left, up), (right, up), "#e4e4e4", false);
            svg.text((left - 6.0, up + 4.0), &number(tick), Style { anchor: "end", ..LABEL });
        }
        for tick in self.x.ticks(&x) {
            let across = left + PANEL.0 * x.share(self.x.place(tick));
            svg.line((across, bottom), (across, bottom + 4.0), "#888", false);
            svg.text((across, bottom + 16.0), &number(tick), LABEL);
        }
        svg.line((left, top), (left, bottom), "#888", false);
        svg.line((left, bottom), (right, bottom), "#888", false);
        svg.text((left + PANEL.0 / 2.0, bottom + 34.0), &self.x.label, LABEL);
        svg.text((left, top - 6.0), &self.y.label, Style { anchor: "start", ..LABEL });

        let mut legend = top + 8.0;
        for ((line, points), colour) in self.lines.iter().zip(&lines).zip(COLOURS.iter().cycle()) {
            let points: Vec<_> = points.iter().map(at).collect();
            svg.path(&points, colour);
            if self.marks {
                points.iter().for_each(|(x, y)| svg.rect((x - 2.5, y - 2.5), (5.0, 5.0), colour, &line.name));
            }
            svg.rect((right + 14.0, legend - 8.0), (9.0, 9.0), colour, "");
            let name = if points.is_empty() { format!("{} (none)", line.name) } else { line.name.clone() };
            svg.text((right + 28.0, legend), &name, Style { anchor: "start", ..LABEL });
            legend += 17.0;
        }
        for (line, down) in note.lines().zip([26.0, 14.0]) {
            svg.text((10.0, bottom + FOOT - down), line, NOTE);
        }
        svg.finish(right + LEGEND, bottom + FOOT)
    }
}

/// What an axis spans.
struct Range(f64, f64);

impl Range {
    /// From the least to the greatest, and a share of that more at each end.
    fn of(places: impl Iterator<Item = f64>, more: f64) -> Self {
        let (low, high) = places.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), p| (low.min(p), high.max(p)));
        match high - low {
            span if span > 0.0 => Self(low - more * span, high + more * span),
            0.0 => Self(low - 0.5, high + 0.5),
            _ => Self(0.0, 1.0),
        }
    }

    fn share(&self, place: f64) -> f64 {
        (place - self.0) / (self.1 - self.0)
    }
}

/// As people write it: round, and not longer than it has to be.
fn number(value: f64) -> String {
    let size = value.abs();
    let text = match size {
        _ if size >= 1e6 => return format!("{}M", number(value / 1e6)),
        _ if size > 0.0 && size < 1e-3 => return format!("{value:.0e}"),
        _ => format!("{value:.4}"),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(log: bool, lines: &[(&str, &[(f64, f64)])]) -> Chart {
        let line = |(name, points): &(&str, &[(f64, f64)])| Line { name: (*name).to_owned(), points: points.to_vec() };
        let x = Axis { label: "devices".to_owned(), log };
        Chart {
            title: "t".to_owned(),
            subtitle: String::new(),
            x,
            y: Axis::linear("s"),
            lines: lines.iter().map(line).collect(),
            marks: true,
        }
    }

    #[test]
    fn the_table_has_a_row_a_place_and_nothing_where_a_line_has_no_value() {
        let chart = chart(false, &[("a", &[(1.0, 5.0), (2.0, f64::INFINITY)]), ("b", &[(2.0, 0.5)])]);
        assert_eq!(chart.csv("by hand\nseed 1"), "# by hand\n# seed 1\n\"devices\",\"a\",\"b\"\n1,5,\n2,,0.5\n");
    }

    #[test]
    fn a_line_without_values_is_named_so_and_numbers_that_are_none_are_not_drawn() {
        let svg = chart(true, &[("a", &[(0.0, 5.0), (2.0, f64::NAN)]), ("b", &[(2.0, 0.5), (8.0, 1.0)])]).svg("seed 1");
        assert!(svg.contains("a (none)") && svg.contains("seed 1"), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn ticks_are_round_and_lie_within_the_axis() {
        let texts = |axis: Axis, low: f64, high: f64| {
            let range = Range(axis.place(low), axis.place(high));
            axis.ticks(&range).into_iter().map(number).collect::<Vec<_>>()
        };
        assert_eq!(texts(Axis::linear(""), 0.0, 8.0), ["0", "2", "4", "6", "8"]);
        assert_eq!(texts(Axis::linear(""), -4.6, 97.0), ["0", "20", "40", "60", "80"]);
        assert_eq!(texts(Axis::log(""), 0.5, 4.0), ["0.5", "1", "2"]);
        assert_eq!(texts(Axis::log(""), 0.0576, 1.11), ["0.1", "0.2", "0.5", "1"]);
        assert_eq!(texts(Axis::log(""), 0.91, 0.97), ["0.91", "0.92", "0.93", "0.94", "0.95", "0.96", "0.97"]);
    }

    #[test]
    fn equal_ratios_are_equal_steps_on_a_logarithmic_axis() {
        let axis = Axis::log("n");
        let [one, two, four] = [1.0, 2.0, 4.0].map(|value| axis.place(value));
        assert!((two - one - (four - two)).abs() < 1e-12);
        assert!((axis.value(two) - 2.0).abs() < 1e-12);
    }
}
