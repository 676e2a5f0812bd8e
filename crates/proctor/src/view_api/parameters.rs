//! What a request may ask: filters, a window of time, pages. Unknown or malformed parameters are errors.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use proctor_judge::lanes::{Filter, Window};
use serde::Deserialize;

use super::answers::Refusal;

/// The parameters of every question about events. Lists are separated by commas.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Asked {
    pub(crate) from: Option<f64>,
    pub(crate) to: Option<f64>,
    lane: String,
    agent: String,
    role: String,
    rig: String,
    kind: String,
    errors: bool,
    text: String,
    pub(crate) offset: usize,
    pub(crate) limit: Option<usize>,
    pub(crate) buckets: Option<usize>,
    pub(crate) id: String,
    pub(crate) at: Option<f64>,
}

impl Asked {
    pub(crate) fn filter(&self) -> Filter {
        Filter {
            lanes: list(&self.lane),
            agents: list(&self.agent),
            roles: list(&self.role),
            rigs: list(&self.rig),
            kinds: list(&self.kind),
            errors: self.errors,
            text: self.text.clone(),
        }
    }

    /// The window asked for, when either end was named.
    pub(crate) fn window(&self) -> Option<Window> {
        let named = self.from.is_some() || self.to.is_some();
        let window = Window { from: self.from.unwrap_or(f64::MIN), to: self.to.unwrap_or(f64::MAX) };
        named.then_some(window)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let query = Query::<Asked>::from_request_parts(parts, state).await;
        query.map(|Query(asked)| asked).map_err(|error| Refusal::bad_request(error.body_text()))
    }
}

fn list(text: &str) -> Vec<String> {
    text.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}
