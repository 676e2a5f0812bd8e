//! Every row of every table, as it is.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use base64::Engine;
use mysql_async::consts::ColumnType;
use mysql_async::{Column, Row, Value};
use serde_json::{Map, Number, json};

use super::dolt::{Dolt, Failure};
use super::query::identifier;
use crate::halt::Halt;

/// The tables of a town's databases. Views repeat tables, and `dolt_*` tables are the server's own.
const TABLES: &str = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE' \
     AND table_schema NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')";

/// Writes all tables below `folder`, but those of the databases in `except`.
pub(super) async fn dump(dolt: &mut Dolt, folder: &Path, except: &BTreeSet<String>) -> Result<(), Halt> {
    let port = dolt.port();
    let halt = |failure: Failure| failure.halt(port);
    let tables = match dolt.query(TABLES).await {
        Err(Failure::Broken(_)) => dolt.query(TABLES).await,
        other => other,
    };
    for table in tables.map_err(halt)? {
        let [Some(database), Some(table)] = table.as_slice() else { continue };
        if table.starts_with("dolt_") || except.contains(database) {
            continue;
        }
        let statement = format!("SELECT * FROM {}.{}", identifier(database), identifier(table));
        let rows = dolt.rows(&statement).await.map_err(halt)?;
        let file = folder.join(database).join(format!("{table}.ndjson"));
        write(&file, &rows).map_err(|error| Halt::io("write", &file, &error))?;
    }
    Ok(())
}

fn write(file: &Path, rows: &[Row]) -> std::io::Result<()> {
    fs::create_dir_all(file.parent().unwrap_or(Path::new(".")))?;
    let mut out = BufWriter::new(File::create(file)?);
    for row in rows {
        serde_json::to_writer(&mut out, &object(row))?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

fn object(row: &Row) -> Map<String, serde_json::Value> {
    let cell = |(index, column): (usize, &Column)| {
        let value = row.as_ref(index).map_or(serde_json::Value::Null, |value| typed(column.column_type(), value));
        (column.name_str().into_owned(), value)
    };
    row.columns_ref().iter().enumerate().map(cell).collect()
}

fn typed(kind: ColumnType, value: &Value) -> serde_json::Value {
    let Value::Bytes(bytes) = value else {
        return if *value == Value::NULL { serde_json::Value::Null } else { json!(value.as_sql(true).trim_matches('\'')) };
    };
    let Ok(text) = std::str::from_utf8(bytes) else {
        return json!({"base64": base64::engine::general_purpose::STANDARD.encode(bytes)});
    };
    let parsed = match kind {
        ColumnType::MYSQL_TYPE_TINY
        | ColumnType::MYSQL_TYPE_SHORT
        | ColumnType::MYSQL_TYPE_INT24
        | ColumnType::MYSQL_TYPE_LONG
        | ColumnType::MYSQL_TYPE_LONGLONG
        | ColumnType::MYSQL_TYPE_YEAR
        | ColumnType::MYSQL_TYPE_FLOAT
        | ColumnType::MYSQL_TYPE_DOUBLE => text.parse::<Number>().ok().map(serde_json::Value::Number),
        ColumnType::MYSQL_TYPE_JSON => serde_json::from_str(text).ok(),
        _ => None,
    };
    parsed.unwrap_or_else(|| json!(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_keeps_its_type() {
        for (kind, value, expected) in [
            (ColumnType::MYSQL_TYPE_LONG, Value::Bytes(b"2".into()), json!(2)),
            (ColumnType::MYSQL_TYPE_JSON, Value::Bytes(b"{\"a\":[1]}".into()), json!({"a": [1]})),
            (ColumnType::MYSQL_TYPE_VAR_STRING, Value::Bytes(b"2".into()), json!("2")),
            (ColumnType::MYSQL_TYPE_BLOB, Value::Bytes(vec![255, 0]), json!({"base64": "/wA="})),
            (ColumnType::MYSQL_TYPE_DATETIME, Value::Bytes(b"2026-01-02 03:04:05".into()), json!("2026-01-02 03:04:05")),
            (ColumnType::MYSQL_TYPE_LONG, Value::NULL, json!(null)),
        ] {
            assert_eq!(typed(kind, &value), expected);
        }
    }
}
