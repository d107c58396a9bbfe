//! Keys: what each does, and the thread that hears them.

use std::fs::File;
use std::sync::mpsc::Sender;

use ratatui::termion::event::Key;
use ratatui::termion::input::TermRead as _;

use super::Message;
use super::viewer::Action;

/// Everything that a key does.
const KEYS: [(Key, Action); 25] = [
    (Key::Char('q'), Action::Quit),
    (Key::Esc, Action::Quit),
    (Key::Ctrl('c'), Action::Quit),
    (Key::Ctrl('d'), Action::Quit),
    (Key::Char('p'), Action::Pause),
    (Key::Char(' '), Action::Pause),
    (Key::Char('\t'), Action::NextPane),
    (Key::BackTab, Action::NextPane),
    (Key::Char('?'), Action::Help),
    (Key::Char('k'), Action::Up),
    (Key::Up, Action::Up),
    (Key::Char('j'), Action::Down),
    (Key::Down, Action::Down),
    (Key::Char('h'), Action::Left),
    (Key::Left, Action::Left),
    (Key::Char('l'), Action::Right),
    (Key::Right, Action::Right),
    (Key::PageUp, Action::PageUp),
    (Key::Ctrl('u'), Action::PageUp),
    (Key::PageDown, Action::PageDown),
    (Key::Ctrl('f'), Action::PageDown),
    (Key::Char('g'), Action::First),
    (Key::Home, Action::First),
    (Key::Char('G'), Action::Last),
    (Key::End, Action::Last),
];

/// What a key does, if anything.
fn action(key: Key) -> Option<Action> {
    KEYS.iter().find(|(of, _)| *of == key).map(|(_, action)| *action)
}

/// Hears keys from the terminal until it or the listener is gone.
pub(super) fn hear(terminal: File, listener: &Sender<Message>) {
    for action in terminal.keys().map_while(Result::ok).filter_map(action) {
        if listener.send(Message::Key(action)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_does_two_things() {
        assert!(KEYS.iter().enumerate().all(|(i, (key, _))| KEYS[..i].iter().all(|(other, _)| other != key)));
        assert_eq!((action(Key::Ctrl('c')), action(Key::Char('x'))), (Some(Action::Quit), None));
    }

    #[test]
    fn arrows_are_heard_as_terminals_send_them() {
        let sent: &[u8] = b"\x1b[A\x1b[Bjq\t\x1b[6~\x1b[Z";
        let heard: Vec<Action> = sent.keys().map_while(Result::ok).filter_map(action).collect();
        let expected = [
            Action::Up,
            Action::Down,
            Action::Down,
            Action::Quit,
            Action::NextPane,
            Action::PageDown,
            Action::NextPane,
        ];
        assert_eq!(heard, expected);
    }
}
