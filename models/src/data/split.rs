//! One part of a data set: images of one shape with a label each.

/// The values of all images, one image after the other, kept as the file has them.
#[derive(Debug, Clone, PartialEq)]
pub enum Pixels {
    /// 0 to 255.
    U8(Vec<u8>),
    /// Any finite number.
    F32(Vec<f32>),
}

impl Pixels {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(values) => values.len(),
            Self::F32(values) => values.len(),
        }
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Images of one shape, a label each.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// Of one image: `[C,H,W]` or `[C,L]`.
    pub shape: Vec<usize>,
    /// One class an image, from 0.
    pub labels: Vec<u16>,
    /// All images' values, in image order.
    pub pixels: Pixels,
}

impl Split {
    /// How many images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Number of values of one image.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// The class of image `index`.
    pub fn label(&self, index: usize) -> usize {
        self.labels[index].into()
    }

    /// Writes image `index` into `out`, which holds [`Split::elements`] values.
    pub fn image(&self, index: usize, out: &mut [f32]) {
        let size = self.elements();
        let range = index * size..(index + 1) * size;
        match &self.pixels {
            Pixels::U8(values) => {
                for (to, &from) in out.iter_mut().zip(&values[range]) {
                    *to = f32::from(from);
                }
            }
            Pixels::F32(values) => out.copy_from_slice(&values[range]),
        }
    }

    /// Image `index` on its own.
    pub fn image_vec(&self, index: usize) -> Vec<f32> {
        let mut image = vec![0.0; self.elements()];
        self.image(index, &mut image);
        image
    }

    /// The images `indices` alone.
    #[must_use]
    pub fn of(&self, indices: &[usize]) -> Self {
        let size = self.elements();
        let range = |&index: &usize| index * size..(index + 1) * size;
        let pixels = match &self.pixels {
            Pixels::U8(values) => Pixels::U8(indices.iter().flat_map(|index| &values[range(index)]).copied().collect()),
            Pixels::F32(values) => {
                Pixels::F32(indices.iter().flat_map(|index| &values[range(index)]).copied().collect())
            }
        };
        Self { shape: self.shape.clone(), labels: indices.iter().map(|&index| self.labels[index]).collect(), pixels }
    }

    /// Mean and standard deviation of each channel over the images `indices`; a channel that never varies has deviation 1.
    pub fn channel_statistics(&self, indices: &[usize]) -> (Vec<f32>, Vec<f32>) {
        let channels = self.shape[0];
        let plane = self.elements() / channels;
        let (mut sums, mut squares) = (vec![0_f64; channels], vec![0_f64; channels]);
        let mut image = vec![0.0; self.elements()];
        for &index in indices {
            self.image(index, &mut image);
            for (channel, values) in image.chunks_exact(plane).enumerate() {
                for &value in values {
                    sums[channel] += f64::from(value);
                    squares[channel] += f64::from(value) * f64::from(value);
                }
            }
        }
        let count = (indices.len() * plane).max(1) as f64;
        #[expect(clippy::cast_possible_truncation, reason = "pixels are f32 or less, and so are their moments")]
        let narrow = |value: f64| value as f32;
        sums.iter()
            .zip(&squares)
            .map(|(sum, square)| {
                let mean = sum / count;
                let deviation = (square / count - mean * mean).max(0.0).sqrt();
                (narrow(mean), if deviation > 1e-6 { narrow(deviation) } else { 1.0 })
            })
            .unzip()
    }
}
