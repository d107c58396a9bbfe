//! Buffers that go round: what one training step's backward pass has used up, the next step's passes write into.
//!
//! A step's activations and gradients are a hundred megabytes in large blocks, which the system's allocator returns to
//! the operating system and fetches again, page by page, every step. The sizes repeat, so buffers are kept by size, for
//! each thread apart.

use std::cell::RefCell;
use std::collections::BTreeMap;

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;

/// Values that a thread keeps at most (512 MiB): a few times what a step of the zoo's largest student takes at a batch
/// of 128. When more come in, all are let go: that happens when sizes have changed for good.
const KEPT_VALUES_MAX: usize = 128 << 20;

#[derive(Debug, Default)]
struct Buffers {
    by_size: BTreeMap<usize, Vec<Vec<f32>>>,
    values: usize,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

/// A buffer of `size` values for the caller to overwrite; what they are now is unspecified.
pub(super) fn take(size: usize) -> Vec<f32> {
    BUFFERS.with_borrow_mut(|buffers| buffers.take(size)).unwrap_or_else(|| vec![0.0; size])
}

/// Keeps the tensor's buffer for [`take`], unless someone else still uses it.
pub(super) fn recycle(tensor: FloatTensor<Flex>) {
    if tensor.is_unique()
        && let Ok(buffer) = tensor.into_data().try_into_vec()
    {
        BUFFERS.with_borrow_mut(|buffers| buffers.keep(buffer));
    }
}

impl Buffers {
    fn take(&mut self, size: usize) -> Option<Vec<f32>> {
        let buffer = self.by_size.get_mut(&size)?.pop()?;
        self.values -= size;
        Some(buffer)
    }

    fn keep(&mut self, buffer: Vec<f32>) {
        if self.values + buffer.len() > KEPT_VALUES_MAX {
            *self = Self::default();
        }
        self.values += buffer.len();
        self.by_size.entry(buffer.len()).or_default().push(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::super::ops::{tensor, values};
    use super::*;

    #[test]
    fn a_recycled_buffer_is_taken_again_for_its_size_only() {
        recycle(tensor(vec![7.0; 6], [2, 3]));

        assert_eq!(take(5), [0.0; 5]);
        assert_eq!(take(6), [7.0; 6]);
        assert_eq!(take(6), [0.0; 6]);
    }

    #[test]
    fn a_tensor_in_use_keeps_its_buffer() {
        let used = tensor(vec![3.0; 9], [9]);

        recycle(used.clone());

        assert_eq!(take(9), [0.0; 9]);
        assert_eq!(values(&used), [3.0; 9]);
    }

    #[test]
    fn a_full_store_lets_everything_go() {
        let mut buffers = Buffers::default();
        buffers.keep(vec![1.0; 4]);
        buffers.values = KEPT_VALUES_MAX;

        buffers.keep(vec![2.0; 3]);

        assert_eq!(buffers.take(4), None);
        assert_eq!(buffers.take(3), Some(vec![2.0; 3]));
        assert_eq!(buffers.values, 0);
    }
}
