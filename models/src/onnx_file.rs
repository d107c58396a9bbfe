//! Small ONNX files, written by hand after the messages of onnx.proto3: protobuf is a list of numbered fields. For the network that calibrates a
//! device, students that cost nothing, students of 8 bits, and tests.

/// The version of the operators that files ask for.
const OPERATORS: u64 = 17;

/// A network being described; [`OnnxFile::bytes`] is its file.
#[derive(Debug, Clone)]
pub struct OnnxFile {
    name: String,
    note: String,
    graph: Vec<u8>,
}

/// An attribute of an operator.
#[derive(Debug, Clone, Copy)]
pub enum Attribute<'a> {
    /// One number.
    Int(&'a str, i64),
    /// A list of numbers.
    Ints(&'a str, &'a [i64]),
}

impl OnnxFile {
    /// A graph of that name, without anything in it.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), note: String::new(), graph: Vec::new() }
    }

    /// Words that go with the file, as its documentation.
    #[must_use]
    pub fn note(mut self, note: &str) -> Self {
        note.clone_into(&mut self.note);
        self
    }

    /// Adds an operator.
    #[must_use]
    pub fn node(mut self, op: &str, inputs: &[&str], output: &str, attributes: &[Attribute<'_>]) -> Self {
        let mut node = Vec::new();
        inputs.iter().for_each(|input| field(&mut node, 1, input.as_bytes()));
        field(&mut node, 2, output.as_bytes());
        field(&mut node, 4, op.as_bytes());
        attributes.iter().for_each(|attribute| field(&mut node, 5, &attribute.bytes()));
        field(&mut self.graph, 1, &node);
        self
    }

    /// Adds a constant of floats.
    #[must_use]
    pub fn weights(self, name: &str, shape: &[i64], values: &[f32]) -> Self {
        self.constant(name, shape, 1, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
    }

    /// Adds a constant of 8-bit integers.
    #[must_use]
    pub fn bytes8(self, name: &str, shape: &[i64], values: &[i8]) -> Self {
        self.constant(name, shape, 3, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
    }

    /// Adds a constant of 32-bit integers.
    #[must_use]
    pub fn ints32(self, name: &str, shape: &[i64], values: &[i32]) -> Self {
        self.constant(name, shape, 6, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
    }

    /// Adds a constant of 64-bit integers: a shape, or axes.
    #[must_use]
    pub fn ints64(self, name: &str, shape: &[i64], values: &[i64]) -> Self {
        self.constant(name, shape, 7, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
    }

    /// Adds an input of floats; 0 is a dynamic axis.
    #[must_use]
    pub fn input(mut self, name: &str, shape: &[i64]) -> Self {
        field(&mut self.graph, 11, &value_info(name, shape));
        self
    }

    /// Adds an output of floats; 0 is a dynamic axis.
    #[must_use]
    pub fn output(mut self, name: &str, shape: &[i64]) -> Self {
        field(&mut self.graph, 12, &value_info(name, shape));
        self
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut model = Vec::new();
        number(&mut model, 1, 8);
        if !self.note.is_empty() {
            field(&mut model, 6, self.note.as_bytes());
        }
        let mut graph = self.graph.clone();
        field(&mut graph, 2, self.name.as_bytes());
        field(&mut model, 7, &graph);
        let mut opset = Vec::new();
        number(&mut opset, 2, OPERATORS);
        field(&mut model, 8, &opset);
        model
    }

    fn constant(mut self, name: &str, shape: &[i64], kind: u64, raw: &[u8]) -> Self {
        let mut tensor = Vec::new();
        shape.iter().for_each(|&size| number(&mut tensor, 1, size.cast_unsigned()));
        number(&mut tensor, 2, kind);
        field(&mut tensor, 8, name.as_bytes());
        field(&mut tensor, 9, raw);
        field(&mut self.graph, 5, &tensor);
        self
    }
}

impl Attribute<'_> {
    fn bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Self::Int(name, value) => {
                field(&mut bytes, 1, name.as_bytes());
                number(&mut bytes, 3, value.cast_unsigned());
                number(&mut bytes, 20, 2);
            }
            Self::Ints(name, values) => {
                field(&mut bytes, 1, name.as_bytes());
                values.iter().for_each(|&value| number(&mut bytes, 8, value.cast_unsigned()));
                number(&mut bytes, 20, 7);
            }
        }
        bytes
    }
}

fn value_info(name: &str, shape: &[i64]) -> Vec<u8> {
    let mut axes = Vec::new();
    for &size in shape {
        let mut axis = Vec::new();
        match size {
            0 => field(&mut axis, 2, b"batch"),
            size => number(&mut axis, 1, size.cast_unsigned()),
        }
        field(&mut axes, 1, &axis);
    }
    let mut tensor = Vec::new();
    number(&mut tensor, 1, 1);
    field(&mut tensor, 2, &axes);
    let mut kind = Vec::new();
    field(&mut kind, 1, &tensor);
    let mut info = Vec::new();
    field(&mut info, 1, name.as_bytes());
    field(&mut info, 2, &kind);
    info
}

/// A field of bytes.
fn field(to: &mut Vec<u8>, tag: u64, bytes: &[u8]) {
    varint(to, tag << 3 | 2);
    varint(to, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

/// A field of a number.
fn number(to: &mut Vec<u8>, tag: u64, value: u64) {
    varint(to, tag << 3);
    varint(to, value);
}

fn varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    to.push(value.to_le_bytes()[0]);
}
