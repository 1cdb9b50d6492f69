//! G17: a process that is stopped is found by those who keep their connection to it alive, and they
//! get no answer in place of it.

use std::time::Duration;

use rustix::process::Signal;
use switchboard::{Code, Endpoint};
use tokio::time::timeout;

use crate::child::{Child, PING, Settings};
use crate::{block_on, figure};

pub(crate) fn run() {
    let mut child = Child::start(&Settings::default());
    block_on(async {
        let endpoint = Endpoint::new().with_keepalive(TIME);
        let client = endpoint.connect(child.address).await.unwrap();
        client.call(PING, &()).await.unwrap();
        // Its system goes on: it takes what is sent, and says that it has it.
        child.stop();
        let call = client.call(PING, &()).timeout(Duration::from_secs(600));
        let error = timeout(TIME * 60, call).await.expect("it is found").unwrap_err();
        let text = format!("no answer to ?PING came within the keepalive time ({TIME:?})");
        assert_eq!((error.code(), error.text()), (Code::DeadlineExceeded, text.as_str()));
        assert!(client.is_closed());
        timeout(TIME * 60, client.closed()).await.expect("it is closed");
        let error = client.call(PING, &()).await.unwrap_err();
        assert_eq!((error.code(), error.is_safe_to_retry()), (Code::Disconnected, true));

        // Another connection finds it well when it goes on.
        child.signal(Signal::CONT);
        child.watch().await.ping().await;
        assert!(child.is_alive());
    });
    figure(
        "G17",
        "a stopped process was found by keepalive, its callers told, and it went on (goal)",
    );
}

/// Far longer than a process that is not stopped needs for an answer.
const TIME: Duration = Duration::from_secs(2);
