//! How does a file go through a call, however large it is?
//! `cargo run --example file`.

use std::path::PathBuf;

use bytes::Bytes;
use switchboard::{
    Client, Code, Command, Endpoint, Error, Receiver, Result, Sender, Streamed, format, transport,
};
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt;

/// A name, and what is in the file. The reply is how many bytes were stored.
const STORE: Command<Streamed<Bytes, Bytes>, Bytes, format::Bytes> = Command::new("STORE");
/// A name. The reply is what is in the file, and how many bytes were sent.
const FETCH: Command<Bytes, Streamed<Bytes, Bytes>, format::Bytes> = Command::new("FETCH");

async fn store(name: Bytes, pieces: Receiver<Bytes>) -> Result<Bytes> {
    // Under another name until all of it is there: a caller may break off in the middle.
    let path = path_of(&name)?;
    let part = path.with_extension("part");
    let mut file = File::create(&part).await?;
    let bytes = tokio::io::copy_buf(&mut pieces.into_reader(), &mut file).await?;
    file.sync_all().await?;
    fs::rename(part, path).await?;
    Ok(Bytes::from(bytes.to_string()))
}

async fn fetch(name: Bytes, out: Sender<Bytes>) -> Result<Bytes> {
    // The caller is not told why a file cannot be opened, so it is said here.
    let file = File::open(path_of(&name)?).await;
    let mut file = file.map_err(|_| Error::new(Code::NotFound, "no file of that name"))?;
    let mut writer = out.into_writer();
    let bytes = tokio::io::copy(&mut file, &mut writer).await?;
    // Without this the caller would learn that it has not got all.
    writer.shutdown().await?;
    Ok(Bytes::from(bytes.to_string()))
}

/// A name is letters, so that it leads to no other folder.
fn path_of(name: &[u8]) -> Result<PathBuf> {
    match str::from_utf8(name) {
        Ok(name) if name.bytes().all(|letter| letter.is_ascii_lowercase()) => {
            Ok(folder().join(name))
        }
        _ => Err(Error::new(Code::Invalid, "a name is lower-case letters")),
    }
}

fn folder() -> PathBuf {
    std::env::temp_dir().join(format!("switchboard-file-{}", std::process::id()))
}

#[tokio::main]
async fn main() -> Result<()> {
    fs::create_dir_all(folder()).await?;
    let here = folder().join("here");
    fs::write(&here, "All work and no play. ".repeat(1_000_000)).await?;

    let listener = transport::bind("127.0.0.1:0").await?;
    let address = listener.local_address()?;
    let endpoint = Endpoint::new().on(STORE, store).on(FETCH, fetch);
    tokio::spawn(async move { endpoint.serve(listener).await });
    let client = Client::connect(address).await?;

    println!("--- an upload");
    let mut file = File::open(&here).await?;
    let mut upload = client.call(STORE, &Bytes::from("there")).into_writer();
    tokio::io::copy(&mut file, &mut upload).await?;
    upload.shutdown().await?;
    println!("stored: {:?}", upload.finish().await?);

    println!("--- a download");
    let mut download = client.call(FETCH, &Bytes::from("there")).into_reader();
    let mut back = File::create(folder().join("back")).await?;
    tokio::io::copy_buf(&mut download, &mut back).await?;
    back.sync_all().await?;
    println!("sent: {:?}", download.finish().await?);
    println!("the same: {}", fs::read(&here).await? == fs::read(folder().join("back")).await?);

    println!("--- an upload that breaks off");
    let mut upload = client.call(STORE, &Bytes::from("half")).into_writer();
    upload.write_all(b"the first half").await?;
    drop(upload); // As a `?` would, or a task that is aborted.
    let mut download = client.call(FETCH, &Bytes::from("half")).into_reader();
    match tokio::io::copy(&mut download, &mut tokio::io::sink()).await {
        Ok(bytes) => println!("{bytes} bytes"),
        Err(error) => println!("{:?}: {error}", error.kind()),
    }
    Ok(fs::remove_dir_all(folder()).await?)
}
