//! What happens in a town, as one sentence each. Steps of which another one tells more are left out; the timeline has all.

use proctor_harness::cycle::Happening;
use serde_json::Value;

/// The sentence for something that happened; `None` when another line says it.
pub(crate) fn sentence(happening: &Happening) -> Option<String> {
    let value = |key: &str| happening.values.get(key).map(text_of).unwrap_or_default();
    let actor = short(&happening.actor);
    Some(match happening.kind.as_str() {
        "phase_began" | "phase_ended" | "receipt" | "nudge" | "hook" | "spawn" | "bead_update" | "merge_submit"
        | "merge_start" => return None,
        "rig_add" => format!("{actor} added the rig {}", value("rig")),
        "bead_create" => format!("{actor} wrote {} “{}”", value("bead"), value("title")),
        "convoy_create" => format!("{actor} opened the convoy “{}”", value("title")),
        "sling" => format!("{actor} slung {} to {}", value("bead"), short(&value("agent"))),
        "session_start" => format!("{} started", short(&value("agent"))),
        "session_end" | "session_death" => format!("{} ended: {}", short(&value("agent")), value("exit")),
        "done" => format!("{actor} says {} is done", value("bead")),
        "merged" => format!("{} is on {} main as {}", value("bead"), value("rig"), first(&value("commit"), 7)),
        "merge_failed" => format!("{} was not merged: {}", value("bead"), value("reason")),
        "bead_close" | "convoy_close" => format!("{} is closed", value("bead")),
        "mail" => format!("mail from {} to {}: {}", short(&value("from")), short(&value("to")), value("subject")),
        "clause" => return clause(&value("clause"), &value("now")),
        _ if happening.actor.is_empty() => happening.text.clone(),
        _ => happening.text.replacen(&happening.actor, &actor, 1),
    })
}

/// Before there is a convoy, no clause has anything to say.
fn clause(name: &str, now: &str) -> Option<String> {
    let name = match name {
        "issues_closed" => "closed",
        "no_worker_busy" => "no worker busy:",
        "convoy_closed" => "convoy closed:",
        other => other,
    };
    (now != "no convoy").then(|| format!("landed? {name} {now}"))
}

/// People call workers by rig and name.
fn short(agent: &str) -> String {
    agent.replacen("/polecats/", "/", 1)
}

fn first(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use proctor_judge::evidence::Time;
    use serde_json::json;

    use super::*;

    fn happening(kind: &str, actor: &str, values: Value) -> Happening {
        let values = values.as_object().cloned().unwrap_or_default().into_iter().collect();
        let (kind, actor, text) = (kind.to_owned(), actor.to_owned(), format!("{actor} as it came"));
        Happening { at: Time::UNIX_EPOCH, kind, actor, text, values, claimed: false }
    }

    #[test]
    fn what_happens_is_a_sentence() {
        let cases = [
            (
                happening("sling", "mayor", json!({"bead": "al-k3x", "agent": "alice/polecats/nux"})),
                "mayor slung al-k3x to alice/nux",
            ),
            (
                happening("merged", "bob/refinery", json!({"bead": "bo-1", "rig": "bob", "commit": "0b638acedb2008"})),
                "bo-1 is on bob main as 0b638ac",
            ),
            (happening("clause", "", json!({"clause": "merged", "now": "2/3"})), "landed? merged 2/3"),
            (happening("unheard_of", "bob/polecats/nux", json!({})), "bob/nux as it came"),
        ];
        for (happening, expected) in cases {
            assert_eq!(sentence(&happening).as_deref(), Some(expected));
        }
    }

    #[test]
    fn steps_that_another_line_tells_are_left_out() {
        for kind in ["hook", "spawn", "phase_began", "merge_submit"] {
            assert_eq!(sentence(&happening(kind, "mayor", json!({}))), None, "{kind}");
        }
        let early = happening("clause", "", json!({"clause": "merged", "now": "no convoy"}));
        assert_eq!(sentence(&early), None);
    }
}
