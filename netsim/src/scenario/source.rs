//! A scenario file's text, for turning keys into lines and values into errors.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::ScenarioError;

/// The text, and where in it each key is.
pub(super) struct Source<'a> {
    text: &'a str,
    table: Spanned<DeTable<'a>>,
}

impl<'a> Source<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self, ScenarioError> {
        match DeTable::parse(text) {
            Ok(table) => Ok(Self { text, table }),
            Err(error) => Err(form(text, &error)),
        }
    }

    /// The 1-based line of a key such as `network.delay_s` or `at.3.t`, or of the innermost table on its way.
    pub(super) fn line(&self, key: &str) -> usize {
        let mut offset = 0;
        let mut table = Some(self.table.get_ref());
        let mut value: Option<&Spanned<DeValue<'_>>> = None;
        for step in key.split('.') {
            if let Some((name, inner)) = table.and_then(|t| t.iter().find(|(name, _)| name.get_ref() == step)) {
                offset = name.span().start;
                value = Some(inner);
            } else if let Some(inner) = value.and_then(|v| v.get_ref().as_array()?.get(step.parse::<usize>().ok()?)) {
                offset = inner.span().start;
                value = Some(inner);
            } else {
                break;
            }
            table = value.and_then(|v| v.get_ref().as_table());
        }
        line_of(self.text, offset)
    }

    /// Whether the file has this key, such as `load.until_s`.
    pub(super) fn has(&self, table: &str, key: &str) -> bool {
        self.table.get_ref().get(table).and_then(|inner| inner.get_ref().get(key)).is_some()
    }

    /// The first key of this table that a message names between backticks.
    pub(super) fn named_in(&self, table: &str, message: &str) -> Option<String> {
        let header = self.line(table);
        let keys = message.split('`').skip(1).step_by(2).map(|key| format!("{table}.{key}"));
        keys.into_iter().find(|key| self.line(key) != header)
    }

    pub(super) fn form(&self, key: &str, what: impl Into<String>) -> ScenarioError {
        ScenarioError::Form { line: self.line(key), what: what.into() }
    }

    pub(super) fn impossible(
        &self,
        key: &str,
        found: impl std::fmt::Display,
        expected: impl Into<String>,
    ) -> ScenarioError {
        let (key, line) = (key.to_owned(), self.line(key));
        ScenarioError::Impossible { line, key, found: found.to_string(), expected: expected.into() }
    }

    /// That a number is possible.
    pub(super) fn check(
        &self,
        key: &str,
        number: f64,
        expected: &str,
        possible: impl Fn(f64) -> bool,
    ) -> Result<(), ScenarioError> {
        if number.is_finite() && possible(number) { Ok(()) } else { Err(self.impossible(key, number, expected)) }
    }
}

/// What the TOML reader found wrong.
pub(super) fn form(text: &str, error: &toml::de::Error) -> ScenarioError {
    let line = line_of(text, error.span().map_or(0, |span| span.start));
    ScenarioError::Form { line, what: error.message().trim().to_owned() }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_lines_and_keys_that_are_not_there_have_those_of_their_tables() {
        let source = Source::new("a = 1\n[b]\nc = 2\n\n[[d]]\ne = 3\n[[d]]\ne = 4\nf = [[1, 2], [3]]\n").unwrap();
        for (key, line) in [("a", 1), ("b.c", 3), ("b.x", 2), ("d.0.e", 6), ("d.1.e", 8), ("d.1.f", 9), ("x", 1)] {
            assert_eq!(source.line(key), line, "{key}");
        }
        assert!(source.has("b", "c") && !source.has("b", "x") && !source.has("x", "c"));
        assert_eq!(source.named_in("d.1", "unknown field `e`, expected `g`"), Some("d.1.e".to_owned()));
    }
}
