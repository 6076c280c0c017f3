//! What a runtime costs that has nothing to do.

use std::future::pending;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{Measured, Row};
use crate::machine::allow_descriptors;
use crate::measure::{Metric, Plan, process_cpu};
use crate::runtimes::{Listener, Runtime, Stream};

/// Connections with a task waiting on each, and as many tasks that wait for nothing.
const PARKED: usize = 10_000;
/// How long nothing happens.
const PERIOD: Duration = Duration::from_secs(10);
/// Descriptors besides the connections.
const OTHER_DESCRIPTORS: usize = 100;

/// idle
pub(crate) struct Idle;

impl Row for Idle {
    const NAME: &'static str = "idle";
    const OPERATION: &'static str = "CPU second";
    const WORK: &'static str = "10 000 parked connections and 10 000 parked tasks for 10 s: CPU time used";
    const METRICS: &'static [Metric] = &[Metric::IdleCpu];
    const FRESH_PROCESS: bool = true;
    const WARM_UP: bool = false;
    const MOST_ROUNDS: usize = 1;

    async fn body<R: Runtime>(rt: R, plan: Plan) -> Measured {
        let count = plan.of(PARKED);
        allow_descriptors((count + OTHER_DESCRIPTORS) as u64)?;
        let socket = std::net::TcpListener::bind("127.0.0.1:0")?;
        let mut far_end = start_far_end(socket.local_addr()?, count)?;
        let mut listener = rt.listen(socket)?;
        for _ in 0..count {
            let mut stream = listener.accept().await?;
            rt.detach(async move {
                let mut buffer = [0; 64];
                // Nothing ever comes; the process ends with this read waiting.
                let _ = stream.read(&mut buffer).await;
            });
            rt.detach(pending());
        }
        // Let all of them park first.
        rt.sleep(Duration::from_millis(300)).await;
        let before = process_cpu();
        rt.sleep(plan.period(PERIOD)).await;
        let used = process_cpu() - before;
        drop(far_end.stdin.take());
        far_end.wait()?;
        Ok(vec![used.as_nanos() as f64])
    }
}

/// A second process holds the clients' ends, so that neither needs more descriptors than a usual limit allows.
fn start_far_end(address: std::net::SocketAddr, count: usize) -> std::io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args(["--hold-connections", &address.to_string(), &count.to_string()])
        .stdin(Stdio::piped())
        .spawn()
}
