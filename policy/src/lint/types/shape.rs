use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::BitOr,
    sync::Arc,
};

/// More words than this are any text.
const MAX_WORDS: usize = 64;
/// A longer word is any text.
const MAX_WORD: usize = 64;
/// An object with more fields than this has free keys that lead to anything.
const MAX_FIELDS: usize = 64;
/// A type is made of at most this many, twice what the input's takes: what is joined, looked up and compared is small,
/// however much a bundle piles up.
const MAX_PARTS: usize = 512;

/// A set of the kinds of values that Rego has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kinds(u8);

impl Kinds {
    pub(super) const NONE: Self = Self(0);
    pub(super) const NUMBER: Self = Self(1);
    pub(super) const TEXT: Self = Self(2);
    pub(super) const BOOLEAN: Self = Self(4);
    pub(super) const NULL: Self = Self(8);
    pub(super) const LIST: Self = Self(16);
    pub(super) const SET: Self = Self(32);
    pub(super) const OBJECT: Self = Self(64);
    pub(super) const LIST_OR_SET: Self = Self(16 | 32);
    /// What can be gone through.
    pub(super) const COLLECTION: Self = Self(16 | 32 | 64);
    /// What `count` counts: the items of a collection or the letters of a text.
    pub(super) const COUNTED: Self = Self(2 | 16 | 32 | 64);
    /// What a message shows.
    pub(super) const SHOWN: Self = Self(1 | 2 | 4 | 8);
    pub(super) const ALL: Self = Self(127);

    const NAMED: [(Self, &'static str); 7] = [
        (Self::NUMBER, "a number"),
        (Self::TEXT, "a text"),
        (Self::BOOLEAN, "true or false"),
        (Self::LIST, "a list"),
        (Self::SET, "a set"),
        (Self::OBJECT, "an object"),
        (Self::NULL, "null"),
    ];

    /// Whether a kind is in both.
    pub(super) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Kinds {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> =
            Self::NAMED.iter().filter(|(kind, _)| kind.meets(*self)).map(|(_, name)| *name).collect();
        f.write_str(&names.join(" or "))
    }
}

/// Which texts a text may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Words {
    #[default]
    Any,
    /// One of these. They are `listed` when the input's schema lists them: only then is another text a mistake.
    Of { words: Arc<BTreeSet<String>>, listed: bool },
}

/// What a value may be, as far as it is known: nothing yet, one or more kinds, or anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Type {
    any: bool,
    /// The kinds without collections, which say more of themselves below.
    plain: Kinds,
    words: Words,
    list: Option<Arc<Type>>,
    set: Option<Arc<Type>>,
    object: Option<Arc<Object>>,
}

/// An object with fields of its own and, if it has free keys, what these are and what they lead to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) fields: BTreeMap<String, Type>,
    pub(super) rest: Option<(Type, Type)>,
}

impl Type {
    pub(super) fn any() -> Self {
        Self { any: true, ..Self::default() }
    }

    /// One or more of the kinds that hold nothing.
    pub(super) fn plain(kinds: Kinds) -> Self {
        Self { plain: kinds, ..Self::default() }
    }

    pub(super) fn word(text: &str) -> Self {
        if text.len() > MAX_WORD {
            return Self::plain(Kinds::TEXT);
        }
        let words = Words::Of { words: Arc::new(BTreeSet::from([text.to_owned()])), listed: false };
        Self { plain: Kinds::TEXT, words, ..Self::default() }
    }

    /// One of the texts that a schema lists.
    pub(super) fn listed(texts: impl IntoIterator<Item = String>) -> Self {
        let words = Words::Of { words: Arc::new(texts.into_iter().collect()), listed: true };
        Self { plain: Kinds::TEXT, words, ..Self::default() }
    }

    pub(super) fn list(item: Self) -> Self {
        Self { list: Some(Arc::new(item)), ..Self::default() }.narrowed()
    }

    pub(super) fn set(item: Self) -> Self {
        Self { set: Some(Arc::new(item)), ..Self::default() }.narrowed()
    }

    pub(super) fn object(mut object: Object) -> Self {
        object.widen();
        Self { object: Some(Arc::new(object)), ..Self::default() }.narrowed()
    }

    /// How many types it is made of, itself included.
    pub(super) fn parts(&self) -> usize {
        let held = self.list.iter().chain(&self.set).map(|item| item.parts());
        let fields = self.object.iter().flat_map(|object| object.parts());
        held.chain(fields).fold(1, usize::saturating_add)
    }

    /// Itself, or with items of which nothing is known when it is made of too many.
    fn narrowed(mut self) -> Self {
        if self.parts() > MAX_PARTS {
            let any = || Arc::new(Self::any());
            self.list = self.list.map(|_| any());
            self.set = self.set.map(|_| any());
            if let Some(object) = &mut self.object {
                let object = Arc::make_mut(object);
                object.fields.values_mut().for_each(|field| *field = Self::any());
                object.rest = object.rest.take().map(|_| (Self::any(), Self::any()));
            }
        }
        self
    }

    /// Whether anything is known that could be held against it.
    pub(super) fn is_known(&self) -> bool {
        !self.any && self.kinds() != Kinds::NONE
    }

    /// The kinds that it may be; none for one of which everything or nothing is known.
    pub(super) fn kinds(&self) -> Kinds {
        let held = |is: bool, kind| if is { kind } else { Kinds::NONE };
        self.plain
            | held(self.list.is_some(), Kinds::LIST)
            | held(self.set.is_some(), Kinds::SET)
            | held(self.object.is_some(), Kinds::OBJECT)
    }

    pub(super) fn may_be(&self, kinds: Kinds) -> bool {
        !self.is_known() || self.kinds().meets(kinds)
    }

    /// Only its lists, sets and objects of these kinds.
    pub(super) fn only(&self, kinds: Kinds) -> Self {
        if self.any {
            return Self::any();
        }
        Self {
            any: false,
            plain: Kinds(self.plain.0 & kinds.0),
            words: self.words.clone(),
            list: self.list.clone().filter(|_| kinds.meets(Kinds::LIST)),
            set: self.set.clone().filter(|_| kinds.meets(Kinds::SET)),
            object: self.object.clone().filter(|_| kinds.meets(Kinds::OBJECT)),
        }
    }

    pub(super) fn fields(&self) -> Option<&BTreeMap<String, Self>> {
        self.object.as_deref().map(|object| &object.fields)
    }

    /// What a constant name leads to, if it can lead to anything.
    pub(super) fn field(&self, name: &str) -> Option<Self> {
        if !self.is_known() {
            return Some(self.clone());
        }
        let mut found = None;
        let mut add = |more: &Self| found.get_or_insert_with(Self::default).join(more);
        if let Some(object) = &self.object {
            match (object.fields.get(name), &object.rest) {
                (Some(field), _) => add(field),
                (None, Some((keys, value))) if keys.may_be(Kinds::TEXT) => add(value),
                (None, _) => false,
            };
        }
        if let Some(item) = self.set.as_ref().filter(|item| item.may_be(Kinds::TEXT)) {
            add(item);
        }
        found
    }

    /// What an item of it is.
    pub(super) fn item(&self) -> Self {
        if self.any {
            return Self::any();
        }
        let mut item = Self::default();
        for part in self.list.iter().chain(&self.set) {
            item.join(part);
        }
        if let Some(object) = &self.object {
            for value in object.fields.values().chain(object.rest.iter().map(|(_, value)| value)) {
                item.join(value);
            }
        }
        item
    }

    /// What its items are found by: the index in a list, the item itself in a set, the key in an object.
    pub(super) fn key(&self) -> Self {
        if self.any {
            return Self::any();
        }
        let mut key = Self::default();
        if self.list.is_some() {
            key.join(&Self::plain(Kinds::NUMBER));
        }
        if let Some(item) = &self.set {
            key.join(item);
        }
        if let Some(object) = &self.object {
            if !object.fields.is_empty() {
                key.join(&Self::plain(Kinds::TEXT));
            }
            if let Some((rest, _)) = &object.rest {
                key.join(rest);
            }
        }
        key
    }

    /// Widens it to what `other` may be as well; true when that is news.
    pub(super) fn join(&mut self, other: &Self) -> bool {
        let changed = self.widen(other);
        if changed && self.parts() > MAX_PARTS {
            *self = std::mem::take(self).narrowed();
        }
        changed
    }

    fn widen(&mut self, other: &Self) -> bool {
        if self.any {
            return false;
        }
        if other.any {
            *self = Self::any();
            return true;
        }
        let mut changed = false;
        if other.plain.meets(Kinds::TEXT) {
            if self.plain.meets(Kinds::TEXT) {
                changed |= self.words.join(&other.words);
            } else {
                self.words = other.words.clone();
            }
        }
        let plain = self.plain | other.plain;
        changed |= plain != self.plain;
        self.plain = plain;
        changed |= join_held(&mut self.list, other.list.as_ref(), Self::widen);
        changed |= join_held(&mut self.set, other.set.as_ref(), Self::widen);
        changed | join_held(&mut self.object, other.object.as_ref(), Object::join)
    }

    /// Why a value of this and one of the other can never be equal, if so.
    pub(super) fn apart(&self, other: &Self) -> Option<Apart> {
        if !self.is_known() || !other.is_known() {
            return None;
        }
        let (own, theirs) = (self.kinds(), other.kinds());
        if !own.meets(theirs) {
            return Some(Apart::Kinds(own, theirs));
        }
        let (Words::Of { words, listed }, Words::Of { words: others, listed: too }) = (&self.words, &other.words)
        else {
            return None;
        };
        let only_texts = Kinds(own.0 & theirs.0) == Kinds::TEXT;
        if only_texts && (*listed || *too) && words.is_disjoint(others) {
            return Some(Apart::Words(Arc::clone(if *listed { words } else { others })));
        }
        None
    }

    /// The texts that it is one of, when it is a text and they are known.
    pub(super) fn known_words(&self) -> Option<&BTreeSet<String>> {
        match &self.words {
            Words::Of { words, .. } if self.is_known() && self.kinds() == Kinds::TEXT => Some(words.as_ref()),
            _ => None,
        }
    }
}

/// Why two values are never equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Apart {
    /// They have no kind in common.
    Kinds(Kinds, Kinds),
    /// Both are texts, and the schema lists these for one of them.
    Words(Arc<BTreeSet<String>>),
}

impl Words {
    fn join(&mut self, other: &Self) -> bool {
        let Self::Of { words, listed } = self else { return false };
        let Self::Of { words: more, listed: too } = other else {
            *self = Self::Any;
            return true;
        };
        let changed = (*too && !*listed) || !more.is_subset(words);
        if changed {
            *listed |= *too;
            let joined: BTreeSet<String> = words.union(more).cloned().collect();
            if joined.len() > MAX_WORDS {
                *self = Self::Any;
            } else {
                *words = Arc::new(joined);
            }
        }
        changed
    }
}

impl Object {
    fn parts(&self) -> impl Iterator<Item = usize> {
        let rest = self.rest.iter().flat_map(|(key, value)| [key.parts(), value.parts()]);
        self.fields.values().map(Type::parts).chain(rest)
    }

    fn join(&mut self, other: &Self) -> bool {
        let open = self.is_open();
        let mut changed = false;
        for (name, value) in &other.fields {
            match self.fields.get_mut(name) {
                Some(own) => changed |= own.widen(value),
                // Free keys that lead to anything are no news: a type only ever widens, so that following them ends.
                None if open => {}
                None => {
                    self.fields.insert(name.clone(), value.clone());
                    changed = true;
                }
            }
        }
        match (&mut self.rest, &other.rest) {
            (Some((key, value)), Some((other_key, other_value))) => {
                changed |= key.widen(other_key);
                changed |= value.widen(other_value);
            }
            (own @ None, Some(more)) => {
                *own = Some(more.clone());
                changed = true;
            }
            (_, None) => {}
        }
        if changed {
            self.widen();
        }
        changed
    }

    /// Whether any key may be there and lead to anything.
    fn is_open(&self) -> bool {
        self.rest.as_ref().is_some_and(|(key, value)| key.any && value.any)
    }

    fn widen(&mut self) {
        if self.fields.len() > MAX_FIELDS {
            self.fields.clear();
            self.rest = Some((Type::any(), Type::any()));
        }
    }
}

/// Joins what is held; it is copied only if they differ.
fn join_held<T: Clone + PartialEq>(
    own: &mut Option<Arc<T>>,
    more: Option<&Arc<T>>,
    join: impl Fn(&mut T, &T) -> bool,
) -> bool {
    match (own, more) {
        (Some(own), Some(more)) => !Arc::ptr_eq(own, more) && own != more && join(Arc::make_mut(own), more),
        (own @ None, Some(more)) => {
            *own = Some(Arc::clone(more));
            true
        }
        (_, None) => false,
    }
}
