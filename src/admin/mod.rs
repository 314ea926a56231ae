//! What the operator does: defined once here, offered by the command line.

pub mod appservices;
pub mod check;
