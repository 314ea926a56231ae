//! The API's bounds, each with its reason.

/// Levels of nesting in a body at most: no endpoint needs more than a handful, events that people send stay far
/// below, and parsers that recurse stay far from the end of a thread's stack.
pub const JSON_DEPTH_MAX: usize = 100;
