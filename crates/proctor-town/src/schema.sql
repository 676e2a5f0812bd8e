CREATE TABLE IF NOT EXISTS config(key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS counters(name TEXT PRIMARY KEY, n INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS rigs(
  name TEXT PRIMARY KEY, prefix TEXT NOT NULL UNIQUE, url TEXT NOT NULL, branch TEXT NOT NULL, added_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS issues(
  id TEXT PRIMARY KEY, title TEXT NOT NULL, description TEXT NOT NULL DEFAULT '', design TEXT NOT NULL DEFAULT '',
  acceptance TEXT NOT NULL DEFAULT '', notes TEXT NOT NULL DEFAULT '', status TEXT NOT NULL, priority INTEGER NOT NULL,
  issue_type TEXT NOT NULL, assignee TEXT, rig TEXT, created_by TEXT NOT NULL, created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL, started_at TEXT, closed_at TEXT, close_reason TEXT, closed_by TEXT, parent TEXT,
  owner TEXT);
CREATE INDEX IF NOT EXISTS issues_status ON issues(status);
CREATE INDEX IF NOT EXISTS issues_assignee ON issues(assignee, status);
CREATE TABLE IF NOT EXISTS labels(issue_id TEXT NOT NULL, label TEXT NOT NULL, PRIMARY KEY(issue_id, label));
CREATE TABLE IF NOT EXISTS dependencies(
  issue_id TEXT NOT NULL, depends_on_id TEXT NOT NULL, type TEXT NOT NULL, created_at TEXT NOT NULL,
  created_by TEXT NOT NULL, PRIMARY KEY(issue_id, depends_on_id, type));
CREATE INDEX IF NOT EXISTS dependencies_on ON dependencies(depends_on_id, type);
CREATE TABLE IF NOT EXISTS comments(
  id INTEGER PRIMARY KEY, issue_id TEXT NOT NULL, author TEXT NOT NULL, text TEXT NOT NULL, created_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS mail(
  id TEXT PRIMARY KEY, sender TEXT NOT NULL, recipient TEXT NOT NULL, subject TEXT NOT NULL, body TEXT NOT NULL,
  at TEXT NOT NULL, read INTEGER NOT NULL DEFAULT 0, archived INTEGER NOT NULL DEFAULT 0,
  priority INTEGER NOT NULL DEFAULT 2, type TEXT NOT NULL DEFAULT 'notification', thread TEXT NOT NULL, reply_to TEXT);
CREATE INDEX IF NOT EXISTS mail_recipient ON mail(recipient, at);
CREATE TABLE IF NOT EXISTS merge_requests(
  n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, issue TEXT NOT NULL, rig TEXT NOT NULL, branch TEXT NOT NULL,
  target TEXT NOT NULL, worker TEXT NOT NULL, commit_sha TEXT NOT NULL, status TEXT NOT NULL, merge_commit TEXT,
  created_at TEXT NOT NULL, closed_at TEXT, reason TEXT);
CREATE TABLE IF NOT EXISTS agents(
  agent TEXT PRIMARY KEY, role TEXT NOT NULL, rig TEXT, name TEXT NOT NULL, program TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL, issue TEXT, branch TEXT, session TEXT, created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sessions(
  n INTEGER PRIMARY KEY, session TEXT NOT NULL, run_id TEXT NOT NULL UNIQUE, agent TEXT NOT NULL, role TEXT NOT NULL,
  rig TEXT, pid INTEGER, command TEXT NOT NULL, started_at TEXT NOT NULL, ended_at TEXT, exit TEXT, issue TEXT,
  branch TEXT, transcript TEXT NOT NULL, busy INTEGER NOT NULL DEFAULT 1, leftovers TEXT NOT NULL DEFAULT '[]');
CREATE INDEX IF NOT EXISTS sessions_agent ON sessions(agent, n);
