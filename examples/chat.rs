//! How does a hub push to many, and what of one that does not keep up? `cargo run --example chat`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use switchboard::{
    Client, Code, Command, Encoded, Endpoint, Error, Receiver, Receives, Result, Sender, Sends,
    Streamed, StreamedCall, transport, with_state,
};
use tokio::sync::{mpsc, oneshot};

#[derive(Serialize, Deserialize)]
struct Join {
    room: String,
    name: String,
}

#[derive(Serialize, Deserialize)]
struct Said {
    by: String,
    text: String,
}

// What a member says goes up, what is said in the room comes down. Such a call has no end of its
// own, so a server that stops ends it at once instead of waiting for it.
const CHAT: Command<Streamed<String, Join>, Streamed<Said>> = Command::new("CHAT").endless();

#[derive(Default)]
struct Hub {
    rooms: Mutex<HashMap<String, Vec<Member>>>,
}

struct Member {
    queue: mpsc::Sender<Encoded<Said>>,
    // Its call learns from this that the hub has dropped the member.
    _stays: oneshot::Sender<()>,
}

impl Hub {
    fn join(&self, room: &str) -> (mpsc::Receiver<Encoded<Said>>, oneshot::Receiver<()>) {
        let ((queue, lines), (_stays, cut_off)) = (mpsc::channel(LAG_MAX), oneshot::channel());
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        // However a call ends, its end of the queue is dropped. So nobody need say goodbye.
        rooms.retain(|_, members| {
            members.retain(|member| !member.queue.is_closed());
            !members.is_empty()
        });
        rooms.entry(room.to_owned()).or_default().push(Member { queue, _stays });
        (lines, cut_off)
    }

    // The policy: the hub waits for nobody, and drops a member whose queue is full. Without that,
    // its call would end after `stall_time_max`. To skip lines instead, it would keep the member
    // as long as its queue is not closed.
    fn say(&self, room: &str, said: Said) {
        let said = Encoded::new(said); // Once for all of them.
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(members) = rooms.get_mut(room) {
            members.retain(|member| member.queue.try_send(said.clone()).is_ok());
        }
    }
}

async fn chat(
    hub: Arc<Hub>,
    Join { room, name }: Join,
    mut texts: Receiver<String>,
    out: Sender<Said>,
) -> Result<()> {
    let (mut lines, cut_off) = hub.join(&room);
    out.open(); // From here on it hears everything.
    let speaks = async {
        while let Some(text) = texts.next().await? {
            hub.say(&room, Said { by: name.clone(), text });
        }
        Ok(())
    };
    let hears = async {
        while let Some(said) = lines.recv().await {
            out.send_encoded(&said).await?; // As long as its client does not read, this waits.
        }
        Err(too_slow())
    };
    tokio::select! {
        end = speaks => end,
        end = hears => end,
        _ = cut_off => Err(too_slow()),
    }
}

fn too_slow() -> Error {
    Error::new(Code::Overloaded, format!("you were more than {LAG_MAX} lines behind"))
}

type Call = StreamedCall<Sends<String>, Receives<Said>, ()>;

async fn hear(name: &str, call: &mut Call) -> Result<()> {
    if let Some(Said { by, text }) = call.next().await.transpose()? {
        println!("{name} hears {by}: {text}");
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let listener = transport::bind("127.0.0.1:0").await?;
    let address = listener.local_address()?;
    let endpoint = Endpoint::new().on(CHAT, with_state(&Arc::new(Hub::default()), chat));
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(async move { endpoint.serve_until(listener, stopped).await });

    let join = async |name: &str| {
        let client = Client::connect(&address).await?;
        let mut call = client.call(CHAT, &Join { room: "tea".into(), name: name.into() });
        call.opened().await?;
        Ok::<Call, Error>(call)
    };
    let (mut ada, mut bob) = (join("Ada").await?, join("Bob").await?);
    let mut carol = join("Carol").await?;
    ada.send(&"hello".to_owned()).await?;
    hear("Ada", &mut ada).await?;
    hear("Bob", &mut bob).await?;
    hear("Carol", &mut carol).await?;

    // From now on Bob does not read. What is on its way to him has a bound, and so has his queue.
    for number in 0..LINES {
        let line = format!("{number:1000}");
        ada.send(&line).await?;
        for call in [&mut ada, &mut carol] {
            let said = call.next().await.transpose()?;
            assert!(said.is_some_and(|said| said.text == line));
        }
    }
    println!("Ada and Carol hear all {LINES} lines more");
    while let Some(said) = bob.next().await {
        if let Err(error) = said {
            println!("Bob hears the first of them, and then: {error}");
        }
    }

    // He may come back. What he has missed he has missed.
    let mut bob = join("Bob").await?;
    bob.send(&"I am back".to_owned()).await?;
    hear("Ada", &mut ada).await?;
    hear("Bob", &mut bob).await?;
    hear("Carol", &mut carol).await?;

    drop(stop);
    if let Some(Err(error)) = carol.next().await {
        println!("the server stops; Carol hears: {error}");
    }
    drop(server.await);
    Ok(())
}

/// How many lines may wait for a member in the hub.
const LAG_MAX: usize = 16;

/// More than there is room for on the way to a member that does not read.
const LINES: usize = 200;
