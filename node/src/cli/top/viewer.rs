//! What the user looks at: which pane, how far it is scrolled, whether it stands still. Changed by keys alone.

use super::board::Board;

/// Rows of a page.
const PAGE: usize = 10;

/// A pane that can be scrolled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Pane {
    /// Devices and the parts they hold.
    #[default]
    Devices,
    /// What happened.
    Events,
}

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Leave.
    Quit,
    /// What is shown stands still, or goes on.
    Pause,
    /// The other pane.
    NextPane,
    /// Help, or no help.
    Help,
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the first row.
    First,
    /// To the last row.
    Last,
    /// To the parts on the left.
    Left,
    /// To the parts on the right.
    Right,
}

/// Where the user is.
#[derive(Debug, Clone, Default)]
pub(super) struct Viewer {
    /// The pane that keys scroll.
    pub(super) pane: Pane,
    /// Whether help is shown.
    pub(super) helps: bool,
    /// The first device shown; what is drawn may begin earlier, if that fills the pane.
    pub(super) first_device: usize,
    /// The first part shown, likewise.
    pub(super) first_part: usize,
    /// The first event shown, from the newest, likewise.
    pub(super) first_event: usize,
    frozen: Option<Board>,
}

impl Viewer {
    /// A key was pressed. False if the user leaves.
    pub(super) fn act(&mut self, action: Action, live: &Board) -> bool {
        let shown = self.frozen.as_ref().unwrap_or(live);
        let members = shown.status.as_ref().map_or(0, |status| status.members.len());
        let parts = shown.status.as_ref().map_or(0, |status| status.parts.len());
        let (first, rows) = match self.pane {
            Pane::Devices => (&mut self.first_device, members),
            Pane::Events => (&mut self.first_event, shown.events.len()),
        };
        match action {
            // Whoever asked for help and wants to leave means the help.
            Action::Quit if self.helps => self.helps = false,
            Action::Quit => return false,
            Action::Pause => self.frozen = if self.frozen.is_some() { None } else { Some(live.clone()) },
            Action::NextPane => self.pane = if self.pane == Pane::Devices { Pane::Events } else { Pane::Devices },
            Action::Help => self.helps = !self.helps,
            Action::Up => *first = first.saturating_sub(1),
            Action::Down => *first += 1,
            Action::PageUp => *first = first.saturating_sub(PAGE),
            Action::PageDown => *first += PAGE,
            Action::First => *first = 0,
            Action::Last => *first = rows,
            Action::Left => self.first_part = self.first_part.saturating_sub(1),
            Action::Right => self.first_part = (self.first_part + 1).min(parts.saturating_sub(1)),
        }
        true
    }

    /// What is shown: what is known, or what was known when the user paused.
    pub(super) fn board<'a>(&'a self, live: &'a Board) -> &'a Board {
        self.frozen.as_ref().unwrap_or(live)
    }

    /// Whether what is shown stands still.
    pub(super) fn is_paused(&self) -> bool {
        self.frozen.is_some()
    }

    /// After a frame that could begin no later than with these rows: so that the next key up is seen.
    pub(super) fn settle(&mut self, last: Firsts) {
        self.first_device = self.first_device.min(last.device);
        self.first_part = self.first_part.min(last.part);
        self.first_event = self.first_event.min(last.event);
    }
}

/// The rows with which the panes of a frame begin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Firsts {
    /// Of the devices.
    pub(super) device: usize,
    /// Of the parts.
    pub(super) part: usize,
    /// Of the events, from the newest.
    pub(super) event: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_scroll_the_pane_that_was_chosen_and_no_further_than_its_rows() {
        let (mut viewer, board) = (Viewer::default(), Board::default());
        viewer.act(Action::Down, &board);
        viewer.act(Action::NextPane, &board);
        viewer.act(Action::PageDown, &board);
        viewer.act(Action::Up, &board);
        assert_eq!((viewer.first_device, viewer.first_event), (1, 9));
        viewer.settle(Firsts { device: 0, part: 0, event: 4 });
        viewer.act(Action::Up, &board);
        assert_eq!((viewer.first_device, viewer.first_event), (0, 3));
        viewer.act(Action::First, &board);
        viewer.act(Action::Up, &board);
        assert_eq!(viewer.first_event, 0);
    }

    #[test]
    fn what_is_paused_stands_still_until_it_goes_on() {
        let mut live = Board { heard_ms: Some(1), ..Board::default() };
        let mut viewer = Viewer::default();
        viewer.act(Action::Pause, &live);
        live.heard_ms = Some(2);
        assert!(viewer.is_paused() && viewer.board(&live).heard_ms == Some(1));
        viewer.act(Action::Pause, &live);
        assert!(!viewer.is_paused() && viewer.board(&live).heard_ms == Some(2));
    }

    #[test]
    fn leaving_help_is_not_leaving() {
        let (mut viewer, board) = (Viewer::default(), Board::default());
        viewer.act(Action::Help, &board);
        assert!(viewer.act(Action::Quit, &board) && !viewer.helps);
        assert!(!viewer.act(Action::Quit, &board));
    }
}
