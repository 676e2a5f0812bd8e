//! Agents and their sessions in the store, and the state that follows from both.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::{Value, json};

use crate::error::Result;
use crate::processes;
use crate::town::Change;

/// An agent as stored.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    pub(crate) agent: String,
    pub(crate) role: String,
    pub(crate) rig: Option<String>,
    pub(crate) name: String,
    pub(crate) program: String,
    pub(crate) state: String,
    pub(crate) issue: Option<String>,
    pub(crate) branch: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) updated_at: String,
}

/// One life of an agent as stored.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) n: i64,
    pub(crate) session: String,
    pub(crate) run_id: String,
    pub(crate) agent: String,
    pub(crate) role: String,
    pub(crate) rig: Option<String>,
    pub(crate) pid: Option<u32>,
    pub(crate) command: String,
    pub(crate) started_at: String,
    pub(crate) ended_at: Option<String>,
    pub(crate) exit: Option<String>,
    pub(crate) issue: Option<String>,
    pub(crate) branch: Option<String>,
    pub(crate) transcript: String,
    pub(crate) busy: bool,
    pub(crate) leftovers: String,
}

fn agent(row: &Row<'_>) -> rusqlite::Result<Agent> {
    Ok(Agent {
        agent: row.get(0)?,
        role: row.get(1)?,
        rig: row.get(2)?,
        name: row.get(3)?,
        program: row.get(4)?,
        state: row.get(5)?,
        issue: row.get(6)?,
        branch: row.get(7)?,
        session: row.get(8)?,
        updated_at: row.get(9)?,
    })
}

fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        n: row.get(0)?,
        session: row.get(1)?,
        run_id: row.get(2)?,
        agent: row.get(3)?,
        role: row.get(4)?,
        rig: row.get(5)?,
        pid: row.get(6)?,
        command: row.get(7)?,
        started_at: row.get(8)?,
        ended_at: row.get(9)?,
        exit: row.get(10)?,
        issue: row.get(11)?,
        branch: row.get(12)?,
        transcript: row.get(13)?,
        busy: row.get(14)?,
        leftovers: row.get(15)?,
    })
}

/// All agents, by address.
pub(crate) fn all(db: &Connection) -> Result<Vec<Agent>> {
    let sql = "SELECT agent, role, rig, name, program, state, issue, branch, session, updated_at FROM agents ORDER BY agent";
    let mut query = db.prepare(sql)?;
    let rows = query.query_map([], agent)?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

/// One agent.
pub(crate) fn get(db: &Connection, address: &str) -> Result<Option<Agent>> {
    Ok(all(db)?.into_iter().find(|agent| agent.agent == address))
}

const SESSION_COLUMNS: &str = "n, session, run_id, agent, role, rig, pid, command, started_at, ended_at, exit, issue, branch, \
     transcript, busy, leftovers";

/// All sessions, oldest first.
pub(crate) fn sessions(db: &Connection) -> Result<Vec<Session>> {
    let mut query = db.prepare(&format!("SELECT {SESSION_COLUMNS} FROM sessions ORDER BY n"))?;
    let rows = query.query_map([], session)?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

/// The newest session of an agent.
pub(crate) fn last_session(db: &Connection, address: &str) -> Result<Option<Session>> {
    let sql = format!("SELECT {SESSION_COLUMNS} FROM sessions WHERE agent = ?1 ORDER BY n DESC LIMIT 1");
    Ok(db.query_row(&sql, [address], session).optional()?)
}

impl Session {
    /// Whether its process still lives. A session whose daemon was killed has no end in the store, so the process is asked.
    pub(crate) fn alive(&self) -> bool {
        self.ended_at.is_none() && self.pid.is_none_or(processes::is_alive)
    }

    /// As `gt sessions --json` and `gt snapshot --json` write it.
    pub(crate) fn to_json(&self) -> Value {
        let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap_or(Value::Null);
        json!({
            "session": self.session, "run_id": self.run_id, "agent": self.agent, "role": self.role, "rig": self.rig,
            "pid": self.pid, "command": parsed(&self.command), "started_at": self.started_at, "ended_at": self.ended_at,
            "exit": self.exit, "issue": self.issue, "branch": self.branch, "transcript": self.transcript,
            "leftovers": parsed(&self.leftovers),
        })
    }
}

/// Whether work hangs on the agent's hook.
pub(crate) fn hooked(db: &Connection, address: &str) -> Result<Option<String>> {
    let sql = "SELECT id FROM issues WHERE assignee = ?1 AND status IN ('hooked','in_progress') \
               ORDER BY status, updated_at DESC LIMIT 1";
    Ok(db.query_row(sql, [address], |row| row.get(0)).optional()?)
}

/// What the agent does, from its stored state, its session and its hook (docs/seams.md names the states).
pub(crate) fn state(db: &Connection, agent: &Agent) -> Result<String> {
    let session = last_session(db, &agent.agent)?;
    let has_work = agent.state != "done" && hooked(db, &agent.agent)?.is_some();
    let state = match session {
        _ if agent.state == "spawning" && session.is_none() => "working",
        _ if matches!(agent.state.as_str(), "done" | "stuck") => agent.state.as_str(),
        Some(session) if session.alive() && (has_work || session.busy) => "working",
        Some(session) if session.alive() => "idle",
        _ if has_work => "stalled",
        _ => "stopped",
    };
    Ok(state.to_string())
}

/// An agent as `gt agents list --json` writes it.
pub(crate) fn to_json(db: &Connection, agent: &Agent) -> Result<Value> {
    let session = last_session(db, &agent.agent)?;
    let pid = session.filter(Session::alive).and_then(|session| session.pid);
    Ok(json!({
        "agent": agent.agent, "role": agent.role, "rig": agent.rig, "name": agent.name, "program": agent.program,
        "state": state(db, agent)?, "issue": agent.issue, "session": agent.session, "pid": pid,
    }))
}

/// A session that begins.
#[derive(Clone, Debug)]
pub(crate) struct Birth {
    pub(crate) session: String,
    pub(crate) run_id: String,
    pub(crate) agent: String,
    pub(crate) role: String,
    pub(crate) rig: Option<String>,
    pub(crate) command: Vec<String>,
    pub(crate) issue: Option<String>,
    pub(crate) branch: Option<String>,
    pub(crate) program: String,
}

impl Change<'_> {
    /// Enters an agent, or finds it again.
    pub(crate) fn enter_agent(&mut self, address: &str, role: &str, rig: Option<&str>, state: &str) -> Result<()> {
        let name = address.rsplit('/').next().unwrap_or(address);
        self.tx.execute(
            "INSERT INTO agents(agent, role, rig, name, state, created_at, updated_at) VALUES(?1,?2,?3,?4,?5,?6,?6) \
             ON CONFLICT(agent) DO UPDATE SET state = ?5, updated_at = ?6",
            params![address, role, rig, name, state, self.now],
        )?;
        Ok(())
    }

    /// Sets what the agent last said of itself.
    pub(crate) fn set_agent_state(&mut self, address: &str, state: &str) -> Result<()> {
        let sql = "UPDATE agents SET state = ?2, updated_at = ?3 WHERE agent = ?1";
        self.tx.execute(sql, params![address, state, self.now])?;
        Ok(())
    }

    /// Hangs a bead on an agent's hook.
    pub(crate) fn hook(&mut self, bead: &str, address: &str, branch: Option<&str>) -> Result<()> {
        self.tx.execute(
            "UPDATE issues SET status = 'hooked', assignee = ?2, updated_at = ?3 WHERE id = ?1",
            params![bead, address, self.now],
        )?;
        self.tx.execute(
            "UPDATE agents SET issue = ?2, branch = coalesce(?3, branch), updated_at = ?4 WHERE agent = ?1",
            params![address, bead, branch, self.now],
        )?;
        self.event("hook", json!({ "bead": bead, "agent": address }));
        Ok(())
    }

    /// Takes a bead off its hook and opens it again.
    pub(crate) fn unhook(&mut self, bead: &str) -> Result<()> {
        self.tx.execute(
            "UPDATE issues SET status = 'open', assignee = NULL, updated_at = ?2 WHERE id = ?1",
            params![bead, self.now],
        )?;
        self.event("unhook", json!({ "bead": bead }));
        Ok(())
    }

    /// Enters a session that is about to begin; gives its row number and the path of its transcript below the town.
    pub(crate) fn begin_session(&mut self, birth: &Birth) -> Result<(i64, String)> {
        let life = self.count(&format!("sessions {}", birth.session))?;
        let transcript = format!(".runtime/transcripts/{}.{life}.txt", birth.session);
        let command = Value::from(birth.command.clone()).to_string();
        self.tx.execute(
            "INSERT INTO sessions(session, run_id, agent, role, rig, command, started_at, issue, branch, transcript) \
             VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)",
            params![
                birth.session,
                birth.run_id,
                birth.agent,
                birth.role,
                birth.rig,
                command,
                self.now,
                birth.issue,
                birth.branch,
                transcript
            ],
        )?;
        let n = self.tx.last_insert_rowid();
        self.enter_agent(&birth.agent, &birth.role, birth.rig.as_deref(), "working")?;
        self.tx.execute(
            "UPDATE agents SET session = ?2, program = ?3 WHERE agent = ?1",
            params![birth.agent, birth.session, birth.program],
        )?;
        Ok((n, transcript))
    }

    /// Notes the process of a session.
    pub(crate) fn set_pid(&mut self, n: i64, birth: &Birth, pid: u32) -> Result<()> {
        self.tx.execute("UPDATE sessions SET pid = ?2 WHERE n = ?1", params![n, pid])?;
        self.event("session_start", json!({ "session": birth.session, "agent": birth.agent, "pid": pid }));
        Ok(())
    }

    /// Notes whether a session works on a turn.
    pub(crate) fn set_busy(&mut self, n: i64, busy: bool) -> Result<()> {
        self.tx.execute("UPDATE sessions SET busy = ?2 WHERE n = ?1", params![n, busy])?;
        Ok(())
    }

    /// Ends a session. With work still on the hook that is a death, and the agent is stalled.
    pub(crate) fn end_session(&mut self, n: i64, exit: &str, leftovers: &Value) -> Result<()> {
        self.tx.execute(
            "UPDATE sessions SET ended_at = ?2, exit = ?3, busy = 0, leftovers = ?4 WHERE n = ?1 AND ended_at IS NULL",
            params![n, self.now, exit, leftovers.to_string()],
        )?;
        let sql = "SELECT session, agent FROM sessions WHERE n = ?1";
        let (session, address): (String, String) = self.tx.query_row(sql, [n], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let stored = get(&self.tx, &address)?.map(|agent| agent.state).unwrap_or_default();
        if matches!(stored.as_str(), "done" | "stuck") {
            self.event("session_end", json!({ "session": session, "agent": address, "exit": exit }));
            return Ok(());
        }
        let work = hooked(&self.tx, &address)?;
        self.set_agent_state(&address, if work.is_some() { "stalled" } else { "stopped" })?;
        let kind = if work.is_some() { "session_death" } else { "session_end" };
        self.event(kind, json!({ "session": session, "agent": address, "exit": exit, "issue": work }));
        Ok(())
    }
}
