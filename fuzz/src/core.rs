//! The decoders of the core: what members send each other, and the files that the core reads.

use rocoin::bundle::Manifest;
use rocoin::fleet::Fleet;
use rocoin::wire;

/// A decoder by the name of its corpus's folder. It is given any bytes, and may do anything but panic.
pub(crate) type Decoder = (&'static str, fn(&[u8]));

pub(crate) const DECODERS: [Decoder; 4] =
    [("durable", durable), ("fleet-file", fleet_file), ("frame", frame), ("manifest", manifest)];

/// One frame: what decodes is within its bounds, and encodes to what means the same.
fn frame(bytes: &[u8]) {
    let Ok((message, blob)) = wire::decode(bytes) else { return };
    let again = wire::encode(&message, &blob).expect("what was decoded can be encoded");
    assert!(again.len() <= wire::frame_bytes_max(message.lane()));
    let (other, same) = wire::decode(&again).expect("what was encoded can be decoded");
    // Not the values: numbers that are none are unlike themselves.
    assert_eq!(wire::encode(&other, &same).as_deref(), Ok(again.as_slice()));
}

/// The durable state; also with a checksum that fits, or hardly any input would get past it.
fn durable(bytes: &[u8]) {
    let _ = wire::decode_durable(bytes);
    let digest = rocoin::id::Digest::of(bytes).0;
    let sealed = [&[wire::VERSION][..], &digest, bytes].concat();
    if let Ok(state) = wire::decode_durable(&sealed) {
        assert!(wire::encode_durable(&state).is_ok());
    }
}

fn manifest(bytes: &[u8]) {
    if let Ok(manifest) = Manifest::parse(bytes) {
        let _ = rocoin::planner::Students::from_manifest(&manifest);
    }
}

fn fleet_file(bytes: &[u8]) {
    if let Some(Ok(fleet)) = std::str::from_utf8(bytes).ok().map(Fleet::parse) {
        Fleet::parse(&fleet.to_toml()).expect("a fleet that was read can be written and read again");
    }
}
