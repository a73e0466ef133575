use super::{
    builtin,
    reference::Names,
    shape::{Kinds, Object, Type},
    source,
};
use crate::lint::{
    Work, cycle,
    module::{Node, Parsed, Part, path, rule_name, walk},
};
use regorus::unstable::{ArithOp, AssignOp, Expr, Ref, Rule, RuleHead};
use std::collections::{BTreeMap, BTreeSet};

/// Where an expression stands: its module and which of all rules it is in, by place and not by name, so that two
/// definitions of one name keep their variables apart.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) module: &'a Parsed,
    pub(super) rule: usize,
}

/// One definition of a function: which of all rules it is, and its parameters.
type Definition<'a> = (usize, &'a [Ref<Expr>]);

/// What every rule and variable of a bundle may be.
pub(super) struct Inferred<'a> {
    pub(super) rules: Vec<(Scope<'a>, String, &'a Rule)>,
    pub(super) names: Names<'a>,
    /// By full name.
    functions: BTreeMap<String, Vec<Definition<'a>>>,
    /// By full name.
    values: BTreeMap<String, Type>,
    /// By the rule's place and the variable's name.
    variables: BTreeMap<usize, BTreeMap<&'a str, Type>>,
    /// Going through a type costs as much as it has parts.
    pub(super) work: Work,
}

/// What a step gives to variables.
#[derive(Default)]
struct Flows<'a> {
    variables: Vec<((usize, &'a str), Type)>,
}

impl<'a> Inferred<'a> {
    pub(super) fn new(modules: &'a [Parsed], data: &serde_json::Value) -> Self {
        let mut rules = Vec::new();
        let mut functions: BTreeMap<String, Vec<Definition<'a>>> = BTreeMap::new();
        for module in modules {
            for rule in module.rules() {
                let name = format!("{}.{}", module.package, rule_name(rule));
                let at = rules.len();
                if let Rule::Spec { head: RuleHead::Func { args, .. }, .. } = rule {
                    functions.entry(name.clone()).or_default().push((at, args));
                }
                rules.push((Scope { module, rule: at }, name, rule));
            }
        }
        let names: BTreeSet<String> = rules.iter().map(|(_, name, _)| name.clone()).collect();
        let names = Names::new(modules, names, source::of(data));
        Self { rules, names, functions, values: BTreeMap::new(), variables: BTreeMap::new(), work: Work::new() }
    }

    /// Carries what is known one step further; false when there was nothing new.
    pub(super) fn spread(&mut self) -> bool {
        let mut changed = false;
        for at in 0..self.rules.len() {
            let Some((scope, name, rule)) = self.rules.get(at).map(|(scope, name, rule)| (*scope, name.clone(), *rule))
            else {
                break;
            };
            let mut flows = Flows::default();
            walk(rule, &mut |node| self.flow(scope, &node, &mut flows));
            for ((rule, name), found) in flows.variables {
                if !self.work.spend(found.parts()) {
                    return false;
                }
                changed |= self.variables.entry(rule).or_default().entry(name).or_default().join(&found);
            }
            let value = self.value(scope, rule);
            changed |= self.values.entry(name).or_default().join(&value);
        }
        changed
    }

    pub(super) fn variable(&self, scope: Scope<'_>, name: &str) -> Option<&Type> {
        self.variables.get(&scope.rule)?.get(name)
    }

    pub(super) fn rule(&self, full: &str) -> Type {
        self.values.get(full).cloned().unwrap_or_default()
    }

    pub(super) fn is_function(&self, scope: Scope<'_>, fcn: &Expr) -> bool {
        cycle::full_name(scope.module, fcn).is_some_and(|name| self.functions.contains_key(&name))
    }

    /// What one definition of a rule gives.
    fn value(&self, scope: Scope<'a>, rule: &'a Rule) -> Type {
        match rule {
            Rule::Default { refr, value, .. } if plain(refr) => self.of(scope, value),
            Rule::Spec { head: RuleHead::Set { refr, key: Some(key), .. }, .. } if plain(refr) => {
                Type::set(self.of(scope, key))
            }
            Rule::Spec { head: RuleHead::Compr { refr, .. } | RuleHead::Func { refr, .. }, .. } if plain(refr) => {
                let mut value = Type::default();
                for given in given(rule) {
                    value.join(&given.map_or_else(|| Type::plain(Kinds::BOOLEAN), |given| self.of(scope, given)));
                }
                value
            }
            // A rule that gives a part of a document by a longer name.
            _ => Type::any(),
        }
    }

    /// What a pattern takes of each entry of a domain.
    pub(super) fn part(&self, scope: Scope<'_>, part: Part, domain: &Expr) -> Type {
        let domain = self.of(scope, domain);
        if self.work.spend(domain.parts()) { part.of(&domain) } else { Type::any() }
    }

    /// What a node gives to variables.
    fn flow(&self, scope: Scope<'a>, node: &Node<'a>, out: &mut Flows<'a>) {
        match node {
            Node::Declared(name) => out.give(scope.rule, name.text(), Type::default()),
            Node::Item { item, part, domain } => out.bind(scope.rule, item, &self.part(scope, *part, domain)),
            Node::Named { name, part, domain } => {
                out.give(scope.rule, name.text(), self.part(scope, *part, domain));
            }
            Node::Expr(Expr::AssignExpr { op: AssignOp::ColEq, lhs, rhs, .. }) => {
                out.bind(scope.rule, lhs, &self.of(scope, rhs));
            }
            Node::Expr(Expr::AssignExpr { op: AssignOp::Eq, lhs, rhs, .. }) => {
                self.unify(scope, lhs, &self.of(scope, rhs), out);
                self.unify(scope, rhs, &self.of(scope, lhs), out);
            }
            Node::Expr(expr @ Expr::RefBrack { .. }) => {
                let mut rest: &'a Expr = expr;
                while let Expr::RefDot { refr, .. } | Expr::RefBrack { refr, .. } = rest {
                    if let Expr::RefBrack { index, .. } = rest
                        && !matches!(index.as_ref(), Expr::String { .. } | Expr::RawString { .. })
                    {
                        self.unify(scope, index, &self.of(scope, refr).key(), out);
                    }
                    rest = refr;
                }
            }
            Node::Expr(call @ Expr::Call { fcn, params, .. }) => self.call(scope, call, fcn, params, out),
            Node::Expr(_) | Node::With(_) => {}
        }
    }

    fn call(&self, scope: Scope<'a>, call: &'a Expr, fcn: &'a Expr, params: &'a [Ref<Expr>], out: &mut Flows<'a>) {
        let definitions = cycle::full_name(scope.module, fcn).and_then(|name| self.functions.get(&name));
        let own = definitions.and_then(|definitions| definitions.first()).map(|(_, args)| args.len());
        if let Some(definitions) = definitions {
            let given: Vec<Type> = params.iter().map(|param| self.of(scope, param)).collect();
            for (at, args) in definitions {
                for (arg, given) in args.iter().zip(&given) {
                    out.bind(*at, arg, given);
                }
            }
        }
        // Rego allows one argument more, which the result is unified with.
        let arity = own.or_else(|| builtin::takes(&path(fcn).0.join(".")).map(<[Kinds]>::len));
        if let Some(last) = params.last().filter(|_| arity.is_some_and(|arity| params.len() > arity)) {
            self.unify(scope, last, &self.of(scope, call), out);
        }
    }

    /// Gives a value to the variables of a pattern that is no declaration: a name that means a rule there still does.
    fn unify(&self, scope: Scope<'a>, pattern: &'a Expr, found: &Type, out: &mut Flows<'a>) {
        let mut inner = Flows::default();
        inner.bind(scope.rule, pattern, found);
        let local = |name: &str| self.variable(scope, name).is_some() || !self.names.is_global(scope.module, name);
        out.variables.extend(inner.variables.into_iter().filter(|((_, name), _)| local(name)));
    }

    /// What an expression may be. One that makes no sense is nothing, and is reported where it is checked.
    pub(super) fn of(&self, scope: Scope<'_>, expr: &Expr) -> Type {
        if self.work.is_spent() {
            return Type::any();
        }
        let found = self.made(scope, expr);
        self.work.spend(found.parts());
        found
    }

    fn made(&self, scope: Scope<'_>, expr: &Expr) -> Type {
        let all = |items: &[Ref<Expr>]| {
            let mut item = Type::default();
            for expr in items {
                item.join(&self.of(scope, expr));
            }
            item
        };
        match expr {
            Expr::String { value, .. } | Expr::RawString { value, .. } => {
                value.as_string().map_or_else(|_| Type::plain(Kinds::TEXT), |text| Type::word(text))
            }
            Expr::Number { .. } | Expr::UnaryExpr { .. } => Type::plain(Kinds::NUMBER),
            Expr::Bool { .. } | Expr::BoolExpr { .. } | Expr::AssignExpr { .. } | Expr::Membership { .. } => {
                Type::plain(Kinds::BOOLEAN)
            }
            Expr::Null { .. } => Type::plain(Kinds::NULL),
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => {
                self.reference(scope, expr).unwrap_or_default()
            }
            Expr::Array { items, .. } => Type::list(all(items)),
            Expr::Set { items, .. } => Type::set(all(items)),
            Expr::Object { fields, .. } => {
                let mut object = Object::default();
                for (_, key, value) in fields {
                    let value = self.of(scope, value);
                    match key.as_ref() {
                        Expr::String { value: name, .. } | Expr::RawString { value: name, .. } => {
                            let name = name.as_string().map(ToString::to_string).unwrap_or_default();
                            object.fields.entry(name).or_default().join(&value);
                        }
                        key => {
                            let rest = object.rest.get_or_insert_with(Default::default);
                            rest.0.join(&self.of(scope, key));
                            rest.1.join(&value);
                        }
                    }
                }
                Type::object(object)
            }
            Expr::ArrayCompr { term, .. } => Type::list(self.of(scope, term)),
            Expr::SetCompr { term, .. } => Type::set(self.of(scope, term)),
            Expr::ObjectCompr { key, value, .. } => {
                let rest = Some((self.of(scope, key), self.of(scope, value)));
                Type::object(Object { fields: BTreeMap::new(), rest })
            }
            Expr::Call { fcn, params, .. } => {
                match cycle::full_name(scope.module, fcn).filter(|name| self.functions.contains_key(name)) {
                    Some(own) => self.rule(&own),
                    None => builtin::gives(&path(fcn).0.join("."), params, |param| self.of(scope, param)),
                }
            }
            Expr::BinExpr { lhs, rhs, .. } => {
                let mut both = self.of(scope, lhs).only(Kinds::SET);
                both.join(&self.of(scope, rhs).only(Kinds::SET));
                both
            }
            Expr::ArithExpr { op, lhs, .. } => {
                let mut result = Type::plain(Kinds::NUMBER);
                if *op == ArithOp::Sub {
                    let left = self.of(scope, lhs);
                    result = if left.is_known() { left.only(Kinds::SET | Kinds::NUMBER) } else { left };
                }
                result
            }
        }
    }
}

impl Part {
    fn of(self, domain: &Type) -> Type {
        match self {
            Self::Key => domain.key(),
            Self::Value => domain.item(),
        }
    }
}

impl<'a> Flows<'a> {
    fn give(&mut self, rule: usize, name: &'a str, found: Type) {
        // Every `_` is another variable.
        if name != "_" {
            self.variables.push(((rule, name), found));
        }
    }

    /// Gives a value to the variables of a pattern.
    fn bind(&mut self, rule: usize, pattern: &'a Expr, found: &Type) {
        match pattern {
            Expr::Var { span, .. } => self.give(rule, span.text(), found.clone()),
            Expr::Array { items, .. } | Expr::Set { items, .. } => {
                let held = found.item();
                for item in items {
                    self.bind(rule, item, &held);
                }
            }
            Expr::Object { fields, .. } => {
                for (_, key, value) in fields {
                    let named = match key.as_ref() {
                        Expr::String { value, .. } | Expr::RawString { value, .. } => {
                            value.as_string().ok().and_then(|name| found.field(name))
                        }
                        _ => None,
                    };
                    self.bind(rule, value, &named.unwrap_or_else(Type::any));
                }
            }
            _ => {}
        }
    }
}

/// Whether a rule's name is one word, and its value not a part of a larger document.
const fn plain(refr: &Expr) -> bool {
    matches!(refr, Expr::Var { .. })
}

/// The values that a rule gives; none stands for `true`.
pub(in crate::lint) fn given(rule: &Rule) -> Vec<Option<&Expr>> {
    let Rule::Spec { head, bodies, .. } = rule else { return Vec::new() };
    let (RuleHead::Compr { assign, .. } | RuleHead::Func { assign, .. }) = head else { return Vec::new() };
    let first = assign.as_ref().map(|assign| assign.value.as_ref());
    let others = bodies.iter().filter(|body| body.is_else || body.assign.is_some());
    std::iter::once(first).chain(others.map(|body| body.assign.as_ref().map(|assign| assign.value.as_ref()))).collect()
}
