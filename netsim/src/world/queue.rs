//! What will happen, in order of time and, at one time, in the order in which it was put in.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rocoin::time::Instant;

/// The events to come.
#[derive(Debug)]
pub(super) struct Queue<E> {
    heap: BinaryHeap<Reverse<Entry<E>>>,
    number: u64,
}

#[derive(Debug)]
struct Entry<E> {
    at: Instant,
    number: u64,
    event: E,
}

impl<E> Queue<E> {
    pub(super) fn new() -> Self {
        Self { heap: BinaryHeap::new(), number: 0 }
    }

    pub(super) fn push(&mut self, at: Instant, event: E) {
        self.number += 1;
        self.heap.push(Reverse(Entry { at, number: self.number, event }));
    }

    /// The next event, if it is due by `until`.
    pub(super) fn pop(&mut self, until: Instant) -> Option<(Instant, E)> {
        if self.heap.peek()?.0.at > until {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.event))
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_order_of_time_and_then_as_they_were_put_in() {
        let mut queue = Queue::new();
        for (at, event) in [(5, 'd'), (1, 'a'), (5, 'e'), (1, 'b'), (3, 'c')] {
            queue.push(Instant::from_nanos(at), event);
        }
        let end = Instant::from_nanos(5);
        let order: String = std::iter::from_fn(|| queue.pop(end)).map(|(_, event)| event).collect();
        assert_eq!(order, "abcde");
    }

    #[test]
    fn what_is_not_due_stays() {
        let mut queue = Queue::new();
        queue.push(Instant::from_nanos(5), ());
        assert!(queue.pop(Instant::from_nanos(4)).is_none());
        assert!(queue.pop(Instant::from_nanos(5)).is_some());
    }
}
