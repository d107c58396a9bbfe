//! What holds whatever happens, in whatever order.

use proptest::prelude::*;

use super::driver::{Story, student};
use super::*;
use crate::id::PartId;

const PARTS: u16 = 3;
const REPLICAS: u8 = 4;
const CLIENTS: u64 = 6;

#[derive(Debug, Clone)]
enum Happening {
    Request { client: u64, min_parts: usize, mode: Mode },
    Cancel { client: u64 },
    Partial { counter: u64, replica: u8, part: u16, good: bool },
    Refuse { replica: u8, part: u16, reason: Refusal },
    LinkDown { replica: u8 },
    Routing { parts: Vec<Vec<u8>> },
    Bundle { byte: u8 },
    Wait { ms: u64 },
}

fn happening() -> impl Strategy<Value = Happening> {
    let replica = || 0..=REPLICAS;
    prop_oneof![
        3 => (0..CLIENTS, 1..=usize::from(PARTS), prop::sample::select(Mode::ALL.to_vec()))
            .prop_map(|(client, min_parts, mode)| Happening::Request { client, min_parts, mode }),
        1 => (0..CLIENTS).prop_map(|client| Happening::Cancel { client }),
        8 => (0..8_u64, replica(), 0..PARTS, prop::bool::weighted(0.9))
            .prop_map(|(counter, replica, part, good)| Happening::Partial { counter, replica, part, good }),
        2 => (replica(), 0..PARTS, prop_oneof![Just(Refusal::Overloaded), Just(Refusal::Failed), Just(Refusal::NotLoaded)])
            .prop_map(|(replica, part, reason)| Happening::Refuse { replica, part, reason }),
        1 => replica().prop_map(|replica| Happening::LinkDown { replica }),
        2 => prop::collection::vec(prop::collection::vec(replica(), 0..3), usize::from(PARTS))
            .prop_map(|parts| Happening::Routing { parts }),
        1 => (0..2_u8).prop_map(|byte| Happening::Bundle { byte }),
        2 => (0..900_u64).prop_map(|ms| Happening::Wait { ms }),
    ]
}

/// A student's answer is its own: part and replica show in the logits, as powers of two, so that sums are exact.
fn logits(replica: u8, part: u16) -> [f32; 2] {
    [f32::from(1_u16 << (part * 4)), f32::from(replica) * f32::from(1_u16 << (part * 4))]
}

/// Who asked, with its `min_parts`, and who went away while its request was open.
fn play(story: &mut Story, happenings: &[Happening]) -> (BTreeMap<u64, usize>, BTreeSet<u64>) {
    let (mut asked, mut cancelled) = (BTreeMap::new(), BTreeSet::new());
    for happening in happenings {
        match happening.clone() {
            Happening::Request { client, .. } if asked.contains_key(&client) => {}
            Happening::Request { client, min_parts, mode } => {
                asked.insert(client, min_parts);
                story.mode = Some(mode);
                story.request(client, min_parts);
            }
            Happening::Cancel { client } => {
                let over = story.answers.iter().any(|(of, _)| *of == ClientId(client));
                if asked.contains_key(&client) && !over {
                    cancelled.insert(client);
                }
                story.handle(Input::CancelRequest { client: ClientId(client) });
            }
            Happening::Partial { counter, replica, part, good: true } => {
                story.partial_for(counter, replica, student(part), logits(replica, part));
            }
            Happening::Partial { counter, replica, part, good: false } => {
                story.raw_partial(counter, replica, student(part), Blob::from(vec![1, 2, 3]));
            }
            Happening::Refuse { replica, part, reason } => story.refuse(replica, part, reason),
            Happening::LinkDown { replica } => story.link_down(replica),
            Happening::Routing { parts } => {
                let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
                story.routing_is(&parts);
            }
            Happening::Bundle { byte } => story.bundle = Digest([byte; 32]),
            Happening::Wait { ms } => {
                story.after_ms(ms).tick();
            }
        }
    }
    (asked, cancelled)
}

proptest! {
    #[test]
    fn every_request_has_exactly_one_outcome_and_every_answer_is_the_sum_of_the_parts_it_names(
        happenings in prop::collection::vec(happening(), 0..120),
    ) {
        let mut story = Story::with(&[&[1, 2], &[2, 3], &[3, 4, 0]]);
        let (asked, cancelled) = play(&mut story, &happenings);
        story.after_ms(2_000).tick();

        prop_assert_eq!(story.coordinator.open_requests(), 0);
        prop_assert!(story.coordinator.poll_timeout().is_none_or(|(_, why)| why == "replica trusted again"));
        story.after_ms(60_000).tick();
        prop_assert_eq!(story.coordinator.poll_timeout(), None);
        prop_assert_eq!(story.outcomes().len(), asked.len());
        let mut over: Vec<u64> = story.answers.iter().map(|(client, _)| client.0).collect();
        over.extend(&cancelled);
        over.sort_unstable();
        prop_assert_eq!(over, asked.keys().copied().collect::<Vec<_>>(), "one answer each, none to who went away");

        let answers = story.answers.iter().filter_map(|(client, result)| Some((client, result.as_ref().ok()?)));
        for (client, answer) in answers {
            prop_assert!(answer.parts.len() >= asked[&client.0], "never fewer than min_parts");
            let parts = answer.parts.iter().map(|p| logits(p.replica.0[0], p.part.0)).collect::<Vec<_>>();
            prop_assert_eq!(&answer.logits, &merge(&[0.5, -0.5], parts.iter().map(<[f32; 2]>::as_slice)));
            prop_assert!(answer.mode == Mode::Verify || answer.verified.is_empty() && answer.disagreements.is_empty());
            prop_assert!(answer.mode == Mode::Hedged || answer.hedges == 0);
            prop_assert!(answer.asked >= u32::try_from(answer.parts.len()).unwrap() + answer.hedges.min(1));
            prop_assert!(answer.verified.iter().all(|part| answer.parts.iter().any(|p| p.part == *part)));
            let mut all: Vec<PartId> = answer.parts.iter().map(|p| p.part).collect();
            prop_assert!(all.is_sorted());
            all.extend(&answer.missing);
            all.sort_unstable();
            prop_assert_eq!(all, (0..PARTS).map(PartId).collect::<Vec<_>>());
        }
    }
}
