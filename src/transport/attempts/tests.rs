//! When each attempt begins, which one wins, and whose failure is told.

use std::sync::{Arc, Mutex};

use tokio::time::Instant;

use super::*;

const REFUSED: io::ErrorKind = io::ErrorKind::ConnectionRefused;
const UNREACHABLE: io::ErrorKind = io::ErrorKind::NetworkUnreachable;
const NOBODY: io::ErrorKind = io::ErrorKind::AddrNotAvailable;
const NEVER: u64 = 3600 * 1000;

#[tokio::test(start_paused = true)]
async fn attempts_are_staggered_and_the_first_success_wins() {
    // (how long each attempt takes in ms, and its failure), when each begins, when all is over,
    // and the number of the one that has won
    check(&[(0, None)], &[0], 0, Ok(0)).await;
    check(&[(9, None), (0, None)], &[0], 9, Ok(0)).await;
    check(&[(NEVER, None), (9, None)], &[0, 250], 259, Ok(1)).await;
    check(&[(300, None), (100, None)], &[0, 250], 300, Ok(0)).await;
    check(&[(300, None), (20, None)], &[0, 250], 270, Ok(1)).await;
    let [never, soon] = [(NEVER, None), (9, None)];
    check(&[never, never, never, soon], &[0, 250, 500, 750], 759, Ok(3)).await;

    // A failure starts the next one at once.
    let refused = (0, Some(REFUSED));
    check(&[refused, refused, soon], &[0, 0, 0], 9, Ok(2)).await;
    check(&[never, (9, Some(REFUSED)), soon], &[0, 250, 259], 268, Ok(2)).await;
    check(&[(260, Some(REFUSED)), never, soon], &[0, 250, 260], 269, Ok(2)).await;

    // All that are left are waited for.
    check(&[(900, None), refused], &[0, 250], 900, Ok(0)).await;
    check(&[(900, Some(REFUSED)), refused], &[0, 250], 900, Err(REFUSED)).await;

    // The most telling failure, in any order.
    let unreachable = (0, Some(UNREACHABLE));
    check(&[refused, unreachable], &[0, 0], 0, Err(REFUSED)).await;
    check(&[unreachable, refused], &[0, 0], 0, Err(REFUSED)).await;
    check(&[unreachable], &[0], 0, Err(UNREACHABLE)).await;
    check(&[], &[], 0, Err(NOBODY)).await;
}

async fn check(
    attempts: &[(u64, Option<io::ErrorKind>)],
    begun: &[u64],
    end: u64,
    expected: Result<u16, io::ErrorKind>,
) {
    let addresses: Vec<SocketAddr> =
        (0..).take(attempts.len()).map(|port| ([127, 0, 0, 1], port).into()).collect();
    let start = Instant::now();
    let now = || u64::try_from(start.elapsed().as_millis()).unwrap();
    let log = Arc::new(Mutex::new(Vec::new()));
    let connected = first_of(&addresses, |address: SocketAddr| {
        let (time, failure) = attempts[usize::from(address.port())];
        log.lock().unwrap().push(now());
        let log = Arc::clone(&log);
        async move {
            sleep(Duration::from_millis(time)).await;
            drop(log);
            failure.map_or(Ok(()), |kind| Err(kind.into()))
        }
    });
    let connected = connected.await.map(|((), address)| address.port());
    assert_eq!(connected.map_err(|error| error.kind()), expected, "{attempts:?}");
    assert_eq!((log.lock().unwrap().as_slice(), now()), (begun, end), "{attempts:?}");
    assert_eq!(Arc::strong_count(&log), 1, "an attempt goes on: {attempts:?}");
}

#[test]
fn the_two_families_are_tried_in_turn() {
    check_order(&[], &[]);
    check_order(&["1.1.1.1"], &["1.1.1.1"]);
    check_order(&["::1", "::2", "::3", "1.1.1.1"], &["::1", "1.1.1.1", "::2", "::3"]);
    check_order(&["1.1.1.1", "::1", "::2"], &["1.1.1.1", "::1", "::2"]);
    check_order(
        &["1.1.1.1", "1.1.1.2", "1.1.1.3", "::1", "::2"],
        &["1.1.1.1", "::1", "1.1.1.2", "::2", "1.1.1.3"],
    );
}

fn check_order(ips: &[&str], expected: &[&str]) {
    let [addresses, expected] = [ips, expected].map(|ips| {
        ips.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 1)).collect::<Vec<_>>()
    });
    assert_eq!(alternated(&addresses), expected);
}
