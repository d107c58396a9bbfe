//! The format as it is on the wire today. If one of these fails, nodes of different releases no longer understand each other:
//! put it back, or raise the version.

use std::sync::Arc;

use super::examples::{all, desired, plan};
use crate::id::Term;
use crate::node::Durable;
use crate::wire::{decode, decode_durable, encode, encode_durable};

/// Hexadecimal digits; a run of eight equal bytes or more as one of them and the count.
fn print(bytes: &[u8]) -> String {
    let runs = bytes.chunk_by(|a, b| a == b);
    runs.map(|run| {
        if run.len() < 8 {
            format!("{:02x}", run[0]).repeat(run.len())
        } else {
            format!(" {:02x}*{} ", run[0], run.len())
        }
    })
    .collect::<String>()
    .replace("  ", " ")
    .trim()
    .to_owned()
}

fn parse(text: &str) -> Vec<u8> {
    let byte = |digits| u8::from_str_radix(digits, 16).unwrap();
    text.split(' ')
        .flat_map(|word| match word.split_once('*') {
            Some((digits, count)) => vec![byte(digits); count.parse().unwrap()],
            None => (0..word.len() / 2).map(|i| byte(&word[2 * i..2 * i + 2])).collect(),
        })
        .collect()
}

#[test]
fn every_message_has_the_bytes_it_always_had() {
    let golden: Vec<(&str, &str)> = include_str!("golden.txt").lines().filter_map(|l| l.split_once(" = ")).collect();
    let examples = all();
    let now: String = examples
        .iter()
        .map(|(name, message, blob)| format!("{name} = {}\n", print(&encode(message, blob).unwrap())))
        .collect();
    assert_eq!(golden.len(), examples.len(), "every example needs its golden bytes; today's are:\n{now}");
    for ((name, message, blob), (golden_name, text)) in examples.into_iter().zip(golden) {
        assert_eq!(name, golden_name);
        assert_eq!(print(&encode(&message, &blob).unwrap()), text, "{name}");
        assert_eq!(decode(&parse(text)), Ok((message, blob)), "{name}");
    }
}

#[test]
fn the_durable_state_has_the_bytes_it_always_had() {
    let durable = Durable { term: Term(9), plan: Some(Arc::new(plan())), desired: Some(desired()) };
    let golden = "0158d70f5140e7c6214902305424d2b56aa8950ac14145a987e1a317ac82d8eebd090107 aa*32 fb2c01 dd*32 0101 cc*32 02 \
                  aa*32 bb*32 010102 dd*32 0d66617368696f6e2d6d6e69737403312e32";
    assert_eq!(print(&encode_durable(&durable).unwrap()), golden);
    assert_eq!(decode_durable(&parse(golden)), Ok(durable));
}
