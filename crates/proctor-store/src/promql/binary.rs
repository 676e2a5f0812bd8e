//! Binary operators: arithmetic, comparison and sets, between scalars and vectors.

use std::collections::{HashMap, HashSet};

use promql_parser::label::METRIC_NAME;
use promql_parser::parser::{BinModifier, BinaryExpr, LabelModifier, VectorMatchCardinality};

use super::eval::{Element, Evaluator, Outcome};
use crate::error::QueryError;
use crate::record::Labels;

pub(super) fn binary(eval: &Evaluator<'_>, expr: &BinaryExpr, at: i64) -> Result<Outcome, QueryError> {
    let operator = expr.op.to_string();
    let modifier = expr.modifier.clone().unwrap_or_default();
    if modifier.fill_values.lhs.is_some() || modifier.fill_values.rhs.is_some() {
        return Err(eval.error("fill", "`fill` is not there yet"));
    }
    let bool_result = modifier.return_bool;
    match (eval.eval(&expr.lhs, at)?, eval.eval(&expr.rhs, at)?) {
        (Outcome::Scalar(a), Outcome::Scalar(b)) => Ok(Outcome::Scalar(applied(&operator, a, b).0)),
        (Outcome::Vector(all), Outcome::Scalar(b)) => Ok(Outcome::Vector(each(all, &operator, bool_result, |a| (a, b)))),
        (Outcome::Scalar(a), Outcome::Vector(all)) => Ok(Outcome::Vector(each(all, &operator, bool_result, |b| (a, b)))),
        (Outcome::Vector(left), Outcome::Vector(right)) => {
            let join = Join { eval, operator: &operator, modifier: &modifier };
            join.vectors(left, right).map(Outcome::Vector)
        }
        _ => Err(eval.error(&operator, format!("`{operator}` takes scalars and instant vectors"))),
    }
}

/// The result, and whether a comparison holds.
fn applied(operator: &str, a: f64, b: f64) -> (f64, bool) {
    let truth = |holds: bool| (f64::from(u8::from(holds)), holds);
    match operator {
        "+" => (a + b, true),
        "-" => (a - b, true),
        "*" => (a * b, true),
        "/" => (a / b, true),
        "%" => (a % b, true),
        "^" => (a.powf(b), true),
        "atan2" => (a.atan2(b), true),
        "==" => truth(a == b),
        "!=" => truth(a != b),
        "<" => truth(a < b),
        "<=" => truth(a <= b),
        ">" => truth(a > b),
        _ => truth(a >= b),
    }
}

fn is_comparison(operator: &str) -> bool {
    matches!(operator, "==" | "!=" | "<" | "<=" | ">" | ">=")
}

/// A comparison without `bool` filters and keeps value and name; anything else computes and drops the name.
fn each(all: Vec<Element>, operator: &str, bool_result: bool, sides: impl Fn(f64) -> (f64, f64)) -> Vec<Element> {
    let filters = is_comparison(operator) && !bool_result;
    let one = |mut element: Element| {
        let (a, b) = sides(element.value);
        let (value, holds) = applied(operator, a, b);
        if filters {
            return holds.then_some(element);
        }
        element.labels.remove(METRIC_NAME);
        element.value = value;
        Some(element)
    };
    all.into_iter().filter_map(one).collect()
}

/// Two vectors joined on labels.
struct Join<'a> {
    eval: &'a Evaluator<'a>,
    operator: &'a str,
    modifier: &'a BinModifier,
}

impl Join<'_> {
    fn vectors(&self, left: Vec<Element>, right: Vec<Element>) -> Result<Vec<Element>, QueryError> {
        match self.operator {
            "and" => Ok(self.present(left, &right, true)),
            "unless" => Ok(self.present(left, &right, false)),
            "or" => {
                let added = self.present(right, &left, false);
                Ok(left.into_iter().chain(added).collect())
            }
            _ => self.matched(left, right),
        }
    }

    /// Of `all`, those that have (or have not) a partner in `others`.
    fn present(&self, all: Vec<Element>, others: &[Element], wanted: bool) -> Vec<Element> {
        let keys: HashSet<Labels> = others.iter().map(|element| self.key(&element.labels)).collect();
        all.into_iter().filter(|element| keys.contains(&self.key(&element.labels)) == wanted).collect()
    }

    fn matched(&self, left: Vec<Element>, right: Vec<Element>) -> Result<Vec<Element>, QueryError> {
        let many_right = matches!(self.modifier.card, VectorMatchCardinality::OneToMany(_));
        let (many, one) = if many_right { (right, left) } else { (left, right) };
        let mut partners: HashMap<Labels, Element> = HashMap::new();
        for element in one {
            if let Some(twin) = partners.insert(self.key(&element.labels), element) {
                return Err(self.ambiguous(&twin.labels));
            }
        }
        let mut seen = HashSet::new();
        let mut joined = Vec::new();
        for element in many {
            let key = self.key(&element.labels);
            let Some(partner) = partners.get(&key) else { continue };
            let (a, b) = if many_right { (partner.value, element.value) } else { (element.value, partner.value) };
            let (value, holds) = applied(self.operator, a, b);
            if !self.modifier.return_bool && !holds {
                continue;
            }
            let labels = self.labels(&element.labels, &partner.labels);
            if !seen.insert(labels.clone()) {
                return Err(self.ambiguous(&element.labels));
            }
            // A comparison that filters keeps the left side's value.
            let filters = is_comparison(self.operator) && !self.modifier.return_bool;
            joined.push(Element { labels, value: if filters { a } else { value }, at: element.at });
        }
        Ok(joined)
    }

    /// The labels that must be equal on both sides.
    fn key(&self, labels: &Labels) -> Labels {
        let kept = |name: &String| match &self.modifier.matching {
            Some(LabelModifier::Include(listed)) => listed.labels.contains(name),
            Some(LabelModifier::Exclude(listed)) => name != METRIC_NAME && !listed.labels.contains(name),
            None => name != METRIC_NAME,
        };
        labels.iter().filter(|(name, _)| kept(name)).map(|(name, text)| (name.clone(), text.clone())).collect()
    }

    fn labels(&self, many: &Labels, one: &Labels) -> Labels {
        let mut labels = many.clone();
        if !is_comparison(self.operator) || self.modifier.return_bool {
            labels.remove(METRIC_NAME);
        }
        match (&self.modifier.card, &self.modifier.matching) {
            (VectorMatchCardinality::OneToOne, Some(LabelModifier::Include(listed))) => {
                labels.retain(|name, _| listed.labels.contains(name));
            }
            (VectorMatchCardinality::OneToOne, Some(LabelModifier::Exclude(listed))) => {
                labels.retain(|name, _| !listed.labels.contains(name));
            }
            (VectorMatchCardinality::ManyToOne(included) | VectorMatchCardinality::OneToMany(included), _) => {
                for name in &included.labels {
                    match one.get(name) {
                        Some(text) => labels.insert(name.clone(), text.clone()),
                        None => labels.remove(name),
                    };
                }
            }
            _ => {}
        }
        labels
    }

    fn ambiguous(&self, labels: &Labels) -> QueryError {
        let shown: Vec<String> = self.key(labels).iter().map(|(name, text)| format!("{name}={text:?}")).collect();
        let message = format!("several series on one side of `{}` match {{{}}}", self.operator, shown.join(", "));
        self.eval.error(self.operator, message).hinted("use on(…), ignoring(…), group_left, or aggregate one side")
    }
}
