//! Calls that go on in the trace of the call that they come of, and those that do not.

use std::pin::Pin;

use futures_util::{FutureExt, StreamExt, stream};
use switchboard::format::Line;
use switchboard::service::{Request, Service};
use switchboard::{
    Client, Command, Context, Endpoint, Error, Receiver, Result, Sender, Streamed, Traceparent,
    blocking, streaming,
};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::items::clients_of;
use super::support::*;

/// What its caller has said.
const TELL: Command<(), String> = Command::new("TELL");
const TELL_ITEM: Command<(), Streamed<String>> = Command::new("TELL_ITEM");
const TELL_LINE: Command<String, String, Line> = Command::new("TELL_LINE");

/// What its own calls are to say, and what `TELL` has been told by one of them.
const ASK: Command<(), (String, String)> = Command::new("ASK");
const ASK_ITEM: Command<(), Streamed<(String, String)>> = Command::new("ASK_ITEM");
const ASK_BY_ITEMS: Command<Streamed<u32>, (String, String)> = Command::new("ASK_BY_ITEMS");

fn said(trace: Option<Traceparent>) -> String {
    trace.map(|trace| trace.to_string()).unwrap_or_default()
}

fn onward(context: &Context) -> String {
    said(context.trace_onward())
}

fn teller() -> Client {
    let tell = async |(): (), context: Context| Ok::<_, Error>(said(context.trace()));
    let tell_item = async |(): (), out: Sender<String>, context: Context| {
        out.send(&said(context.trace())).await
    };
    let tell_line = async |_: String, context: Context| Ok::<_, Error>(said(context.trace()));
    client(&Endpoint::new().on(TELL, tell).on(TELL_ITEM, tell_item).on(TELL_LINE, tell_line))
}

/// An endpoint whose `ASK` answers what this does.
fn asks<F>(ask: impl Fn(Client, Context) -> F + Send + Sync + 'static) -> Endpoint
where
    F: Future<Output = Result<(String, String)>> + Send + 'static,
{
    let teller = teller();
    Endpoint::new().on(ASK, move |(): (), context: Context| ask(teller.clone(), context))
}

/// Calls `ASK` in a trace and in none, through each door.
async fn check(how: &str, endpoint: &Endpoint) {
    for client in clients_of(endpoint) {
        for trace in [Traceparent::begin(), Traceparent::begin().sampled(false)] {
            let call = client.call(ASK, &()).trace(trace.clone());
            check_told(how, &trace, call.await.unwrap());
        }
        let told = client.call(ASK, &()).await.unwrap();
        assert_eq!(told, (String::new(), String::new()), "{how}: there is no trace");
    }
}

#[track_caller]
fn check_told(how: &str, trace: &Traceparent, (own, told): (String, String)) {
    assert_eq!(told, own, "{how}");
    let own: Traceparent = own.parse().expect(how);
    assert_eq!(own.trace_id(), trace.trace_id(), "{how}");
    assert_eq!(own.is_sampled(), trace.is_sampled(), "{how}");
    assert_ne!(own.parent_id(), trace.parent_id(), "{how}");
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_handler_go_on_in_its_trace() {
    let endpoint =
        asks(async |teller, context| Ok((onward(&context), teller.call(TELL, &()).await?)));
    check("a call", &endpoint).await;
    let endpoint = asks(|teller, context| {
        let call = teller.call(TELL, &());
        async move { Ok((onward(&context), call.await?)) }
    });
    check("a call before the first await", &endpoint).await;
    let endpoint = asks(async |teller, context| {
        teller.call(TELL, &()).await?;
        tokio::time::sleep(SECOND).await;
        Ok((onward(&context), teller.call(TELL, &()).timeout(SECOND).await?))
    });
    check("a call after another one and some time", &endpoint).await;
    let endpoint = asks(async |teller, context| {
        let call = teller.call(TELL, &());
        Ok((onward(&context), tokio::spawn(call).await.unwrap()?))
    });
    check("a call that another task polls", &endpoint).await;
    let endpoint = asks(async |teller, context| {
        let item = teller.call(TELL_ITEM, &()).next().await.unwrap();
        Ok((onward(&context), item?))
    });
    check("a streamed call", &endpoint).await;
    let endpoint = asks(async |teller, context| {
        let request = Request::new("TELL_LINE", "")?.with_format("line")?;
        let reply = Service::call(&teller, request).await?;
        Ok((onward(&context), String::from_utf8_lossy(reply.payload()).into_owned()))
    });
    check("a request", &endpoint).await;
    let endpoint = asks(async |teller, context| {
        let told = teller.call_json("TELL", &serde_json::Value::Null).await?;
        Ok((onward(&context), told.as_str().unwrap().to_owned()))
    });
    check("a call by name", &endpoint).await;
    // One in this process is polled within the handler that asks.
    let inner = asks(async |teller, context| Ok((onward(&context), teller.call(TELL, &()).await?)));
    let door = inner.door();
    let endpoint = asks(move |teller, context| {
        let door = Client::over(door.clone());
        async move {
            let (own, told) = door.call(ASK, &()).await?;
            assert_eq!(own, told);
            Ok((onward(&context), teller.call(TELL, &()).await?))
        }
    });
    check("a call after one through a door", &endpoint).await;
}

#[tokio::test(start_paused = true)]
async fn work_that_a_handler_spawns_goes_on_in_its_trace() {
    let endpoint = asks(async |teller, context| {
        let (told, hears) = oneshot::channel();
        context.spawn(async move {
            tokio::task::yield_now().await;
            told.send(teller.call(TELL, &()).await).unwrap();
        });
        Ok((onward(&context), hears.await.unwrap()?))
    });
    check("Context::spawn", &endpoint).await;
    let endpoint = asks(async |teller, context| {
        let (told, hears) = oneshot::channel();
        let inner = context.clone();
        let work = async move {
            inner.spawn(async move { told.send(teller.call(TELL, &()).await).unwrap() });
        };
        tokio::spawn(work).await.unwrap();
        Ok((onward(&context), hears.await.unwrap()?))
    });
    check("Context::spawn of another task", &endpoint).await;
    let endpoint = asks(async |teller, context| {
        let told = tokio::spawn(async move { teller.call(TELL, &()).await }).await.unwrap()?;
        assert_eq!(told, "", "tokio::spawn knows of no trace");
        let own = onward(&context);
        Ok((own.clone(), own))
    });
    check("tokio::spawn", &endpoint).await;
    let endpoint = asks(async |teller, context| {
        let trace = context.trace_onward();
        let work = async move { teller.call(TELL, &()).trace(trace).await };
        Ok((onward(&context), tokio::spawn(work).await.unwrap()?))
    });
    check("tokio::spawn that is told", &endpoint).await;
    let endpoint = asks(|teller, context| {
        let (told, mut hears) = mpsc::channel(1);
        let guard = AtEnd(Some(move || {
            let call = teller.call(TELL, &());
            tokio::spawn(async move { told.send(call.await).await.unwrap() });
        }));
        let own = onward(&context);
        let work = async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        };
        async move {
            let mut work: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(work);
            assert!(work.as_mut().now_or_never().is_none());
            drop(work);
            Ok((own, hears.recv().await.unwrap()?))
        }
    });
    check("what is dropped", &endpoint).await;
}

/// Does something when it is dropped.
struct AtEnd<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for AtEnd<F> {
    fn drop(&mut self) {
        self.0.take().unwrap()();
    }
}

/// The end of a call drops its handler.
#[tokio::test(start_paused = true)]
async fn what_is_dropped_with_its_handler_is_in_its_trace() {
    let (told, mut hears) = mpsc::channel(1);
    let endpoint = asks(move |teller, context| {
        let told = told.clone();
        let own = onward(&context);
        let guard = AtEnd(Some(move || {
            let call = teller.call(TELL, &());
            tokio::spawn(async move { told.send((own, call.await.unwrap())).await.unwrap() });
        }));
        async move {
            let _guard = guard;
            std::future::pending().await
        }
    });
    for client in clients_of(&endpoint) {
        let trace = Traceparent::begin();
        client.call(ASK, &()).trace(trace.clone()).timeout(SECOND).await.unwrap_err();
        check_told("a handler that is stopped", &trace, hears.recv().await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn handlers_of_all_kinds_go_on_in_the_trace() {
    let of_blocking = teller();
    let ask = move |(): (), context: Context| {
        let told = Handle::current().block_on(of_blocking.call(TELL, &()));
        Ok::<_, Error>((onward(&context), told?))
    };
    check("a function that blocks", &Endpoint::new().on(ASK, blocking(ask))).await;

    let (of_sender, of_stream, of_receiver) = (teller(), teller(), teller());
    let by_sender = move |(): (), out: Sender<(String, String)>, context: Context| {
        let teller = of_sender.clone();
        async move {
            tokio::time::sleep(MS).await;
            out.send(&(onward(&context), teller.call(TELL, &()).await?)).await
        }
    };
    let by_receiver = move |(): (), mut items: Receiver<u32>, context: Context| {
        let teller = of_receiver.clone();
        async move {
            while items.next().await?.is_some() {}
            Ok::<_, Error>((onward(&context), teller.call(TELL, &()).await?))
        }
    };
    let by_stream = move |(): (), context: Context| {
        let teller = of_stream.clone();
        stream::iter([(); 2]).then(move |()| {
            let (own, call) = (onward(&context), teller.call(TELL, &()));
            async move { Ok::<_, Error>((own, call.await?)) }
        })
    };
    let endpoint = Endpoint::new()
        .on(ASK_ITEM, by_sender)
        .on(ASK_ITEM.under("s."), streaming(by_stream))
        .on(ASK_BY_ITEMS, by_receiver);
    for client in clients_of(&endpoint) {
        let trace = Traceparent::begin();
        for command in [ASK_ITEM, ASK_ITEM.under("s.")] {
            let mut call = client.call(command, &()).trace(trace.clone());
            let mut items = 0;
            while let Some(item) = call.next().await {
                check_told("a stream", &trace, item.unwrap());
                items += 1;
            }
            assert_eq!(items, if command.name() == ASK_ITEM.name() { 1 } else { 2 });
        }
        let mut call = client.call(ASK_BY_ITEMS, &()).trace(trace.clone());
        call.send(&1).await.unwrap();
        check_told("items of a request", &trace, call.finish().await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_back_goes_on_in_the_trace() {
    let here = Endpoint::new()
        .on(TELL, async |(): (), context: Context| Ok::<_, Error>(said(context.trace())));
    let there =
        asks(async |_, context| Ok((onward(&context), context.client().call(TELL, &()).await?)));
    let client = here.connect_over(dial(&there));
    let trace = Traceparent::begin();
    let told = client.call(ASK, &()).trace(trace.clone()).await.unwrap();
    check_told("a call back", &trace, told);
}

#[tokio::test(start_paused = true)]
async fn a_call_may_say_another_trace_or_none() {
    let other = Traceparent::begin();
    let text = other.to_string();
    let endpoint = asks(move |teller, context| {
        let other = other.clone();
        async move {
            let none = teller.call(TELL, &()).trace(None).await?;
            assert_eq!(none, "");
            let stream = teller.call(TELL_ITEM, &()).trace(other.clone()).next().await;
            assert_eq!(stream.unwrap()?, other.to_string());
            let request = Request::new("TELL_LINE", "")?.with_format("line")?.with_trace(&other);
            let reply = Service::call(&teller, request).await?;
            assert_eq!(reply.payload(), other.to_string().as_bytes());
            Ok((onward(&context), teller.call(TELL, &()).trace(other).await?))
        }
    });
    for client in clients_of(&endpoint) {
        let (_, told) = client.call(ASK, &()).trace(Traceparent::begin()).await.unwrap();
        assert_eq!(told, text);
    }
}

/// Also where the handler that asks is what moves the one that is asked, from its first word to
/// when it is dropped.
#[tokio::test(start_paused = true)]
async fn what_is_asked_in_no_trace_has_none_all_the_way() {
    let (told, mut hears) = mpsc::unbounded_channel();
    let inner = asks(move |teller, context| {
        assert_eq!(onward(&context), "");
        let (first, told) = (teller.call(TELL, &()), told.clone());
        let guard = AtEnd(Some({
            let teller = teller.clone();
            move || {
                let call = teller.call(TELL, &());
                tokio::spawn(async move { told.send(call.await.unwrap()).unwrap() });
            }
        }));
        async move {
            let _guard = guard;
            let before = first.await?;
            Ok((before, teller.call(TELL, &()).await?))
        }
    });
    let inner = Client::over(inner.door());
    let outer = asks(move |teller, context| {
        let inner = inner.clone();
        async move {
            let none = (String::new(), String::new());
            assert_eq!(inner.call(ASK, &()).trace(None).await?, none);
            // One that is given up.
            assert!(inner.call(ASK, &()).trace(None).into_future().now_or_never().is_none());
            Ok((onward(&context), teller.call(TELL, &()).await?))
        }
    });
    for client in clients_of(&outer) {
        let trace = Traceparent::begin();
        let told = client.call(ASK, &()).trace(trace.clone()).await.unwrap();
        check_told("the one that asks", &trace, told);
        for _ in 0..2 {
            assert_eq!(hears.recv().await.unwrap(), "", "what is dropped");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_one_way_call_goes_on_in_the_trace() {
    let (told, mut hears) = mpsc::unbounded_channel();
    const NOTE: Command<(), ()> = Command::new("NOTE");
    let notes = Endpoint::new().on(NOTE, move |(): (), context: Context| {
        told.send(said(context.trace())).unwrap();
        async { Ok::<_, Error>(()) }
    });
    let notes = client(&notes);
    let by_handler = notes.clone();
    let endpoint = asks(move |_, context| {
        let note = by_handler.notify(NOTE, &());
        async move {
            note.await?;
            Ok((onward(&context), String::new()))
        }
    });
    for client in clients_of(&endpoint) {
        let trace = Traceparent::begin();
        let (own, _) = client.call(ASK, &()).trace(trace.clone()).await.unwrap();
        check_told("one way", &trace, (own, hears.recv().await.unwrap()));
    }
    let trace = Traceparent::begin();
    notes.notify(NOTE, &()).trace(trace.clone()).await.unwrap();
    assert_eq!(hears.recv().await.unwrap(), trace.to_string());
}

#[cfg(feature = "tower")]
#[tokio::test(start_paused = true)]
async fn layers_are_in_the_trace_of_the_call() {
    use switchboard::service::Next;
    use tower::{ServiceExt, layer::layer_fn, service_fn};

    let (told, mut hears) = mpsc::unbounded_channel();
    let asked = teller();
    let endpoint =
        asks(async |teller, context| Ok((onward(&context), teller.call(TELL, &()).await?)));
    // It asks somebody, and then calls the handler in a task of its own.
    let endpoint = endpoint.layer(layer_fn(move |next: Next| {
        let (asked, told) = (asked.clone(), told.clone());
        service_fn(move |request: Request| {
            let (asked, told, next) = (asked.clone(), told.clone(), next.clone());
            async move {
                told.send(asked.call(TELL, &()).await?).unwrap();
                tokio::spawn(next.oneshot(request)).await.unwrap()
            }
        })
    }));
    for client in clients_of(&endpoint) {
        let trace = Traceparent::begin();
        let (own, told) = client.call(ASK, &()).trace(trace.clone()).await.unwrap();
        check_told("a handler behind a layer", &trace, (own.clone(), told));
        check_told("a layer", &trace, (own, hears.recv().await.unwrap()));
        assert_eq!(client.call(ASK, &()).await.unwrap(), (String::new(), String::new()));
        assert_eq!(hears.recv().await.unwrap(), "");
    }
}

/// What comes from further on is handed on as it came, and what is malformed is not.
#[tokio::test(start_paused = true)]
async fn a_request_is_passed_on_with_its_trace() {
    let check = async |trace: &str, expected: &str| {
        let endpoint = Endpoint::new();
        let (here, there) = switchboard::transport::memory();
        let mut sends = Peer::new(there);
        let relay = client(&Endpoint::new().on(TELL_LINE, async |_: String, context: Context| {
            Ok::<_, Error>(said(context.trace()))
        }));
        let handler = move |_: String, context: Context| {
            let relay = relay.clone();
            async move {
                let request = Request::new("TELL_LINE", "")?.with_format("line")?;
                let request = match context.trace() {
                    Some(trace) => request.with_trace(&trace),
                    None => request,
                };
                let reply = Service::call(&relay, request).await?;
                Ok::<_, Error>(String::from_utf8_lossy(reply.payload()).into_owned())
            }
        };
        let endpoint = endpoint.on(TELL_LINE, handler);
        tokio::spawn(async move { endpoint.serve_stream(here).await });
        sends.send(format!("TELL_LINE 1 0 f=line trace={trace}\n")).await;
        sends.expect(&format!("<1 ok {}\n{expected}", expected.len())).await;
    };
    let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    check(good, good).await;
    let later = good.replace("00-", "fe-") + "-more";
    check(&later, &later).await;
    check(&good.replace("b7ad6b7169203331", "0000000000000000"), "").await;
    check(&"x".repeat(200), "").await;
}
