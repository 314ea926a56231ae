//! Why a resolution comes to no state. The caller keeps the state it has.

use crate::state::limits::FULL_CONFLICTED_SET_MAX;
use crate::state::tree::TreeError;

/// A resolution failed. `E` is the error of the view and of the source of nodes.
#[derive(Debug, thiserror::Error)]
pub enum ResolutionError<E> {
    /// A state could not be read.
    #[error(transparent)]
    Tree(#[from] TreeError<E>),
    /// The room could not be read.
    #[error("the room could not be read: {0}")]
    View(E),
    /// An event that a state or an auth event list names is not in the store.
    #[error("the event with short id {0} is missing from the store; run `conduit check`")]
    MissingEvent(u64),
    /// An event of a state, or its auth chain, is not in the chain-cover index.
    #[error("the event with short id {0} is missing from the chain-cover index; run `conduit check`")]
    NotInChainCover(u64),
    /// The chain-cover index names places where nobody is.
    #[error("chain {0} of the chain-cover index has a gap; run `conduit check`")]
    ChainGap(u64),
    /// More than [`FULL_CONFLICTED_SET_MAX`] events are in conflict.
    #[error("more than {FULL_CONFLICTED_SET_MAX} events are in conflict")]
    TooManyConflicts,
}
