//! Frames, as people see them.

use std::collections::VecDeque;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use rocoin::id::{Digest, NodeId, PartId, Term};
use rocoin::membership::State;
use rocoin::node::{BundleSnapshot, MemberSnapshot, NodeSnapshot, PartSnapshot};
use serde_json::{Value, json};

use super::board::{Happening, Trouble};
use super::*;
use crate::cli::fixture::named as member;
use crate::observe::recent::Second;
use crate::observe::replicas::Pace;

/// 2026-12-01 04:33:20 UTC.
const NOW_MS: u64 = 1_796_099_600_000;
const PARTS: u64 = 4;

fn id(device: u64) -> NodeId {
    NodeId([u8::try_from(device).unwrap(); 32])
}

fn part(part: u64) -> PartId {
    PartId(u16::try_from(part).unwrap())
}

/// Device n holds part n mod 4. The third is loading, the fifth suspect, the sixth unlinked, the seventh and eighth lost together.
fn device(n: u64) -> MemberSnapshot {
    let (state, routable) = match n {
        5 => (State::Suspect, false),
        6 => (State::Alive, false),
        7 | 8 => (State::Down, false),
        _ => (State::Alive, true),
    };
    let ready = if n == 3 { Vec::new() } else { vec![part(n % PARTS)] };
    MemberSnapshot { state, routable, ready, ..member(u8::try_from(n).unwrap(), &format!("device-{n}")) }
}

fn status(devices: u64, parts: u64) -> NodeSnapshot {
    let members: Vec<MemberSnapshot> = (1..=devices).map(device).collect();
    let of_part = |p: u64| PartSnapshot {
        part: part(p),
        group: (1..=devices).filter(|n| n % parts == p).map(id).collect(),
        digest: None,
        student: Some("wrn-16-1".to_owned()),
        ready: members.iter().filter(|m| m.routable && m.ready.contains(&part(p))).map(|m| m.node).collect(),
    };
    let parts: Vec<PartSnapshot> = (0..parts).map(of_part).collect();
    NodeSnapshot {
        name: "device-1".to_owned(),
        node: id(1),
        term: Term(3),
        leader: Some(id(2)),
        epoch: Some("3.02020202.4".to_owned()),
        bundle: Some(BundleSnapshot {
            digest: Digest([7; 32]),
            name: "fashion-mnist".to_owned(),
            version: "1".to_owned(),
        }),
        parts_served: parts.iter().filter(|p| !p.ready.is_empty()).count(),
        parts,
        members,
        open_requests: 2,
        ..crate::actor::tests::snapshot()
    }
}

/// A minute of requests that rise, with answers that lack a part, then failures, then silence.
fn seconds() -> Vec<Second> {
    let second = |s: u64| {
        let answered = if (40..44).contains(&s) { 0 } else { u32::try_from(4 + s / 3).unwrap() };
        Second {
            unix_s: NOW_MS / 1000 - 60 + s,
            answered,
            degraded: if (30..38).contains(&s) { 2 } else { 0 },
            failed: if (38..42).contains(&s) { 5 } else { 0 },
            p50_us: (answered > 0).then_some(8_400),
            p99_us: (answered > 0).then_some(9_000 + 400 * (s % 17)),
        }
    };
    (0..60).map(second).collect()
}

fn happening(seconds_ago: u64, told: Value) -> Happening {
    let event = told["event"].as_str().unwrap().to_owned();
    Happening { at_ms: NOW_MS - 1000 * seconds_ago, event, told }
}

fn board() -> Board {
    let pace =
        |n: u64| Pace { replica: id(n), part: part(n % PARTS), wins: 9, after_us: 8_000, run_us: 1_900 * n + 700 };
    let events = VecDeque::from([
        happening(300, json!({ "event": "joined", "member": id(4) })),
        happening(60, json!({ "event": "suspected", "member": id(7), "by": id(2) })),
        happening(57, json!({ "event": "down", "member": id(7) })),
        happening(56, json!({ "event": "down", "member": id(8) })),
        happening(55, json!({ "event": "leader", "member": id(2), "term": 3 })),
        happening(
            54,
            json!({ "event": "planned", "epoch": "3.02020202.4", "moved": 2, "reasons": ["part 3: all replicas are down"] }),
        ),
        happening(2, json!({ "event": "unroutable", "member": id(6), "reason": "link_down" })),
    ]);
    Board {
        source: "127.0.0.1:8470".to_owned(),
        is_from_named: true,
        status: Some(status(8, PARTS)),
        seconds: seconds(),
        paces: vec![pace(1), pace(2)],
        events,
        lost_at_ms: [(id(7), NOW_MS - 57_000), (id(8), NOW_MS - 56_000)].into(),
        heard_ms: Some(NOW_MS - 400),
        ..Board::default()
    }
}

fn frame(board: &Board, viewer: &Viewer, width: u16, height: u16) -> String {
    draw::text(&buffer(board, viewer, Theme::plain(), width, height))
}

fn buffer(board: &Board, viewer: &Viewer, theme: Theme, width: u16, height: u16) -> Buffer {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    draw::draw(&scene(board, viewer, theme), area, &mut buffer);
    buffer
}

fn scene<'a>(board: &'a Board, viewer: &'a Viewer, theme: Theme) -> Scene<'a> {
    Scene { board, viewer, named: "127.0.0.1:8470", theme, now_ms: NOW_MS, has_keys: true }
}

#[test]
fn a_terminal_of_80_by_24_shows_all_of_eight_devices() {
    insta::assert_snapshot!(frame(&board(), &Viewer::default(), 80, 24));
}

#[test]
fn a_larger_terminal_shows_more_events_and_higher_charts() {
    insta::assert_snapshot!(frame(&board(), &Viewer::default(), 120, 40));
}

#[test]
fn a_tiny_terminal_shows_the_devices_by_letters() {
    insta::assert_snapshot!(frame(&board(), &Viewer::default(), 40, 10));
}

#[test]
fn a_frame_that_is_printed_leaves_no_device_out() {
    let (board, viewer) = (Board { status: Some(status(30, PARTS)), ..board() }, Viewer::default());
    insta::assert_snapshot!(draw::plain(&scene(&board, &viewer, Theme::plain()), 80));
}

#[test]
fn a_node_that_never_answered_is_named_with_what_to_do() {
    let gone = Trouble {
        since_ms: NOW_MS - 5_000,
        why: "cannot reach the node at http://127.0.0.1:8470: io: Connection refused".to_owned(),
    };
    let board = Board { all_gone: Some(gone.clone()), named_gone: Some(gone), ..Board::default() };
    insta::assert_snapshot!(frame(&board, &Viewer::default(), 80, 16));
}

#[test]
fn what_is_old_says_since_when() {
    let gone = Trouble {
        since_ms: NOW_MS - 12_000,
        why: "cannot reach the node at http://127.0.0.1:8470: timeout".to_owned(),
    };
    let board = Board { all_gone: Some(gone), heard_ms: Some(NOW_MS - 13_000), ..board() };
    let frame = frame(&board, &Viewer::default(), 100, 24);
    assert!(frame.lines().next().unwrap().ends_with("OLD 13 s"), "{frame}");
    assert!(frame.contains("no answer since 04:33:08, asking again: cannot reach the node"), "{frame}");
    assert!(frame.contains("device-8"), "{frame}");
}

#[test]
fn another_node_that_tells_is_named() {
    let gone = Trouble { since_ms: NOW_MS - 12_000, why: "gone".to_owned() };
    let source = "127.0.0.1:8471".to_owned();
    let board = Board { named_gone: Some(gone), source, is_from_named: false, ..board() };
    let frame = frame(&board, &Viewer::default(), 100, 24);
    assert!(frame.contains("127.0.0.1:8470 is gone since 04:33:08; this is what 127.0.0.1:8471 tells"), "{frame}");
}

#[test]
fn help_and_pause_are_seen() {
    let (live, mut viewer) = (board(), Viewer::default());
    viewer.act(Action::Pause, &live);
    viewer.act(Action::Help, &live);
    insta::assert_snapshot!(frame(&live, &viewer, 80, 24));
}

#[test]
fn many_devices_and_parts_are_scrolled() {
    let (live, mut viewer) = (Board { status: Some(status(90, 32)), ..board() }, Viewer::default());
    viewer.act(Action::Last, &live);
    viewer.act(Action::Right, &live);
    insta::assert_snapshot!(frame(&live, &viewer, 80, 24));
}

#[test]
fn no_window_is_too_small_or_too_large_to_draw() {
    let (live, mut viewer) = (board(), Viewer::default());
    for helps in [false, true] {
        viewer.helps = helps;
        for (width, height) in
            (0..100).step_by(9).flat_map(|width| [0, 1, 2, 3, 5, 8, 13, 24, 70].map(|height| (width, height)))
        {
            frame(&live, &viewer, width, height);
            frame(&Board::default(), &viewer, width, height);
        }
    }
}

#[test]
fn nothing_is_said_by_colour_alone() {
    let (live, viewer) = (board(), Viewer::default());
    let coloured = buffer(&live, &viewer, Theme::of(None, Some("xterm")), 80, 24);
    assert_eq!(draw::text(&coloured), frame(&live, &viewer, 80, 24));
    assert!(coloured.content().iter().any(|cell| cell.fg == ratatui::style::Color::Red));
    let plain = buffer(&live, &viewer, Theme::of(Some("1"), Some("xterm")), 80, 24);
    assert!(plain.content().iter().all(|cell| cell.fg == ratatui::style::Color::Reset));
}

#[test]
fn what_others_send_cannot_steer_the_terminal() {
    let mut live = board();
    live.events.push_back(happening(0, json!({ "event": "student_failed", "reason": "\u{1b}[2J\u{7}\u{9b}31m" })));
    let all = frame(&live, &Viewer::default(), 80, 24);
    assert!(!all.chars().any(|c| c.is_control() && c != '\n'), "{all:?}");
}

#[test]
fn an_interval_is_a_number_of_seconds_within_reason() {
    assert_eq!(interval("0.5").unwrap(), Duration::from_millis(500));
    assert!(["0", "-1", "NaN", "inf", "x", "4000"].iter().all(|text| interval(text).is_err()));
}
