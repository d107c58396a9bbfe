//! The least of SVG: rectangles, lines, areas and text, numbers cut to a tenth of a pixel.

use std::fmt::Write as _;

/// A drawing, from back to front.
#[derive(Debug, Default)]
pub(crate) struct Svg(String);

/// How a text is set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    pub(crate) size: f64,
    pub(crate) colour: &'static str,
    /// `start`, `middle` or `end`.
    pub(crate) anchor: &'static str,
    pub(crate) bold: bool,
}

impl Svg {
    /// A filled box with a tooltip, which may be empty.
    pub(crate) fn rect(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), fill: &str, tip: &str) {
        _ = write!(self.0, r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{fill}""#);
        if tip.is_empty() {
            self.0 += "/>\n";
        } else {
            _ = writeln!(self.0, "><title>{}</title></rect>", escaped(tip));
        }
    }

    pub(crate) fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), colour: &str, dashed: bool) {
        let dashes = if dashed { r#" stroke-dasharray="2 3""# } else { "" };
        _ = writeln!(
            self.0,
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{colour}"{dashes}/>"#
        );
    }

    /// A filled area between points and a base line.
    pub(crate) fn area(&mut self, points: &[(f64, f64)], base: f64, fill: &str) {
        let (Some(first), Some(last)) = (points.first(), points.last()) else { return };
        _ = write!(self.0, r#"<path d="M{:.1} {base:.1}"#, first.0);
        points.iter().for_each(|(x, y)| _ = write!(self.0, "L{x:.1} {y:.1}"));
        _ = writeln!(self.0, r#"L{:.1} {base:.1}Z" fill="{fill}"/>"#, last.0);
    }

    pub(crate) fn path(&mut self, points: &[(f64, f64)], colour: &str) {
        let mut d = String::new();
        for (i, (x, y)) in points.iter().enumerate() {
            _ = write!(d, "{}{x:.1} {y:.1}", if i == 0 { 'M' } else { 'L' });
        }
        _ = writeln!(self.0, r#"<path d="{d}" fill="none" stroke="{colour}" stroke-width="1.2"/>"#);
    }

    pub(crate) fn text(&mut self, (x, y): (f64, f64), text: &str, style: Style) {
        let Style { size, colour, anchor, bold } = style;
        let weight = if bold { r#" font-weight="600""# } else { "" };
        _ = writeln!(
            self.0,
            r#"<text x="{x:.1}" y="{y:.1}" font-size="{size}" fill="{colour}" text-anchor="{anchor}"{weight}>{}</text>"#,
            escaped(text)
        );
    }

    /// Lays another drawing over this one.
    pub(crate) fn append(&mut self, over: Self) {
        self.0 += &over.0;
    }

    /// The whole file.
    pub(crate) fn finish(self, width: f64, height: f64) -> String {
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0}" height="{height:.0}" viewBox="0 0 {width:.0} {height:.0}" font-family="system-ui, Helvetica, Arial, sans-serif">
<rect width="100%" height="100%" fill="white"/>
{}</svg>
"#,
            self.0
        )
    }
}

/// Roughly how wide a text is.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "labels are short")]
    let characters = text.chars().count() as f64;
    characters * size * 0.56
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
