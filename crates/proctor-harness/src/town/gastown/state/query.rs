//! The statements: only the columns that are used, every database in one round trip.

use std::collections::BTreeMap;

/// The databases that hold a town's tables.
pub(super) const DATABASES: &str =
    "SELECT table_schema FROM information_schema.tables WHERE table_name = 'wisp_labels' ORDER BY table_schema";

/// What the town keeps of itself; the others are rigs.
pub(super) const TOWN: &str = "hq";

/// Bead columns in the order in which [`super::row::Row`] takes them, after kind and database. Everything is text, so that the parts of
/// the union agree.
const COLUMNS: &str = "id, title, status, CAST(priority AS CHAR), issue_type, assignee, created_by, CAST(created_at AS CHAR), \
     CAST(closed_at AS CHAR), close_reason, description";

/// One statement for all databases: `b` beads, `w` mails and merge requests, `l` labels, `t` what a convoy tracks. One statement is one
/// snapshot: a bead is never seen without its labels.
///
/// Molecules are left out here and not later: their texts are most of the bytes.
pub(super) fn state(databases: &[String]) -> Option<String> {
    let parts: Vec<String> = databases.iter().flat_map(|name| parts(name)).collect();
    (!parts.is_empty()).then(|| parts.join(" UNION ALL "))
}

fn parts(database: &str) -> Vec<String> {
    let (name, text) = (identifier(database), literal(database));
    let pair = |kind: &str, columns: &str, from: &str| {
        format!("SELECT '{kind}', {text}, {columns}, '', '', '', '', '', '', NULL, '', '' FROM {name}.{from}")
    };
    let mut parts = vec![
        format!("SELECT 'b', {text}, {COLUMNS} FROM {name}.issues WHERE issue_type NOT IN ('molecule', 'event')"),
        format!(
            "SELECT 'w', {text}, {COLUMNS} FROM {name}.wisps WHERE id IN (SELECT issue_id FROM {name}.wisp_labels \
             WHERE label IN ('gt:message', 'gt:merge-request'))"
        ),
        pair("l", "issue_id, label", "labels"),
        pair("l", "issue_id, label", "wisp_labels"),
    ];
    if database == TOWN {
        parts.push(pair("t", "issue_id, depends_on_id", "dependencies WHERE type = 'tracks'"));
    }
    parts
}

/// Who closed these beads and when, oldest first; `ids` by database.
pub(super) fn closings(ids: &BTreeMap<String, Vec<String>>) -> Option<String> {
    let part = |(database, ids): (&String, &Vec<String>)| {
        let ids: Vec<String> = ids.iter().map(|id| literal(id)).collect();
        format!(
            "SELECT issue_id, event_type, actor, CAST(created_at AS CHAR) AS at FROM {}.events \
             WHERE event_type IN ('closed', 'reopened') AND issue_id IN ({})",
            identifier(database),
            ids.join(", ")
        )
    };
    let parts: Vec<String> = ids.iter().filter(|(_, ids)| !ids.is_empty()).map(part).collect();
    (!parts.is_empty()).then(|| format!("{} ORDER BY at", parts.join(" UNION ALL ")))
}

/// A name as SQL writes it.
pub(super) fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_quotes() {
        assert_eq!(identifier("a`b"), "`a``b`");
        assert_eq!(literal(r"it's \ it"), r"'it''s \\ it'");
    }

    #[test]
    fn nothing_is_asked_about_nothing() {
        assert_eq!(state(&[]), None);
        assert_eq!(closings(&BTreeMap::from([("hq".to_owned(), vec![])])), None);
    }
}
