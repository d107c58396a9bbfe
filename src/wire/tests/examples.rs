//! One message of every kind, with every kind of field content.

use std::sync::Arc;

use crate::blob::Blob;
use crate::fleet::Capability;
use crate::id::{Digest, Epoch, Generation, Incarnation, NodeId, PartId, RequestId, Term};
use crate::inference::Refusal;
use crate::leadership::{EpochPlan, PlannedGroup};
use crate::membership::message::{Claim, Entry, Kind, Stamp, Update};
use crate::membership::{Deployment, Holding, Record, Start};
use crate::time::Duration;
use crate::wire::Message;
use crate::{deployment, inference, leadership, membership};

pub(super) fn epoch() -> Epoch {
    Epoch { term: Term(7), leader: NodeId([0xaa; 32]), sequence: 300 }
}

pub(super) fn plan() -> EpochPlan {
    let group = PlannedGroup {
        part: PartId(1),
        student: Digest([0xcc; 32]),
        members: vec![NodeId([0xaa; 32]), NodeId([0xbb; 32])],
    };
    EpochPlan { epoch: epoch(), bundle: Digest([0xdd; 32]), groups: vec![group], feasible: true }
}

pub(super) fn desired() -> Deployment {
    Deployment { sequence: 2, bundle: Digest([0xdd; 32]), name: "fashion-mnist".to_owned(), version: "1.2".to_owned() }
}

/// By a name that says which kind it is.
pub(super) fn all() -> Vec<(String, Message, Blob)> {
    let kinds = [memberships(), leaderships(), deployments(), inferences()];
    kinds.into_iter().flatten().map(|(name, message, blob)| (name.to_owned(), message, blob)).collect()
}

type Example = (&'static str, Message, Blob);

fn memberships() -> Vec<Example> {
    let start = Start { generation: Generation(3), nonce: 0x0102_0304_0506_0708 };
    let stamp = Stamp { start, incarnation: Incarnation(2), version: 5 };
    let member = NodeId([0xbb; 32]);
    let message =
        |kind, updates| Message::Membership(membership::Message { stamp, view: 0x1122_3344_5566_7788, kind, updates });
    let record = Arc::new(Record {
        name: "kitchen".to_owned(),
        capability: Capability {
            flops_per_s: 2.5e9,
            memory_bytes: 512 << 20,
            link_bits_per_s: 1e8,
            link_delay_s: 0.000_25,
            failure_probability: 0.05,
        },
        priority: -1,
        uptime_class: 6,
        addresses: vec!["/ip4/10.0.0.2/tcp/4001".to_owned()],
        http: Some("10.0.0.2:8000".to_owned()),
        bundles: vec![Holding { bundle: Digest([0xdd; 32]), whole: true }],
        ready: vec![Digest([0xcc; 32])],
        epoch: Some(epoch()),
        desired: Some(desired()),
        draining: false,
    });
    let accused = (Generation(3), Incarnation(2), NodeId([0xaa; 32]));
    let updates = [
        Claim::Alive { stamp, record: Some(record) },
        Claim::Alive { stamp, record: None },
        Claim::Left { generation: Generation(3) },
        Claim::Suspect { generation: accused.0, incarnation: accused.1, by: accused.2 },
        Claim::Down { generation: accused.0, incarnation: accused.1, by: accused.2 },
    ]
    .map(|claim| Update { member, claim });
    let kinds = [
        ("membership ping", Kind::Ping { seq: 260, round: 70_000 }),
        ("membership ack", Kind::Ack { seq: 1 }),
        ("membership ping request", Kind::PingRequest { seq: 1, target: member }),
        ("membership reached", Kind::Reached { seq: 1, stamp }),
        ("membership nack", Kind::Nack { seq: 1 }),
        ("membership gossip", Kind::Gossip),
        (
            "membership digest",
            Kind::Digest { first: NodeId([0; 32]), last: NodeId([0xff; 32]), entries: vec![Entry { member, stamp }] },
        ),
        ("membership want", Kind::Want { members: vec![member] }),
        ("membership state", Kind::State),
    ];
    let bare = kinds.into_iter().map(|(name, kind)| (name, message(kind, Vec::new()), Blob::default()));
    let full = ("membership gossip with updates", message(Kind::Gossip, updates.to_vec()), Blob::default());
    bare.chain([full]).collect()
}

fn leaderships() -> Vec<Example> {
    let claim = leadership::Claim { term: Term(7), leader: NodeId([0xaa; 32]), generation: Generation(3) };
    let standing = leadership::Message::Standing { claim: Some(claim), epoch: Some(epoch()) };
    vec![
        ("leadership claim", Message::Leadership(leadership::Message::Claim(claim)), Blob::default()),
        ("leadership plan", Message::Leadership(leadership::Message::Plan(plan())), Blob::default()),
        ("leadership standing", Message::Leadership(standing), Blob::default()),
        ("leadership want", Message::Leadership(leadership::Message::Want), Blob::default()),
    ]
}

fn deployments() -> Vec<Example> {
    let artifact = Digest([0xcc; 32]);
    let fetch = deployment::Message::Fetch { artifact, offset: 65_536, length: 16_384 };
    let chunk = deployment::Message::Chunk { artifact, offset: 65_536, total: 65_540 };
    let absent = deployment::Message::Absent { artifact };
    let taken = deployment::Message::Taken { artifact, offset: 65_536 };
    let enough = deployment::Message::Enough { artifact };
    vec![
        ("deployment fetch", Message::Deployment(fetch), Blob::default()),
        ("deployment chunk", Message::Deployment(chunk), Blob::from(vec![1, 2, 3, 4])),
        ("deployment absent", Message::Deployment(absent), Blob::default()),
        ("deployment taken", Message::Deployment(taken), Blob::default()),
        ("deployment enough", Message::Deployment(enough), Blob::default()),
    ]
}

fn inferences() -> Vec<Example> {
    let request = RequestId { coordinator: NodeId([0xaa; 32]), generation: Generation(3), counter: 1000 };
    let (student, run) = (Digest([0xcc; 32]), Duration::from_micros(1500));
    let ask = inference::Message::Ask {
        request,
        bundle: Digest([0xdd; 32]),
        students: vec![student],
        remaining: Duration::from_millis(1999),
    };
    let partial = |epoch| inference::Message::Partial { request, student, epoch, run, queue: 2 };
    let logits = Blob::from_floats(&[0.5, -1.0]);
    let mut examples = vec![
        ("inference ask", Message::Inference(ask), logits.clone()),
        ("inference partial", Message::Inference(partial(Some(epoch()))), logits.clone()),
        ("inference partial before a plan", Message::Inference(partial(None)), logits),
        ("inference cancel", Message::Inference(inference::Message::Cancel { request }), Blob::default()),
    ];
    let reasons = [
        ("inference refuse: not loaded", Refusal::NotLoaded),
        ("inference refuse: overloaded", Refusal::Overloaded),
        ("inference refuse: draining", Refusal::Draining),
        ("inference refuse: bad input", Refusal::BadInput),
        ("inference refuse: failed", Refusal::Failed),
    ];
    examples.extend(reasons.map(|(name, reason)| {
        let refuse = inference::Message::Refuse { request, student, reason };
        (name, Message::Inference(refuse), Blob::default())
    }));
    examples
}
