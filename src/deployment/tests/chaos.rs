//! Whatever is said, in any order: no panic, no busy loop, nothing stored that was not verified.

use std::sync::Arc;

use proptest::prelude::*;

use super::fleet::plan;
use crate::blob::Blob;
use crate::deployment::{ChunkError, Config, Input, Kept, Message, Output, Peer, Stock};
use crate::id::Digest;
use crate::leadership::tests::fixture::{Bundle, bundle, id};
use crate::membership::{Deployment, Holding, Record};
use crate::time::{Duration, Instant};

const CHUNK: u64 = 16 * 1024;

fn artifact(bundle: &Bundle) -> impl Strategy<Value = Digest> + use<> {
    let mut artifacts: Vec<_> = bundle.files.keys().copied().collect();
    artifacts.push(Digest([0; 32]));
    proptest::sample::select(artifacts)
}

fn message(bundle: &Bundle) -> impl Strategy<Value = (Message, Blob)> + use<> {
    let files = bundle.files.clone();
    let offset = prop_oneof![Just(0), Just(CHUNK), Just(7), Just(u64::MAX)];
    let chunk = (artifact(bundle), offset.clone(), any::<bool>(), any::<bool>());
    prop_oneof![
        4 => chunk.prop_map(move |(artifact, offset, right_total, right_bytes)| {
            let file = files.get(&artifact).cloned().unwrap_or_default();
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(file.len());
            let mut bytes = file[from..file.len().min(from + 16 * 1024)].to_vec();
            if !right_bytes {
                bytes.reverse();
            }
            let total = if right_total { file.len() as u64 } else { u64::MAX };
            (Message::Chunk { artifact, offset, total }, bytes.into())
        }),
        1 => (artifact(bundle), offset, any::<u32>())
            .prop_map(|(artifact, offset, length)| (Message::Fetch { artifact, offset, length }, Blob::default())),
        1 => artifact(bundle).prop_map(|artifact| (Message::Absent { artifact }, Blob::default())),
        1 => artifact(bundle).prop_map(|artifact| (Message::Enough { artifact }, Blob::default())),
        1 => (artifact(bundle), 0..4_u64)
            .prop_map(|(artifact, n)| (Message::Taken { artifact, offset: n * 1024 }, Blob::default())),
    ]
}

fn chunk() -> impl Strategy<Value = Result<(u64, Blob), ChunkError>> {
    prop_oneof![Just(Ok((1, vec![1].into()))), Just(Err(ChunkError::Absent)), Just(Err(ChunkError::Unread))]
}

fn peer(bundle: &Bundle) -> impl Strategy<Value = Peer> + use<> {
    let (digest, students) = (bundle.digest, bundle.students());
    (2..5_u8, any::<bool>(), any::<bool>(), any::<bool>(), 0..3_u64).prop_map(
        move |(n, routable, whole, ready, sequence)| Peer {
            id: id(n),
            routable,
            record: Arc::new(Record {
                bundles: vec![Holding { bundle: digest, whole }],
                ready: if ready { students.clone() } else { Vec::new() },
                desired: Some(Deployment { sequence, bundle: digest, name: String::new(), version: "1.x".to_owned() }),
                ..crate::membership::tests::cluster::record(0)
            }),
        },
    )
}

fn input(bundle: &Bundle) -> impl Strategy<Value = Input> + use<> {
    let (one, other) = (bundle.clone(), bundle.clone());
    let result = prop_oneof![Just(Ok(())), Just(Err(String::new()))];
    prop_oneof![
        6 => (2..5_u8, message(bundle)).prop_map(|(n, (message, blob))| Input::Message { from: id(n), message, blob }),
        3 => proptest::collection::vec(peer(bundle), 0..4).prop_map(Input::Peers),
        1 => (2..5_u8).prop_map(|n| Input::LinkDown { peer: id(n) }),
        1 => (0..3_u64, any::<bool>()).prop_map(move |(n, here)| {
            Input::Adopted(plan(n, &one, if here { &[&[1], &[2]] } else { &[&[2], &[1]] }))
        }),
        1 => Just(Input::Deploy { bundle: other.digest, manifest: other.manifest }),
        2 => (artifact(bundle), result.clone()).prop_map(|(artifact, result)| Input::Stored { artifact, result }),
        2 => (artifact(bundle), result).prop_map(|(student, result)| Input::Loaded { student, result }),
        1 => (artifact(bundle), chunk()).prop_map(|(artifact, chunk)| {
            Input::ChunkRead { to: id(2), artifact, offset: 0, chunk }
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_said_only_verified_bytes_are_stored(
        steps in proptest::collection::vec((input(&bundle(2, 20_000, 0)), 0..3_000_u64), 0..80)
    ) {
        let mut now = Instant::from_nanos(1);
        let mut stock = Stock::new(id(1), Config::default(), Kept::default(), now);
        let mut desired = None;
        for (input, wait) in steps {
            now = now + Duration::from_millis(wait);
            if stock.poll_timeout().is_some_and(|(due, _)| due <= now) {
                stock.handle_timeout(now);
                prop_assert!(stock.poll_timeout().is_none_or(|(due, _)| due > now));
            }
            stock.handle(now, input);
            while let Some(output) = stock.poll_output() {
                if let Output::Store { artifact, bytes } = output {
                    prop_assert_eq!(Digest::of(bytes.as_bytes()), artifact);
                }
            }
            prop_assert!(stock.desired().map(|d| d.sequence) >= desired);
            desired = stock.desired().map(|d| d.sequence);
        }
    }
}
