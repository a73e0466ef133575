use crate::{Finding, engine::first_line};
use regorus::unstable::{
    Expr, Import, Lexer, Literal, LiteralStmt, Module, Parser, Query, Ref, Rule, RuleAssign, RuleHead, Source, Span,
    TokenKind,
};
use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};

/// Brackets nest at most this deep in a module: more than readable policies need, and little work for the parser.
const MAX_NESTING: usize = 10;

/// One expression has at most this many operators in a row: more than readable policies need, and a bound of the stack
/// that every walk over its syntax tree takes.
const MAX_OPERATORS: usize = 64;

/// A reference leads at most this many steps down: more than the input or readable data have, and a bound of the stack,
/// too.
const MAX_REFERENCE: usize = 64;

/// What the brackets of all modules may cost the parser together: it tries up to three readings at each level, so that a
/// token costs three times what one outside costs. A readable bundle takes a twentieth.
const MAX_READINGS: usize = 400_000;

/// What is left of [`MAX_READINGS`].
pub(crate) struct Nesting(Cell<usize>);

impl Nesting {
    pub(crate) const fn new() -> Self {
        Self(Cell::new(MAX_READINGS))
    }

    /// Pays for a token inside so many brackets; false when all is spent.
    fn spend(&self, depth: usize) -> bool {
        let readings = u32::try_from(depth).map_or(usize::MAX, |depth| 3_usize.saturating_pow(depth));
        self.0.set(self.0.get().saturating_sub(readings));
        self.0.get() > 0
    }
}

/// One module, parsed.
pub(crate) struct Parsed {
    /// The path inside the bundle.
    pub(crate) file: String,
    /// `data.` and the package.
    pub(crate) package: String,
    /// Its syntax tree.
    pub(crate) module: Module,
    /// By name: the path from `data` that an import gives it.
    imports: BTreeMap<String, String>,
}

impl Parsed {
    /// A finding at a place in this module.
    pub(crate) fn finding(&self, span: &Span, reason: impl Into<String>) -> Finding {
        Finding { file: self.file.clone(), line: span.line, column: span.col, reason: reason.into() }
    }

    /// The rules in the order of the source.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.module.policy.iter().map(AsRef::as_ref)
    }

    /// What a name of this module stands for when an import gives it: the path from `data`.
    pub(crate) fn imported(&self, name: &str) -> Option<&str> {
        self.imports.get(name).map(String::as_str)
    }
}

/// The name that an import gives, and the path from `data` that it stands for.
fn imported(import: &Import) -> Option<(String, String)> {
    let path = path(&import.refr).0;
    let alias = import.r#as.as_ref().map(Span::text);
    let name = alias.or_else(|| path.last().map(String::as_str))?.to_owned();
    path.first().is_some_and(|root| root == "data").then(|| (name, path.join(".")))
}

/// Parses one module as Rego v1.
pub(crate) fn parse(file: &str, text: &str, readings: &Nesting) -> Result<Parsed, Finding> {
    let source = Source::from_contents(file.to_owned(), text.to_owned())
        .map_err(|e| Finding::whole(file, first_line(&e.to_string())))?;
    nesting(file, &source, readings)?;
    let parsed = Parser::new(&source).and_then(|mut parser| {
        parser.enable_rego_v1()?;
        parser.parse()
    });
    let module = parsed.map_err(|e| {
        let message = e.to_string();
        let place = message.lines().find_map(|line| {
            let mut parts = line.strip_prefix("--> ")?.rsplitn(3, ':');
            let column = parts.next()?.parse::<u32>().ok()?;
            Some((parts.next()?.parse::<u32>().ok()?, column))
        });
        let (line, column) = place.unwrap_or((1, 1));
        Finding { file: file.to_owned(), line, column, reason: first_line(&message) }
    })?;
    let package = format!("data.{}", path(&module.package.refr).0.join("."));
    for refr in std::iter::once(&module.package.refr).chain(module.imports.iter().map(|import| &import.refr)) {
        // Joined by dots, other names would look like longer paths.
        if let Some(name) = path(refr).0.iter().find(|name| !is_word(name)) {
            let (line, column) = (refr.span().line, refr.span().col);
            let reason = format!("{name:?} is no name of a package: letters, digits and _ are");
            return Err(Finding { file: file.to_owned(), line, column, reason });
        }
    }
    let imports = module.imports.iter().filter_map(imported).collect();
    Ok(Parsed { file: file.to_owned(), package, module, imports })
}

fn is_word(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Refuses deep nesting before the parser sees it: the parser tries alternatives at every level, so its time doubles
/// with each. Refuses long rows of operators and of steps too: each makes the syntax tree one level deeper, and a tree
/// that is too deep overflows the stack of whatever walks it.
fn nesting(file: &str, source: &Source, readings: &Nesting) -> Result<(), Finding> {
    let mut lexer = Lexer::new(source);
    let mut prefixes: usize = 0;
    // At each depth; a statement ends where a line does, unless an operator stands at either side.
    let mut rows = vec![Row::default()];
    let (mut line, mut after_operator, mut after_dot) = (0, false, false);
    // What cannot be read as a token is left to the parser's own message.
    while let Ok(token) = lexer.next_token() {
        if token.0 == TokenKind::Eof {
            break;
        }
        let text = token.1.text();
        let at = (token.1.line, token.1.col);
        let refuse = |(line, column), reason| Err(Finding { file: file.to_owned(), line, column, reason });
        let symbol = token.0 == TokenKind::Symbol;
        // The lexer takes `-1` for one token wherever it stands, and `set(` before `)`; a keyword may be a field's name.
        let minus = token.0 == TokenKind::Number && text.starts_with('-');
        let operator = minus || (text == "in" && !after_dot) || (symbol && !"()[]{},;:.".contains(text));
        let ends = (symbol && matches!(text, "," | ";"))
            || (token.1.line != line && !operator && !after_operator && text != ".");
        (line, after_operator, after_dot) = (token.1.line, operator, symbol && text == ".");
        if let Some(row) = rows.last_mut() {
            row.operators = if ends { 0 } else { row.operators.saturating_add(usize::from(operator)) };
            if row.operators > MAX_OPERATORS {
                return refuse(at, format!("more than {MAX_OPERATORS} operators in a row"));
            }
            let step = symbol && matches!(text, "." | "[") && !ends;
            if operator || ends || row.steps == 0 {
                (row.steps, row.reference) = (0, if step { row.reference } else { at });
            }
            row.steps = row.steps.saturating_add(usize::from(step));
            if row.steps > MAX_REFERENCE {
                return refuse(row.reference, format!("a reference of more than {MAX_REFERENCE} steps"));
            }
        }
        match text {
            "(" | "[" | "{" if symbol => rows.push(Row::default()),
            "set(" => rows.push(Row::default()),
            ")" | "]" | "}" if symbol && rows.len() > 1 => {
                rows.pop();
            }
            _ => {}
        }
        prefixes = if matches!(text, "not" | "-") { prefixes.saturating_add(1) } else { 0 };
        if rows.len() > MAX_NESTING.saturating_add(1) || prefixes > MAX_NESTING {
            return refuse(at, format!("nested more than {MAX_NESTING} deep"));
        }
        if !readings.spend(rows.len().saturating_sub(1)) {
            return refuse(at, "too much of the bundle is nested as deep as this".to_owned());
        }
    }
    Ok(())
}

/// Lets the modules of a package share their imports, as the engine does, and refuses names of which it and a reader could
/// think differently: those of a rule of the package or a package below it, and of two imports.
pub(super) fn share_imports(modules: &mut [Parsed], findings: &mut Vec<Finding>) {
    let mut shared: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for module in &*modules {
        let own: BTreeSet<String> = modules.iter().filter(|m| m.package == module.package).flat_map(names).collect();
        let all = shared.entry(module.package.clone()).or_default();
        for import in &module.module.imports {
            let Some((name, path)) = imported(import) else { continue };
            let other = all.entry(name.clone()).or_insert_with(|| path.clone());
            if *other != path {
                findings.push(module.finding(&import.span, format!("{name} is imported as {other} already")));
            }
            if own.contains(&name) {
                findings.push(module.finding(&import.span, format!("{name} is a rule of this package")));
            }
            let below = format!("{}.{name}", module.package);
            let is_package =
                |m: &Parsed| m.package.strip_prefix(&below).is_some_and(|r| r.is_empty() || r.starts_with('.'));
            if modules.iter().any(is_package) {
                findings.push(module.finding(&import.span, format!("{name} is a package below this one")));
            }
        }
    }
    for module in modules {
        module.imports = shared.get(&module.package).cloned().unwrap_or_default();
    }
}

fn names(module: &Parsed) -> Vec<String> {
    module.rules().map(rule_name).collect()
}

/// What stands in a row within one pair of brackets.
#[derive(Default)]
struct Row {
    operators: usize,
    steps: usize,
    /// Where the reference of these steps begins, by line and column.
    reference: (u32, u32),
}

/// The constant names at the start of a reference, and whether they are all of it.
pub(crate) fn path(expr: &Expr) -> (Vec<String>, bool) {
    match expr {
        Expr::Var { span, .. } => (vec![span.text().to_owned()], true),
        Expr::RefDot { refr, field, .. } => {
            let (mut names, whole) = path(refr);
            if whole {
                names.push(field.0.text().to_owned());
            }
            (names, whole)
        }
        Expr::RefBrack { refr, index, .. } => {
            let (mut names, mut whole) = path(refr);
            match (whole, index.as_ref()) {
                (true, Expr::String { value, .. } | Expr::RawString { value, .. }) => {
                    names.extend(value.as_string().ok().map(ToString::to_string));
                }
                _ => whole = false,
            }
            (names, whole)
        }
        _ => (Vec::new(), false),
    }
}

/// The steps of a reference, the last first: each is the reference as far as it.
pub(super) fn links(reference: &Expr) -> impl Iterator<Item = &Expr> {
    let is_step = |expr: &&Expr| matches!(expr, Expr::RefDot { .. } | Expr::RefBrack { .. });
    std::iter::successors(Some(reference), |expr| above(expr)).take_while(is_step)
}

/// What a reference begins with.
pub(super) fn root(expr: &Expr) -> &Expr {
    links(expr).last().and_then(above).unwrap_or(expr)
}

fn above(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::RefDot { refr, .. } | Expr::RefBrack { refr, .. } => Some(refr),
        _ => None,
    }
}

/// Where an expression begins in the source; a reference's own span is at its last part, an operation's at its sign.
pub(super) fn start(expr: &Expr) -> &Span {
    match expr {
        Expr::RefDot { refr, .. } | Expr::RefBrack { refr, .. } => start(refr),
        Expr::Call { fcn, .. } => start(fcn),
        Expr::ArithExpr { lhs, .. } | Expr::BinExpr { lhs, .. } | Expr::BoolExpr { lhs, .. } => start(lhs),
        _ => expr.span(),
    }
}

/// The name that a rule defines, without what follows it: `a` for `a.b[c] := 1`.
pub(crate) fn rule_name(rule: &Rule) -> String {
    let refr = match rule {
        Rule::Default { refr, .. } => refr,
        Rule::Spec { head, .. } => match head {
            RuleHead::Compr { refr, .. } | RuleHead::Set { refr, .. } | RuleHead::Func { refr, .. } => refr,
        },
    };
    path(refr).0.into_iter().next().unwrap_or_default()
}

/// Where a module says `default effect := "deny"`.
pub(crate) fn default_deny(parsed: &Parsed) -> Option<Finding> {
    parsed.rules().find_map(|rule| match rule {
        Rule::Default { span, value, .. } if rule_name(rule) == "effect" => match value.as_ref() {
            Expr::String { value, .. } if value.as_string().is_ok_and(|s| s.as_ref() == "deny") => {
                Some(parsed.finding(span, ""))
            }
            _ => None,
        },
        _ => None,
    })
}

/// What a walk meets.
pub(crate) enum Node<'a> {
    /// An expression.
    Expr(&'a Expr),
    /// A `with` modifier.
    With(&'a Span),
    /// A name that is declared to be a variable: `some name`.
    Declared(&'a Span),
    /// A pattern that takes each key or item of a domain: `some item in domain`.
    Item { item: &'a Expr, part: Part, domain: &'a Expr },
    /// A name that takes each key or item of a domain: `every name in domain`.
    Named { name: &'a Span, part: Part, domain: &'a Expr },
}

/// Which of the two a variable takes of each entry of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Key,
    Value,
}

/// The key, if there is one, and the value.
fn parts<T>(key: Option<T>, value: T) -> impl Iterator<Item = (Part, T)> {
    key.map(|key| (Part::Key, key)).into_iter().chain(std::iter::once((Part::Value, value)))
}

/// Visits every expression and `with` of a rule, outer ones first.
pub(crate) fn walk<'a>(rule: &'a Rule, visit: &mut impl FnMut(Node<'a>)) {
    match rule {
        Rule::Default { args, value, .. } => {
            for arg in args {
                expression(arg, visit);
            }
            expression(value, visit);
        }
        Rule::Spec { head, bodies, .. } => {
            match head {
                RuleHead::Compr { refr, assign, .. } => {
                    indices(refr, visit);
                    assigned(assign.as_ref(), visit);
                }
                RuleHead::Set { refr, key, .. } => {
                    indices(refr, visit);
                    if let Some(key) = key {
                        expression(key, visit);
                    }
                }
                RuleHead::Func { args, assign, .. } => {
                    for arg in args {
                        expression(arg, visit);
                    }
                    assigned(assign.as_ref(), visit);
                }
            }
            for body in bodies {
                assigned(body.assign.as_ref(), visit);
                query(&body.query, visit);
            }
        }
    }
}

/// The name in a head is a definition and no use; what it is indexed with is a use.
fn indices<'a>(refr: &'a Expr, visit: &mut impl FnMut(Node<'a>)) {
    match refr {
        Expr::RefDot { refr, .. } => indices(refr, visit),
        Expr::RefBrack { refr, index, .. } => {
            indices(refr, visit);
            expression(index, visit);
        }
        _ => {}
    }
}

/// The start of a longer reference: `data` in `data.a.b` is no use of all data, so names on the way are not visited.
fn base<'a>(expr: &'a Ref<Expr>, visit: &mut impl FnMut(Node<'a>)) {
    match expr.as_ref() {
        Expr::Var { .. } => {}
        Expr::RefDot { refr, .. } => base(refr, visit),
        Expr::RefBrack { refr, index, .. } => {
            base(refr, visit);
            expression(index, visit);
        }
        _ => expression(expr, visit),
    }
}

fn assigned<'a>(assign: Option<&'a RuleAssign>, visit: &mut impl FnMut(Node<'a>)) {
    if let Some(assign) = assign {
        expression(&assign.value, visit);
    }
}

fn query<'a>(query: &'a Query, visit: &mut impl FnMut(Node<'a>)) {
    for statement in &query.stmts {
        self::statement(statement, visit);
    }
}

/// Visits every expression and `with` of one statement of a body, outer ones first.
pub(super) fn statement<'a>(statement: &'a LiteralStmt, visit: &mut impl FnMut(Node<'a>)) {
    match &statement.literal {
        Literal::SomeVars { vars, .. } => {
            for name in vars {
                visit(Node::Declared(name));
            }
        }
        Literal::SomeIn { key, value, collection, .. } => {
            for (part, item) in parts(key.as_ref(), value) {
                visit(Node::Item { item, part, domain: collection });
                expression(item, visit);
            }
            expression(collection, visit);
        }
        Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => expression(expr, visit),
        Literal::Every { key, value, domain, query: inner, .. } => {
            for (part, name) in parts(key.as_ref(), value) {
                visit(Node::Named { name, part, domain });
            }
            expression(domain, visit);
            query(inner, visit);
        }
    }
    for with in &statement.with_mods {
        visit(Node::With(&with.span));
        expression(&with.refr, visit);
        expression(&with.r#as, visit);
    }
}

/// Visits an expression and those in it, outer ones first.
pub(super) fn expression<'a>(expr: &'a Expr, visit: &mut impl FnMut(Node<'a>)) {
    visit(Node::Expr(expr));
    match expr {
        Expr::String { .. }
        | Expr::RawString { .. }
        | Expr::Number { .. }
        | Expr::Bool { .. }
        | Expr::Null { .. }
        | Expr::Var { .. } => {}
        Expr::Array { items, .. } | Expr::Set { items, .. } => {
            for item in items {
                expression(item, visit);
            }
        }
        Expr::Object { fields, .. } => {
            for (_, key, value) in fields {
                expression(key, visit);
                expression(value, visit);
            }
        }
        Expr::ArrayCompr { term, query: inner, .. } | Expr::SetCompr { term, query: inner, .. } => {
            expression(term, visit);
            query(inner, visit);
        }
        Expr::ObjectCompr { key, value, query: inner, .. } => {
            expression(key, visit);
            expression(value, visit);
            query(inner, visit);
        }
        Expr::Call { fcn, params, .. } => {
            expression(fcn, visit);
            for param in params {
                expression(param, visit);
            }
        }
        Expr::UnaryExpr { expr, .. } => expression(expr, visit),
        Expr::RefDot { refr, .. } => base(refr, visit),
        Expr::RefBrack { refr, index, .. } => {
            base(refr, visit);
            expression(index, visit);
        }
        Expr::BinExpr { lhs, rhs, .. }
        | Expr::BoolExpr { lhs, rhs, .. }
        | Expr::ArithExpr { lhs, rhs, .. }
        | Expr::AssignExpr { lhs, rhs, .. } => {
            expression(lhs, visit);
            expression(rhs, visit);
        }
        Expr::Membership { key, value, collection, .. } => {
            if let Some(key) = key {
                expression(key, visit);
            }
            expression(value, visit);
            expression(collection, visit);
        }
    }
}
