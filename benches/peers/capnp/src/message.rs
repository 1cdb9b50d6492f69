//! The message in Cap'n Proto's form.

use capnp::Result;
use peers_common::Message;

use crate::peer_capnp::message::{Builder, Reader};

/// Writes a message.
pub(crate) fn write(message: &Message, mut builder: Builder<'_>) {
    builder.set_id(message.id);
    builder.set_name(&message.name);
    let mut tags = builder.reborrow().init_tags(message.tags.len() as u32);
    for (place, (key, value)) in (0..).zip(&message.tags) {
        let mut tag = tags.reborrow().get(place);
        tag.set_key(key);
        tag.set_value(value);
    }
    builder.set_bytes(&message.bytes);
    if let Some(nested) = &message.nested {
        write(nested, builder.init_nested());
    }
}

/// Reads a message.
pub(crate) fn read(reader: Reader<'_>) -> Result<Message> {
    let mut tags = std::collections::HashMap::new();
    for tag in reader.get_tags()? {
        tags.insert(tag.get_key()?.to_string()?, tag.get_value()?.to_string()?);
    }
    let nested = if reader.has_nested() { Some(read(reader.get_nested()?)?.into()) } else { None };
    Ok(Message {
        id: reader.get_id(),
        name: reader.get_name()?.to_string()?,
        tags,
        bytes: reader.get_bytes()?.to_vec(),
        nested,
    })
}
