//! The names that an application service has for itself: patterns over user ids, room aliases and room ids,
//! those of all application services compiled into one set, so that an id is matched in one pass.

use regex::{RegexBuilder, RegexSet, RegexSetBuilder};

use super::limits;

/// One pattern of a registration.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// The expression, which must match from the start of an id; as in Synapse, not up to its end.
    expression: String,
    /// Whether nobody else may have such names.
    pub is_exclusive: bool,
}

impl Pattern {
    /// Compiles the expression to see whether it is one.
    pub fn new(regex: &str, is_exclusive: bool) -> Result<Self, regex::Error> {
        let expression = format!("^(?:{regex})");
        RegexBuilder::new(&expression).size_limit(limits::REGEX_BYTES_MAX).build().map(drop)?;
        Ok(Self { expression, is_exclusive })
    }

    /// The expression for people.
    pub fn describe(&self) -> String {
        let expression = self.expression.trim_start_matches("^(?:").trim_end_matches(')');
        format!("{expression}{}", if self.is_exclusive { " (exclusive)" } else { "" })
    }

    /// A pattern that matches `text` and nothing else.
    pub fn exactly(text: &str) -> Self {
        Self { expression: format!("^(?:{})$", regex::escape(text)), is_exclusive: true }
    }
}

/// Patterns of several owners; none by default.
#[derive(Debug, Default)]
pub struct Namespaces {
    set: RegexSet,
    /// By pattern: whose it is, and whether it is exclusive.
    owners: Vec<(usize, bool)>,
}

/// That an id matches a pattern of an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owned {
    /// The owner's number.
    pub owner: usize,
    /// Whether nobody else may have the id.
    pub is_exclusive: bool,
}

impl Namespaces {
    /// The patterns of owners 0, 1, 2, …
    pub fn new<'p>(patterns: impl IntoIterator<Item = (usize, &'p Pattern)>) -> Result<Self, regex::Error> {
        let (owners, expressions): (Vec<_>, Vec<_>) = patterns
            .into_iter()
            .map(|(owner, pattern)| ((owner, pattern.is_exclusive), pattern.expression.as_str()))
            .unzip();
        let set = RegexSetBuilder::new(expressions).size_limit(limits::REGEX_SET_BYTES_MAX).build()?;
        Ok(Self { set, owners })
    }

    /// Whether there are no patterns.
    pub fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    /// Whose `id` is; an owner comes once for each pattern that matches.
    pub fn owners(&self, id: &str) -> impl Iterator<Item = Owned> {
        let matches = if self.is_empty() { None } else { Some(self.set.matches(id).into_iter()) };
        matches
            .into_iter()
            .flatten()
            .filter_map(|at| self.owners.get(at))
            .map(|(owner, is_exclusive)| Owned { owner: *owner, is_exclusive: *is_exclusive })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(regex: &str, id: &str) -> bool {
        let pattern = Pattern::new(regex, true).unwrap();
        Namespaces::new([(0, &pattern)]).unwrap().owners(id).next().is_some()
    }

    #[test]
    fn a_pattern_matches_from_the_start_but_not_to_the_end() {
        assert!(matches("@irc_.*:example\\.org", "@irc_bob:example.org"));
        assert!(matches("@irc_", "@irc_bob:example.org"), "as in Synapse");
        assert!(!matches("irc_", "@irc_bob:example.org"));
        assert!(matches("@a|@b", "@bob:example.org"), "alternatives are all anchored");
        assert!(!matches("@a|@b", "x@bob:example.org"));
        assert!(Pattern::new("(", true).is_err());
    }

    #[test]
    fn an_id_belongs_to_all_whose_patterns_match() {
        let patterns = [
            (0, Pattern::new("@irc_.*", true).unwrap()),
            (1, Pattern::new("@.*", false).unwrap()),
            (1, Pattern::exactly("@bot:example.org")),
        ];
        let namespaces = Namespaces::new(patterns.iter().map(|(owner, pattern)| (*owner, pattern))).unwrap();
        let owners = |id: &str| namespaces.owners(id).map(|o| (o.owner, o.is_exclusive)).collect::<Vec<_>>();
        assert_eq!(owners("@irc_bob:example.org"), [(0, true), (1, false)]);
        assert_eq!(owners("@bot:example.org"), [(1, false), (1, true)]);
        assert_eq!(owners("@bot:example.org.uk"), [(1, false)]);
        assert!(owners("#irc").is_empty());
        let none = Namespaces::new(std::iter::empty()).unwrap();
        assert_eq!(none.owners("@a:b").count(), 0);
    }
}
