//! Large types, deeply nested, on small stacks: a value comes of it or an error, never an abort.
//!
//! A level of nesting takes a few times the size of its type on the stack, and a few dozen times
//! without optimisation, so these tests say something in both kinds of build.

#![cfg(all(feature = "bincode", feature = "json"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::large_stack_arrays,
    clippy::large_stack_frames,
    reason = "a panic is how a test fails, and large values are what is tried"
)]

use std::collections::BTreeMap;
use std::thread;

use bytes::{Bytes, BytesMut};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
#[cfg(feature = "gob")]
use switchboard::format::Gob;
#[cfg(feature = "postcard")]
use switchboard::format::Postcard;
use switchboard::format::{Bincode, Budget, Format, Json};
use switchboard::{Code, Limits};
use switchboard_testing::child::in_child;

const KIB: usize = 1024;
const STACKS: [usize; 3] = [256 * KIB, 512 * KIB, 2048 * KIB];

/// A part of a node that makes it large.
trait Block: Serialize + DeserializeOwned + Copy + Send + 'static {
    const ZERO: Self;
}

impl Block for u64 {
    const ZERO: Self = 0;
}

impl Block for Option<[u64; 31]> {
    const ZERO: Self = None;
}

impl<B: Block, const N: usize> Block for [B; N]
where
    Self: Serialize + DeserializeOwned,
{
    const ZERO: Self = [B::ZERO; N];
}

/// Four bytes on the wire.
type Kib = [Option<[u64; 31]>; 4];

/// For gob, whose arrays have nothing optional.
#[cfg(feature = "gob")]
type Words = [[u64; 32]; 4];

/// A value with so many nodes in one another.
trait Nest: Serialize + DeserializeOwned + Send + 'static {
    fn nest(levels: usize) -> Self;
}

macro_rules! nests {
    ($(
        $(#[$attribute:meta])*
        $kind:ident $name:ident $body:tt, $begin:expr, $inner:ident => $outer:expr;
    )*) => {$(
        #[derive(Serialize, Deserialize)]
        #[serde(bound = "B: Block")]
        $(#[$attribute])*
        $kind $name<B> $body

        impl<B: Block> Nest for $name<B> {
            fn nest(levels: usize) -> Self {
                let mut $inner = $begin;
                for _ in 0..levels {
                    $inner = $outer;
                }
                $inner
            }
        }
    )*};
}

nests! {
    struct Chain { block: B, next: Option<Box<Self>> },
        Self { block: B::ZERO, next: None },
        inner => Self { block: B::ZERO, next: Some(Box::new(inner)) };
    struct Tree { block: B, next: Vec<Self> },
        Self { block: B::ZERO, next: vec![] },
        inner => Self { block: B::ZERO, next: vec![inner] };
    struct Map { block: B, next: BTreeMap<String, Self> },
        Self { block: B::ZERO, next: BTreeMap::new() },
        inner => Self { block: B::ZERO, next: BTreeMap::from([(String::new(), inner)]) };
    enum List { Nil, Tuple(B, Box<Self>), Fields { block: B, next: Box<Self> } },
        Self::Nil,
        inner => match inner {
            Self::Tuple(..) => Self::Fields { block: B::ZERO, next: Box::new(inner) },
            inner => Self::Tuple(B::ZERO, Box::new(inner)),
        };
    // This comes back to itself by way of a struct.
    #[serde(tag = "type", content = "node")]
    enum Adjacent { Nil, Node(B, Box<Self>) },
        Self::Nil,
        inner => Self::Node(B::ZERO, Box::new(inner));
    // Nothing of these but a pointer is seen before they are made.
    enum Boxed { Nil, Node(Box<(B, Self)>) },
        Self::Nil,
        inner => Self::Node(Box::new((B::ZERO, inner)));
    struct Listed { nodes: Vec<(B, Self)> },
        Self { nodes: vec![] },
        inner => Self { nodes: vec![(B::ZERO, inner)] };
    struct Mapped { nodes: BTreeMap<String, (B, Self)> },
        Self { nodes: BTreeMap::new() },
        inner => Self { nodes: BTreeMap::from([(String::new(), (B::ZERO, inner))]) };
    // These are read into a buffer first.
    #[serde(untagged)]
    enum Untagged { Node { block: B, next: Box<Self> }, Nil(u8) },
        Self::Nil(0),
        inner => Self::Node { block: B::ZERO, next: Box::new(inner) };
    #[serde(tag = "type")]
    enum Tagged { Node { block: B, next: Box<Self> }, Nil { zero: u8 } },
        Self::Nil { zero: 0 },
        inner => Self::Node { block: B::ZERO, next: Box::new(inner) };
    struct Flat { block: B, #[serde(flatten)] rest: BTreeMap<String, Self> },
        Self { block: B::ZERO, rest: BTreeMap::new() },
        inner => Self { block: B::ZERO, rest: BTreeMap::from([("next".to_owned(), inner)]) };
}

/// Decodes nodes in one another, as many as a `depth_max` of 128 allows and more.
fn check<F: Format<T>, T: Nest>() {
    for levels in [1, 9, 24, 63, 130] {
        let payload = on_large_stack(move || {
            let value = T::nest(levels);
            let mut payload = BytesMut::new();
            let limits = Limits::default().with(|limits| limits.depth_max = Limits::DEPTH_MOST);
            F::encode(&value, &limits, &mut payload).expect("it has a form");
            payload.freeze()
        });
        let refused = decode::<F, T>(payload);
        assert!(levels < 130 || refused == Some(Code::TooLarge), "{levels}: {refused:?}");
        let is_taken = levels == 1 && size_of::<T>() < 128 * KIB;
        assert!(!is_taken || refused.is_none(), "{levels}: {refused:?}");
    }
}

/// Why the payload is refused, if it is: never but for its size.
fn decode<F: Format<T>, T: Nest>(payload: Bytes) -> Option<Code> {
    let budget = Budget::new(&Limits::default(), payload.len());
    let error = F::decode(payload, &budget).err()?;
    assert_eq!(error.code(), Code::TooLarge, "{error}");
    Some(error.code())
}

fn on_large_stack<R: Send>(make: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(512 * KIB * KIB);
        thread.spawn_scoped(scope, make).unwrap().join().unwrap()
    })
}

/// Checks those nodes of which the outermost fits on the stack where it is used.
macro_rules! check_sizes {
    ($stack_bytes:ident, $format:ident of $kib:ident: $($nest:ident)*) => {$(
        check::<$format, $nest<$kib>>();
        check::<$format, $nest<[$kib; 8]>>();
        if $stack_bytes >= 512 * KIB {
            check::<$format, $nest<[$kib; 16]>>();
        }
        if $stack_bytes >= 2048 * KIB {
            check::<$format, $nest<[$kib; 32]>>();
            check::<$format, $nest<[[$kib; 32]; 2]>>();
            check::<$format, $nest<[[$kib; 32]; 4]>>();
        }
    )*};
}

/// Checks those nodes that lie behind a pointer, whatever the stack.
macro_rules! check_hidden_sizes {
    ($format:ident: $($nest:ident)*) => {$(
        check::<$format, $nest<[Kib; 8]>>();
        check::<$format, $nest<[[Kib; 32]; 2]>>();
    )*};
}

#[test]
fn nodes_in_boxes() {
    in_child("nodes_in_boxes", &STACKS, |stack_bytes| {
        check_sizes!(stack_bytes, Bincode of Kib: Chain List);
        check_sizes!(stack_bytes, Json of Kib: Chain List Adjacent);
        #[cfg(feature = "postcard")]
        check_sizes!(stack_bytes, Postcard of Kib: Chain List);
        #[cfg(feature = "gob")]
        check_sizes!(stack_bytes, Gob of Words: Chain);
    });
}

#[test]
fn nodes_in_containers() {
    in_child("nodes_in_containers", &STACKS, |stack_bytes| {
        check_sizes!(stack_bytes, Bincode of Kib: Tree Map);
        check_sizes!(stack_bytes, Json of Kib: Tree Map);
        #[cfg(feature = "postcard")]
        check_sizes!(stack_bytes, Postcard of Kib: Tree Map);
        #[cfg(feature = "gob")]
        check_sizes!(stack_bytes, Gob of Words: Tree);
    });
}

#[test]
fn nodes_of_which_only_a_pointer_is_seen() {
    in_child("nodes_of_which_only_a_pointer_is_seen", &STACKS, |_| {
        check_hidden_sizes!(Bincode: Boxed Listed Mapped);
        check_hidden_sizes!(Json: Boxed Listed Mapped);
        #[cfg(feature = "postcard")]
        check_hidden_sizes!(Postcard: Boxed Listed Mapped);
    });
}

#[test]
fn nodes_that_are_buffered_first() {
    in_child("nodes_that_are_buffered_first", &STACKS, |stack_bytes| {
        check_sizes!(stack_bytes, Json of Kib: Untagged Tagged Flat);
    });
}

/// The way of a request from its payload to the handler, and of the reply back to its caller, has
/// room for a type that is a 32nd of a worker's stack.
#[cfg(feature = "io")]
#[test]
fn nodes_on_their_way_to_a_handler() {
    fn call<B: Block>() {
        use switchboard::{Command, Endpoint, Error};
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).thread_stack_size(32 * size_of::<B>()).enable_all();
        builder.build().unwrap().block_on(async {
            let same = Command::<Chain<B>, Chain<B>>::new("SAME");
            let endpoint = Endpoint::new().on(same, async |node| Ok::<_, Error>(node));
            let client = endpoint.client();
            let node = Chain::<B>::nest(3);
            let calling = tokio::spawn(async move { client.call(same, &node).await });
            assert!(calling.await.unwrap().unwrap().next.is_some());
        });
    }
    in_child("nodes_on_their_way_to_a_handler", &[16 * KIB * KIB], |_| {
        call::<[Kib; 8]>();
        call::<[Kib; 16]>();
        call::<[Kib; 32]>();
        call::<[[Kib; 32]; 2]>();
    });
}
