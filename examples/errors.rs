//! How does an error of mine reach its caller? `cargo run --example errors`.

use serde::{Deserialize, Serialize};
use switchboard::{Client, Code, Command, Context, Endpoint, Error, Result, transport};

#[derive(Debug, thiserror::Error)]
enum JobError {
    #[error("there is no job {0}")]
    Missing(u32),
    #[error("the list of jobs is damaged")]
    Damaged(#[from] std::num::ParseIntError),
}

// What a program may want to know beside code and text.
#[derive(Serialize, Deserialize)]
struct Missing {
    id: u32,
}

// Here stands what callers get, once for all handlers. Without it none of them compiles.
impl From<JobError> for Error {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Missing(id) => {
                Self::new(Code::NotFound, error.to_string()).with_details(Missing { id })
            }
            // Nobody's business but ours: the caller gets `failed`, and the log the rest.
            JobError::Damaged(_) => Self::internal(error),
        }
    }
}

const SIZE: Command<u32, u64> = Command::new("SIZE");
const ASK: Command<u32, u64> = Command::new("ASK");

async fn size(id: u32) -> Result<u64, JobError> {
    let text = [(1, "64"), (2, "a lot")].into_iter().find(|(known, _)| *known == id);
    let (_, text) = text.ok_or(JobError::Missing(id))?;
    Ok(text.parse()?)
}

// Asks somebody else, here its own caller, and passes on what that one says.
async fn ask(id: u32, context: Context) -> Result<u64> {
    context.client().call(SIZE, &id).await.map_err(Error::pass_on)
}

#[tokio::main]
async fn main() -> Result<()> {
    let (here, there) = transport::memory();
    let server =
        tokio::spawn(async move { Endpoint::new().on(ASK, ask).serve_stream(there).await });
    let client: Client = Endpoint::new().on(SIZE, size).connect_over(here);

    for id in [1, 2, 3] {
        match client.call(ASK, &id).await {
            Ok(size) => println!("job {id} has {size} bytes"),
            Err(error) => {
                println!("{error}");
                if let Some(missing) = error.details::<Missing>().transpose()? {
                    println!("so {} is taken off the list", missing.id);
                }
            }
        }
    }
    client.close().await;
    drop(server.await);
    Ok(())
}
