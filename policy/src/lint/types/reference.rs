//! What a reference such as `input.order.royalties[_].bps` leads to, and where it leads nowhere.

use super::{
    infer::{Inferred, Scope},
    shape::{Kinds, Type},
    source::INPUT,
    word::{clipped, nearest, shown},
};
use crate::lint::module::{Parsed, links, root, start};
use regorus::unstable::{Expr, Span};
use std::collections::BTreeSet;

/// A reference that can lead nowhere: where it stops, and why.
pub(super) struct Astray<'e> {
    pub(super) span: &'e Span,
    why: Why,
}

enum Why {
    NoField { known: Type, name: String, field: String },
    NothingBelow { name: String, kinds: Kinds },
    Key { name: String, keys: Kinds, given: Kinds },
    NoRule { package: String, name: String },
}

impl Astray<'_> {
    /// The reason in words. It is made only to be reported: looking for the name that was meant takes long.
    pub(super) fn reason(&self) -> String {
        match &self.why {
            Why::NoField { known, name, field } => no_field(known, name, field),
            Why::NothingBelow { name, kinds } => format!("{} is {kinds} and has nothing below it", clipped(name)),
            Why::Key { name, keys, given } => {
                format!("{} is looked up by {keys}, and this is {given}", clipped(name))
            }
            Why::NoRule { package, name } => format!("package {package} has no rule {}", clipped(name)),
        }
    }
}

enum Step<'e> {
    Field(&'e Span, String),
    Index(&'e Expr),
}

/// What names mean beyond the variables of a rule.
pub(super) struct Names<'a> {
    modules: &'a [Parsed],
    /// The full names of all rules.
    rules: BTreeSet<String>,
    data: Type,
}

impl<'a> Names<'a> {
    pub(super) const fn new(modules: &'a [Parsed], rules: BTreeSet<String>, data: Type) -> Self {
        Self { modules, rules, data }
    }

    /// Whether a name means something in a module where no variable has it.
    pub(super) fn is_global(&self, module: &Parsed, name: &str) -> bool {
        matches!(name, "input" | "data")
            || module.imported(name).is_some()
            || self.rules.contains(&format!("{}.{name}", module.package))
    }

    /// Whether a rule's name begins with this one, or a package does.
    fn is_package(&self, name: &str) -> bool {
        let below = |full: &str| full.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        let rules = self.rules.range(format!("{name}.")..).next().is_some_and(|rule| below(rule));
        rules || self.modules.iter().any(|module| below(&module.package))
    }
}

impl Inferred<'_> {
    /// What a reference may be, or where it can lead nowhere.
    pub(super) fn reference<'e>(&self, scope: Scope<'_>, expr: &'e Expr) -> Result<Type, Astray<'e>> {
        let root = root(expr);
        let steps = steps(expr);
        let Expr::Var { span, .. } = root else {
            return self.follow(scope, self.of(scope, root), "what is computed here", &steps);
        };
        let name = span.text();
        let global = self.names.is_global(scope.module, name);
        match (self.variable(scope, name), name) {
            // One of the two, depending on where in the rule it stands.
            (Some(_), _) if global => Ok(Type::any()),
            (Some(variable), _) => self.follow(scope, variable.clone(), name, &steps),
            (None, "input") => self.follow(scope, INPUT.clone(), name, &steps),
            (None, "data") => self.document(scope, &steps),
            (None, _) if global => {
                let own = || format!("{}.{name}", scope.module.package);
                let full = scope.module.imported(name).map_or_else(own, ToOwned::to_owned);
                let mut path: Vec<Step<'e>> =
                    full.split('.').skip(1).map(|part| Step::Field(span, part.to_owned())).collect();
                path.extend(steps);
                self.document(scope, &path)
            }
            (None, _) => Ok(Type::default()),
        }
    }

    /// Whether `object.get` of a constant name can find anything in a part of the input. Elsewhere it may be given for
    /// what a bundle's data do not say.
    pub(super) fn got<'e>(&self, scope: Scope<'_>, object: &Expr, key: &'e Expr) -> Result<(), Astray<'e>> {
        let (Expr::Var { span, .. }, Expr::String { value, span: place, .. }) = (root(object), key) else {
            return Ok(());
        };
        let field = value.as_string().map(ToString::to_string).unwrap_or_default();
        if span.text() == "input" {
            let known = self.of(scope, object).only(Kinds::OBJECT);
            self.follow(scope, known, &shown(object), &[Step::Field(place, field)])?;
        }
        Ok(())
    }

    /// What a path below `data` may be: a rule's value, or what the data document has there.
    fn document<'e>(&self, scope: Scope<'_>, steps: &[Step<'e>]) -> Result<Type, Astray<'e>> {
        let mut full = "data".to_owned();
        let mut package = true;
        for (at, step) in steps.iter().enumerate() {
            let Step::Field(span, name) = step else {
                // A package by a computed name is reported elsewhere.
                return if package && at > 0 { Ok(Type::any()) } else { self.stored(scope, steps) };
            };
            let next = format!("{full}.{name}");
            if !self.work.spend(next.len()) {
                return Ok(Type::any());
            }
            if self.names.rules.contains(&next) {
                let rest = steps.get(at.saturating_add(1)..).unwrap_or_default();
                let short = next.strip_prefix("data.").unwrap_or(&next);
                return self.follow(scope, self.rule(&next), short, rest);
            }
            let above = package && at > 0;
            package = package && self.names.is_package(&next);
            let so_far = steps.get(..=at).unwrap_or_default();
            if above && !package && self.stored(scope, so_far).is_err() {
                let package = full.strip_prefix("data.").unwrap_or(&full).to_owned();
                return Err(Astray { span, why: Why::NoRule { package, name: name.clone() } });
            }
            full = next;
        }
        if package { Ok(Type::any()) } else { self.stored(scope, steps) }
    }

    fn stored<'e>(&self, scope: Scope<'_>, steps: &[Step<'e>]) -> Result<Type, Astray<'e>> {
        self.follow(scope, self.names.data.clone(), "data", steps)
    }

    fn follow<'e>(&self, scope: Scope<'_>, from: Type, name: &str, steps: &[Step<'e>]) -> Result<Type, Astray<'e>> {
        let mut known = from;
        for (at, step) in steps.iter().enumerate() {
            if !self.work.spend(known.parts()) {
                return Ok(Type::any());
            }
            let so_far = || written(name, steps.get(..at).unwrap_or_default());
            known = match step {
                Step::Field(span, field) => known.field(field).ok_or_else(|| Astray {
                    span,
                    why: Why::NoField { known, name: so_far(), field: field.clone() },
                })?,
                Step::Index(index) => {
                    let astray = |why| Err(Astray { span: start(index), why });
                    if known.is_known() && !known.kinds().meets(Kinds::COLLECTION) {
                        return astray(Why::NothingBelow { name: so_far(), kinds: known.kinds() });
                    }
                    let (keys, given) = (known.key(), self.of(scope, index));
                    if keys.apart(&given).is_some() {
                        return astray(Why::Key { name: so_far(), keys: keys.kinds(), given: given.kinds() });
                    }
                    known.item()
                }
            };
        }
        Ok(known)
    }
}

/// Whether a pattern's names can be those of an object that it is held to, such as `{"amount": a}`.
pub(super) fn matched<'e>(pattern: &'e Expr, known: &Type, name: &str) -> Result<(), Astray<'e>> {
    match pattern {
        Expr::Object { fields, .. } => {
            let known = known.only(Kinds::OBJECT);
            for (_, key, inner) in fields {
                let Expr::String { value, span, .. } = key.as_ref() else { continue };
                let field = value.as_string().map(ToString::to_string).unwrap_or_default();
                let Some(value) = known.field(&field) else {
                    return Err(Astray { span, why: Why::NoField { known, name: name.to_owned(), field } });
                };
                matched(inner, &value, &format!("{name}.{field}"))?;
            }
            Ok(())
        }
        Expr::Array { items, .. } => {
            let item = known.only(Kinds::LIST).item();
            items.iter().try_for_each(|inner| matched(inner, &item, &format!("{name}[_]")))
        }
        _ => Ok(()),
    }
}

/// A reference as far as these steps.
fn written(name: &str, steps: &[Step<'_>]) -> String {
    let mut out = name.to_owned();
    for step in steps {
        match step {
            Step::Field(_, field) => out.extend([".", field]),
            Step::Index(index) => out.extend(["[", index.span().text(), "]"]),
        }
    }
    out
}

fn no_field(known: &Type, name: &str, field: &str) -> String {
    let name = clipped(name);
    let said = clipped(field);
    let Some(fields) = known.fields() else {
        return format!("{name} is {} and has no field {said}", known.kinds());
    };
    if let Some(near) = nearest(field, fields.keys().map(String::as_str)) {
        return format!("{name} has no field {said}; did you mean {near}?");
    }
    let names: Vec<String> = fields.keys().map(|name| clipped(name)).collect();
    let has = if names.is_empty() { "none".to_owned() } else { clipped(&names.join(", ")) };
    format!("{name} has no field {said}; it has {has}")
}

/// The steps of a reference from its root on.
fn steps(expr: &Expr) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = links(expr)
        .filter_map(|link| match link {
            Expr::RefDot { field, .. } => Some(Step::Field(&field.0, field.0.text().to_owned())),
            Expr::RefBrack { index, .. } => Some(match index.as_ref() {
                Expr::String { value, span, .. } | Expr::RawString { value, span, .. } => {
                    Step::Field(span, value.as_string().map(ToString::to_string).unwrap_or_default())
                }
                index => Step::Index(index),
            }),
            _ => None,
        })
        .collect();
    steps.reverse();
    steps
}
