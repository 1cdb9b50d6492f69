//! Ids and the order of definitions, as Go's are.

use super::*;
use crate::error::ErrorKind;
use crate::kinds::Field;

type Sent = [(u32, TypeId)];

#[test]
fn ids_and_order_are_those_of_go() {
    // Slices, maps, arrays and structs of these numbers; the root is number 0.
    enum Of {
        Slice(u32),
        Map(u32),
        Array(u32),
        Struct(&'static [u32]),
        Any(&'static [u32]),
    }
    use Of::{Any, Array, Map, Slice, Struct};
    // (definitions, (number, id) in the order they are sent)
    let cases: [(&[Of], &Sent); 6] = [
        // type ListM struct { Next map[string]ListM; A [2][]ListM }
        (&[Struct(&[1, 2]), Map(0), Array(3), Slice(0)], &[(0, 65), (1, 66), (2, 68), (3, 67)]),
        // type Node struct{ Entries []Entry }; type Entry struct { Node *Node }
        (&[Struct(&[1]), Slice(2), Struct(&[0])], &[(0, 65), (1, 67), (2, 66)]),
        // type Mix struct { S []M; T M }; type M map[string][]M
        (&[Struct(&[1, 2]), Slice(2), Map(1)], &[(0, 65), (1, 67), (2, 66)]),
        // type Deep struct { X SL; Y *Deep2 }; type SL []SL
        // type Deep2 struct { Z []*Deep; W map[string]Deep; Q [1]Deep3 }
        // type Deep3 struct { A [][]*Deep2 }
        (
            &[
                Struct(&[1, 2]),
                Slice(1),
                Struct(&[3, 4, 5]),
                Slice(0),
                Map(0),
                Array(6),
                Struct(&[7]),
                Slice(8),
                Slice(2),
            ],
            &[(0, 65), (1, 66), (2, 67), (3, 68), (4, 69), (5, 73), (6, 70), (7, 72), (8, 71)],
        ),
        // What interfaces can hold comes last, and what cannot be reached never.
        (
            &[Struct(&[1, 3]), Any(&[2, 4]), Struct(&[1]), Slice(1), Map(5), Array(4), Map(6)],
            &[(0, 65), (3, 66), (2, 67), (4, 69), (5, 68)],
        ),
        (&[Any(&[1, 1]), Slice(0), Slice(0)], &[(1, 65)]),
    ];
    for (definitions, sent) in cases {
        let name = || Box::from("");
        let fields = |numbers: &[u32]| {
            let field = |number: &u32| Field {
                name: number.to_string().into(),
                kind: Kind::Defined(*number),
            };
            numbers.iter().map(field).collect()
        };
        let definitions = definitions.iter().map(|definition| match *definition {
            Slice(element) => Definition::Slice { name: name(), element: Kind::Defined(element) },
            Map(value) => {
                Definition::Map { name: name(), key: Kind::String, value: Kind::Defined(value) }
            }
            Array(element) => {
                Definition::Array { name: name(), element: Kind::Defined(element), len: 1 }
            }
            Struct(numbers) => Definition::Struct { name: name(), fields: fields(numbers) },
            Any(numbers) => Definition::Choice { variants: fields(numbers) },
        });
        let definitions: Vec<_> = definitions.collect();
        let order = Order::new(&definitions, Kind::Defined(0), &[]).unwrap();
        let ids = order.ids(|offset| 65 + offset);
        let later = order.ids(|offset| 1_000 + offset);
        let told = order.numbers.iter().map(|&number| (number, id(Kind::Defined(number), &ids)));
        let told: Vec<_> = told.collect();
        assert_eq!(told, sent, "{definitions:?}");
        // From another first id on, everything is the same but for the ids.
        assert!(sent.iter().all(|&(number, from)| id(Kind::Defined(number), &later) == from + 935));
        let (mut first, mut second) = (Vec::new(), Vec::new());
        order.put_all(&definitions, FIRST_ID_WRITTEN, &ids, &mut first);
        order.put(&definitions, &ids, |_| true, &mut second);
        assert_eq!(first, second);
    }
}

#[test]
fn a_chain_of_any_length_is_no_matter() {
    let len = 100_000;
    let slice = |number| Definition::Slice { name: "".into(), element: Kind::Defined(number) };
    let mut chain: Vec<_> = (1..len).map(slice).collect();
    chain.push(Definition::Slice { name: "".into(), element: Kind::Int });
    let order = Order::new(&chain, Kind::Defined(0), &[]).unwrap();
    assert_eq!(order.ids_count(), TypeId::from(len));
    let ids = order.ids(|offset| 65 + offset);
    assert_eq!(id(Kind::Defined(0), &ids), 64 + TypeId::from(len));
    let choice = |number| Definition::Choice {
        variants: [Field { name: "".into(), kind: Kind::Defined(number) }].into(),
    };
    let mut chain: Vec<_> = (1..len).map(choice).collect();
    chain.push(Definition::Slice { name: "".into(), element: Kind::Int });
    assert_eq!(Order::new(&chain, Kind::Defined(0), &[]).unwrap().ids_count(), 1);
}

#[test]
fn a_type_that_is_not_defined_is_an_error() {
    let slice = Definition::Slice { name: "".into(), element: Kind::Defined(1) };
    let cases = [
        (vec![Definition::Missing], Kind::Defined(0)),
        (vec![], Kind::Defined(7)),
        (vec![slice.clone()], Kind::Defined(0)),
        (vec![slice, Definition::Missing], Kind::Defined(0)),
    ];
    for (definitions, root) in cases {
        let error = Order::new(&definitions, root, &[]).err().map(|error| error.kind());
        assert_eq!(error, Some(ErrorKind::Unsupported));
    }
}
