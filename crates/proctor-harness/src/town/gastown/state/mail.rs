//! Mail: beads labelled `gt:message`, addressed by assignee, from whom by a label.

use std::collections::BTreeMap;

use proctor_judge::evidence::{Mail, MergeRequest};

use super::address;
use super::row::{Bead, Rows};

/// Messages, oldest first.
pub(super) fn mail(rows: &Rows) -> Vec<Mail> {
    let own = |bead: &&Bead| rows.has(bead, "gt:message") || bead.issue_type == "message";
    let message = |bead: &Bead| Mail {
        id: bead.id.clone(),
        from: address::mail(rows.labelled(bead, "from").unwrap_or(&bead.created_by)),
        to: address::mail(&bead.assignee),
        subject: bead.title.clone(),
        body: bead.description.clone(),
        at: bead.created_at,
        read: bead.closed() || rows.has(bead, "read"),
    };
    rows.beads.iter().filter(own).map(message).collect()
}

/// What was once seen: mails and merge requests are wisps, which a town removes when it tidies up, and a run's evidence needs them
/// nevertheless. They stay as they were when last seen.
#[derive(Default)]
pub(super) struct Kept {
    mail: BTreeMap<String, Mail>,
    requests: BTreeMap<String, MergeRequest>,
}

impl Kept {
    /// All that was ever seen, oldest first.
    pub(super) fn keep(&mut self, mail: Vec<Mail>, requests: Vec<MergeRequest>) -> (Vec<Mail>, Vec<MergeRequest>) {
        self.mail.extend(mail.into_iter().map(|mail| (mail.id.clone(), mail)));
        self.requests.extend(requests.into_iter().map(|request| (request.id.clone(), request)));
        let (mut mail, mut requests): (Vec<_>, Vec<_>) =
            (self.mail.values().cloned().collect(), self.requests.values().cloned().collect());
        mail.sort_by_key(|mail| mail.at);
        requests.sort_by_key(|request| request.created_at);
        (mail, requests)
    }
}
