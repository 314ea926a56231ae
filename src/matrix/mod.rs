//! Protocol rules with no I/O.
