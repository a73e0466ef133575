/// A `like` pattern: literal pieces around wildcards. `*` stands for any run of characters, `\*` for a star.
///
/// Pieces are searched left to right with a linear substring search, so matching never backtracks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob {
    first: String,
    /// One piece after each wildcard; empty when the pattern has none.
    after: Vec<String>,
}

impl Glob {
    pub(super) fn parse(pattern: &str) -> Self {
        let mut first = None;
        let mut after = Vec::new();
        let mut piece = String::new();
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' if chars.peek() == Some(&'*') => {
                    chars.next();
                    piece.push('*');
                }
                '*' if first.is_none() => first = Some(std::mem::take(&mut piece)),
                '*' => after.push(std::mem::take(&mut piece)),
                c => piece.push(c),
            }
        }
        match first {
            Some(first) => {
                after.push(piece);
                Self { first, after }
            }
            None => Self { first: piece, after },
        }
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        let Some((last, middle)) = self.after.split_last() else { return text == self.first };
        let Some(mut rest) = text.strip_prefix(self.first.as_str()) else { return false };
        for piece in middle {
            let Some((_, tail)) = rest.split_once(piece.as_str()) else { return false };
            rest = tail;
        }
        rest.ends_with(last.as_str())
    }
}
