//! `gt mail …`.

use std::fmt::Write as _;

use crate::Output;
use crate::agents::{self, Session};
use crate::args::{Verb, nearest};
use crate::caller::{long_address, short_address};
use crate::daemon::client::{self, Ask};
use crate::error::{Result, refused, refused_hint};
use crate::invocation::{Invocation, say, say_json};
use crate::mail::{self, Letter, Message};
use crate::town::Town;

pub(super) const VERBS: &[Verb] = &[
    Verb {
        path: "mail send",
        usage: "<address>",
        about: "Sends a message",
        flags: &[
            "s|subject=TEXT  Subject (required)",
            "m|message=TEXT  Body",
            "body=TEXT  Body",
            "stdin  Read the body from standard input",
            "to=AGENT  Recipient",
            "cc=AGENT  Further recipient",
            "self  To yourself",
            "priority=N  0 urgent, 1 high, 2 normal, 3 low",
            "urgent  Priority 0",
            "type=TYPE  task, scavenge, notification or reply",
            "reply-to=ID  Message this answers",
            "n|notify  Tell a running recipient (default)",
            "no-notify  Do not",
            "pinned  Accepted",
            "wisp  Accepted",
            "permanent  Accepted",
        ],
        run: send,
    },
    Verb {
        path: "mail inbox",
        usage: "[address]",
        about: "Lists an inbox, newest first",
        flags: &["json  Print JSON", "u|unread  Only unread ones", "a|all  All (default)", WHO_IDENTITY, WHO_ADDRESS],
        run: inbox,
    },
    Verb {
        path: "mail read",
        usage: "<id|n>",
        about: "Shows a message and marks it read",
        flags: &["json  Print JSON"],
        run: read,
    },
    Verb { path: "mail peek", usage: "", about: "Shows the first unread message", flags: &[], run: peek },
    Verb {
        path: "mail check",
        usage: "",
        about: "Exits with 0 when there is mail, 1 when there is none",
        flags: &["json  Print JSON", "inject  Print it for a prompt; always 0", WHO_IDENTITY, WHO_ADDRESS],
        run: check,
    },
    Verb {
        path: "mail reply",
        usage: "<id>",
        about: "Answers a message",
        flags: &["s|subject=TEXT  Subject (default: Re: …)", "m|message=TEXT  Body", "stdin  Read the body from standard input"],
        run: reply,
    },
    Verb { path: "mail thread", usage: "<thread|id>", about: "Shows a conversation", flags: &["json  Print JSON"], run: thread },
    Verb {
        path: "mail search",
        usage: "<text>",
        about: "Finds messages in your inbox",
        flags: &["json  Print JSON"],
        run: search,
    },
    Verb { path: "mail archive", usage: "<id...>", about: "Takes messages out of the inbox", flags: &[], run: archive },
    Verb { path: "mail delete", usage: "<id...>", about: "Takes messages out of the inbox", flags: &[], run: archive },
    Verb { path: "mail mark-read", usage: "<id...>", about: "Marks messages read", flags: &[], run: mark_read },
    Verb { path: "mail mark-unread", usage: "<id...>", about: "Marks messages unread", flags: &[], run: mark_unread },
];

const WHO_IDENTITY: &str = "identity=AGENT  Whose mail (default: yours)";
const WHO_ADDRESS: &str = "address=AGENT  The same";

fn whose(call: &Invocation, town: &Town) -> String {
    let named = call.args.value("identity").or_else(|| call.args.value("address")).or_else(|| call.args.word(0));
    named.map_or_else(|| short_address(&town.agent()), |name| short_address(&long_address(name)))
}

/// The address as mail writes it, of somebody who is there.
fn recipient(town: &Town, name: &str) -> Result<String> {
    let wanted = short_address(&long_address(name));
    let mut known: Vec<String> = agents::all(&town.db)?.iter().map(|agent| short_address(&agent.agent)).collect();
    known.extend(["mayor".to_string(), "overseer".to_string()]);
    for rig in town.rigs()? {
        known.extend([format!("{}/refinery", rig.name), format!("{}/witness", rig.name)]);
    }
    if known.contains(&wanted) {
        return Ok(wanted);
    }
    let hint = match nearest(&wanted, known.clone()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("known: {}", known.join(", ")),
    };
    refused_hint(format!("unknown recipient '{name}'"), hint)
}

fn send(call: &mut Invocation) -> Result<Output> {
    let body = match call.text("message")? {
        Some(body) => body,
        None => call.args.value("body").unwrap_or_default().to_string(),
    };
    let mut town = call.town()?;
    let Some(subject) = call.args.value("subject").map(str::to_string) else {
        return refused_hint("required flag(s) \"subject\" not set", "gt mail send <address> -s SUBJECT -m TEXT");
    };
    let me = town.agent();
    let mut names: Vec<String> = call.args.word(0).map(str::to_string).into_iter().collect();
    names.extend(call.args.list("to"));
    if call.args.has("self") {
        names.push(me.clone());
    }
    if names.is_empty() {
        return refused("missing argument: <address>");
    }
    names.extend(call.args.list("cc"));
    let mut to = names.iter().map(|name| recipient(&town, name)).collect::<Result<Vec<_>>>()?;
    to.dedup();
    let template = Letter {
        from: short_address(&me),
        subject: subject.clone(),
        body,
        priority: priority(call)?,
        kind: call.args.value("type").unwrap_or("notification").to_string(),
        reply_to: call.args.value("reply-to").map(str::to_string),
        ..Letter::default()
    };
    let notify = !call.args.has("no-notify");
    for address in &to {
        post(&mut town, Letter { to: address.clone(), ..template.clone() }, notify)?;
    }
    Ok(say(format!("✓ Message sent to {}\n  Subject: {subject}", to.join(", "))))
}

fn priority(call: &Invocation) -> Result<u8> {
    if call.args.has("urgent") {
        return Ok(0);
    }
    let Some(given) = call.args.value("priority") else { return Ok(2) };
    match given.parse::<u8>() {
        Ok(n) if n <= 4 => Ok(n),
        _ => refused_hint(format!("invalid priority {given:?}"), "0 to 4"),
    }
}

/// Sends, reports, and tells a recipient that runs: the notice is typed when it waits for input.
fn post(town: &mut Town, letter: Letter, notify: bool) -> Result<Message> {
    let sent = town.change(|change| change.send_mail(&letter))?;
    let session = agents::last_session(&town.db, &long_address(&sent.to))?.filter(Session::alive);
    if let Some(session) = session.filter(|_| notify && sent.to != sent.from) {
        let text = format!("📬 You have new mail from {}. Subject: {}. Run 'gt mail inbox' to read.", sent.from, sent.subject);
        // The mail is delivered; a recipient that cannot be told finds it.
        let _ = client::ask(town, &Ask::Type { session: session.session, text, when_idle: true });
    }
    Ok(sent)
}

fn inbox(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let address = whose(call, &town);
    let messages = mail::inbox(&town.db, &address, call.args.has("unread"))?;
    if call.args.has("json") {
        return say_json(&messages.iter().map(mail::to_json).collect::<Vec<_>>());
    }
    let unread = messages.iter().filter(|message| !message.read).count();
    let mut text = format!("📬 Inbox: {address} ({} messages, {unread} unread)\n\n", messages.len());
    if messages.is_empty() {
        text.push_str("  (no messages)\n");
    }
    for (n, message) in messages.iter().enumerate() {
        let mark = if message.read { "○" } else { "●" };
        let _ =
            writeln!(text, "  {}. {mark} {}\n     {} from {} · {}", n + 1, message.subject, message.id, message.from, message.at);
    }
    Ok(say(text))
}

fn page(message: &Message) -> String {
    format!(
        "Subject: {}\nFrom: {}\nTo: {}\nDate: {}\nID: {}\n\n{}\n",
        message.subject, message.from, message.to, message.at, message.id, message.body
    )
}

fn read(call: &mut Invocation) -> Result<Output> {
    let mut town = call.town()?;
    let message = mail::find(&town.db, &short_address(&town.agent()), &call.need(0, "<id|n>")?)?;
    town.change(|change| change.mark_read(&message.id, true))?;
    town.caller.mail("read", &message);
    if call.args.has("json") {
        return say_json(&mail::to_json(&Message { read: true, ..message }));
    }
    Ok(say(page(&message)))
}

fn peek(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let first = mail::inbox(&town.db, &short_address(&town.agent()), true)?.pop();
    Ok(match first {
        Some(message) => say(page(&message)),
        None => Output { code: 1, ..Output::default() },
    })
}

fn check(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let address = whose(call, &town);
    let unread = mail::inbox(&town.db, &address, true)?;
    let code = u8::from(unread.is_empty());
    if call.args.has("inject") {
        return Ok(say(injected(&town, &unread)));
    }
    if call.args.has("json") {
        let row = serde_json::json!({ "address": address, "unread": unread.len(), "has_new": !unread.is_empty() });
        return Ok(Output { code, ..say_json(&row)? });
    }
    let text = match unread.len() {
        0 => "No new mail".to_string(),
        n => format!("📬 {n} unread message(s)"),
    };
    Ok(Output { code, ..say(text) })
}

/// What a hook puts into an agent's prompt: subjects of unread mail, and nudges that wait for its next turn.
fn injected(town: &Town, unread: &[Message]) -> String {
    let mut text = String::new();
    for message in unread {
        let _ = writeln!(text, "- {} from {}: {}", message.id, message.from, message.subject);
    }
    if !text.is_empty() {
        text = format!("You have {} unread message(s):\n{text}Read them with `gt mail read <id>`.\n", unread.len());
    }
    let session = town.caller.var("GT_SESSION").map(str::to_string);
    let nudges = session.and_then(|session| client::ask(town, &Ask::Drain { session }).ok());
    for nudge in nudges.iter().flat_map(|reply| reply["texts"].as_array()).flatten() {
        let _ = writeln!(text, "{}", nudge.as_str().unwrap_or_default());
    }
    if text.is_empty() { text } else { format!("<system-reminder>\n{text}</system-reminder>\n") }
}

fn reply(call: &mut Invocation) -> Result<Output> {
    let body = call.text("message")?;
    let mut town = call.town()?;
    let me = short_address(&town.agent());
    let original = mail::find(&town.db, &me, &call.need(0, "<id>")?)?;
    let body = body.or_else(|| call.args.word(1).map(str::to_string)).unwrap_or_default();
    let subject = call.args.value("subject").map_or_else(|| format!("Re: {}", original.subject), str::to_string);
    let letter = Letter {
        from: me,
        to: original.from.clone(),
        subject: subject.clone(),
        body,
        kind: "reply".to_string(),
        thread: Some(original.thread),
        reply_to: Some(original.id),
        ..Letter::default()
    };
    post(&mut town, letter, true)?;
    Ok(say(format!("✓ Reply sent to {}\n  Subject: {subject}", original.from)))
}

fn thread(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let name = call.need(0, "<thread|id>")?;
    let found = mail::select(&town.db, "thread = ?1 OR thread = (SELECT thread FROM mail WHERE id = ?1)", &[&name])?;
    if found.is_empty() {
        return refused(format!("thread {name} not found"));
    }
    if call.args.has("json") {
        return say_json(&found.iter().map(mail::to_json).collect::<Vec<_>>());
    }
    Ok(say(found.iter().map(page).collect::<Vec<_>>().join("\n---\n\n")))
}

fn search(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let pattern = format!("%{}%", call.need(0, "<text>")?);
    let me = short_address(&town.agent());
    let condition = "recipient = ?1 AND (subject LIKE ?2 OR body LIKE ?2 OR sender LIKE ?2)";
    let found = mail::select(&town.db, condition, &[&me, &pattern])?;
    if call.args.has("json") {
        return say_json(&found.iter().map(mail::to_json).collect::<Vec<_>>());
    }
    let lines: Vec<String> = found.iter().map(|m| format!("{} from {}: {}", m.id, m.from, m.subject)).collect();
    Ok(say(if lines.is_empty() { "No messages found".to_string() } else { lines.join("\n") }))
}

fn each(call: &Invocation, what: &str, change: impl Fn(&mut crate::town::Change<'_>, &str) -> Result<()>) -> Result<Output> {
    let mut town = call.town()?;
    let me = short_address(&town.agent());
    call.need(0, "<id...>")?;
    let found = call.args.words.iter().map(|name| mail::find(&town.db, &me, name)).collect::<Result<Vec<_>>>()?;
    town.change(|tx| found.iter().try_for_each(|message| change(tx, &message.id)))?;
    Ok(say(found.iter().map(|message| format!("✓ {what} {}\n", message.id)).collect::<String>()))
}

fn archive(call: &mut Invocation) -> Result<Output> {
    each(call, "Archived", |change, id| change.archive_mail(id))
}

fn mark_read(call: &mut Invocation) -> Result<Output> {
    each(call, "Marked read", |change, id| change.mark_read(id, true))
}

fn mark_unread(call: &mut Invocation) -> Result<Output> {
    each(call, "Marked unread", |change, id| change.mark_read(id, false))
}
