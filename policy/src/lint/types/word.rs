use regorus::unstable::Expr;

/// A name that is not known is held against one that is, if this many letters differ at most.
const MAX_DIFFERENCE: usize = 2;
/// Names and texts of a bundle are shown up to this many characters.
const MAX_SHOWN: usize = 120;

/// Text of a bundle as a message may show it: on one line, and not long.
pub(super) fn clipped(text: &str) -> String {
    let mut shown: String =
        text.chars().take(MAX_SHOWN).map(|c| if c.is_control() || c.is_whitespace() { ' ' } else { c }).collect();
    if text.chars().nth(MAX_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// An expression in a message: as it is written, when it is a name or a constant.
pub(super) fn shown(expr: &Expr) -> String {
    fn written(expr: &Expr, out: &mut String) {
        match expr {
            Expr::RefDot { refr, field, .. } => {
                written(refr, out);
                out.push('.');
                out.push_str(field.0.text());
            }
            Expr::RefBrack { refr, index, .. } => {
                written(refr, out);
                out.push('[');
                written(index, out);
                out.push(']');
            }
            Expr::String { span, .. } => {
                out.push('"');
                out.push_str(span.text());
                out.push('"');
            }
            Expr::RawString { span, .. }
            | Expr::Number { span, .. }
            | Expr::Bool { span, .. }
            | Expr::Null { span, .. }
            | Expr::Var { span, .. } => out.push_str(span.text()),
            _ => out.push_str("this"),
        }
    }
    let mut out = String::new();
    written(expr, &mut out);
    clipped(&out)
}

/// The known name that was probably meant.
pub(super) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let letters = name.chars().count();
    if letters > MAX_SHOWN {
        return None;
    }
    known
        .filter(|other| other.chars().count().abs_diff(letters) <= MAX_DIFFERENCE)
        .map(|other| (distance(name, other), other))
        .filter(|(far, _)| *far <= MAX_DIFFERENCE && *far < letters)
        .min()
        .map(|(_, other)| other)
}

/// How many letters must be put in, taken out or exchanged to make one name of the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, letter) in from.chars().enumerate() {
        let mut left = i.saturating_add(1);
        let mut next = vec![left];
        for (other, pair) in to.iter().zip(row.windows(2)) {
            let [before, above] = pair else { continue };
            let exchanged = before.saturating_add(usize::from(letter != *other));
            left = exchanged.min(above.saturating_add(1)).min(left.saturating_add(1));
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{clipped, nearest};

    #[test]
    fn a_slip_is_told_from_another_name() {
        let known = ["total", "token", "tenant", "id"];
        let near = |name| nearest(name, known.into_iter());
        assert_eq!(near("totl"), Some("total"));
        assert_eq!(near("toatl"), Some("total"));
        assert_eq!(near("tokens"), Some("token"));
        assert_eq!(near("nosuch"), None);
        assert_eq!(near("xy"), None);
        assert_eq!(near(""), None);
    }

    #[test]
    fn shown_text_keeps_to_a_line() {
        assert_eq!(clipped("a\nb"), "a b");
        assert_eq!(clipped(&"x".repeat(200)).chars().count(), 121);
    }
}
