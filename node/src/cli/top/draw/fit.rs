//! Text that has so many columns and no more. Characters are taken to be one column wide.

/// At most so many columns; what is cut ends with `…`.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let kept = text.chars().take(columns.saturating_sub(1));
    kept.chain((columns > 0).then_some('…')).collect()
}

/// Cut or filled to so many columns, the last of which is free.
pub(super) fn cell(text: &str, columns: usize) -> String {
    format!("{:<columns$}", cut(text, columns.saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_cut_and_says_so() {
        assert_eq!(["", "pi", "pi-4", "pi-10"].map(|name| cut(name, 4)), ["", "pi", "pi-4", "pi-…"]);
        assert_eq!([0, 1, 2].map(|columns| cut("µ…✕", columns)), ["", "…", "µ…"]);
        assert_eq!(["pi", "pi-4", "device"].map(|name| cell(name, 5)), ["pi   ", "pi-4 ", "dev… "]);
    }
}
