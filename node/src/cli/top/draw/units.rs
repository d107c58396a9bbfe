//! Times in words.

/// How long something took: `4.1 ms`, `1.2 s`.
pub(in crate::cli::top) fn duration(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..99_950 => tenths(us, 1_000, "ms"),
        99_950..999_500 => format!("{} ms", (us + 500) / 1_000),
        _ => tenths(us, 1_000_000, "s"),
    }
}

fn tenths(us: u64, unit_us: u64, unit: &str) -> String {
    let tenths = us.saturating_add(unit_us / 20) / (unit_us / 10);
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// How long ago: `12 s`, `3 min`, `5 h`, `2 d`.
pub(in crate::cli::top) fn age(ms: u64) -> String {
    match ms / 1000 {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// The time of day of a moment since 1970, in UTC, as a node's log has it: `04:05:06`.
pub(in crate::cli::top) fn clock(unix_ms: u64) -> String {
    let seconds = unix_ms / 1000 % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_digits_that_say_something() {
        let told = [0, 999, 1_000, 4_149, 99_949, 99_950, 150_400, 999_500, 12_340_000].map(duration);
        assert_eq!(told, ["0 µs", "999 µs", "1.0 ms", "4.1 ms", "99.9 ms", "100 ms", "150 ms", "1.0 s", "12.3 s"]);
    }

    #[test]
    fn ages_and_clocks_are_short() {
        assert_eq!([1_999, 119_000, 120_000, 7_200_000, 200_000_000].map(age), ["1 s", "119 s", "2 min", "2 h", "2 d"]);
        assert_eq!(clock(1_700_000_000_999), "22:13:20");
    }
}
