//! Which domains links may lead to.

/// The operator's lists. A domain stands for those below it as well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Domains {
    allowed: Vec<String>,
    denied: Vec<String>,
}

impl Domains {
    /// Those in `allowed`, or all if it is empty, but none in `denied`.
    pub fn new(allowed: &[String], denied: &[String]) -> Self {
        let normal = |names: &[String]| names.iter().map(|name| normal(name)).collect();
        Self { allowed: normal(allowed), denied: normal(denied) }
    }

    /// Whether links to a host are fetched.
    pub fn allow(&self, host: &str) -> bool {
        let host = normal(host);
        let is_in = |names: &[String]| names.iter().any(|name| is_below(&host, name));
        (self.allowed.is_empty() || is_in(&self.allowed)) && !is_in(&self.denied)
    }
}

fn normal(name: &str) -> String {
    name.trim_start_matches("*.").trim_matches('.').to_ascii_lowercase()
}

fn is_below(host: &str, name: &str) -> bool {
    host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_stands_for_those_below_it() {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let domains = Domains::new(&list(&["Example.org", "*.example.net"]), &list(&["bad.example.org"]));
        for allowed in ["example.org", "www.EXAMPLE.org.", "example.net", "a.b.example.net"] {
            assert!(domains.allow(allowed), "{allowed}");
        }
        for denied in ["notexample.org", "bad.example.org", "very.bad.example.org", "org", ""] {
            assert!(!domains.allow(denied), "{denied}");
        }
        assert!(Domains::default().allow("anything"));
    }
}
