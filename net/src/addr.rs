//! What can stand for an address: literals, which need no look-up, and host names.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// What a socket can be bound or connected to.
///
/// Addresses, pairs of host and port, and text: `"127.0.0.1:80"`, `"[::1]:80"`, `"example.org:80"`,
/// `("example.org", 80)`. Only host names need a look-up, which a thread of the default pool makes. The trait is sealed.
pub trait ToSocketAddrs: sealed::ToTarget + Send {}

impl<T: sealed::ToTarget + Send> ToSocketAddrs for T {}

/// What an address asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One known address.
    One(SocketAddr),
    /// Known addresses, to be tried in this order.
    Many(Vec<SocketAddr>),
    /// A name, to be looked up.
    Host(String, u16),
}

pub(crate) mod sealed {
    use super::Target;
    use std::io;

    /// The method behind `ToSocketAddrs`, out of users' reach.
    pub trait ToTarget {
        /// Says what is asked for, without looking anything up.
        fn to_target(&self) -> io::Result<Target>;
    }
}

use sealed::ToTarget;

impl ToTarget for SocketAddr {
    fn to_target(&self) -> io::Result<Target> {
        Ok(Target::One(*self))
    }
}

/// Types that convert into one address.
macro_rules! one_address {
    ($($ty:ty),* $(,)?) => {$(
        impl ToTarget for $ty {
            fn to_target(&self) -> io::Result<Target> {
                Ok(Target::One(SocketAddr::from(*self)))
            }
        }
    )*};
}

one_address!(SocketAddrV4, SocketAddrV6, (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16));

impl ToTarget for [SocketAddr] {
    fn to_target(&self) -> io::Result<Target> {
        match self {
            [] => Err(invalid("the list of addresses is empty: give at least one".to_string())),
            [one] => Ok(Target::One(*one)),
            many => Ok(Target::Many(many.to_vec())),
        }
    }
}

impl<const N: usize> ToTarget for [SocketAddr; N] {
    fn to_target(&self) -> io::Result<Target> {
        self.as_slice().to_target()
    }
}

impl ToTarget for Vec<SocketAddr> {
    fn to_target(&self) -> io::Result<Target> {
        self.as_slice().to_target()
    }
}

impl ToTarget for (&str, u16) {
    fn to_target(&self) -> io::Result<Target> {
        host_and_port(self.0, self.1)
    }
}

impl ToTarget for (String, u16) {
    fn to_target(&self) -> io::Result<Target> {
        host_and_port(&self.0, self.1)
    }
}

impl ToTarget for str {
    fn to_target(&self) -> io::Result<Target> {
        if let Ok(addr) = self.parse() {
            return Ok(Target::One(addr));
        }
        let parts = self.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        match parts {
            Some((host, port)) => host_and_port(host, port),
            None => Err(invalid(format!(
                "\"{self}\" is not an address: write HOST:PORT, with a port up to 65535"
            ))),
        }
    }
}

impl ToTarget for String {
    fn to_target(&self) -> io::Result<Target> {
        self.as_str().to_target()
    }
}

impl<T: ToTarget + ?Sized> ToTarget for &T {
    fn to_target(&self) -> io::Result<Target> {
        (**self).to_target()
    }
}

fn host_and_port(host: &str, port: u16) -> io::Result<Target> {
    if let Ok(ip) = host.parse() {
        return Ok(Target::One(SocketAddr::new(ip, port)));
    }
    // What is left of "::1:80" or of "[fe80::1" is no name, and asking a name server for it would only take long.
    if host.is_empty() || host.contains([':', '[', ']', '\0']) {
        return Err(invalid(format!(
            "\"{host}\" is neither a host name nor an IP address: write HOST:PORT, or [ADDRESS]:PORT for IPv6"
        )));
    }
    Ok(Target::Host(host.to_string(), port))
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Target {
        Target::One(text.parse().unwrap())
    }

    #[test]
    fn literals_need_no_look_up() {
        assert_eq!("127.0.0.1:80".to_target().unwrap(), one("127.0.0.1:80"));
        assert_eq!("[::1]:80".to_target().unwrap(), one("[::1]:80"));
        assert_eq!(("::1", 80).to_target().unwrap(), one("[::1]:80"));
        assert_eq!((Ipv4Addr::LOCALHOST, 80).to_target().unwrap(), one("127.0.0.1:80"));
        assert_eq!(String::from("1.2.3.4:5").to_target().unwrap(), one("1.2.3.4:5"));
    }

    #[test]
    fn names_are_kept_for_a_look_up() {
        assert_eq!("localhost:80".to_target().unwrap(), Target::Host("localhost".into(), 80));
        assert_eq!(("localhost", 80).to_target().unwrap(), Target::Host("localhost".into(), 80));
    }

    #[test]
    fn nonsense_is_refused_with_a_hint() {
        for bad in ["localhost", "localhost:99999", "::1:x", ":80", "[::1:80", "fe80::zz:80"] {
            let error = bad.to_target().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{bad}");
            assert!(error.to_string().contains("HOST:PORT"), "{bad}: {error}");
        }
        assert!(Vec::new().to_target().is_err());
    }
}
