//! What a call allocates, at both of its ends together: counted, never timed.
//!
//! Client and server are in one thread, where every allocation is counted. The counts are the same
//! in every run but for one thing: a hash table that is filled and emptied again and again grows at
//! other times in each, by its random seed, so that of 64 calls in flight a tenth more was taken
//! than the most that was seen.

#![cfg(all(feature = "io", feature = "bincode"))]
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::needless_pass_by_value,
    reason = "a test may panic, and is easier to read"
)]

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use allocation_counter::{AllocationInfo, measure};
use switchboard::{Call, Client, Command, Endpoint, Error, transport};
use switchboard_testing::message::Message;
use tokio::task::JoinSet;

const NUMBER: Command<u64, u64> = Command::new("NUMBER");
const MESSAGE: Command<Message, Message> = Command::new("MESSAGE");
const NOTE: Command<u64, ()> = Command::new("NOTE");
#[cfg(feature = "json")]
const NUMBER_JSON: Command<u64, u64, switchboard::format::Json> = Command::new("NUMBER_JSON");

/// So many that what happens once in a round does not show.
const CALLS: u64 = 6400;

#[test]
fn one_call_in_flight() {
    let costs = costs(async |client| call_numbers(client, 1).await);
    check("one call in flight", &costs, 10.0, 1890);
}

#[test]
fn one_message_in_flight() {
    let costs = without_decoding(costs(async |client| call_messages(client, 1).await));
    check("one call with a message in flight", &costs, 10.0, 2987);
}

/// Its line says the format, which takes its 7 bytes on the way and no allocation.
#[cfg(feature = "json")]
#[test]
fn one_call_in_json_in_flight() {
    let costs =
        costs(async |client| call_together(1, || client.call(NUMBER_JSON, &u64::MAX)).await);
    check("one call in JSON in flight", &costs, 10.0, 1948);
}

#[test]
fn many_calls_of_one_task() {
    let costs = costs(async |client| call_numbers(client, 64).await);
    check("64 calls in flight, of one task", &costs, 6.6, 1400);
}

#[test]
fn many_messages_of_one_task() {
    let costs = without_decoding(costs(async |client| call_messages(client, 64).await));
    check("64 calls with messages in flight, of one task", &costs, 6.8, 3400);
}

#[test]
fn many_calls_of_as_many_tasks() {
    let costs = costs(async |client| {
        let mut callers = JoinSet::new();
        for _ in 0..64 {
            let client = client.clone();
            callers.spawn(async move { call_numbers_in_turn(&client, CALLS / 64).await });
        }
        callers.join_all().await;
    });
    check("64 calls in flight, of 64 tasks", &costs, 6.5, 1100);
}

#[test]
fn one_way_calls() {
    let costs = costs(async |client| {
        for number in 0..CALLS {
            client.notify(NOTE, &number).await.unwrap();
        }
        // Answered when all before it have run.
        client.call(NUMBER, &0).await.unwrap();
    });
    check("one-way calls", &costs, 4.0, 574);
}

#[track_caller]
fn check(what: &str, costs: &AllocationInfo, allocations_max: f64, bytes_max: u64) {
    // To a tenth, so that what is done once for all calls is not seen.
    let allocations = (costs.count_total * 10 / CALLS) as f64 / 10.0;
    let bytes = costs.bytes_total / CALLS;
    let is_kept = allocations <= allocations_max && bytes <= bytes_max;
    assert!(
        is_kept,
        "{what}: a call makes {allocations} allocations of {bytes} bytes together, and \
         {allocations_max} of {bytes_max} were enough.\nFind what came with your change: set a \
         breakpoint on malloc in this test, or compare `valgrind --tool=dhat` before and after. \
         If it is worth its price, say so in the commit and raise the numbers here."
    );
}

/// What the work costs when the connection has done it before.
fn costs(work: impl AsyncFn(&Client)) -> AllocationInfo {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = runtime.block_on(async {
        let (here, there) = transport::memory();
        let server = Endpoint::new()
            .on(NUMBER, async |number: u64| Ok::<_, Error>(number))
            .on(MESSAGE, async |message: Message| Ok::<_, Error>(message))
            .on(NOTE, async |_: u64| Ok::<_, Error>(()));
        #[cfg(feature = "json")]
        let server = server.on(NUMBER_JSON, async |number: u64| Ok::<_, Error>(number));
        tokio::spawn(async move { server.serve_stream(there).await });
        Endpoint::new().connect_over(here)
    });
    runtime.block_on(work(&client));
    measure(|| runtime.block_on(work(&client)))
}

/// Less what the two decoded messages themselves are made of.
fn without_decoding(mut costs: AllocationInfo) -> AllocationInfo {
    let message = Message::sample();
    let own = measure(|| drop(message.clone()));
    costs.count_total -= 2 * CALLS * own.count_total;
    costs.bytes_total -= 2 * CALLS * own.bytes_total;
    costs
}

async fn call_numbers(client: &Client, in_flight: usize) {
    call_together(in_flight, || client.call(NUMBER, &u64::MAX)).await;
}

async fn call_messages(client: &Client, in_flight: usize) {
    let message = Message::sample();
    call_together(in_flight, || client.call(MESSAGE, &message)).await;
}

async fn call_numbers_in_turn(client: &Client, count: u64) {
    for number in 0..count {
        client.call(NUMBER, &number).await.unwrap();
    }
}

/// Makes all calls, so many at once, from one task.
async fn call_together<T>(in_flight: usize, call: impl Fn() -> Call<T>) {
    let mut calls = Vec::with_capacity(in_flight);
    for _ in 0..usize::try_from(CALLS).unwrap() / in_flight {
        calls.extend((0..in_flight).map(|_| call()));
        poll_fn(|cx| {
            calls.retain_mut(|call| match Pin::new(call).poll(cx) {
                Poll::Ready(reply) => reply.map(|_| false).unwrap(),
                Poll::Pending => true,
            });
            if calls.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}
