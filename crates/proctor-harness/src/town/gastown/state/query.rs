//! The statements: only the columns that are used, every database that changed in one round trip.

use std::collections::BTreeMap;

/// The databases that hold a town's tables.
pub(super) const DATABASES: &str =
    "SELECT table_schema FROM information_schema.tables WHERE table_name = 'wisp_labels' ORDER BY table_schema";

/// What the town keeps of itself; the others are rigs.
pub(super) const TOWN: &str = "hq";

/// Bead columns but the text, in the order in which [`super::row::Row`] takes them, after kind and database. Everything is text, so that
/// the parts of the union agree.
const COLUMNS: &str = "id, title, status, CAST(priority AS CHAR), issue_type, assignee, created_by, CAST(created_at AS CHAR), \
     CAST(closed_at AS CHAR), close_reason";

/// A hash of everything in each database, written or committed, in this order: what has not changed need not be read.
pub(super) fn heads(databases: &[String]) -> Option<String> {
    let heads: Vec<String> = databases.iter().map(|name| format!("@@{}", identifier(&format!("{name}_working")))).collect();
    (!heads.is_empty()).then(|| format!("SELECT {}", heads.join(", ")))
}

/// One statement for these databases: `b` beads, `w` wisps, `l` labels, `t` what a convoy tracks. One statement is one snapshot: a bead is
/// never seen without its labels.
///
/// The texts of molecules stay behind: they are most of the bytes. Choosing wisps by label here costs the server more than sending all.
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
        format!("SELECT 'b', {text}, {COLUMNS}, description FROM {name}.issues"),
        format!("SELECT 'w', {text}, {COLUMNS}, IF(issue_type = 'epic', '', description) FROM {name}.wisps"),
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
