//! Layers of tower in front of handlers and clients: those that others wrote, and those that do
//! what no layer should.

use std::future::{pending, ready};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use switchboard::service::{self as seam, Layered, Next, Reply, Request};
use switchboard::{
    Code, Command, Context, Endpoint, Error, Limits, Metadata, Result, Sender, Streamed, blocking,
    with_state,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use tower::limit::ConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower::timeout::TimeoutLayer;
use tower::util::MapRequestLayer;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, layer::layer_fn, service_fn};

use super::items::clients_of;
use super::support::*;

const TRAIL: Command<(), String> = Command::new("TRAIL");

/// The names of the layers that a call has passed, in turn.
#[derive(Clone, Default)]
struct Passed(String);

fn mark(name: &'static str) -> MapRequestLayer<impl Fn(Request) -> Request + Clone + Send + Sync> {
    MapRequestLayer::new(move |request: Request| {
        let passed = request.extensions().get::<Passed>().cloned().unwrap_or_default();
        request.with_extension(Passed(passed.0 + name))
    })
}

async fn trail(_: (), context: Context) -> Result<String> {
    Ok(context.extensions().get::<Passed>().map(|passed| passed.0.clone()).unwrap_or_default())
}

/// A layer that answers by itself what `answer` says, after it was given what is behind it.
fn layer_by<A, F>(answer: A) -> impl Layer<Next, Service: Layered>
where
    A: Fn(Next, Request) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Reply, BoxError>> + Send + 'static,
{
    layer_fn(move |next: Next| {
        let answer = answer.clone();
        service_fn(move |request: Request| answer(next.clone(), request))
    })
}

#[tokio::test(start_paused = true)]
async fn the_layer_that_was_added_last_is_passed_first() {
    let other: Command<(), String> = Command::new("OTHER");
    let endpoint = endpoint()
        .layer_for(TRAIL, mark("c"))
        .layer(mark("b"))
        .on(TRAIL, trail)
        .on(other, trail)
        .layer_for(TRAIL, mark("d"))
        .layer(mark("a"));
    for client in clients_of(&endpoint) {
        assert_eq!(client.call(TRAIL, &()).await.unwrap(), "abdc");
        assert_eq!(client.call(other, &()).await.unwrap(), "ab");
        // Its own commands pass none, and raw ones get the stream.
        assert!(client.call_json("?DESCRIBE", &"TRAIL".into()).await.is_ok());
    }
    assert_eq!(exchange(&endpoint, "TRAIL json\nnull\n").await, "\"abdc\"\n");
    assert_eq!(exchange(&endpoint, "STRING\nhello\n").await, "Thank you.\n");
}

#[tokio::test(start_paused = true)]
async fn clones_that_were_made_before_have_no_layer() {
    let before = endpoint().on(TRAIL, trail);
    let after = before.clone().layer(mark("x")).with_limits(Limits::default());
    assert_eq!(before.client().call(TRAIL, &()).await.unwrap(), "");
    assert_eq!(after.client().call(TRAIL, &()).await.unwrap(), "x");
}

#[tokio::test(start_paused = true)]
async fn the_parts_of_an_endpoint_keep_their_layers() {
    let part = Endpoint::new().on(TRAIL, trail).layer_for(TRAIL, mark("d")).layer(mark("c"));
    let middle = Endpoint::new().nest("part.", part).layer(mark("b"));
    let endpoint = endpoint().on(TRAIL, trail).nest("in.", middle).layer(mark("a"));
    let nested: Command<(), String> = Command::new("in.part.TRAIL");
    for client in clients_of(&endpoint) {
        assert_eq!(client.call(nested, &()).await.unwrap(), "abcd");
        assert_eq!(client.call(TRAIL, &()).await.unwrap(), "a");
    }
    assert_eq!(exchange(&endpoint, "in.part.TRAIL json\nnull\n").await, "\"abcd\"\n");
}

#[tokio::test(start_paused = true)]
async fn all_else_of_a_call_passes_layers_as_it_is() {
    const COUNT: Command<u32, Streamed<u32, String>> = Command::new("COUNT");
    const WHO: Command<(), String> = Command::new("WHO");
    let count = async |end: u32, out: Sender<u32>| -> Result<String> {
        for number in 0..end {
            out.send(&number).await?;
        }
        Ok("done".into())
    };
    let who = async |_: (), context: Context| -> Result<String> {
        context.set_reply_metadata(Metadata::default().with("served-by", "us")?);
        Ok(context.metadata().get("tenant-id").unwrap_or_default().into_owned())
    };
    let endpoint = endpoint()
        .on(COUNT, count)
        .on(WHO, who)
        .layer(ConcurrencyLimitLayer::new(9))
        .layer(TimeoutLayer::new(SECOND));
    for client in clients_of(&endpoint) {
        let mut numbers = client.call(COUNT, &100);
        for number in 0..100 {
            assert_eq!(numbers.next().await.unwrap().unwrap(), number);
        }
        assert_eq!(numbers.finish().await.unwrap(), "done");

        let call = client.call(WHO, &()).metadata("tenant-id", "7").with_reply_metadata();
        let (tenant, metadata) = call.await.unwrap();
        assert_eq!((tenant.as_str(), metadata.get("served-by").as_deref()), ("7", Some("us")));
        // What the handler and the formats say of a call reaches its caller.
        let error = client.call(CHECK_STOCK, &"item9".into()).await.unwrap_err();
        assert_eq!((error.code(), error.text()), (Code::Failed, "no such item"));
        let request = Request::new("ADD", "[1]").unwrap().with_format("json").unwrap();
        let error = seam::Service::call(&client, request).await.unwrap_err();
        assert_eq!(error.code(), Code::BadPayload);
        client.notify(ECHO, &"one way".into()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn one_at_a_time_and_the_others_wait_within_their_deadlines() {
    let (gate, canary) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicU32::new(0)));
    let hold = async |gate: Arc<Semaphore>, text: String| -> Result<String> {
        gate.acquire().await.unwrap().forget();
        Ok(text)
    };
    let count = async |canary: Arc<AtomicU32>, text: String| -> Result<String> {
        canary.fetch_add(1, Ordering::Relaxed);
        Ok(text)
    };
    let endpoint = endpoint()
        .on(HOLD, with_state(&gate, hold))
        .on(CANARY, with_state(&canary, count))
        .layer_for(HOLD, ConcurrencyLimitLayer::new(1));
    for client in clients_of(&endpoint) {
        let (first, late) = (client.call(HOLD, &"1".into()), client.call(HOLD, &"2".into()));
        let last = client.call(HOLD, &"3".into());
        let first = tokio::spawn(first.into_future());
        settle().await;
        let error = late.timeout(SECOND).await.unwrap_err();
        assert_eq!(error.code(), Code::DeadlineExceeded);
        // Others do not wait for it.
        assert_eq!(client.call(CANARY, &"c".into()).await.unwrap(), "c");
        let last = tokio::spawn(last.into_future());
        settle().await;
        assert!(!first.is_finished() && !last.is_finished());
        gate.add_permits(2);
        assert_eq!(first.await.unwrap().unwrap(), "1");
        assert_eq!(last.await.unwrap().unwrap(), "3");
    }
    assert_eq!(canary.load(Ordering::Relaxed), 4);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_layer_sheds_did_not_run() {
    let gate = Arc::new(Semaphore::new(0));
    let hold = async |gate: Arc<Semaphore>, text: String| -> Result<String> {
        gate.acquire().await.unwrap().forget();
        Ok(text)
    };
    let busy = |_: BoxError| Error::new(Code::Overloaded, "one is enough");
    let shed = || ServiceBuilder::new().layer(LoadShedLayer::new()).concurrency_limit(1);
    let told = ServiceBuilder::new().map_err(busy).layer(shed().into_inner());
    let told = endpoint().on(HOLD, with_state(&gate, hold)).layer(told.into_inner());
    let untold = endpoint().on(HOLD, with_state(&gate, hold)).layer(shed().into_inner());
    let cases = [(told, Code::Overloaded, "one is enough"), (untold, Code::Failed, "")];
    for (endpoint, code, text) in cases {
        for client in clients_of(&endpoint) {
            let first = tokio::spawn(client.call(HOLD, &"1".into()).into_future());
            settle().await;
            let error = client.call(HOLD, &"2".into()).await.unwrap_err();
            assert_eq!((error.code(), error.text().contains(text)), (code, true), "{error}");
            assert_eq!(error.is_safe_to_retry(), code == Code::Overloaded, "{error}");
            assert!(!error.to_string().contains("service"), "of tower: {error}");
            gate.add_permits(1);
            assert_eq!(first.await.unwrap().unwrap(), "1");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_limit_of_a_layer_stops_the_handler() {
    let steps = Arc::new(AtomicU32::new(0));
    let work = async |steps: Arc<AtomicU32>, text: String| -> Result<String> {
        for _ in 0..100 {
            sleep(SECOND).await;
            steps.fetch_add(1, Ordering::Relaxed);
        }
        Ok(text)
    };
    let late = |error: BoxError| match error.downcast::<tower::timeout::error::Elapsed>() {
        Ok(_) => Error::new(Code::DeadlineExceeded, "5 s are enough").into(),
        Err(error) => error,
    };
    let limit = ServiceBuilder::new().map_err(late).layer(TimeoutLayer::new(SECOND * 5));
    let endpoint = endpoint().on(HOLD, with_state(&steps, work)).layer(limit.into_inner());
    for client in clients_of(&endpoint) {
        let before = steps.load(Ordering::Relaxed);
        let error = client.call(HOLD, &"x".into()).await.unwrap_err();
        assert_eq!((error.code(), error.text()), (Code::DeadlineExceeded, "5 s are enough"));
        assert!(!error.is_safe_to_retry(), "it has run: {error}");
        sleep(SECOND * 100).await;
        let ran = steps.load(Ordering::Relaxed) - before;
        assert!((4..=5).contains(&ran), "{ran} steps");
    }
}

/// What a layer does with each call, as its caller is told it.
#[tokio::test(start_paused = true)]
async fn a_layer_that_does_not_do_what_it_should_harms_that_call_alone() {
    type Answering = Pin<Box<dyn Future<Output = Result<Reply, BoxError>> + Send>>;
    type Does = fn(Next, Request) -> Answering;
    let cases: [(&str, Does, Code, bool); 8] = [
        ("panics before it answers", |_, _| panic!("now"), Code::Panicked, true),
        ("panics later", |_, _| Box::pin(async { panic!("later") }), Code::Panicked, true),
        ("never answers", |_, _| Box::pin(pending()), Code::DeadlineExceeded, false),
        (
            "answers after the deadline",
            |next, request| {
                Box::pin(async move {
                    let reply = next.oneshot(request).await?;
                    sleep(SECOND * 60).await;
                    Ok(reply)
                })
            },
            Code::DeadlineExceeded,
            false,
        ),
        (
            "makes a request of its own",
            |next, _| {
                let request = Request::new("ECHO", "other").unwrap();
                Box::pin(async move { Ok(next.oneshot(request).await?) })
            },
            Code::Failed,
            false,
        ),
        (
            "fails with an error of its own",
            |_, _| Box::pin(ready(Err("secret".into()))),
            Code::Failed,
            false,
        ),
        (
            "refuses with a word for the caller",
            |_, _| Box::pin(ready(Err(Error::new(Code::Denied, "not you").into()))),
            Code::Denied,
            false,
        ),
        (
            "calls the handler twice",
            |mut next, request| {
                Box::pin(async move {
                    let _ = next.call(request.clone()).await?;
                    next.call(request).await?;
                    Err(Error::new(Code::Conflict, "twice").into())
                })
            },
            Code::Conflict,
            false,
        ),
    ];
    for (what, does, code, is_panic) in cases {
        let endpoint = endpoint().layer_for(ECHO, layer_by(does));
        for client in clients_of(&endpoint) {
            let error = client.call(ECHO, &"x".into()).timeout(SECOND).await.unwrap_err();
            assert_eq!(error.code(), code, "{what}: {error}");
            assert!(!error.to_string().contains("secret"), "{what}: {error}");
            assert_eq!(error.to_string().contains("panicked"), is_panic, "{what}: {error}");
            // The connection lives, and so do all other commands.
            assert_eq!(client.call(ADD, &(1, 2)).await.unwrap(), 3, "{what}");
        }
    }
}

/// What a layer does, given what is behind it and another service, which takes no more calls.
type Asks = fn(Next, Request, seam::Door) -> Asked;
type Asked = Pin<Box<dyn Future<Output = Result<Reply, BoxError>> + Send>>;

async fn ask(service: seam::Door) -> Result<Reply> {
    let request = Request::new("ECHO", "x")?.with_format("line")?;
    service.oneshot(request).await
}

/// What the caller is told: a code, how its text ends, whether it may call again, and how often the
/// handler ran.
async fn check_asked(what: &str, asks: Asks, told: (Code, &str), is_safe: bool, expected: usize) {
    let runs = Count::default();
    let run = runs.clone();
    let work = move |text: String| {
        run.add();
        async {
            tokio::task::yield_now().await;
            Ok::<_, Error>(text)
        }
    };
    let other = endpoint().door();
    other.close();
    let endpoint = limited(|limits| limits.held_bytes_max = 250_000)
        .on(HOLD, work)
        .layer(layer_by(move |next, request| asks(next, request, other.clone())));
    for client in clients_of(&endpoint) {
        let before = runs.now();
        // It is there twice, and each time that it is decoded.
        let error = client.call(HOLD, &"x".repeat(100_000)).await.unwrap_err();
        assert_eq!(error.code(), told.0, "{what}: {error}");
        assert!(error.text().ends_with(told.1), "{what}: {error}");
        assert_eq!(error.is_safe_to_retry(), is_safe, "{what}: {error}");
        assert_eq!(runs.now() - before, expected, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_of_another_call_says_nothing_of_this_one() {
    let asks: Asks =
        |_, _, _| Box::pin(async { Err(Request::new("no name", "").unwrap_err().into()) });
    check_asked("keeps it", asks, (Code::Failed, "the handler failed"), false, 0).await;

    let closed = (Code::ShuttingDown, "no more calls are taken");
    let asks: Asks =
        |_, _, other| Box::pin(async { Ok(ask(other).await.map_err(Error::pass_on)?) });
    check_asked("asks before", asks, closed, true, 0).await;
    let asks: Asks = |_, _, other| {
        let sent = |error: Error| error.pass_on().after_sending();
        Box::pin(async move { Ok(ask(other).await.map_err(sent)?) })
    };
    check_asked("asks before, and the other may have run", asks, closed, true, 0).await;
    let asks: Asks = |next, request, other| {
        Box::pin(async {
            next.oneshot(request).await?;
            Ok(ask(other).await.map_err(Error::pass_on)?)
        })
    };
    check_asked("asks afterwards", asks, closed, false, 1).await;

    let asks: Asks = |next, request, _| {
        Box::pin(async {
            let first = next.clone().oneshot(request.clone());
            let (first, second) = tokio::join!(first, next.oneshot(request));
            first?;
            Ok(second?)
        })
    };
    let no_memory = (Code::Overloaded, "held_bytes_max (250000)");
    check_asked("tries again where there is no memory", asks, no_memory, false, 1).await;
}

/// Behind a layer as without one: what found no place has not run.
#[tokio::test]
async fn what_is_refused_behind_a_layer_did_not_run() {
    let (begun, (open, opened)) = (Count::default(), std::sync::mpsc::channel::<()>());
    let (begins, opened) = (begun.clone(), Mutex::new(opened));
    let wait = move |text: String| {
        begins.add();
        let _ = opened.lock().unwrap().recv();
        Ok::<_, Error>(text)
    };
    let limit = |limits: &mut Limits| {
        limits.blocking_calls_max = 1;
        limits.held_bytes_max = 150_000;
    };
    let endpoint = limited(limit).on(HOLD, blocking(wait)).layer(mark("x"));
    let client = client(&endpoint);
    let first = tokio::spawn(client.call(HOLD, &"1".into()).into_future());
    begun.reach(1).await;
    for client in clients_of(&endpoint) {
        // There is memory for it once, and not for what is decoded of it. Then there is no thread.
        let (large, small) = ("x".repeat(100_000), "2".to_owned());
        for call in [client.call(ECHO, &large), client.call(HOLD, &small)] {
            let error = call.await.unwrap_err();
            assert_eq!((error.code(), error.is_safe_to_retry()), (Code::Overloaded, true));
        }
    }
    drop(open);
    assert_eq!(first.await.unwrap().unwrap(), "1");
}

#[tokio::test(start_paused = true)]
async fn a_layer_sees_the_panic_of_a_handler_as_its_error() {
    let panics = async |_: String| -> Result<String> {
        tokio::task::yield_now().await;
        panic!("on purpose")
    };
    let mend = async |next: Next, request: Request| {
        let error = next.oneshot(request).await.unwrap_err();
        assert_eq!(error.code(), Code::Panicked);
        Ok(Reply::new("mended"))
    };
    let endpoint = endpoint().on(HOLD, panics).layer_for(HOLD, layer_by(mend));
    for client in clients_of(&endpoint) {
        assert_eq!(client.call(HOLD, &"x".into()).await.unwrap(), "mended");
    }
}

/// A service that has a place of its own from when it is ready until it is dropped.
struct Placed {
    next: Next,
    places: Arc<Semaphore>,
    place: Option<OwnedSemaphorePermit>,
}

impl Clone for Placed {
    fn clone(&self) -> Self {
        Self { next: self.next.clone(), places: Arc::clone(&self.places), place: None }
    }
}

impl Service<Request> for Placed {
    type Response = Reply;
    type Error = Error;
    type Future = seam::Answer;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<()>> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        self.place = Some(place.map_err(|_| Error::new(Code::Overloaded, "there is no place"))?);
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> seam::Answer {
        self.next.call(request)
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_was_called_is_let_go() {
    let (held, places) = (Held::new(), Arc::new(Semaphore::new(1)));
    let placed = layer_fn(|next| Placed { next, places: Arc::clone(&places), place: None });
    let endpoint = held.on(endpoint()).layer(placed);
    let client = client(&endpoint);
    let calls = ["1", "2"].map(|text| tokio::spawn(client.call(HOLD, &text.into()).into_future()));
    held.begun.reach(2).await;
    held.release(2);
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

/// A layer hands a call on to another endpoint, as it came or within a time of its own.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_handed_on_keeps_its_format_and_its_time() {
    type Answering = Pin<Box<dyn Future<Output = Result<Reply>> + Send>>;
    type HandsOn = fn(&Endpoint, Request) -> Answering;
    let ways: [(&str, HandsOn); 4] = [
        ("an endpoint", |far, request| Box::pin(far.clone().oneshot(request))),
        ("a door", |far, request| Box::pin(far.door().oneshot(request))),
        ("in process", |far, request| Box::pin(far.client().oneshot(request))),
        ("a connection", |far, request| Box::pin(client(far).oneshot(request))),
    ];
    for (what, hands_on) in ways {
        let held = Held::new();
        let far = held.on(endpoint());
        let formats = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&formats);
        let near = endpoint().on(HOLD, async |text: String| Ok::<_, Error>(text)).layer(layer_by(
            move |_, request| {
                seen.lock().unwrap().push(request.format());
                let answer = hands_on(&far, request.with_timeout(MS * 20));
                async { Ok(answer.await?) }
            },
        ));
        assert_eq!(exchange(&near, "ECHO\nabc\n").await, "abc\n", "{what}");
        assert_eq!(exchange(&near, "ADD json\n[1,2]\n").await, "3\n", "{what}");
        for client in clients_of(&near) {
            assert_eq!(client.call(ECHO, &"abc".into()).await.unwrap(), "abc", "{what}");
            assert_eq!(client.call(ADD, &(1, 2)).await.unwrap(), 3, "{what}");
            let begin = tokio::time::Instant::now();
            let call = client.call(HOLD, &"x".into()).timeout(SECOND * 5);
            assert_eq!(call.await.unwrap_err().code(), Code::Failed, "{what}");
            assert!(begin.elapsed() < SECOND, "{what}");
        }
        settle().await;
        assert_eq!(held.begun.now(), held.ended.now(), "{what}");
        assert_eq!(formats.lock().unwrap()[..3], ["line", "json", "line"], "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn time_format_and_command_are_settled_before_the_layers() {
    const SLOW: Command<u32, u32> = Command::new("SLOW");
    let changed = MapRequestLayer::new(|request: Request| {
        let request = request.with_timeout(MS).with_format("line");
        request.unwrap_or_else(|error| panic!("{error}"))
    });
    let slow = async |number: u32| {
        sleep(SECOND).await;
        Ok::<_, Error>(number)
    };
    for client in clients_of(&endpoint().on(SLOW, slow).layer(changed)) {
        assert_eq!(client.call(SLOW, &7).await.unwrap(), 7);
    }
}

#[tokio::test(start_paused = true)]
async fn details_of_the_error_of_a_layer_are_in_the_format_of_the_call() {
    let refuse = |_: Next, _: Request| {
        let error = Error::new(Code::Denied, "no").with_details(vec![1_u32, 2]);
        ready(Err(error.into()))
    };
    let endpoint = endpoint().layer(layer_by(refuse));
    for client in clients_of(&endpoint) {
        let error = client.call(ADD, &(1, 2)).await.unwrap_err();
        assert_eq!(error.details::<Vec<u32>>().unwrap().unwrap(), [1, 2]);
        let error = client.call(LETTERS, &3).await.unwrap_err();
        assert_eq!(error.details::<Vec<u32>>().unwrap().unwrap(), [1, 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_layer_answers_in_place_of_the_handler() {
    let cached = |_: Next, _: Request| {
        let metadata = Metadata::default().with("from-cache", "yes").unwrap();
        ready(Ok(Reply::new("cached").with_metadata(metadata)))
    };
    let endpoint = endpoint().layer_for(ECHO, layer_by(cached));
    for client in clients_of(&endpoint) {
        let call = client.call(ECHO, &"x".into()).with_reply_metadata();
        let (text, metadata) = call.await.unwrap();
        assert_eq!((text.as_str(), metadata.get("from-cache").as_deref()), ("cached", Some("yes")));
    }
    assert_eq!(exchange(&endpoint, "ECHO\nx\n").await, "cached\n");
}

#[tokio::test(start_paused = true)]
async fn a_client_has_layers_too() {
    let endpoint = endpoint().on(TRAIL, trail);
    let seen = Arc::new(Mutex::new(Vec::new()));
    for client in clients_of(&endpoint) {
        let log = Arc::clone(&seen);
        let noting = MapRequestLayer::new(move |request: Request| {
            log.lock().unwrap().push(request.command().to_owned());
            request
        });
        let layered = client.clone().layer(noting).layer(ConcurrencyLimitLayer::new(2));
        assert_eq!(layered.call(ECHO, &"x".into()).await.unwrap(), "x");
        assert_eq!(layered.peer(), client.peer());
        assert_eq!(client.call(ADD, &(1, 2)).await.unwrap(), 3);
        assert_eq!(std::mem::take(&mut *seen.lock().unwrap()), ["ECHO"]);

        // A foreign error is of this side, and says that the call may have run.
        let stuck = client.layer(layer_fn(|_| {
            service_fn(async |_: Request| Err::<Reply, BoxError>("of the layer".into()))
        }));
        let error = stuck.call(ECHO, &"x".into()).await.unwrap_err();
        assert_eq!((error.code(), error.is_safe_to_retry()), (Code::Failed, false));
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_a_door_and_a_client_are_services_of_tower() {
    async fn check<S>(mut service: S)
    where
        S: Service<Request, Response = Reply, Error = Error>,
    {
        let waker = std::task::Waker::noop();
        let ready = service.poll_ready(&mut std::task::Context::from_waker(waker));
        assert!(ready.is_ready(), "always ready");
        let request = Request::new("ECHO", "hi").unwrap().with_format("line").unwrap();
        assert_eq!(service.call(request).await.unwrap().payload(), b"hi");
    }
    let endpoint = endpoint();
    check(endpoint.clone()).await;
    check(endpoint.door()).await;
    check(endpoint.client()).await;
    check(client(&endpoint)).await;
    // They say the same by the library's own trait.
    let request = Request::new("ECHO", "hi").unwrap().with_format("line").unwrap();
    assert_eq!(seam::Service::call(&endpoint, request).await.unwrap().payload(), b"hi");
}
