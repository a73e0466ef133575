use crate::{Finding, engine::first_line};
use regorus::unstable::{
    Expr, Lexer, Literal, Module, Parser, Query, Ref, Rule, RuleAssign, RuleHead, Source, Span, TokenKind,
};

/// Brackets nest at most this deep in a module: more than readable policies need, and little work for the parser.
const MAX_NESTING: usize = 10;

/// One expression has at most this many operators in a row: more than readable policies need, and a bound of the stack
/// that every walk over its syntax tree takes.
const MAX_OPERATORS: usize = 64;

/// One module, parsed.
pub(crate) struct Parsed {
    /// The path inside the bundle.
    pub(crate) file: String,
    /// `data.` and the package.
    pub(crate) package: String,
    /// Its syntax tree.
    pub(crate) module: Module,
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
    pub(crate) fn imported(&self, name: &str) -> Option<String> {
        self.module.imports.iter().find_map(|import| {
            let path = path(&import.refr).0;
            let alias = import.r#as.as_ref().map(Span::text);
            let given = alias.or_else(|| path.last().map(String::as_str));
            (path.first().is_some_and(|root| root == "data") && given == Some(name)).then(|| path.join("."))
        })
    }
}

/// Parses one module as Rego v1.
pub(crate) fn parse(file: &str, text: &str) -> Result<Parsed, Finding> {
    let source = Source::from_contents(file.to_owned(), text.to_owned())
        .map_err(|e| Finding::whole(file, first_line(&e.to_string())))?;
    nesting(file, &source)?;
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
    Ok(Parsed { file: file.to_owned(), package, module })
}

/// Refuses deep nesting before the parser sees it: the parser tries alternatives at every level, so its time doubles
/// with each. Refuses long rows of operators too: each makes the syntax tree one level deeper, and a tree that is too
/// deep overflows the stack of whatever walks it.
fn nesting(file: &str, source: &Source) -> Result<(), Finding> {
    let mut lexer = Lexer::new(source);
    let mut depth: usize = 0;
    let mut prefixes: usize = 0;
    // Operators in a row at each depth; a statement ends where a line does, unless an operator stands at either side.
    let mut rows: Vec<usize> = vec![0];
    let (mut line, mut after_operator) = (0, false);
    // What cannot be read as a token is left to the parser's own message.
    while let Ok(token) = lexer.next_token() {
        if token.0 == TokenKind::Eof {
            break;
        }
        let text = token.1.text();
        let symbol = token.0 == TokenKind::Symbol;
        let operator = text == "in" || (symbol && !"()[]{},;:.".contains(text));
        let ends = (symbol && matches!(text, "," | ";")) || (token.1.line != line && !operator && !after_operator);
        (line, after_operator) = (token.1.line, operator);
        if let Some(row) = rows.last_mut() {
            *row = if ends { 0 } else { row.saturating_add(usize::from(operator)) };
            if *row > MAX_OPERATORS {
                let reason = format!("more than {MAX_OPERATORS} operators in a row");
                return Err(Finding { file: file.to_owned(), line: token.1.line, column: token.1.col, reason });
            }
        }
        match text {
            "(" | "[" | "{" => {
                depth = depth.saturating_add(1);
                rows.push(0);
            }
            ")" | "]" | "}" => {
                depth = depth.saturating_sub(1);
                if rows.len() > 1 {
                    rows.pop();
                }
            }
            _ => {}
        }
        prefixes = if matches!(text, "not" | "-") { prefixes.saturating_add(1) } else { 0 };
        if depth > MAX_NESTING || prefixes > MAX_NESTING {
            let reason = format!("nested more than {MAX_NESTING} deep");
            return Err(Finding { file: file.to_owned(), line: token.1.line, column: token.1.col, reason });
        }
    }
    Ok(())
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
                self::query(inner, visit);
            }
        }
        for with in &statement.with_mods {
            visit(Node::With(&with.span));
            expression(&with.refr, visit);
            expression(&with.r#as, visit);
        }
    }
}

fn expression<'a>(expr: &'a Ref<Expr>, visit: &mut impl FnMut(Node<'a>)) {
    visit(Node::Expr(expr));
    match expr.as_ref() {
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
