//! Whose requests to the gateway and to the telemetry listener are, and what becomes of those that are nobody's.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode};
use proctor_gateway::{AskSender, Caller};
use proctor_judge::evidence::{RefusalReason, Sender};

use super::address::{Addressed, Tokens};
use super::otlp::{Encoding, Full, end_of_address, refusal};
use super::serving::Guard;
use super::strays::{Ends, Stray, Strays};

/// What the listeners of a run share: the tokens, and what came in that counts for nobody.
#[derive(Debug)]
struct Door {
    listener: &'static str,
    tokens: Arc<Tokens>,
    strays: Arc<Strays>,
}

impl Door {
    /// Counts a request whose address is only claimed.
    fn note(&self, addressed: &Addressed, request: &str, ends: Ends) {
        if let Some(claim) = &addressed.claim {
            let claimed = Some(claim.agent.as_str());
            self.strays.add(&Stray { claimed, agent: claim.owner.as_deref(), ..self.stray(claim.why, request, ends) });
        }
    }

    /// Counts a request that names nobody.
    fn note_nameless(&self, request: &str, ends: Ends) {
        self.strays.add(&self.stray(RefusalReason::NoToken, request, ends));
    }

    fn stray<'a>(&self, reason: RefusalReason, example: &'a str, ends: Ends) -> Stray<'a> {
        let at = chrono::Utc::now();
        Stray { listener: self.listener, reason, claimed: None, agent: None, sender: None, example, ends, at }
    }

    fn refused(&self, owner: &str, reason: RefusalReason, request: &str, ends: Ends, sender: Option<Sender>) {
        let agent = Some(owner).filter(|owner| !owner.is_empty());
        self.strays.add(&Stray { agent, sender, ..self.stray(reason, request, ends) });
    }

    fn senders(&self, theirs: &[SocketAddr], ours: SocketAddr) -> BTreeMap<SocketAddr, Sender> {
        self.strays.senders(theirs, ours)
    }
}

/// Method and path, as the journal of strays names a request.
fn name(request: &Request<Body>) -> String {
    format!("{} {}", request.method(), request.uri().path())
}

/// For the gateway: `/a/<agent>/<token>/…`.
#[derive(Debug)]
pub(crate) struct GatewayGuard(Door);

impl GatewayGuard {
    /// With the tokens of the run.
    pub(crate) fn new(tokens: Arc<Tokens>, strays: Arc<Strays>) -> Self {
        Self(Door { listener: "gateway", tokens, strays })
    }

    fn ask(&self, ends: Ends) -> AskSender {
        let strays = Arc::clone(&self.0.strays);
        Arc::new(move || strays.sender(ends).map(into_gateway))
    }
}

impl Guard for GatewayGuard {
    fn admit(&self, request: &mut Request<Body>, ends: Ends) -> String {
        let addressed = self.0.tokens.read("/a/", request.uri().path(), |named| named.rfind("/v1/"));
        // Programs ask whether somebody is there, and name nobody.
        let is_question = request.method() == Method::HEAD || addressed.path == "/health";
        match (&addressed.claim, &addressed.agent) {
            (None, None) if !is_question => self.0.note_nameless(&name(request), ends),
            _ if !is_question => self.0.note(&addressed, &name(request), ends),
            _ => {}
        }
        let agent = addressed.agent.unwrap_or_default();
        let claimed = addressed.claim.map(|claim| claim.agent);
        let caller = Caller { agent: agent.clone(), claimed, path: addressed.path, sender: Some(self.ask(ends)) };
        request.extensions_mut().insert(caller);
        agent
    }

    fn refused(&self, owner: &str, reason: RefusalReason, request: &str, ends: Ends, sender: Option<Sender>) {
        self.0.refused(owner, reason, request, ends, sender);
    }

    fn senders(&self, theirs: &[SocketAddr], ours: SocketAddr) -> BTreeMap<SocketAddr, Sender> {
        self.0.senders(theirs, ours)
    }

    fn refusal(&self, status: StatusCode, message: &str) -> Response<Body> {
        proctor_gateway::refusal(status.as_u16(), message)
    }
}

/// For the telemetry listener: `/agents/<agent>/<token>/…`, and the plain paths of the town.
#[derive(Debug)]
pub(crate) struct TelemetryGuard(Arc<Door>);

impl TelemetryGuard {
    /// With the tokens of the run.
    pub(crate) fn new(tokens: Arc<Tokens>, strays: Arc<Strays>) -> Self {
        Self(Arc::new(Door { listener: "telemetry listener", tokens, strays }))
    }
}

impl Guard for TelemetryGuard {
    fn admit(&self, request: &mut Request<Body>, ends: Ends) -> String {
        let addressed = self.0.tokens.read("/agents/", request.uri().path(), end_of_address);
        self.0.note(&addressed, &name(request), ends);
        let agent = addressed.agent.clone().unwrap_or_default();
        let (door, owner, request_name) = (Arc::clone(&self.0), agent.clone(), name(request));
        let full = Full(Arc::new(move || door.refused(&owner, RefusalReason::TooMuch, &request_name, ends, None)));
        request.extensions_mut().insert(full);
        request.extensions_mut().insert(addressed);
        agent
    }

    fn refused(&self, owner: &str, reason: RefusalReason, request: &str, ends: Ends, sender: Option<Sender>) {
        self.0.refused(owner, reason, request, ends, sender);
    }

    fn senders(&self, theirs: &[SocketAddr], ours: SocketAddr) -> BTreeMap<SocketAddr, Sender> {
        self.0.senders(theirs, ours)
    }

    fn refusal(&self, status: StatusCode, message: &str) -> Response<Body> {
        refusal(Encoding::Protobuf, status, message)
    }
}

fn into_gateway(sender: Sender) -> proctor_gateway::Sender {
    let Sender { pid, program, agent, own } = sender;
    proctor_gateway::Sender { pid, program, agent, own }
}
