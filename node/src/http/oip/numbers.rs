//! A tensor's numbers as JSON has them: flat or nested lists.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A text that is no longer is repeated to whoever sent it.
const REPEATED_BYTES_MAX: usize = 16;

/// The numbers, in the order in which they stand, however deep the lists are. Eight bytes each, whatever they took as text: a body of
/// nothing but zeros and commas grows four times, not a hundred times as a tree of values would.
#[derive(Debug, PartialEq)]
pub(crate) struct Numbers(Vec<f64>);

impl Numbers {
    pub(super) fn as_slice(&self) -> &[f64] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut numbers = Vec::new();
        Flat(&mut numbers).deserialize(deserializer)?;
        Ok(Self(numbers))
    }
}

/// Takes what comes next to the end of these.
struct Flat<'a>(&'a mut Vec<f64>);

impl Flat<'_> {
    fn refuse<E: Error>(&self, what: impl fmt::Display) -> E {
        let place = self.0.len();
        E::custom(format_args!("inputs[0].data: number {place}, counted from 0, is {what}, which is no number"))
    }
}

impl<'de> DeserializeSeed<'de> for Flat<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Flat<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or a list of numbers")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.0.push(number);
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "tensors are f32, which loses more")]
    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.visit_f64(number as f64)
    }

    #[expect(clippy::cast_precision_loss, reason = "tensors are f32, which loses more")]
    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.visit_f64(number as f64)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Flat(&mut *self.0))?.is_some() {}
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Err(self.refuse("null"))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        Err(self.refuse(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if text.len() > REPEATED_BYTES_MAX {
            return Err(self.refuse("a text"));
        }
        Err(self.refuse(format_args!("{text:?}")))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(self.refuse("an object"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Vec<f64>, String> {
        serde_json::from_str::<Numbers>(json).map(|numbers| numbers.0).map_err(|e| e.to_string())
    }

    #[test]
    fn lists_are_flat_however_deep_they_are() {
        for json in ["[1, -2, 0.5]", "[[1, -2], [0.5]]", "[[[[1]], []], -2, [0.5]]"] {
            assert_eq!(read(json), Ok(vec![1.0, -2.0, 0.5]), "{json}");
        }
        assert_eq!(read("7"), Ok(vec![7.0]));
    }

    #[test]
    fn what_is_no_number_is_told_with_its_place_and_not_repeated_at_length() {
        let long = format!("[0, {:?}]", "x".repeat(1 << 20));
        for (json, told) in [
            ("[0, [1, null]]", "number 2, counted from 0, is null"),
            ("[true]", "number 0, counted from 0, is true"),
            ("[0, {\"a\": 1}]", "number 1, counted from 0, is an object"),
            ("[\"NaN\"]", "number 0, counted from 0, is \"NaN\""),
            (long.as_str(), "number 1, counted from 0, is a text"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(told) && error.len() < 200, "{error}");
        }
    }

    #[test]
    fn lists_too_deep_to_be_a_tensor_are_refused() {
        assert!(read(&("[".repeat(100_000) + &"]".repeat(100_000))).unwrap_err().contains("recursion limit"));
    }
}
