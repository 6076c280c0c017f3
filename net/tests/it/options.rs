//! Socket options.

use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use crate::pair;
use crate::tiny::run;

#[test]
fn what_is_set_is_what_is_got() {
    run(async {
        let (stream, _other) = pair().await;
        assert!(!stream.nodelay().unwrap());
        stream.set_nodelay(true).unwrap();
        assert!(stream.nodelay().unwrap());

        assert_eq!(stream.keepalive().unwrap(), None);
        stream.set_keepalive(Some(Duration::from_secs(90))).unwrap();
        assert_eq!(stream.keepalive().unwrap(), Some(Duration::from_secs(90)));
        for bad in [Duration::ZERO, Duration::MAX] {
            assert_eq!(stream.set_keepalive(Some(bad)).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        stream.set_keepalive(None).unwrap();
        assert_eq!(stream.keepalive().unwrap(), None);

        assert_eq!(stream.linger().unwrap(), None);
        stream.set_linger(Some(Duration::from_secs(3))).unwrap();
        assert_eq!(stream.linger().unwrap(), Some(Duration::from_secs(3)));
        stream.set_linger(None).unwrap();
        assert_eq!(stream.linger().unwrap(), None);

        stream.set_ttl(33).unwrap();
        assert_eq!(stream.ttl().unwrap(), 33);
        assert!(stream.take_error().unwrap().is_none());
        assert!(stream.as_fd().as_raw_fd() >= 0);
    });
}

#[test]
fn parts_of_seconds_are_rounded_up() {
    run(async {
        let (stream, _other) = pair().await;
        // Rounded down, this would be zero, which throws unsent data away.
        stream.set_linger(Some(Duration::from_millis(1))).unwrap();
        assert_eq!(stream.linger().unwrap(), Some(Duration::from_secs(1)));
        stream.set_linger(Some(Duration::ZERO)).unwrap();
        assert_eq!(stream.linger().unwrap(), Some(Duration::ZERO));
        stream.set_linger(None).unwrap();
        stream.set_keepalive(Some(Duration::from_millis(1500))).unwrap();
        assert_eq!(stream.keepalive().unwrap(), Some(Duration::from_secs(2)));
    });
}
