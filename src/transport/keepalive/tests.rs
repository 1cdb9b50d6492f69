//! What the system is told of a socket.

use super::*;

#[tokio::test]
async fn a_socket_is_probed_as_it_is_said() {
    // Seconds: the time, and what comes of it, time and interval.
    for (time, expected) in [(1, (1, 1)), (60, (60, 20)), (32_767, (32_767, 10_922))] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let socket = SockRef::from(&stream);
        assert!(!socket.keepalive().unwrap());
        TcpKeepalive::new(Duration::from_secs(time)).set(&stream);
        assert!(socket.keepalive().unwrap());
        let interval = socket.tcp_keepalive_interval().unwrap();
        let told = (socket.tcp_keepalive_time().unwrap().as_secs(), interval.as_secs());
        assert_eq!((told, socket.tcp_keepalive_retries().unwrap()), (expected, 3), "{time}");
    }
}
