//! Frames that are cut, changed, too large, of another version, or noise.

use proptest::prelude::*;

use super::examples::all;
use crate::blob::Blob;
use crate::id::{Digest, Generation, NodeId, RequestId};
use crate::node::Lane;
use crate::time::Duration;
use crate::wire::{BLOB_BYTES_MAX, HEADER_BYTES_MAX, Message, VERSION, WireError, decode, encode, frame_bytes_max};
use crate::{deployment, inference};

fn absent() -> Message {
    Message::Deployment(deployment::Message::Absent { artifact: Digest([1; 32]) })
}

fn ask(students: usize) -> Message {
    Message::Inference(inference::Message::Ask {
        request: RequestId { coordinator: NodeId([1; 32]), generation: Generation(1), counter: 1 },
        bundle: Digest([2; 32]),
        students: vec![Digest([3; 32]); students],
        remaining: Duration::from_secs(1),
    })
}

#[test]
fn every_message_comes_out_as_it_went_in() {
    for (name, message, blob) in all() {
        let frame = encode(&message, &blob).unwrap();
        assert!(frame.len() <= frame_bytes_max(message.lane()), "{name}");
        assert_eq!(decode(&frame), Ok((message, blob)), "{name}");
    }
}

#[test]
fn each_kind_of_message_has_its_lane() {
    for (name, message, _) in all() {
        let lane = match name.split(' ').next().unwrap() {
            "membership" | "leadership" => Lane::Control,
            "inference" => Lane::Inference,
            "deployment" => Lane::Bulk,
            other => panic!("{other} has no lane"),
        };
        assert_eq!(message.lane(), lane, "{name}");
    }
}

#[test]
fn a_frame_of_another_version_is_refused_by_name() {
    let mut frame = encode(&absent(), &Blob::default()).unwrap();
    frame[0] = VERSION + 1;
    let error = decode(&frame).unwrap_err();
    assert_eq!(error, WireError::Version { theirs: VERSION + 1, ours: VERSION });
    assert!(error.to_string().contains("wire version 2 is spoken there, 1 here"));
}

#[test]
fn a_frame_cut_anywhere_within_its_header_is_refused() {
    for (name, message, _) in all() {
        let frame = encode(&message, &Blob::default()).unwrap();
        for length in 0..frame.len() {
            let error = decode(&frame[..length]).unwrap_err();
            assert!(
                matches!(error, WireError::Truncated { found, .. } if found == length),
                "{name}, {length}: {error}"
            );
        }
    }
}

#[test]
fn a_header_that_is_longer_than_the_message_is_refused() {
    let frame = encode(&absent(), &Blob::from(vec![0])).unwrap();
    let mut longer = frame.clone();
    longer[1] += 1;
    assert_eq!(decode(&longer), Err(WireError::Malformed("1 bytes are left over".to_owned())));
    let mut shorter = frame;
    shorter[1] -= 1;
    assert!(matches!(decode(&shorter), Err(WireError::Malformed(_))));
}

#[test]
fn a_header_above_the_limit_is_refused_on_both_sides() {
    assert!(encode(&ask(HEADER_BYTES_MAX / 33), &Blob::default()).is_ok());
    let error = encode(&ask(HEADER_BYTES_MAX / 32), &Blob::default()).unwrap_err();
    assert!(matches!(error, WireError::TooLong { what: "header", limit: HEADER_BYTES_MAX, .. }), "{error}");

    let mut frame = vec![VERSION];
    frame.extend(u32::try_from(HEADER_BYTES_MAX + 1).unwrap().to_le_bytes());
    let error = decode(&frame).unwrap_err();
    assert_eq!(error, WireError::TooLong { what: "header", bytes: HEADER_BYTES_MAX + 1, limit: HEADER_BYTES_MAX });
}

#[test]
fn a_blob_above_its_lanes_limit_is_refused_on_both_sides() {
    let control = all().into_iter().find(|(name, ..)| name == "leadership claim").unwrap().1;
    for (message, limit) in [(control, 0), (absent(), 16 * 1024), (ask(1), BLOB_BYTES_MAX)] {
        let fits = encode(&message, &Blob::from(vec![7; limit])).unwrap();
        assert!(decode(&fits).is_ok());
        let too_long = WireError::TooLong { what: "blob", bytes: limit + 1, limit };
        assert_eq!(encode(&message, &Blob::from(vec![7; limit + 1])), Err(too_long.clone()));
        assert_eq!(decode(&[fits, vec![7]].concat()), Err(too_long));
    }
}

#[test]
fn a_list_that_claims_to_be_endless_is_refused_without_making_room_for_it() {
    let mut frame = encode(&ask(1), &Blob::default()).unwrap();
    let count_at = 5 + 2 + 32 + 1 + 1 + 32;
    assert_eq!(frame[count_at], 1, "the number of students stands here");
    frame.splice(count_at..=count_at, [0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
    frame[1] += 8;
    assert!(matches!(decode(&frame), Err(WireError::Malformed(_))));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn an_arbitrary_header_never_panics_and_what_decodes_encodes_to_the_same_meaning(
        family in 0..4_u8,
        header in prop::collection::vec(prop_oneof![0..12_u8, any::<u8>()], 0..200),
    ) {
        let mut frame = vec![VERSION];
        frame.extend(u32::try_from(header.len() + 1).unwrap().to_le_bytes());
        frame.push(family);
        frame.extend(header);
        if let Ok((message, blob)) = decode(&frame) {
            let again = encode(&message, &blob).unwrap();
            prop_assert_eq!(encode(&decode(&again).unwrap().0, &blob), Ok(again));
        }
    }

    #[test]
    fn a_changed_byte_never_panics(which in 0..64_usize, at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let examples = all();
        let (_, message, blob) = &examples[which % examples.len()];
        let mut frame = encode(message, blob).unwrap();
        let at = at.index(frame.len());
        frame[at] = to;
        let _ = decode(&frame);
    }

    #[test]
    fn asks_survive_the_journey(
        coordinator in any::<[u8; 32]>(),
        generation in any::<u64>(),
        counter in any::<u64>(),
        bundle in any::<[u8; 32]>(),
        students in prop::collection::vec(any::<[u8; 32]>().prop_map(Digest), 0..9),
        nanos in any::<u64>(),
        input in prop::collection::vec(any::<u8>(), 0..99),
    ) {
        let message = Message::Inference(inference::Message::Ask {
            request: RequestId { coordinator: NodeId(coordinator), generation: Generation(generation), counter },
            bundle: Digest(bundle),
            students,
            remaining: Duration::from_nanos(nanos),
        });
        let blob = Blob::from(input);
        prop_assert_eq!(decode(&encode(&message, &blob).unwrap()), Ok((message, blob)));
    }

    #[test]
    fn chunks_survive_the_journey(
        artifact in any::<[u8; 32]>(),
        offset in any::<u64>(),
        total in any::<u64>(),
        bytes in prop::collection::vec(any::<u8>(), 0..99),
    ) {
        let chunk = deployment::Message::Chunk { artifact: Digest(artifact), offset, total };
        let (message, blob) = (Message::Deployment(chunk), Blob::from(bytes));
        prop_assert_eq!(decode(&encode(&message, &blob).unwrap()), Ok((message, blob)));
    }
}
