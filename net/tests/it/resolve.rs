//! Name resolution, on a pool of its own.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::join;
use kumihimo_blocking_pool::{DefaultExecutor, Entered, ThreadPoolExecutor, enter};
use kumihimo_net::{TcpListener, TcpStream, resolve};

use crate::tiny::run;

fn enter_pool() -> Entered {
    enter(&Arc::new(DefaultExecutor::new(ThreadPoolExecutor::default())))
}

#[test]
fn names_are_looked_up_on_a_thread() {
    let _entered = enter_pool();
    run(async {
        let addrs = resolve("localhost:81").await.unwrap();
        assert!(!addrs.is_empty());
        assert!(addrs.iter().all(|addr| addr.ip().is_loopback() && addr.port() == 81), "{addrs:?}");
    });
}

#[test]
fn connect_by_name() {
    let _entered = enter_pool();
    run(async {
        let listener = TcpListener::bind("localhost:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (caller, called) = join!(TcpStream::connect(("localhost", port)), listener.accept());
        assert_eq!(caller.unwrap().local_addr().unwrap(), called.unwrap().1);
    });
}

#[test]
fn names_that_do_not_exist_are_named() {
    let _entered = enter_pool();
    run(async {
        // Longer than names may be, so that no name server is asked.
        let host = "x".repeat(300);
        let error = TcpStream::connect((host.clone(), 80)).await.unwrap_err();
        assert!(error.to_string().contains(&host), "{error}");
    });
}

#[test]
fn literals_need_no_loop_but_names_do() {
    let addrs = resolve(("::1", 80)).now_or_never().unwrap().unwrap();
    assert_eq!(addrs, ["[::1]:80".parse().unwrap()]);
    let error = resolve("localhost:80").now_or_never().unwrap().unwrap_err();
    assert!(error.to_string().contains("running loop"), "{error}");
}
