//! The declaration of options: the `options!` macro, which turns one list into a struct with
//! documentation, defaults, a setter by key and a description by key.
//!
//! It reads no file and no environment; `load` does. The main trait is [`Setting`].

use std::fmt;

use toml::de::DeValue;

/// A value as it was given, before it is read.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A value of a TOML file.
    Toml(&'a DeValue<'a>),
    /// The text of an environment variable.
    Text(&'a str),
}

/// The least and the greatest number that an option may have, both allowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The least number allowed.
    pub min: f64,
    /// The greatest number allowed.
    pub max: f64,
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "from {} to {}", self.min, self.max)
    }
}

/// Why a key and its value were refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such key.
    UnknownKey,
    /// The key names a section, but has a value.
    IsSection,
    /// The value is not among those that the key allows.
    NotAllowed {
        /// What is allowed, as the end of a sentence.
        allowed: String,
        /// Whether the value may be a secret, which no message may repeat.
        secret: bool,
    },
}

/// One value that an option can have: how it is read and written.
pub trait Value: Sized {
    /// Whether messages must not repeat the value.
    const SECRET: bool = false;

    /// What is allowed, in words, without bounds.
    fn allowed() -> String;

    /// Reads a value of a TOML file.
    fn from_toml(value: &DeValue<'_>) -> Option<Self>;

    /// Reads the text of an environment variable.
    fn from_text(text: &str) -> Option<Self>;

    /// The value as TOML; `None` if it is unset.
    fn to_toml(&self) -> Option<String>;

    /// Whether the value is within `bounds`; only numbers can be without.
    fn is_within(&self, _bounds: Bounds) -> bool {
        true
    }
}

/// What is known of one key, for the example file and for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionDoc {
    /// The key with its sections: `rate_limits.login.burst`.
    pub path: String,
    /// Whether the key names a section.
    pub is_section: bool,
    /// The lines of its documentation.
    pub doc: Vec<&'static str>,
    /// Its default as TOML, if it has one.
    pub default: Option<String>,
    /// An example as TOML, where the default shows too little.
    pub example: Option<&'static str>,
    /// What is allowed, in words; empty for a section.
    pub allowed: String,
}

/// What the declaration of one field says besides its type.
#[derive(Clone, Copy, Debug)]
pub struct Declaration<'a> {
    /// The key with its sections.
    pub path: &'a str,
    /// The lines of its documentation.
    pub doc: &'a [&'static str],
    /// Bounds of a number.
    pub bounds: Option<Bounds>,
    /// An example as TOML.
    pub example: Option<&'static str>,
}

/// A field of a section: a value or a section again.
pub trait Setting {
    /// Sets the field, or the field below it that `rest` leads to.
    fn set(&mut self, rest: &[&str], input: Input<'_>, bounds: Option<Bounds>) -> Result<(), Refusal>;

    /// Adds the description of the field, and of those below it, with the present values as defaults.
    fn describe(&self, declaration: Declaration<'_>, out: &mut Vec<OptionDoc>);
}

impl<T: Value> Setting for T {
    fn set(&mut self, rest: &[&str], input: Input<'_>, bounds: Option<Bounds>) -> Result<(), Refusal> {
        if !rest.is_empty() {
            return Err(Refusal::UnknownKey);
        }
        let value = match input {
            Input::Toml(value) => T::from_toml(value),
            Input::Text(text) => T::from_text(text),
        };
        match value.filter(|value| bounds.is_none_or(|bounds| value.is_within(bounds))) {
            Some(value) => {
                *self = value;
                Ok(())
            }
            None => Err(Refusal::NotAllowed { allowed: allowed_in_words::<T>(bounds), secret: T::SECRET }),
        }
    }

    fn describe(&self, declaration: Declaration<'_>, out: &mut Vec<OptionDoc>) {
        out.push(OptionDoc {
            path: declaration.path.to_owned(),
            is_section: false,
            doc: declaration.doc.to_vec(),
            default: self.to_toml(),
            example: declaration.example,
            allowed: allowed_in_words::<T>(declaration.bounds),
        });
    }
}

/// What a value of type `T` within `bounds` may be.
fn allowed_in_words<T: Value>(bounds: Option<Bounds>) -> String {
    match bounds {
        Some(bounds) => format!("{} {bounds}", T::allowed()),
        None => T::allowed(),
    }
}

/// Joins a section's path and a key.
pub fn join_path(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

/// Declares a section: a struct whose fields are options or sections.
///
/// Each field is written `name: Type = default;`, with documentation before it, and optionally
/// `, within (min, max)` (bounds of a number, both allowed) and `, example "TOML"` after the default.
macro_rules! options {
    (
        $(#[doc = $section_doc:literal])*
        pub struct $section:ident {
            $(
                $(#[doc = $doc:literal])*
                $name:ident : $type:ty = $default:expr
                    $(, within ($min:literal, $max:literal))?
                    $(, example $example:literal)?;
            )*
        }
    ) => {
        $(#[doc = $section_doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $section {
            $(
                $(#[doc = $doc])*
                pub $name: $type,
            )*
        }

        impl Default for $section {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl $crate::config::options::Setting for $section {
            fn set(
                &mut self,
                path: &[&str],
                input: $crate::config::options::Input<'_>,
                _bounds: Option<$crate::config::options::Bounds>,
            ) -> Result<(), $crate::config::options::Refusal> {
                let Some((key, rest)) = path.split_first() else {
                    return Err($crate::config::options::Refusal::IsSection);
                };
                match *key {
                    $(stringify!($name) => {
                        self.$name.set(rest, input, $crate::config::options::bounds!($($min, $max)?))
                    })*
                    _ => Err($crate::config::options::Refusal::UnknownKey),
                }
            }

            fn describe(
                &self,
                declaration: $crate::config::options::Declaration<'_>,
                out: &mut Vec<$crate::config::options::OptionDoc>,
            ) {
                out.push($crate::config::options::OptionDoc {
                    path: declaration.path.to_owned(),
                    is_section: true,
                    doc: declaration.doc.to_vec(),
                    default: None,
                    example: None,
                    allowed: String::new(),
                });
                $(
                    self.$name.describe(
                        $crate::config::options::Declaration {
                            path: &$crate::config::options::join_path(declaration.path, stringify!($name)),
                            doc: &[$($doc),*],
                            bounds: $crate::config::options::bounds!($($min, $max)?),
                            example: $crate::config::options::optional!($($example)?),
                        },
                        out,
                    );
                )*
            }
        }
    };
}

/// `Some(Bounds)` of two numbers, `None` of nothing.
macro_rules! bounds {
    () => {
        None
    };
    ($min:literal, $max:literal) => {
        Some($crate::config::options::Bounds { min: f64::from($min), max: f64::from($max) })
    };
}

/// `Some` of an expression, `None` of nothing.
macro_rules! optional {
    () => {
        None
    };
    ($value:expr) => {
        Some($value)
    };
}

pub(super) use {bounds, optional, options};
