//! The clock. The mesh does not need it, people and certificates do.

use crate::doctor::facts::{Facts, Http, Reached};
use crate::doctor::finding::{Area, Code, Finding};

const AREA: Area = Area::Clock;
/// 2024-01-01, UTC: before the first version of this program, so that no right clock shows less.
const PLAUSIBLE_FROM_UNIX_S: u64 = 1_704_067_200;
/// Clocks that are this near tell one story in two logs. Ours.
const DIFFERENCE_S_MAX: u64 = 5;
const NOT_NEEDED: &str =
    "the mesh needs no clock that is right: deadlines are durations, and nothing compares two devices' clocks";

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![own(facts.clock.unix_s)];
    for target in &facts.targets {
        if let Reached::Http { url, http: Http::Node { ahead_s: Some(ahead_s), .. } } = &target.outcome {
            findings.push(compared(url, *ahead_s));
        }
    }
    findings
}

fn own(unix_s: u64) -> Finding {
    if unix_s >= PLAUSIBLE_FROM_UNIX_S {
        return Finding::well(AREA, Code::ClockPlausible, "the clock shows a plausible time").because(NOT_NEEDED);
    }
    Finding::wrong(AREA, Code::ClockImplausible, "the clock shows a time before 2024")
        .because(
            "boards without a battery start so until they have asked the network. The mesh works all the same, but the times in \
             logs are wrong, and downloads over TLS fail",
        )
        .mend("sudo timedatectl set-ntp true")
        .mend("where there is no network time: sudo date --set='2026-01-31 12:00'    # with the right time")
}

fn compared(url: &str, ahead_s: i64) -> Finding {
    if ahead_s.unsigned_abs() <= DIFFERENCE_S_MAX {
        return Finding::well(AREA, Code::ClockAgrees, format!("agrees with that of {url} to {DIFFERENCE_S_MAX} s"));
    }
    let how = if ahead_s > 0 { "ahead of" } else { "behind" };
    Finding::notice(
        AREA,
        Code::ClockDiffers,
        format!("the clock of {url} is {} s {how} this one", ahead_s.unsigned_abs()),
    )
    .because(format!("{NOT_NEEDED}; but the two devices' logs cannot be laid side by side"))
    .mend("on both: sudo timedatectl set-ntp true")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{codes, http_node, remedies};
    use super::*;
    use crate::doctor::facts::Clock;

    fn facts(unix_s: u64, ahead_s: Option<i64>) -> Facts {
        let targets = ahead_s.map(|ahead_s| http_node(Some(ahead_s))).into_iter().collect();
        Facts { clock: Clock { unix_s }, targets, ..Facts::default() }
    }

    #[test]
    fn a_clock_before_2024_is_wrong_and_one_after_is_well() {
        assert_eq!(codes(&judge(&facts(0, None))), [Code::ClockImplausible]);
        assert_eq!(codes(&judge(&facts(PLAUSIBLE_FROM_UNIX_S - 1, None))), [Code::ClockImplausible]);
        assert_eq!(codes(&judge(&facts(PLAUSIBLE_FROM_UNIX_S, None))), [Code::ClockPlausible]);
        assert!(remedies(&judge(&facts(0, None))).contains("timedatectl set-ntp true"));
    }

    #[test]
    fn a_clock_that_differs_is_a_notice_that_says_which_is_ahead() {
        for (ahead_s, expected, word) in [
            (2, Code::ClockAgrees, "agrees"),
            (-5, Code::ClockAgrees, "agrees"),
            (600, Code::ClockDiffers, "600 s ahead of this one"),
            (-600, Code::ClockDiffers, "600 s behind this one"),
        ] {
            let findings = judge(&facts(PLAUSIBLE_FROM_UNIX_S, Some(ahead_s)));
            assert_eq!(codes(&findings), [Code::ClockPlausible, expected]);
            assert!(findings[1].what.contains(word), "{findings:?}");
        }
    }
}
