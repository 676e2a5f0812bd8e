//! Mail in the store.

use rusqlite::{Connection, Row, params};
use serde_json::{Value, json};

use crate::error::{Result, refused};
use crate::town::Change;

/// A message to send.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) body: String,
    pub(crate) priority: u8,
    pub(crate) kind: String,
    pub(crate) thread: Option<String>,
    pub(crate) reply_to: Option<String>,
}

impl Default for Letter {
    fn default() -> Self {
        Self {
            from: String::new(),
            to: String::new(),
            subject: String::new(),
            body: String::new(),
            priority: 2,
            kind: "notification".to_string(),
            thread: None,
            reply_to: None,
        }
    }
}

/// A message as stored.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) body: String,
    pub(crate) at: String,
    pub(crate) read: bool,
    pub(crate) priority: u8,
    pub(crate) kind: String,
    pub(crate) thread: String,
    pub(crate) reply_to: Option<String>,
}

fn message(row: &Row<'_>) -> rusqlite::Result<Message> {
    Ok(Message {
        id: row.get(0)?,
        from: row.get(1)?,
        to: row.get(2)?,
        subject: row.get(3)?,
        body: row.get(4)?,
        at: row.get(5)?,
        read: row.get(6)?,
        priority: row.get(7)?,
        kind: row.get(8)?,
        thread: row.get(9)?,
        reply_to: row.get(10)?,
    })
}

/// Messages that satisfy an SQL condition, oldest first.
pub(crate) fn select(db: &Connection, condition: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Vec<Message>> {
    let sql = format!(
        "SELECT id, sender, recipient, subject, body, at, read, priority, type, thread, reply_to FROM mail \
         WHERE {condition} ORDER BY at, rowid"
    );
    let mut query = db.prepare(&sql)?;
    let rows = query.query_map(values, message)?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

/// What lies in an inbox, newest first.
pub(crate) fn inbox(db: &Connection, address: &str, unread_only: bool) -> Result<Vec<Message>> {
    let mut found = select(db, "recipient = ?1 AND archived = 0", &[&address])?;
    found.retain(|message| !unread_only || !message.read);
    found.reverse();
    Ok(found)
}

/// The message with this id, or at this place (from 1) of the inbox.
pub(crate) fn find(db: &Connection, address: &str, name: &str) -> Result<Message> {
    if let Ok(n) = name.parse::<usize>() {
        let found = inbox(db, address, false)?.into_iter().nth(n.saturating_sub(1));
        return found.map_or_else(|| refused(format!("no message {n} in the inbox of {address}")), Ok);
    }
    match select(db, "id = ?1", &[&name])?.pop() {
        Some(found) => Ok(found),
        None => refused(format!("message {name} not found")),
    }
}

/// Priority in words.
pub(crate) fn priority_word(priority: u8) -> &'static str {
    match priority {
        0 => "urgent",
        1 => "high",
        2 => "normal",
        _ => "low",
    }
}

/// A message as `gt mail inbox --json` writes it.
pub(crate) fn to_json(message: &Message) -> Value {
    let mut row = json!({
        "id": message.id, "from": message.from, "to": message.to, "subject": message.subject, "body": message.body,
        "timestamp": message.at, "read": message.read, "priority": priority_word(message.priority),
        "type": message.kind, "delivery": "queue", "thread_id": message.thread,
    });
    if let Some(reply_to) = &message.reply_to {
        row["reply_to"] = reply_to.as_str().into();
    }
    row
}

impl Change<'_> {
    /// Sends a message and gives its id.
    pub(crate) fn send_mail(&mut self, letter: &Letter) -> Result<Message> {
        let id = self.new_id("hq-msg", 5)?;
        let thread = match &letter.thread {
            Some(thread) => thread.clone(),
            None => format!("thread-{}", id.trim_start_matches("hq-msg-")),
        };
        self.tx.execute(
            "INSERT INTO mail(id, sender, recipient, subject, body, at, priority, type, thread, reply_to) \
             VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)",
            params![
                id,
                letter.from,
                letter.to,
                letter.subject,
                letter.body,
                self.now,
                letter.priority,
                letter.kind,
                thread,
                letter.reply_to
            ],
        )?;
        self.event("mail", json!({ "id": id, "from": letter.from, "to": letter.to, "subject": letter.subject }));
        let message = Message {
            id,
            from: letter.from.clone(),
            to: letter.to.clone(),
            subject: letter.subject.clone(),
            body: letter.body.clone(),
            at: self.now.clone(),
            read: false,
            priority: letter.priority,
            kind: letter.kind.clone(),
            thread,
            reply_to: letter.reply_to.clone(),
        };
        self.sent.push(message.clone());
        Ok(message)
    }

    /// Marks a message read, or unread again.
    pub(crate) fn mark_read(&mut self, id: &str, read: bool) -> Result<()> {
        self.tx.execute("UPDATE mail SET read = ?2 WHERE id = ?1", params![id, read])?;
        Ok(())
    }

    /// Takes a message out of its inbox; it stays in the store.
    pub(crate) fn archive_mail(&mut self, id: &str) -> Result<()> {
        self.tx.execute("UPDATE mail SET archived = 1, read = 1 WHERE id = ?1", [id])?;
        Ok(())
    }
}
