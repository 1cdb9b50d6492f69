//! The addresses of a host that is dialled: in which order they are tried, and whether the other
//! end of a socket is the socket itself.

use std::net::SocketAddr;

/// The first family, the other one, and so on; each in its order.
pub(crate) fn alternated(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let is_first_ipv4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (ones, others): (Vec<_>, Vec<_>) =
        addresses.iter().partition(|address| address.is_ipv4() == is_first_ipv4);
    let mut others = others.into_iter();
    let mut alternated = Vec::with_capacity(addresses.len());
    for one in ones {
        alternated.push(one);
        alternated.extend(others.next());
    }
    alternated.extend(others);
    alternated
}

/// Whether a socket at this address is connected to itself; `there` is its other end. TCP lets it
/// when nobody listens at the port that it has dialled.
pub(crate) fn is_own_end(
    here: Option<SocketAddr>,
    there: impl FnOnce() -> Option<SocketAddr>,
    dialled: SocketAddr,
) -> bool {
    // Nearly always the ports differ. What was dialled may be no address of its own, as 0.0.0.0.
    let Some(here) = here.filter(|here| here.port() == dialled.port()) else {
        return false;
    };
    // A peer that is gone already has no address. That was another one, and the first read tells.
    there().is_some_and(|there| (there.ip(), there.port()) == (here.ip(), here.port()))
}
