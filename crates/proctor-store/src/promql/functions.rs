//! PromQL functions.

use std::collections::BTreeMap;

use promql_parser::label::{METRIC_NAME, MatchOp};
use promql_parser::parser::{Call, Expr};
use regex::Regex;

use super::aggregate::{by_value, quantile, variance};
use super::eval::{Element, Evaluator, Outcome, Window, mapped};
use super::rate;
use crate::error::QueryError;
use crate::record::Labels;

/// A call with its arguments not yet evaluated.
struct Arguments<'a> {
    eval: &'a Evaluator<'a>,
    call: &'a Call,
    at: i64,
}

pub(super) fn call(eval: &Evaluator<'_>, call: &Call, at: i64) -> Result<Outcome, QueryError> {
    let arguments = Arguments { eval, call, at };
    let name = call.func.name;
    if let Some(f) = pointwise(name) {
        return arguments.vector(0).map(|elements| Outcome::Vector(mapped(elements, f)));
    }
    if let Some(f) = over_time(name) {
        let windows = arguments.matrix(0)?;
        return Ok(Outcome::Vector(windowed(windows, at, f)));
    }
    arguments.other(name)
}

fn pointwise(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "ceil" => f64::ceil,
        "floor" => f64::floor,
        "sqrt" => f64::sqrt,
        "exp" => f64::exp,
        "ln" => f64::ln,
        "log2" => f64::log2,
        "log10" => f64::log10,
        "sgn" => |value| if value == 0.0 { 0.0 } else { value.signum() },
        _ => return None,
    })
}

fn over_time(name: &str) -> Option<fn(&Window) -> Option<f64>> {
    Some(match name {
        "rate" => |window| rate::extrapolated(window, true, true),
        "increase" => |window| rate::extrapolated(window, true, false),
        "delta" => |window| rate::extrapolated(window, false, false),
        "irate" => |window| rate::instant(window, true),
        "idelta" => |window| rate::instant(window, false),
        "changes" => |window| Some(rate::steps(window).filter(|(a, b)| a != b && !(a.is_nan() && b.is_nan())).count() as f64),
        "resets" => |window| Some(rate::steps(window).filter(|(a, b)| b < a).count() as f64),
        "avg_over_time" => |window| Some(values(window).iter().sum::<f64>() / window.samples.len() as f64),
        "sum_over_time" => |window| Some(values(window).iter().sum()),
        "min_over_time" => |window| values(window).into_iter().reduce(f64::min),
        "max_over_time" => |window| values(window).into_iter().reduce(f64::max),
        "count_over_time" => |window| Some(window.samples.len() as f64),
        "last_over_time" => |window| window.samples.last().map(|sample| sample.1),
        "first_over_time" => |window| window.samples.first().map(|sample| sample.1),
        "present_over_time" => |_| Some(1.0),
        "stdvar_over_time" => |window| Some(variance(&values(window))),
        "stddev_over_time" => |window| Some(variance(&values(window)).sqrt()),
        _ => return None,
    })
}

fn values(window: &Window) -> Vec<f64> {
    window.samples.iter().map(|sample| sample.1).collect()
}

fn windowed(windows: Vec<Window>, at: i64, f: impl Fn(&Window) -> Option<f64>) -> Vec<Element> {
    let each = windows.into_iter().filter_map(|mut window| {
        let value = f(&window)?;
        window.labels.remove(METRIC_NAME);
        Some(Element { labels: window.labels, value, at })
    });
    each.collect()
}

impl Arguments<'_> {
    fn other(&self, name: &str) -> Result<Outcome, QueryError> {
        match name {
            "time" => Ok(Outcome::Scalar(self.at as f64 / 1000.0)),
            "pi" => Ok(Outcome::Scalar(std::f64::consts::PI)),
            "scalar" => self.vector(0).map(|all| Outcome::Scalar(only(&all))),
            "vector" => self.scalar(0).map(|value| Outcome::Vector(vec![Element { labels: Labels::new(), value, at: self.at }])),
            "timestamp" => self.vector(0).map(|all| Outcome::Vector(timestamps(all))),
            "absent" => self.vector(0).map(|all| Outcome::Vector(self.absent(all.is_empty()))),
            "absent_over_time" => self.matrix(0).map(|all| Outcome::Vector(self.absent(all.is_empty()))),
            "sort" => self.vector(0).map(|all| Outcome::Vector(sorted(all, false))),
            "sort_desc" => self.vector(0).map(|all| Outcome::Vector(sorted(all, true))),
            "round" | "clamp" | "clamp_min" | "clamp_max" => self.limited(name).map(Outcome::Vector),
            "quantile_over_time" => {
                let part = self.scalar(0)?;
                Ok(Outcome::Vector(windowed(self.matrix(1)?, self.at, |window| Some(quantile(&values(window), part)))))
            }
            "histogram_quantile" => Ok(Outcome::Vector(histogram_quantile(self.scalar(0)?, self.vector(1)?, self.at))),
            "label_replace" => self.label_replace().map(Outcome::Vector),
            "label_join" => self.label_join().map(Outcome::Vector),
            _ => Err(self.eval.error(name, format!("the function `{name}` is not there yet"))),
        }
    }

    fn argument(&self, at: usize) -> Result<&Expr, QueryError> {
        let found = self.call.args.args.get(at).map(|argument| &**argument);
        found.ok_or_else(|| self.eval.error(self.call.func.name, format!("argument {} is missing", at + 1)))
    }

    fn vector(&self, at: usize) -> Result<Vec<Element>, QueryError> {
        self.eval.vector(self.argument(at)?, self.at)
    }

    fn matrix(&self, at: usize) -> Result<Vec<Window>, QueryError> {
        self.eval.matrix(self.argument(at)?, self.at)
    }

    fn scalar(&self, at: usize) -> Result<f64, QueryError> {
        self.eval.scalar(self.argument(at)?, self.at)
    }

    fn text(&self, at: usize) -> Result<String, QueryError> {
        self.eval.text(self.argument(at)?, self.at)
    }

    fn limited(&self, name: &str) -> Result<Vec<Element>, QueryError> {
        let all = self.vector(0)?;
        Ok(match name {
            "clamp_min" => mapped(all, {
                let least = self.scalar(1)?;
                move |value| at_least(value, least)
            }),
            "clamp_max" => mapped(all, {
                let most = self.scalar(1)?;
                move |value| at_most(value, most)
            }),
            "clamp" => {
                let (least, most) = (self.scalar(1)?, self.scalar(2)?);
                if least > most { Vec::new() } else { mapped(all, |value| at_least(at_most(value, most), least)) }
            }
            _ => {
                let to = if self.call.args.len() > 1 { self.scalar(1)? } else { 1.0 };
                // Ties go up, as in Prometheus; dividing by the inverse keeps 0.1 exact.
                let inverse = 1.0 / to;
                mapped(all, |value| (value * inverse + 0.5).floor() / inverse)
            }
        })
    }

    /// One element with the labels that the selector demands, when there is nothing.
    fn absent(&self, nothing: bool) -> Vec<Element> {
        if !nothing {
            return Vec::new();
        }
        let mut argument = self.argument(0).ok();
        while let Some(Expr::Paren(paren)) = argument {
            argument = Some(&paren.expr);
        }
        let matchers = match argument {
            Some(Expr::VectorSelector(selector)) => &selector.matchers.matchers[..],
            Some(Expr::MatrixSelector(selector)) => &selector.vs.matchers.matchers[..],
            _ => &[],
        };
        let equal = matchers.iter().filter(|matcher| matches!(matcher.op, MatchOp::Equal) && matcher.name != METRIC_NAME);
        let labels = equal.map(|matcher| (matcher.name.clone(), matcher.value.clone())).collect();
        vec![Element { labels, value: 1.0, at: self.at }]
    }

    fn label_replace(&self) -> Result<Vec<Element>, QueryError> {
        let (target, replacement, source, pattern) = (self.text(1)?, self.text(2)?, self.text(3)?, self.text(4)?);
        let regex = Regex::new(&format!("^(?s:{pattern})$"))
            .map_err(|_| self.eval.error(&pattern, format!("`{pattern}` is not a regular expression")))?;
        let mut all = self.vector(0)?;
        for element in &mut all {
            let text = element.labels.get(&source).cloned().unwrap_or_default();
            if let Some(found) = regex.captures(&text) {
                let mut new = String::new();
                found.expand(&replacement, &mut new);
                set(&mut element.labels, &target, new);
            }
        }
        Ok(all)
    }

    fn label_join(&self) -> Result<Vec<Element>, QueryError> {
        let (target, separator) = (self.text(1)?, self.text(2)?);
        let sources = (3..self.call.args.len()).map(|at| self.text(at)).collect::<Result<Vec<_>, _>>()?;
        let mut all = self.vector(0)?;
        for element in &mut all {
            let texts: Vec<String> = sources.iter().map(|name| element.labels.get(name).cloned().unwrap_or_default()).collect();
            set(&mut element.labels, &target, texts.join(&separator));
        }
        Ok(all)
    }
}

fn set(labels: &mut Labels, name: &str, text: String) {
    if text.is_empty() {
        labels.remove(name);
    } else {
        labels.insert(name.to_owned(), text);
    }
}

fn only(all: &[Element]) -> f64 {
    match all {
        [one] => one.value,
        _ => f64::NAN,
    }
}

fn timestamps(all: Vec<Element>) -> Vec<Element> {
    let each = all.into_iter().map(|mut element| {
        element.labels.remove(METRIC_NAME);
        element.value = element.at as f64 / 1000.0;
        element
    });
    each.collect()
}

fn sorted(mut all: Vec<Element>, descending: bool) -> Vec<Element> {
    all.sort_by(|a, b| by_value(a.value, b.value, descending));
    all
}

/// The larger of both, NaN if either is.
fn at_least(value: f64, least: f64) -> f64 {
    if value.is_nan() || least.is_nan() { f64::NAN } else { value.max(least) }
}

/// The smaller of both, NaN if either is.
fn at_most(value: f64, most: f64) -> f64 {
    if value.is_nan() || most.is_nan() { f64::NAN } else { value.min(most) }
}

fn histogram_quantile(part: f64, all: Vec<Element>, at: i64) -> Vec<Element> {
    let mut groups: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    for mut element in all {
        let bound =
            element.labels.remove("le").and_then(|text| if text == "+Inf" { Some(f64::INFINITY) } else { text.parse().ok() });
        element.labels.remove(METRIC_NAME);
        if let Some(bound) = bound {
            groups.entry(element.labels).or_default().push((bound, element.value));
        }
    }
    let each = groups.into_iter().map(|(labels, buckets)| Element { labels, value: rate::bucket_quantile(part, buckets), at });
    each.collect()
}
