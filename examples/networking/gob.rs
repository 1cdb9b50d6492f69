//! Both sides of the command `GOB`, as a Go program sends and reads it. Needs the feature `gob`.

use switchboard::format::Gob;
use switchboard::{Code, Connection, Error, Result};

use crate::data::{ComplexData, GOB};

/// Sends the struct, and answers when the server has read it.
pub(crate) async fn send(mut connection: Connection) -> anyhow::Result<()> {
    connection.write_line(GOB).await?;
    connection.write_value::<Gob, _>(&ComplexData::sample()).await?;
    // There is no answer: that the server ends its side as well is all it says.
    connection.finish().await?;
    let reply = connection.read_line().await?;
    anyhow::ensure!(reply.is_none(), "GOB was answered: {reply:?}");
    println!("GOB: sent");
    Ok(())
}

pub(crate) async fn receive(connection: &mut Connection) -> Result<()> {
    let data = connection.read_value::<Gob, ComplexData>().await?;
    let data = data.ok_or_else(|| Error::new(Code::BadPayload, "no gob came"))?;
    println!("GOB: {data}");
    Ok(())
}
