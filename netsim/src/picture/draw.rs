//! From what was gathered to lanes on paper.

use super::members::Condition;
use super::svg::{self, Style, Svg};
use super::{Captions, Picture};
use crate::fact::HostId;

const WIDTH: f64 = 1240.0;
const LEFT: f64 = 104.0;
const RIGHT: f64 = 24.0;
const PLOT: f64 = WIDTH - LEFT - RIGHT;
const GAP: f64 = 14.0;
/// Fault labels stand in so many rows; what finds no room keeps its line, and its tooltip.
const LABEL_ROWS: usize = 6;
const LABEL_HEIGHT: f64 = 13.0;
/// More members than this are counted, not drawn one by one.
const ROWS_MAX: usize = 128;

const INK: &str = "#222";
const FAINT: &str = "#777";
const GRID: &str = "#e6e6e6";
const FAULT: &str = "#b9b9b9";
const GOOD: &str = "#4c9f70";
const FAIR: &str = "#f0b429";
const BAD: &str = "#c0392b";
const BLUE: &str = "#a9cce3";
const DARK_BLUE: &str = "#1f4e79";
/// Tableau's ten, for leaders.
const PALETTE: [&str; 10] =
    ["#4e79a7", "#f28e2b", "#e15759", "#76b7b2", "#59a14f", "#edc948", "#b07aa1", "#ff9da7", "#9c755f", "#bab0ac"];

const SMALL: Style = Style { size: 10.5, colour: FAINT, anchor: "start", bold: false };
const LANE: Style = Style { size: 11.5, colour: INK, anchor: "end", bold: false };

struct Canvas<'a> {
    picture: &'a Picture,
    svg: Svg,
    end_s: f64,
    /// The lanes' bottom so far.
    y: f64,
}

pub(super) fn picture(picture: &Picture, captions: Captions<'_>) -> String {
    let mut canvas = Canvas { picture, svg: Svg::default(), end_s: picture.end_s.max(1e-3), y: 0.0 };
    canvas.head(captions);
    let labels = canvas.labels();
    let top = canvas.y;
    canvas.y += GAP / 2.0;
    // Lines and grid lie behind the lanes, whose height is known only afterwards.
    let mut lanes = Canvas { picture, svg: Svg::default(), end_s: canvas.end_s, y: canvas.y };
    lanes.leaders();
    lanes.epochs();
    if picture.members.len() > ROWS_MAX {
        lanes.member_counts();
    } else {
        lanes.member_rows();
    }
    lanes.served();
    lanes.requests();
    let bottom = lanes.y;
    canvas.grid(top, bottom);
    canvas.fault_lines(&labels, top, bottom);
    canvas.mark_end(captions, top, bottom);
    canvas.svg.append(lanes.svg);
    canvas.svg.finish(WIDTH, bottom + 40.0)
}

impl Canvas<'_> {
    fn x(&self, at_s: f64) -> f64 {
        LEFT + PLOT * (at_s / self.end_s).clamp(0.0, 1.0)
    }

    fn lane(&mut self, name: &str, middle: f64) {
        self.svg.text((LEFT - 10.0, middle + 4.0), name, LANE);
    }

    fn head(&mut self, captions: Captions<'_>) {
        self.svg.text((16.0, 26.0), captions.title, Style { size: 17.0, colour: INK, anchor: "start", bold: true });
        self.svg.text((16.0, 45.0), captions.subtitle, Style { size: 12.0, ..SMALL });
        let legend = [
            (BLUE, "up"),
            (FAIR, "stands still"),
            ("#b39ddb", "cut off"),
            (DARK_BLUE, "leads"),
            (GOOD, "complete"),
            (FAIR, "degraded"),
            (BAD, "failed"),
        ];
        let widths: f64 = legend.iter().map(|(_, text)| 26.0 + svg::width(text, SMALL.size)).sum();
        let mut x = WIDTH - RIGHT - widths;
        for (colour, text) in legend {
            self.svg.rect((x, 15.0), (10.0, 10.0), colour, "");
            self.svg.text((x + 14.0, 24.0), text, SMALL);
            x += 26.0 + svg::width(text, SMALL.size);
        }
        self.y = 62.0;
    }

    /// Where each fault's label stands: its row, if it found room.
    fn labels(&mut self) -> Vec<Option<f64>> {
        let mut free = [f64::NEG_INFINITY; LABEL_ROWS];
        let mut rows_used = 0;
        let mut labels = Vec::new();
        for (at_s, text) in &self.picture.faults {
            let width = svg::width(text, SMALL.size);
            let x = self.x(*at_s).min(WIDTH - 4.0 - width);
            let row = free.iter().position(|end| *end < x);
            if let Some(row) = row {
                free[row] = x + width + 8.0;
                rows_used = rows_used.max(row + 1);
            }
            labels.push(row);
        }
        let row_y = |row: usize| self.y + LABEL_HEIGHT * steps(row) + 9.0;
        let labels = labels.into_iter().map(|row| row.map(row_y)).collect();
        self.y += LABEL_HEIGHT * steps(rows_used);
        labels
    }

    fn fault_lines(&mut self, labels: &[Option<f64>], top: f64, bottom: f64) {
        for ((at_s, text), label) in self.picture.faults.iter().zip(labels) {
            let x = self.x(*at_s);
            self.svg.line((x, label.unwrap_or(top)), (x, bottom), FAULT, true);
            if let Some(y) = label {
                let left = x.min(WIDTH - 4.0 - svg::width(text, SMALL.size));
                self.svg.text((left + 3.0, *y), text, Style { colour: "#8a3b12", ..SMALL });
            }
        }
    }

    fn mark_end(&mut self, captions: Captions<'_>, top: f64, bottom: f64) {
        if let Some(calm_s) = self.picture.calm_s {
            let x = self.x(calm_s);
            self.svg.rect((x, top), ((self.x(self.end_s) - x).max(1.0), bottom - top), "#eef7f1", "faults are over");
            self.svg.line((x, top), (x, bottom), GOOD, false);
        }
        if let Some((at, invariant)) = captions.violation {
            let x = self.x(crate::invariant::seconds(at));
            self.svg.line((x, top), (x, bottom), BAD, false);
            let style = Style { size: 12.0, colour: BAD, anchor: "end", bold: true };
            self.svg.text((x - 4.0, bottom + 32.0), &format!("{invariant} broke here"), style);
        }
    }

    fn grid(&mut self, top: f64, bottom: f64) {
        let step = tick(self.end_s / 12.0);
        for i in 0.. {
            let at_s = f64::from(i) * step;
            if at_s > self.end_s {
                break;
            }
            let x = self.x(at_s);
            self.svg.line((x, top), (x, bottom), GRID, false);
            let text = if i == 0 { "0 s".to_owned() } else { format!("{}", (at_s * 1e6).round() / 1e6) };
            self.svg.text((x, bottom + 16.0), &text, Style { anchor: "middle", ..SMALL });
        }
    }

    fn leaders(&mut self) {
        let height = 18.0;
        self.lane("leader", self.y + height / 2.0);
        let ends = self.picture.leaders.iter().skip(1).map(|(at, _)| *at).chain([self.end_s]);
        for ((from, led), to) in self.picture.leaders.iter().zip(ends) {
            let (x, width) = (self.x(*from), self.x(to) - self.x(*from));
            let Some(host) = led else {
                self.svg.rect((x, self.y + 7.0), (width.max(1.0), 4.0), "#d9d9d9", "no leader that most follow");
                continue;
            };
            self.svg.rect((x, self.y), (width.max(0.7), height), colour(*host), &format!("{host} from {from:.2} s"));
            let name = host.to_string();
            if width > svg::width(&name, 11.0) + 4.0 {
                let style = Style { size: 11.0, colour: "white", anchor: "middle", bold: true };
                self.svg.text((x + width / 2.0, self.y + 13.0), &name, style);
            }
        }
        self.y += height + 4.0;
    }

    fn epochs(&mut self) {
        self.lane("new epoch", self.y + 6.0);
        for (at_s, epoch) in &self.picture.epochs {
            let x = self.x(*at_s);
            self.svg.rect((x - 1.0, self.y), (2.0, 12.0), INK, &format!("epoch {epoch} at {at_s:.2} s"));
        }
        self.y += 12.0 + GAP;
    }

    fn member_rows(&mut self) {
        let count = self.picture.members.len();
        let height = (420.0 / steps(count.max(1))).clamp(3.0, 16.0);
        let (bar, every) = (height * 0.8, if height >= 11.0 { 1 } else { 10 });
        for (row, (host, spans)) in self.picture.members.spans(self.end_s).enumerate() {
            if row % every == 0 {
                self.lane(&host.to_string(), self.y + bar / 2.0);
            }
            for (from, to, condition) in spans {
                let (x, width) = (self.x(from), self.x(to) - self.x(from));
                let (inset, fill) = look(condition);
                let size = (width.max(0.7), bar * (1.0 - 2.0 * inset));
                self.svg.rect((x, self.y + bar * inset), size, fill, &tip(host, condition, from, to));
            }
            self.leads(host, bar);
            self.y += height;
        }
        self.y += GAP;
    }

    /// A dark stripe where most follow this member.
    fn leads(&mut self, host: HostId, bar: f64) {
        let ends = self.picture.leaders.iter().skip(1).map(|(at, _)| *at).chain([self.end_s]);
        for ((from, led), to) in self.picture.leaders.iter().zip(ends) {
            if *led == Some(host) {
                let (x, width) = (self.x(*from), self.x(to) - self.x(*from));
                self.svg.rect((x, self.y + bar * 0.38), (width.max(0.7), bar * 0.24), DARK_BLUE, "");
            }
        }
    }

    fn member_counts(&mut self) {
        let (height, total) = (150.0, steps(self.picture.members.len()));
        self.lane("members", self.y + height / 2.0);
        self.lane(&format!("{total}"), self.y + 4.0);
        self.lane("0", self.y + height);
        let times: Vec<f64> = (0..=600).map(|i| self.end_s * f64::from(i) / 600.0).collect();
        let counts = self.picture.members.counts(&times);
        let base = self.y + height;
        // From the tallest sum to the smallest, each over the one before it.
        for (top, condition) in Condition::ALL.into_iter().enumerate().rev() {
            let sum = |count: &[usize; 4]| steps(count[..=top].iter().sum());
            let points: Vec<_> =
                times.iter().zip(&counts).map(|(t, count)| (self.x(*t), base - height * sum(count) / total)).collect();
            let fill = if condition == Condition::Gone { "#ececec" } else { look(condition).1 };
            self.svg.area(&points, base, fill);
        }
        self.y = base + GAP;
    }

    fn served(&mut self) {
        let height = 46.0;
        let base = self.y + height;
        self.lane("parts served", self.y + height / 2.0);
        self.svg.text((LEFT - 10.0, self.y + 8.0), "all", Style { anchor: "end", ..SMALL });
        self.svg.text((LEFT - 10.0, base), "none", Style { anchor: "end", ..SMALL });
        let stairs = |share: fn(&super::Served) -> f64| {
            let mut points: Vec<(f64, f64)> = Vec::new();
            for served in &self.picture.served {
                let (x, y) = (self.x(served.at_s), base - height * share(served));
                if let Some(last) = points.last().copied() {
                    points.push((x, last.1));
                }
                points.push((x, y));
            }
            points
        };
        let (mean, least) = (stairs(super::Served::mean), stairs(|served| served.least));
        self.svg.area(&mean, base, "#cfe8d8");
        self.svg.path(&least, GOOD);
        self.svg.line((LEFT, base), (LEFT + PLOT, base), FAINT, false);
        self.y = base + GAP;
    }

    fn requests(&mut self) {
        let height = 96.0;
        let base = self.y + height;
        self.lane("requests/s", self.y + height / 2.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of seconds")]
        let bin = ((self.end_s / 250.0).ceil() as u64).max(1);
        let mut bins = std::collections::BTreeMap::<u64, [u32; 3]>::new();
        for (second, answers) in &self.picture.requests {
            let counts = bins.entry(second / bin).or_default();
            let parts = [answers.complete, answers.degraded, answers.failed];
            counts.iter_mut().zip(parts).for_each(|(count, part)| *count += part);
        }
        #[expect(clippy::cast_precision_loss, reason = "seconds")]
        let seconds = |bins: u64| (bins * bin) as f64;
        let most = bins.values().map(|counts| f64::from(counts.iter().sum::<u32>())).fold(0.0, f64::max) / seconds(1);
        let top = most.max(1e-9);
        self.svg.text(
            (LEFT - 10.0, self.y + 8.0),
            &format!("{most:.*}", if most < 10.0 { 2 } else { 0 }),
            Style { anchor: "end", ..SMALL },
        );
        for (index, counts) in &bins {
            let (x, end) = (self.x(seconds(*index)), self.x(seconds(*index + 1)));
            let mut y = base;
            for (count, fill) in counts.iter().zip([GOOD, FAIR, BAD]) {
                let tall = height * f64::from(*count) / seconds(1) / top;
                y -= tall;
                if *count > 0 {
                    let tip = format!("{count} from {} s", seconds(*index));
                    self.svg.rect((x, y), ((end - x - 0.5).max(0.5), tall), fill, &tip);
                }
            }
        }
        self.svg.line((LEFT, base), (LEFT + PLOT, base), FAINT, false);
        self.y = base;
    }
}

/// How much of a bar is left free above and below, and its colour.
fn look(condition: Condition) -> (f64, &'static str) {
    match condition {
        Condition::Up => (0.0, BLUE),
        Condition::Still => (0.0, FAIR),
        Condition::CutOff => (0.0, "#b39ddb"),
        Condition::Gone => (0.45, "#cfcfcf"),
    }
}

fn tip(host: HostId, condition: Condition, from: f64, to: f64) -> String {
    let word = match condition {
        Condition::Up => "up",
        Condition::Still => "stands still",
        Condition::CutOff => "cut off",
        Condition::Gone => "gone",
    };
    format!("{host} {word} from {from:.2} s to {to:.2} s")
}

fn colour(host: HostId) -> &'static str {
    PALETTE[usize::try_from(host.0).unwrap_or(0) % PALETTE.len()]
}

/// 1, 2 or 5 times a power of ten, no less than this.
fn tick(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|step| *step >= least).unwrap_or(10.0 * power)
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows and members")]
fn steps(count: usize) -> f64 {
    count as f64
}
