//! One quantity varied, everything else as in the setting: what becomes of latency, availability and expected accuracy.

use rocoin::planner::Objective;

use super::contest::{Contest, Entry};
use super::each::each;
use super::setting::Setting;
use crate::picture::chart::{Axis, Chart, Line};

/// Points of expected accuracy, below the best that all can reach, that every plan has to have: who is faster by being worse does not count.
const DROP: f64 = 1.0;

/// What is varied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knob {
    /// Number of devices.
    Devices,
    /// Fastest device's compute divided by the slowest's.
    Spread,
    /// Every device's memory.
    Memory,
    /// Every device's link rate.
    LinkRate,
    /// Every device's failure probability.
    Failure,
    /// ρ.
    Rho,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Median over the fleets, s; none where half of the fleets have none.
    Latency(Objective),
    /// Mean over the fleets.
    Availability,
    /// Mean over the fleets, %.
    ExpectedAccuracy,
}

impl Knob {
    /// In file names.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Devices => "devices",
            Self::Spread => "heterogeneity",
            Self::Memory => "memory",
            Self::LinkRate => "link-rate",
            Self::Failure => "failure-probability",
            Self::Rho => "rho",
        }
    }

    fn axis(self) -> Axis {
        match self {
            Self::Devices => Axis::log("devices"),
            Self::Spread => Axis::log("compute of the fastest device / of the slowest"),
            Self::Memory => Axis::log("memory of each device, MB"),
            Self::LinkRate => Axis::log("link rate of each device, kbit/s"),
            Self::Failure => Axis::linear("failure probability of each device and request"),
            Self::Rho => Axis::linear("rho: probability with which an answer is there in time"),
        }
    }

    fn values(self, setting: &Setting) -> Vec<f64> {
        match self {
            Self::Devices => vec![4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0],
            Self::Spread => vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0],
            Self::Memory => vec![0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0],
            Self::LinkRate => {
                let middle = (setting.link_bits_per_s.0 * setting.link_bits_per_s.1).sqrt() / 1e3;
                [0.25, 0.5, 1.0, 2.0, 4.0, 8.0].map(|times| times * middle).to_vec()
            }
            Self::Failure => vec![0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4],
            Self::Rho => vec![0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 0.995],
        }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few devices")]
    fn set(self, setting: &Setting, value: f64) -> Setting {
        let mut set = setting.clone();
        match self {
            Self::Devices => set.devices = value as usize,
            Self::Spread => return setting.with_spread(value),
            Self::Memory => set.memory_bytes = (value * 1e6, value * 1e6),
            Self::LinkRate => set.link_bits_per_s = (value * 1e3, value * 1e3),
            Self::Failure => set.failure_probability = (value, value),
            Self::Rho => set.rho = value,
        }
        set
    }
}

impl Look {
    const fn name(self) -> &'static str {
        match self {
            Self::Latency(Objective::Rho) => "rho-latency",
            Self::Latency(Objective::Nominal) => "nominal-latency",
            Self::Availability => "availability",
            Self::ExpectedAccuracy => "expected-accuracy",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Latency(Objective::Rho) => "Time within which an answer is there with probability rho",
            Self::Latency(Objective::Nominal) => "Time until the answer, if nobody fails",
            Self::Availability => "Probability that every part is answered",
            Self::ExpectedAccuracy => "Expected accuracy, no answer counting as wrong",
        }
    }

    fn axis(self) -> Axis {
        match self {
            Self::Latency(_) => Axis::log("s, median over the fleets"),
            Self::Availability => Axis::linear("mean over the fleets"),
            Self::ExpectedAccuracy => Axis::linear("%, mean over the fleets"),
        }
    }

    /// Of a plan; not finite where there is none.
    fn at(self, entry: Option<&Entry<'_>>) -> f64 {
        let value = entry.and_then(|Entry { plan, .. }| match self {
            Self::Latency(Objective::Rho) => plan.latency_rho_s,
            Self::Latency(Objective::Nominal) => Some(plan.latency_s),
            Self::Availability => Some(plan.availability),
            Self::ExpectedAccuracy => plan.expected_accuracy.map(|accuracy| 100.0 * accuracy),
        });
        value.unwrap_or(match self {
            Self::Latency(_) => f64::INFINITY,
            Self::Availability | Self::ExpectedAccuracy => 0.0,
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "some fleets")]
    fn over(self, mut found: Vec<f64>) -> f64 {
        match self {
            Self::Latency(_) => {
                found.sort_by(f64::total_cmp);
                found.get(found.len() / 2).copied().unwrap_or(f64::INFINITY)
            }
            Self::Availability | Self::ExpectedAccuracy => found.iter().sum::<f64>() / found.len() as f64,
        }
    }
}

/// A line a rival; the name of the figure's files, and the figure.
pub fn sweep(
    contest: &Contest,
    setting: &Setting,
    knob: Knob,
    look: Look,
    (fleets, seed, jobs): (usize, u64, usize),
) -> (String, Chart) {
    let rivals = contest.rivals();
    // Latency without accuracy is worth nothing; availability and accuracy are looked at as each would plan.
    let least = match look {
        Look::Latency(_) => Some(contest.common_best(&rivals) - DROP / 100.0),
        Look::Availability | Look::ExpectedAccuracy => None,
    };
    let values = knob.values(setting);
    let lines = rivals.iter().map(|rival| {
        let point = |value: &f64| {
            let set = knob.set(setting, *value);
            let found = each(fleets, jobs, |index| {
                let mut fleet = set.fleet(seed, index);
                if let Look::Latency(objective) = look {
                    fleet.plan.objective = objective;
                }
                look.at(contest.enter(*rival, &fleet, least).as_ref())
            });
            (*value, look.over(found))
        };
        Line { name: rival.label().to_owned(), points: values.iter().map(point).collect() }
    });
    let subtitle = match least {
        Some(least) => format!("expected accuracy at least {:.2} %; {}", 100.0 * least, setting.what),
        None => setting.what.to_owned(),
    };
    let title = look.title().to_owned();
    let chart = Chart { title, subtitle, x: knob.axis(), y: look.axis(), lines: lines.collect(), marks: true };
    (format!("{}-{}-by-{}", setting.name, look.name(), knob.name()), chart)
}

#[cfg(test)]
mod tests {
    use super::super::Rival;
    use super::super::fixture::contest;
    use super::*;

    const FEW: (usize, u64, usize) = (3, 1, 2);

    fn line(chart: &Chart, rival: Rival) -> Vec<f64> {
        chart.lines.iter().find(|line| line.name == rival.label()).unwrap().points.iter().map(|(_, y)| *y).collect()
    }

    #[test]
    fn availability_falls_with_failures_and_replicas_hold_it_up() {
        let setting = Setting { memory_bytes: (1e6, 1e6), ..Setting::PAPER };
        let (name, chart) = sweep(&contest(), &setting, Knob::Failure, Look::Availability, FEW);
        assert_eq!(name, "paper-availability-by-failure-probability");
        for rival in Rival::ALL {
            let line = line(&chart, rival);
            assert_eq!(line[0], 1.0, "{rival:?}");
            assert!(line.last() < line.first(), "{rival:?}: {line:?}");
        }
        assert!(line(&chart, Rival::Rocoin)[4] > line(&chart, Rival::Nonn)[4]);
    }

    #[test]
    fn surer_answers_take_longer() {
        let (_, chart) = sweep(&contest(), &Setting::BOARDS, Knob::Rho, Look::Latency(Objective::Rho), FEW);
        let ours = line(&chart, Rival::Ours);
        assert!(ours[0].is_finite() && ours[0] <= *ours.last().unwrap(), "{ours:?}");
    }

    #[test]
    fn every_knob_turns_what_it_is_called_after() {
        let devices = |setting: &Setting| setting.fleet(1, 0).devices;
        assert_eq!(devices(&Knob::Devices.set(&Setting::PAPER, 12.0)).len(), 12);
        assert_eq!(devices(&Knob::Memory.set(&Setting::PAPER, 1.5))[0].capability.memory_bytes, 1_500_000);
        assert!(
            (devices(&Knob::LinkRate.set(&Setting::PAPER, 2.0))[0].capability.link_bits_per_s - 2000.0).abs() < 1e-6
        );
        assert_eq!(devices(&Knob::Failure.set(&Setting::PAPER, 0.2))[0].capability.failure_probability, 0.2);
        assert_eq!(Knob::Rho.set(&Setting::PAPER, 0.5).fleet(1, 0).plan.rho, 0.5);
    }
}
