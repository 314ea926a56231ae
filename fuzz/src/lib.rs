//! The server's pure layers, compiled from its own files: what the fuzz targets run.
//!
//! Both use each other as `crate::matrix` and `crate::state`, and nothing above them, so they compile here as
//! they do there.

#[path = "../../src/matrix/mod.rs"]
pub mod matrix;
#[path = "../../src/state/mod.rs"]
pub mod state;
