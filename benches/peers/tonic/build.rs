//! Makes the service and its client as from a proto file, without the compiler of such files.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let method = |name: &str, route: &str, message: &str, reply: &str| {
        Method::builder()
            .name(name)
            .route_name(route)
            .input_type(message)
            .output_type(reply)
            .codec_path("tonic_prost::ProstCodec")
    };
    let (message, blob) = ("crate::message::Message", "crate::message::Blob");
    let count = "crate::message::Count";
    let service = Service::builder()
        .package("peers")
        .name("Peer")
        .method(method("echo", "Echo", message, message).build())
        .method(method("slow", "Slow", message, message).build())
        .method(method("blob", "Blob", blob, blob).build())
        .method(method("notes", "Notes", message, count).client_streaming().build())
        .method(method("pour", "Pour", count, message).server_streaming().build())
        .method(
            method("swap", "Swap", message, message).client_streaming().server_streaming().build(),
        )
        .build();
    Builder::new().compile(&[service]);
}
