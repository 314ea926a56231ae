//! The threads of the process.

use std::{io, thread::available_parallelism};

use tokio::runtime::{Builder, Runtime};

use super::limits::{BLOCKING_THREAD_IDLE, BLOCKING_THREADS_MAX, WORKER_THREADS_MAX};

/// A runtime with few threads: workers up to the cores and [`WORKER_THREADS_MAX`], and a small pool for
/// blocking work that shrinks when it is idle.
pub fn build() -> io::Result<Runtime> {
    let cores = available_parallelism().map_or(1, std::num::NonZero::get);
    Builder::new_multi_thread()
        .worker_threads(cores.min(WORKER_THREADS_MAX))
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_keep_alive(BLOCKING_THREAD_IDLE)
        .thread_name("conduit")
        .enable_all()
        .build()
}
