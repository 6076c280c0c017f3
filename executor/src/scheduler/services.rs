//! What this executor does for locks, queues and the like.

use kumihimo_context::{Hidden, Services};

use super::shared::Flavor;
use super::{links_here, spawn_hidden, with_local};
use crate::task;

pub(super) const SERVICES: Services =
    Services { in_order: links_here, is_cancelled: task::is_cancelled_in_queue, spawn_hidden: spawn };

/// On one thread all is done in asyncio's order, at once.
fn spawn(future: Hidden) -> Result<(), Hidden> {
    let shared = with_local(|local| {
        let shared = local.map(|local| &local.shared);
        shared.filter(|shared| shared.flavor == Flavor::MultiThread).cloned()
    });
    match shared {
        Some(shared) => {
            spawn_hidden(&shared, future);
            Ok(())
        }
        None => Err(future),
    }
}
