//! Reads a TOML file against the JSON Schema of its type: every unknown key, wrong type and missing key at once, with positions.
//!
//! The schema comes from the type itself, so that a key exists in one place only; tagged enums (kinds of check) are followed by
//! their tag, so that the keys of one kind are unknown in another.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::files::Files;
use super::problem::Problem;

/// The JSON Schema of a file's type, strict about unknown keys.
pub(super) fn schema_of<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>()
}

/// Reads one file as `T`; what is wrong with it is added to `problems`. What can be read of a file with problems is given all the same,
/// so that problems of references are shown together with those of shape: a value that cannot be used is left out, and where a name
/// must stand, [`UNREAD`] does.
pub(super) fn read<T: JsonSchema + DeserializeOwned>(files: &Files, path: &str, problems: &mut Vec<Problem>) -> Option<T> {
    let Some(bytes) = files.get(path) else {
        problems.push(Problem::of_file(path, format!("`{path}` is missing in {}", files.label())));
        return None;
    };
    let Ok(text) = std::str::from_utf8(bytes) else {
        problems.push(Problem::of_file(path, "the file is not UTF-8"));
        return None;
    };
    let before = problems.len();
    let usable = check_text::<T>(path, text, problems);
    if problems.len() > before {
        return usable.and_then(|usable| usable.try_into().ok());
    }
    match toml::from_str(text) {
        Ok(value) => Some(value),
        Err(error) => {
            problems.push(syntax(path, text, &error));
            None
        }
    }
}

/// Stands for a text that could not be read. Nobody writes it.
pub(super) const UNREAD: &str = "\u{0}";

/// Adds the problems of a text, and gives what of it can be used.
fn check_text<T: JsonSchema>(path: &str, text: &str, problems: &mut Vec<Problem>) -> Option<toml::Value> {
    let (table, errors) = DeTable::parse_recoverable(text);
    problems.extend(errors.iter().map(|error| syntax(path, text, error)));
    if !errors.is_empty() {
        // What seems wrong behind a mistake in the notation may only not have been understood.
        return None;
    }
    let schema = schema_of::<T>();
    let mut walk = Walk { file: path, text, root: schema.as_value(), problems };
    walk.table(table.get_ref(), schema.as_value(), 0..0, "")
}

fn syntax(path: &str, text: &str, error: &toml::de::Error) -> Problem {
    let message = error.message().lines().collect::<Vec<_>>().join("; ");
    match error.span() {
        Some(span) => Problem::at(path, text, span, message),
        None => Problem::of_file(path, message),
    }
}

struct Walk<'a> {
    file: &'a str,
    text: &'a str,
    root: &'a Value,
    problems: &'a mut Vec<Problem>,
}

/// The keys that an object may and must have, gathered over references and the chosen variant.
#[derive(Default)]
struct Shape<'s> {
    known: BTreeMap<&'s str, &'s Value>,
    required: Vec<&'s str>,
    others: Option<&'s Value>,
    /// Whether it cannot be told what the object is.
    unknown: bool,
}

impl<'a> Walk<'a> {
    fn problem(&mut self, span: std::ops::Range<usize>, message: String) -> &mut Problem {
        self.problems.push(Problem::at(self.file, self.text, span, message));
        let last = self.problems.len() - 1;
        &mut self.problems[last]
    }

    fn follow(&self, schema: &'a Value) -> &'a Value {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#'));
        target.and_then(|pointer| self.root.pointer(pointer)).unwrap_or(schema)
    }

    /// Adds the problems of a table, and gives what of it can be used; nothing where a key that it must have cannot be made up.
    fn table(
        &mut self,
        table: &DeTable<'_>,
        schema: &'a Value,
        span: std::ops::Range<usize>,
        place: &str,
    ) -> Option<toml::Value> {
        let mut shape = Shape::default();
        self.gather(table, schema, &mut shape);
        let mut usable = toml::Table::new();
        for (key, value) in table.iter() {
            let read = match (shape.known.get(key.get_ref().as_ref()).copied(), shape.others) {
                (Some(schema), _) | (None, Some(schema)) => self.value(value, schema, key.get_ref()),
                (None, None) => {
                    self.unknown(key.span(), key.get_ref(), &shape);
                    None
                }
            };
            usable.extend(read.map(|read| (key.get_ref().to_string(), read)));
        }
        for &key in shape.required.iter().filter(|key| !table.contains_key(**key)) {
            let place = if place.is_empty() { String::new() } else { format!(" in `{place}`") };
            self.problem(span.clone(), format!("the key `{key}` is missing{place}"));
        }
        if shape.unknown {
            return None;
        }
        for &key in &shape.required {
            if !usable.contains_key(key) {
                usable.insert(key.to_owned(), self.made_up(shape.known.get(key)?)?);
            }
        }
        Some(toml::Value::Table(usable))
    }

    /// A value for a key that must be there and is not, or cannot be used: one that says nothing.
    fn made_up(&self, schema: &'a Value) -> Option<toml::Value> {
        let schema = self.resolve(schema);
        let says_nothing = words(schema).is_empty() && schema.get("pattern").is_none();
        match *types(schema).first()? {
            "string" if says_nothing => Some(toml::Value::String(UNREAD.into())),
            "array" => Some(toml::Value::Array(Vec::new())),
            "integer" => Some(toml::Value::Integer(1)),
            _ => None,
        }
    }

    fn unknown(&mut self, span: std::ops::Range<usize>, key: &str, shape: &Shape<'a>) {
        let nearest = super::problem::nearest(key, shape.known.keys().copied());
        let known: Vec<&str> = shape.known.keys().copied().collect();
        let problem = self.problem(span, format!("unknown key `{key}`"));
        problem.hint = nearest.is_none().then(|| format!("known keys: {}", known.join(", ")));
        problem.nearest = nearest;
    }

    fn gather(&mut self, table: &DeTable<'_>, schema: &'a Value, shape: &mut Shape<'a>) {
        let Some(object) = schema.as_object() else { return };
        self.gather_own(object, shape);
        if object.contains_key("$ref") {
            let target = self.follow(schema);
            self.gather(table, target, shape);
        }
        for part in list(object, "allOf") {
            self.gather(table, part, shape);
        }
        let variants = list(object, "oneOf");
        if !variants.is_empty() {
            self.gather_variant(table, variants, shape);
        }
    }

    fn gather_own(&self, object: &'a Map<String, Value>, shape: &mut Shape<'a>) {
        let properties = object.get("properties").and_then(Value::as_object);
        shape.known.extend(properties.into_iter().flatten().map(|(key, schema)| (key.as_str(), schema)));
        for key in list(object, "required").iter().filter_map(Value::as_str) {
            if !shape.required.contains(&key) {
                shape.required.push(key);
            }
        }
        if let Some(others) = object.get("additionalProperties").filter(|v| v.is_object()) {
            shape.others = Some(others);
        }
    }

    /// Follows the variant whose tag the table states; an unknown tag is reported and every variant's keys are let through.
    fn gather_variant(&mut self, table: &DeTable<'_>, variants: &'a [Value], shape: &mut Shape<'a>) {
        let Some(tag) = variants.iter().find_map(tag_of).map(|(key, _)| key) else { return };
        let stated = table.iter().find(|(key, _)| key.get_ref() == tag);
        let word = stated.and_then(|(_, value)| value.get_ref().as_str());
        let chosen = variants.iter().find(|variant| tag_of(variant).is_some_and(|(_, name)| Some(name) == word));
        match (chosen, stated) {
            (Some(variant), _) => self.gather(table, variant, shape),
            (None, Some((_, value))) => {
                let names: Vec<&str> = variants.iter().filter_map(tag_of).map(|(_, name)| name).collect();
                let written = word.unwrap_or_default();
                let nearest = super::problem::nearest(written, names.iter().copied());
                let problem = self.problem(value.span(), format!("unknown {tag} `{written}`"));
                problem.hint = Some(format!("one of: {}", names.join(", ")));
                problem.nearest = nearest;
                shape.others = Some(&Value::Null);
                shape.unknown = true;
            }
            (None, None) => {
                shape.required.push(tag);
                shape.others = Some(&Value::Null);
                shape.unknown = true;
            }
        }
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, schema: &'a Value, key: &str) -> Option<toml::Value> {
        let schema = self.resolve(schema);
        match value.get_ref() {
            DeValue::Table(table) if self.is_object(schema) => self.table(table, schema, value.span(), key),
            DeValue::Array(items) if schema.get("items").is_some() => {
                let items = items.iter().map(|item| self.value(item, &schema["items"], key));
                Some(toml::Value::Array(items.flatten().collect()))
            }
            other => {
                let before = self.problems.len();
                self.scalar(other, value.span(), schema, key);
                (self.problems.len() == before).then(|| as_it_stands(other)).flatten()
            }
        }
    }

    /// The schema behind references and `anyOf` with null (an optional value).
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let schema = if schema.get("properties").is_none() { self.follow(schema) } else { schema };
        let options = schema.get("anyOf").and_then(Value::as_array);
        let mut real = options.into_iter().flatten().filter(|option| option.get("type").and_then(Value::as_str) != Some("null"));
        match (real.next(), real.next()) {
            (Some(only), None) => self.resolve(only),
            _ => schema,
        }
    }

    fn is_object(&self, schema: &Value) -> bool {
        types(schema).contains(&"object") || schema.get("properties").is_some()
    }

    fn scalar(&mut self, value: &DeValue<'_>, span: std::ops::Range<usize>, schema: &'a Value, key: &str) {
        let words = words(schema);
        if let (Some(text), false) = (value.as_str(), words.is_empty()) {
            return self.word(text, span, &words, key);
        }
        if !words.is_empty() {
            self.problem(span, format!("`{key}` must be one of: {}", words.join(", ")));
            return;
        }
        let wanted = types(schema);
        if !wanted.is_empty() && !wanted.iter().any(|wanted| fits(value, wanted)) {
            self.problem(span, format!("`{key}` must be {}, not {}", names(&wanted), name(value)));
            return;
        }
        self.format(value, span, schema, key);
    }

    fn word(&mut self, text: &str, span: std::ops::Range<usize>, words: &[&str], key: &str) {
        if !words.contains(&text) {
            let nearest = super::problem::nearest(text, words.iter().copied());
            let problem = self.problem(span, format!("`{text}` is no value of `{key}`"));
            problem.hint = Some(format!("one of: {}", words.join(", ")));
            problem.nearest = nearest;
        }
    }

    fn format(&mut self, value: &DeValue<'_>, span: std::ops::Range<usize>, schema: &Value, key: &str) {
        let Some(text) = value.as_str() else {
            if let DeValue::Integer(number) = value {
                self.number(number.as_str(), span, schema, key);
            }
            return;
        };
        let pattern = schema.get("pattern").and_then(Value::as_str);
        let Some(Ok(pattern)) = pattern.map(regex::Regex::new) else { return };
        if !pattern.is_match(text) {
            let said = |name: &str| schema.get(name).and_then(Value::as_str).map(str::to_owned);
            let what = said("title").unwrap_or_else(|| format!("a value of `{key}`"));
            self.problem(span, format!("`{text}` is not {what}")).hint = said("description");
        }
    }

    fn number(&mut self, number: &str, span: std::ops::Range<usize>, schema: &Value, key: &str) {
        let bound = |name: &str| schema.get(name).and_then(Value::as_i64);
        // What is too long for a number of this size is refused by whoever reads it.
        let Ok(number) = number.replace('_', "").parse::<i64>() else { return };
        match (bound("minimum"), bound("maximum")) {
            (Some(0), _) if number < 0 => _ = self.problem(span, format!("`{key}` must not be negative")),
            (Some(least), _) if number < least => _ = self.problem(span, format!("`{key}` must be at least {least}")),
            (_, Some(most)) if number > most => _ = self.problem(span, format!("`{key}` must be at most {most}")),
            _ => {}
        }
    }
}

/// A value that has no problem.
fn as_it_stands(value: &DeValue<'_>) -> Option<toml::Value> {
    Some(match value {
        DeValue::String(text) => toml::Value::String(text.to_string()),
        DeValue::Integer(number) => {
            toml::Value::Integer(i64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok()?)
        }
        DeValue::Float(number) => toml::Value::Float(number.as_str().replace('_', "").parse().ok()?),
        DeValue::Boolean(answer) => toml::Value::Boolean(*answer),
        DeValue::Datetime(_) => return None,
        DeValue::Array(items) => toml::Value::Array(items.iter().filter_map(|item| as_it_stands(item.get_ref())).collect()),
        DeValue::Table(table) => {
            let pairs = table.iter().filter_map(|(key, value)| Some((key.get_ref().to_string(), as_it_stands(value.get_ref())?)));
            toml::Value::Table(pairs.collect())
        }
    })
}

fn list<'s>(object: &'s Map<String, Value>, key: &str) -> &'s [Value] {
    object.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The tag and its value of a variant of an internally tagged enum.
fn tag_of(variant: &Value) -> Option<(&str, &str)> {
    let properties = variant.get("properties")?.as_object()?;
    properties.iter().find_map(|(key, schema)| Some((key.as_str(), schema.get("const")?.as_str()?)))
}

/// The words that a text may be, for enums of plain names.
fn words(schema: &Value) -> Vec<&str> {
    let direct = schema.get("enum").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let variants = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    direct.chain(variants.filter_map(|variant| variant.get("const").and_then(Value::as_str))).collect()
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).filter(|t| *t != "null").collect(),
        _ => Vec::new(),
    }
}

fn fits(value: &DeValue<'_>, wanted: &str) -> bool {
    match value {
        DeValue::String(_) => wanted == "string",
        DeValue::Integer(_) => wanted == "integer" || wanted == "number",
        DeValue::Float(_) => wanted == "number",
        DeValue::Boolean(_) => wanted == "boolean",
        DeValue::Array(_) => wanted == "array",
        DeValue::Table(_) => wanted == "object",
        DeValue::Datetime(_) => false,
    }
}

fn name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
        DeValue::Datetime(_) => "a date",
    }
}

fn names(wanted: &[&str]) -> String {
    let one = |wanted: &&str| match *wanted {
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        _ => "a table",
    };
    wanted.iter().map(one).collect::<Vec<_>>().join(" or ")
}
