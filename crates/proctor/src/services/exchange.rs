//! A row of the gateway's journal as evidence has it. The two types are one format on disk; neither room sees the other's.

use proctor_judge::evidence::{Exchange, Sender};

/// The same row, field by field.
pub(super) fn into_evidence(row: proctor_gateway::Exchange) -> Exchange {
    Exchange {
        n: row.n,
        agent: row.agent,
        claimed: row.claimed,
        from: row.from.map(sender),
        at: row.at,
        duration_ms: row.duration_ms,
        request: row.request,
        model: row.model,
        stream: row.stream,
        turn: row.turn,
        sha256: row.sha256,
        status: row.status,
        stop_reason: row.stop_reason,
        matched: row.matched,
        miss: row.miss,
        fault: row.fault,
        input_tokens: row.input_tokens,
        output_tokens: row.output_tokens,
        asked: row.asked,
        answered: row.answered,
        body: row.body,
    }
}

fn sender(sender: proctor_gateway::Sender) -> Sender {
    let proctor_gateway::Sender { pid, program, agent, own } = sender;
    Sender { pid, program, agent, own }
}
