//! Colours: the sixteen that every terminal has, as its user set them; or none.

use ratatui::style::{Color, Modifier, Style};

use super::super::story::Kind;

/// How things are made to stand out.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli::top) struct Theme {
    has_colours: bool,
}

impl Theme {
    /// With colours, unless the user wants none (`NO_COLOR`) or the terminal has none.
    pub(in crate::cli::top) fn of(no_color: Option<&str>, term: Option<&str>) -> Self {
        Self { has_colours: no_color.is_none_or(str::is_empty) && term != Some("dumb") }
    }

    /// Without.
    pub(in crate::cli::top) fn plain() -> Self {
        Self { has_colours: false }
    }

    pub(super) fn good(self) -> Style {
        self.coloured(Color::Green)
    }

    pub(super) fn doubt(self) -> Style {
        self.coloured(Color::Yellow)
    }

    pub(super) fn bad(self) -> Style {
        self.coloured(Color::Red).add_modifier(Modifier::BOLD)
    }

    pub(super) fn plan(self) -> Style {
        self.coloured(Color::Cyan)
    }

    pub(super) fn of_kind(self, kind: Kind) -> Style {
        match kind {
            Kind::Bad => self.bad(),
            Kind::Doubt => self.doubt(),
            Kind::Good => self.good(),
            Kind::Plan => self.plan(),
        }
    }

    /// What is there to be read past.
    pub(super) fn soft(self) -> Style {
        self.coloured(Color::DarkGray)
    }

    /// What is as important as it looks.
    pub(super) fn text(self) -> Style {
        Style::new().fg(Color::Reset)
    }

    /// What is read first.
    pub(super) fn title(self) -> Style {
        self.text().add_modifier(Modifier::BOLD)
    }

    /// The pane that keys scroll.
    pub(super) fn chosen(self) -> Style {
        self.title().patch(self.coloured(Color::Cyan))
    }

    /// What must not be overlooked.
    pub(super) fn alarm(self) -> Style {
        self.bad().add_modifier(Modifier::REVERSED)
    }

    fn coloured(self, colour: Color) -> Style {
        if self.has_colours { Style::new().fg(colour) } else { Style::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wants_no_colours_gets_none() {
        let is_coloured = |no_color, term| Theme::of(no_color, term).good().fg.is_some();
        assert!(is_coloured(None, Some("xterm")) && is_coloured(Some(""), None));
        assert!(!is_coloured(Some("1"), Some("xterm")) && !is_coloured(None, Some("dumb")));
    }
}
