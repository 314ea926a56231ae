//! The state tree and state resolution.
