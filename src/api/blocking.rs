//! Running service code, which may wait for the disk, off the runtime's threads.

use super::ApiError;

/// Runs `work` on a thread that may block, so that a slow disk read never holds up other connections.
/// A panic in it goes on in the caller, where the server answers 500 and lives on. What it logs names the
/// caller's request.
pub async fn run<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, ApiError>
where
    T: Send + 'static,
    E: Into<ApiError> + Send + 'static,
{
    let span = tracing::Span::current();
    match tokio::task::spawn_blocking(move || span.in_scope(work)).await {
        Ok(outcome) => outcome.map_err(Into::into),
        Err(failure) => match failure.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_cancelled) => Err(ApiError::internal("the server is stopping")),
        },
    }
}
