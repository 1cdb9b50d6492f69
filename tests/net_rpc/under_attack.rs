//! What a peer, or a handler that makes light of an error, may not bring about.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use switchboard::gob::net_rpc;
use switchboard::{Connection, Endpoint, Error, Limits, transport, with_state};
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use crate::caller::Caller;
use crate::endpoint::{HOLD, Hold, dial_limited, endpoint};

async fn canary(ran: Arc<AtomicUsize>, _: &mut Connection) -> Result<(), Error> {
    ran.fetch_add(1, Ordering::SeqCst);
    Ok(())
}

/// Makes nothing of the error.
async fn speak(arith: Arc<Endpoint>, connection: &mut Connection) -> Result<(), Error> {
    drop(net_rpc(connection, &arith.door()).await);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_an_argument_is_no_command() {
    let ran = Arc::new(AtomicUsize::new(0));
    let small = || Limits::default().with(|limits| limits.payload_bytes_max = 1000);
    let arith = Arc::new(endpoint().with_limits(small()));
    let outer = Endpoint::new()
        .with_limits(small())
        .on_raw("NETRPC", with_state(&arith, speak))
        .on_raw("CANARY", with_state(&ran, canary));
    let (here, there) = transport::memory();
    tokio::spawn(async move { outer.serve_stream(there).await });
    let mut go = Caller::new(here);
    go.stream.write_all(b"NETRPC\n").await.unwrap();
    let text = format!("{}CANARY\n{}", "x".repeat(4000), "y".repeat(50));
    let call = go.encode("Echo.Letters", &text);
    let cut = call.len() - "CANARY\n".len() - 50;
    go.stream.write_all(&call[..cut]).await.unwrap();
    // Over `body_time_max`, in the middle of the argument.
    sleep(Duration::from_secs(31)).await;
    drop(go.stream.write_all(&call[cut..]).await);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(ran.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_waits_is_not_idle_after_a_large_argument() {
    let (mut go, _) = dial_limited(&endpoint(), |limits| {
        limits.idle_time_max = Duration::from_secs(3);
        limits.payload_bytes_max = 1000;
    });
    go.send("Arith.Slow", &20_000_i64).await;
    go.send("Echo.Letters", &"x".repeat(5000)).await;
    go.answer().await.reply::<String>().unwrap_err();
    sleep(Duration::from_secs(10)).await;
    go.multiply(7, 8).await;
    assert_eq!(go.answer().await.reply(), Ok(56_i64));
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_client_that_is_gone_are_reported() {
    let hold = Arc::new(Hold::default());
    let endpoint = endpoint().on(HOLD, with_state(&hold, Hold::on));
    let (listener, dialer) = transport::memory_listener();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(async move { endpoint.serve_net_rpc_until(listener, stopped).await });
    let mut go = Caller::new(dialer.dial().await.unwrap());
    for number in 0..3_i64 {
        go.send("Hold.On", &number).await;
    }
    hold.wait_for(3).await;
    drop(go);
    hold.let_go(0);
    hold.wait_for_stopped(2).await;
    sleep(Duration::from_secs(1)).await;
    stop.send(()).unwrap();
    let report = server.await.unwrap().unwrap();
    assert_eq!((report.calls_answered, report.calls_cut_off), (1, 2));
}
