//! Tensor and artifact bytes, shared without copying.

use std::sync::Arc;

/// Bytes that travel beside a message's header: a tensor as little-endian `f32`, or a chunk of an artifact.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Blob(Arc<[u8]>);

/// The bytes are no whole number of `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes are no whole number of 4-byte floats")]
pub struct NotFloats {
    bytes: usize,
}

impl Blob {
    /// A tensor's values, row-major.
    pub fn from_floats(values: &[f32]) -> Self {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    /// The tensor's values.
    ///
    /// # Errors
    /// If the length is no multiple of four.
    pub fn to_floats(&self) -> Result<Vec<f32>, NotFloats> {
        let (floats, rest) = self.0.as_chunks::<4>();
        if rest.is_empty() {
            Ok(floats.iter().map(|b| f32::from_le_bytes(*b)).collect())
        } else {
            Err(NotFloats { bytes: self.0.len() })
        }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl FromIterator<u8> for Blob {
    fn from_iter<T: IntoIterator<Item = u8>>(iter: T) -> Self {
        Self(iter.into_iter().collect())
    }
}

impl core::fmt::Debug for Blob {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_survive_the_journey() {
        let values = [0.0, -1.5, f32::MAX, f32::MIN_POSITIVE];
        assert_eq!(Blob::from_floats(&values).to_floats().unwrap(), values);
    }

    #[test]
    fn a_torn_tensor_is_refused() {
        assert_eq!(Blob::from(vec![0; 7]).to_floats(), Err(NotFloats { bytes: 7 }));
    }
}
