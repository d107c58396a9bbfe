//! What commands write to standard output, and how tables and shares look in it.

use std::io::{ErrorKind, Write as _};

use anyhow::Context as _;
use serde_json::Value;

/// To standard output. A reader that has gone, as `head` does, wants no more; that is no error.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot write to standard output"),
        _ => Ok(()),
    }
}

/// One object, for programs.
pub(super) fn print_json(value: &Value) -> anyhow::Result<()> {
    print(&(serde_json::to_string_pretty(value)? + "\n"))
}

/// Two digits that say something, however near to 0 or 1.
pub(super) fn percent(fraction: f64) -> String {
    let rest = fraction.min(1.0 - fraction);
    let digits = [1e-3, 1e-5, 1e-7, 1e-9].iter().take_while(|limit| rest > 0.0 && rest < **limit).count();
    format!("{:.*} %", 2 + 2 * digits, 100.0 * fraction)
}

/// Millions of bytes.
pub(super) fn megabytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    let megabytes = bytes as f64 / 1e6;
    format!("{megabytes:.2} MB")
}

/// Columns, each as wide as its widest cell.
pub(super) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let cells = |column: usize| rows.iter().filter_map(move |row| row.get(column));
    let widths: Vec<usize> =
        (0..columns).map(|column| cells(column).map(|cell| cell.chars().count()).max().unwrap_or_default()).collect();
    let mut text = String::new();
    for row in rows {
        let line: String = row.iter().zip(&widths).map(|(cell, width)| format!("  {cell:<width$}")).collect();
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_near_an_end_is_shown_with_more_digits() {
        assert_eq!(
            [0.9, 0.0025, 0.999_999, 1.0, 0.0].map(percent),
            ["90.00 %", "0.25 %", "99.999900 %", "100.00 %", "0.00 %"]
        );
    }
}
