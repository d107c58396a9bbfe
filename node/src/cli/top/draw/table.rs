//! The columns of devices × parts: in words where there is room for them, else by letters.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use rocoin::id::NodeId;
use rocoin::membership::State;
use rocoin::node::{MemberSnapshot, NodeSnapshot, PartSnapshot};

use super::Scene;
use super::fit::cell;
use super::units::duration;
use crate::cli::members::state_of;

/// Columns of a name.
const NAME: std::ops::RangeInclusive<usize> = 8..=18;
/// Columns of a state in words, and the width of a window that has room for it.
const STATE: usize = 9;
const WORDY: u16 = 60;
/// Columns of a cell in words, at least and at most; of one that is a letter.
const CELL: std::ops::RangeInclusive<usize> = 11..=14;
const LETTER: usize = 3;

/// The parts that are shown, and how many columns everything has.
pub(super) struct Table<'a> {
    scene: &'a Scene<'a>,
    status: &'a NodeSnapshot,
    parts: &'a [PartSnapshot],
    last_part: usize,
    name: usize,
    state: usize,
    cell: usize,
}

impl<'a> Table<'a> {
    /// For members with these names, in a window so wide.
    pub(super) fn of(
        scene: &'a Scene<'a>,
        status: &'a NodeSnapshot,
        members: &[(String, &MemberSnapshot)],
        width: u16,
    ) -> Self {
        let longest = members.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
        let name = longest.clamp(*NAME.start(), *NAME.end()) + 1;
        let state = if width < WORDY { 2 } else { STATE };
        let room = usize::from(width).saturating_sub(2 + name + state);
        let count = status.parts.len();
        let share = room / count.max(1);
        let digits = count.saturating_sub(1).to_string().len() + 1;
        let cell = if share < *CELL.start() { LETTER.max(digits) } else { share.min(*CELL.end()) };
        let fit = (room / cell).clamp(1, count.max(1));
        let last_part = count.saturating_sub(fit);
        let first = scene.viewer.first_part.min(last_part);
        let parts = status.parts.get(first..count.min(first + fit)).unwrap_or_default();
        Self { scene, status, parts, last_part, name, state, cell }
    }

    /// The last part that it could begin with.
    pub(super) fn last_part(&self) -> usize {
        self.last_part
    }

    fn has_words(&self) -> bool {
        self.cell >= *CELL.start()
    }

    /// The columns before the cells, and the cells.
    fn line(&self, before: Vec<Span<'a>>, cells: impl Iterator<Item = (String, Style)>) -> Line<'a> {
        let cells = cells.map(|(text, style)| Span::styled(cell(&text, self.cell), style));
        Line::from(before.into_iter().chain(cells).collect::<Vec<_>>())
    }

    /// The parts and their students.
    pub(super) fn parts(&self) -> Line<'a> {
        let soft = self.scene.theme.soft();
        let more = match (self.parts.len(), self.status.parts.len()) {
            (_, 0) => "",
            (shown, all) if shown < all => "part ←→",
            _ => "part",
        };
        let left = self.name + self.state;
        let device = match left.checked_sub(more.chars().count() + 1) {
            Some(room) if room > "device".len() => format!("  {}{more} ", cell("device", room)),
            _ => format!("  {}", cell("device", left)),
        };
        let before = vec![Span::styled(device, soft)];
        let cells = self.parts.iter().map(|part| {
            let student = part.student.as_deref().unwrap_or("no plan");
            let text = if self.has_words() { format!("{} {student}", part.part.0) } else { part.part.0.to_string() };
            (text, self.scene.theme.title())
        });
        self.line(before, cells)
    }

    /// How many replicas of each part are ready.
    pub(super) fn replicas(&self) -> Line<'a> {
        let theme = self.scene.theme;
        let cells = self.parts.iter().map(|part| {
            let (ready, all) = (part.ready.len(), part.group.len());
            let style = match ready {
                0 => theme.alarm(),
                some if some < all => theme.doubt(),
                _ => theme.good(),
            };
            let text = match (self.has_words(), ready) {
                (true, 0) => format!("NONE of {all}"),
                // Who held it by the plan before still answers for a while.
                (true, more) if more > all => format!("{more} ready"),
                (true, _) => format!("{ready} of {all}"),
                (false, _) => ready.to_string(),
            };
            (text, style)
        });
        let before = format!("  {}", cell("ready", self.name + self.state));
        self.line(vec![Span::styled(before, theme.soft())], cells)
    }

    /// A device, its state, and what it is for each part.
    pub(super) fn device(&self, name: &str, member: &MemberSnapshot) -> Line<'a> {
        let theme = self.scene.theme;
        let is = |id: &Option<NodeId>| *id == Some(member.node);
        let leads = if is(&self.status.leader) { '*' } else { ' ' };
        let tells = if member.node == self.status.node { '>' } else { ' ' };
        let (word, style) = match (member.state, member.routable) {
            (State::Alive, true) => (state_of(member), theme.good()),
            (State::Alive, false) | (State::Suspect, _) => (state_of(member), theme.doubt()),
            (State::Down, _) => (state_of(member), theme.bad()),
        };
        let state = if self.state < STATE { word[..1].to_uppercase() } else { word.to_owned() };
        let before = vec![
            Span::raw(format!("{tells}{leads}{}", cell(name, self.name))),
            Span::styled(cell(&state, self.state), style),
        ];
        let cells = self.parts.iter().map(|part| self.cell(member, part));
        self.line(before, cells)
    }

    /// What a device is for a part, and how that is made to stand out.
    fn cell(&self, member: &MemberSnapshot, part: &PartSnapshot) -> (String, Style) {
        let theme = self.scene.theme;
        let holds = member.ready.contains(&part.part);
        if !holds && !part.group.contains(&member.node) {
            return ("·".to_owned(), theme.soft());
        }
        let (text, style) = match (member.state, member.routable) {
            (State::Alive, true) if holds => {
                let pace = self.scene.board.paces.iter().find(|p| p.replica == member.node && p.part == part.part);
                (pace.map_or_else(|| "R ready".to_owned(), |pace| format!("R {}", duration(pace.run_us))), theme.good())
            }
            (State::Alive, true) => ("L loading".to_owned(), theme.plan()),
            (State::Alive, false) => ("U unlinked".to_owned(), theme.doubt()),
            (State::Suspect, _) => ("S suspect".to_owned(), theme.doubt()),
            (State::Down, _) => ("D down".to_owned(), theme.bad()),
        };
        (if self.has_words() { text } else { text[..1].to_owned() }, style)
    }
}
