//! Makes the interface out of its schema, with the compiler `capnp`.

fn main() {
    capnpc::CompilerCommand::new().file("peer.capnp").run().expect("the compiler `capnp`");
}
