//! The routes.
use crate::gateway::Inner;
use std::sync::Arc;

pub(crate) fn router(_inner: Arc<Inner>) -> axum::Router {
    axum::Router::new()
}
