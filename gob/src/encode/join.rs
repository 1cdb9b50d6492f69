//! Values that stand alone, put on one stream.
//!
//! Somebody has encoded a value without knowing what the stream has heard before. Its definitions
//! are left out where the stream has equal ones, and its ids become those of the stream.

use super::{Encoder, IDS_MAX};
use crate::decode::Decoder;
use crate::error::Result;
use crate::value::Value;
use crate::wire::cut_short;

impl Encoder {
    /// Appends a value that was encoded as a stream of its own.
    ///
    /// # Errors
    ///
    /// Nothing is appended then, and the stream goes on as if there had been no call. What
    /// [`from_slice`](crate::from_slice) and [`encode_as`](Self::encode_as) say of it.
    ///
    /// ```
    /// use switchboard_gob::{Encoder, to_vec};
    ///
    /// let (alone, mut stream) = (to_vec(&vec![1_i64, 2])?, Vec::new());
    /// let mut encoder = Encoder::new();
    /// encoder.append(&alone, &mut stream)?;
    /// assert_eq!(stream, alone);
    /// // The type is known now.
    /// encoder.append(&alone, &mut stream)?;
    /// assert!(stream.len() < alone.len() * 2);
    /// # Ok::<(), switchboard_gob::Error>(())
    /// ```
    pub fn append(&mut self, alone: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let mut decoder = Decoder::with_limits(self.limits.clone());
        decoder.push_whole(alone)?;
        let schema = decoder.schema().ok_or_else(cut_short)?;
        self.encode_as(&schema, &decoder.decode::<Value>()?, out)
    }

    /// Forgets what the stream has heard: definitions are sent again with the next value, under ids
    /// that were not used before. So the stream goes on for one decoder, and begins anew for
    /// others.
    pub fn forget_definitions(&mut self) {
        self.told.clear();
        self.types.clear();
        (self.last, self.told_in_types) = (0, 0);
        // Who remembers a thousand million types has other worries than two of one id.
        if self.ids_taken > IDS_MAX / 2 {
            self.ids_taken = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::{ErrorKind, from_slice, to_vec};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Node {
        id: i64,
        next: Option<Box<Self>>,
    }

    fn node(id: i64) -> Node {
        Node { id, next: Some(Box::new(Node { id: id.saturating_add(1), next: None })) }
    }

    #[test]
    fn what_was_said_is_not_said_again() {
        let (alone, strings) = (to_vec(&node(1)).unwrap(), to_vec(&vec!["a".to_owned()]).unwrap());
        let (mut encoder, mut stream) = (Encoder::new(), Vec::new());
        for value in [&alone, &strings, &alone, &strings] {
            encoder.append(value, &mut stream).unwrap();
        }
        let mut decoder = Decoder::new();
        let mut rest: &[u8] = &stream;
        for _ in 0..2 {
            assert_eq!(decoder.read::<Node>(&mut rest).unwrap(), Some(node(1)));
            let strings: Option<Vec<String>> = decoder.read(&mut rest).unwrap();
            assert_eq!(strings, Some(vec!["a".to_owned()]));
        }
        assert!(rest.is_empty());
        assert!(stream.len() < 2 * (alone.len() + strings.len()));
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Shape {
        A { n: i64 },
        B { n: Vec<i64> },
        C(Box<Inner>),
        D(Vec<i64>),
        E(Vec<Inner>),
        F { n: Vec<Inner> },
        G(String),
        H(Vec<String>),
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Inner {
        list: Vec<i64>,
        shapes: Vec<Shape>,
    }

    fn shape(number: usize) -> Shape {
        let inner = Inner { list: vec![1], shapes: Vec::new() };
        match number {
            0 => Shape::A { n: 1 },
            1 => Shape::B { n: vec![2] },
            2 => Shape::C(Box::new(inner)),
            3 => Shape::D(vec![3]),
            4 => Shape::E(vec![inner.clone(), inner]),
            5 => Shape::F { n: vec![inner] },
            6 => Shape::G("text".to_owned()),
            _ => Shape::H(vec!["a".to_owned()]),
        }
    }

    /// Interfaces that hold ever other sets of types are no reason to say a type again.
    #[test]
    fn a_type_is_said_once_whatever_the_schemas_it_is_in() {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        let mut definitions = 0;
        for round in 0..2 {
            for set in 0..256_usize {
                let value: Vec<_> = (0..8).filter(|bit| set >> bit & 1 == 1).map(shape).collect();
                // As a peer would that says no more than it needs: by its values.
                let mut source = Decoder::new();
                assert!(source.push(&to_vec(&value).unwrap()).unwrap().is_complete);
                let (schema, dynamic) = (source.schema().unwrap(), source.decode().unwrap());
                let mut stream = Vec::new();
                encoder.encode_as::<Value>(&schema, &dynamic, &mut stream).unwrap();
                assert_eq!(decoder.read::<Vec<Shape>>(&mut &*stream).unwrap(), Some(value));
                assert!(encoder.told.len() <= 64);
            }
            let known = encoder.ids_taken;
            assert!(round == 0 || known == definitions, "{known} after {definitions}");
            definitions = known;
        }
        // Shapes; A, B, Inner, ints, F, strings; Inners.
        assert!(definitions <= 9, "{definitions}");
    }

    #[test]
    fn a_stream_goes_on_for_one_decoder_and_begins_anew_for_others() {
        let alone = to_vec(&node(1)).unwrap();
        let (mut encoder, mut kept) = (Encoder::new(), Decoder::new());
        for ids_taken in [0, 0, IDS_MAX / 2, IDS_MAX / 2 + 2] {
            let mut stream = Vec::new();
            encoder.ids_taken = encoder.ids_taken.max(ids_taken);
            encoder.append(&alone, &mut stream).unwrap();
            encoder.forget_definitions();
            assert_eq!(from_slice::<Node>(&stream).unwrap(), node(1));
            assert_eq!(kept.read(&mut &*stream).unwrap(), Some(node(1)));
        }
        assert_eq!(encoder.ids_taken, 0);
    }

    #[test]
    fn what_is_no_stream_of_its_own_is_refused() {
        let alone = to_vec(&node(1)).unwrap();
        let twice = [&*alone, &*alone].concat();
        let cases: [(&[u8], ErrorKind); 4] = [
            (&[], ErrorKind::UnexpectedEnd),
            (&alone[..alone.len() - 1], ErrorKind::UnexpectedEnd),
            (&twice, ErrorKind::Malformed),
            (&[1, 0], ErrorKind::Malformed),
        ];
        let mut encoder = Encoder::new();
        for (bytes, kind) in cases {
            let mut stream = b"before".to_vec();
            assert_eq!(encoder.append(bytes, &mut stream).unwrap_err().kind(), kind);
            assert_eq!(stream, b"before");
        }
        let mut stream = Vec::new();
        encoder.append(&alone, &mut stream).unwrap();
        assert_eq!(stream, alone);
    }

    #[test]
    fn an_interface_of_another_schema_is_refused() {
        use crate::{Interface, Schema, Type, Value};

        let inner = Interface {
            name: "main.Lost".to_owned(),
            value_type: Type::from_number(70).unwrap(),
            value: Value::Struct(Vec::new()),
        };
        let schema = Schema::builder().build(Type::INTERFACE).unwrap();
        let value = Value::Interface(Box::new(inner));
        let error = crate::to_vec_as(&schema, &value).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
}
