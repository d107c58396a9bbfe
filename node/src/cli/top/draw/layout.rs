//! Who gets how many rows. In a small window the charts go first, then what happened; the devices stay to the end.

use ratatui::layout::Rect;

/// Rows above the devices: the title, the parts with their students, how many hold them.
pub(super) const DEVICES_HEAD: u16 = 3;
/// Rows of the requests with figures alone; with a line for each chart; with charts that show more.
const REQUESTS: [u16; 3] = [2, 5, 9];
/// Rows below the head from which on there is room for charts.
const CHARTS_FROM: u16 = 14;
/// Events that a frame shows where nothing bounds it.
const EVENTS_NATURAL: u16 = 12;

/// Where everything is. An area without rows is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Areas {
    /// Whom one looks at.
    pub(super) head: Rect,
    /// What is wrong with looking.
    pub(super) trouble: Rect,
    /// Devices and the parts they hold.
    pub(super) devices: Rect,
    /// Requests of the last minute.
    pub(super) requests: Rect,
    /// What happened.
    pub(super) events: Rect,
    /// Keys.
    pub(super) foot: Rect,
}

impl Areas {
    /// For so many members; `None` before any are known.
    pub(super) fn of(area: Rect, members: Option<usize>, has_trouble: bool, has_keys: bool) -> Self {
        let rows = area.height;
        let head = rows.min(if rows >= 10 { 2 } else { 1 });
        let trouble = u16::from(has_trouble && rows >= 2);
        let foot = u16::from(has_keys && rows >= 6);
        let rest = rows.saturating_sub(head + trouble + foot);
        let wanted = members.map_or(u16::MAX, |members| count(members).saturating_add(DEVICES_HEAD));
        let requests = match rest {
            _ if members.is_none() => 0,
            // Higher charts tell less than a device or a late event.
            30.. if rest.saturating_sub(wanted) > REQUESTS[2] + EVENTS_NATURAL => REQUESTS[2],
            CHARTS_FROM.. => REQUESTS[1],
            8.. => REQUESTS[0],
            _ => 0,
        };
        let rest = rest - requests;
        let events_min = if rest >= 10 && members.is_some() { 4 } else { 0 };
        let devices = wanted.min(rest - events_min);
        // Without a row for an event its title says nothing.
        let devices = if rest - devices < 2 { rest } else { devices };
        let mut top = area.y;
        let mut take = |height| {
            let taken = Rect { y: top, height, ..area };
            top += height;
            taken
        };
        Self {
            head: take(head),
            trouble: take(trouble),
            devices: take(devices),
            requests: take(requests),
            events: take(rest - devices),
            foot: take(foot),
        }
    }
}

/// Rows of a frame that leaves nothing out but old events.
pub(super) fn natural_height(members: usize, events: usize) -> u16 {
    (2 + DEVICES_HEAD + count(members) + REQUESTS[1] + 1 + count(events).min(EVENTS_NATURAL)).max(2 + CHARTS_FROM)
}

/// At least one row, and fewer than a frame can have.
fn count(rows: usize) -> u16 {
    u16::try_from(rows.max(1)).unwrap_or(u16::MAX).min(u16::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_fill_every_window_and_do_not_overlap() {
        for height in 0..60 {
            for (members, has_trouble) in [(None, false), (Some(8), true), (Some(1000), false)] {
                let areas = Areas::of(Rect::new(0, 0, 80, height), members, has_trouble, true);
                let all = [areas.head, areas.trouble, areas.devices, areas.requests, areas.events, areas.foot];
                let mut top = 0;
                for area in all {
                    assert_eq!(area.y, top, "{height} rows, {members:?} members: {areas:?}");
                    top += area.height;
                }
                assert_eq!(top, height, "{members:?} members: {areas:?}");
            }
        }
    }

    #[test]
    fn eight_devices_and_all_panes_fit_into_24_rows() {
        let areas = Areas::of(Rect::new(0, 0, 80, 24), Some(8), false, true);
        let rows = [areas.devices, areas.requests, areas.events].map(|area| area.height);
        assert_eq!(rows, [11, 5, 5]);
    }

    #[test]
    fn what_is_less_needed_goes_first() {
        let rows = |height| {
            let areas = Areas::of(Rect::new(0, 0, 80, height), Some(8), false, true);
            [areas.devices, areas.requests, areas.events, areas.foot].map(|area| area.height > 0)
        };
        assert_eq!(rows(16), [true, true, true, true]);
        assert_eq!(rows(9), [true, false, false, true]);
        assert_eq!(rows(4), [true, false, false, false]);
    }
}
