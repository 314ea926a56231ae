//! Lists in pages, as the administrators' API has them: `from` is how many entries are left out.

use axum::extract::FromRequestParts;
use http::request::Parts;
use ruma::exports::serde_html_form;
use serde::Deserialize;

use crate::api::ApiError;

/// Entries in a page if the request does not say how many.
const LIMIT_DEFAULT: usize = 100;

/// The most entries in a page: an answer must stay small.
const LIMIT_MAX: usize = 1_000;

/// Which part of a list is asked for, in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageQuery {
    /// How many entries are left out.
    pub from: usize,
    /// The most entries to tell.
    pub limit: usize,
    /// By what the list is ordered, if the request says so.
    pub order_by: Option<String>,
    /// Whether the order is turned round, if the request says so.
    pub is_backward: Option<bool>,
}

#[derive(Deserialize)]
struct Query {
    from: Option<String>,
    limit: Option<String>,
    order_by: Option<String>,
    dir: Option<String>,
}

impl PageQuery {
    fn parse(query: &str) -> Result<Self, ApiError> {
        let query: Query = serde_html_form::from_str(query)
            .map_err(|error| ApiError::invalid_param(format!("The query can't be read: {error}")))?;
        let number = |name: &str, text: Option<String>| -> Result<Option<usize>, ApiError> {
            let parse =
                |text: String| text.parse().map_err(|_| format!("`{name}` must be a number, not {text:?}"));
            text.filter(|text| !text.is_empty()).map(parse).transpose().map_err(ApiError::invalid_param)
        };
        Ok(Self {
            from: number("from", query.from)?.unwrap_or(0),
            limit: number("limit", query.limit)?.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX),
            order_by: query.order_by,
            is_backward: match query.dir.as_deref() {
                None => None,
                Some("f") => Some(false),
                Some("b") => Some(true),
                Some(_) => return Err(ApiError::invalid_param("`dir` must be `f` or `b`")),
            },
        })
    }

    /// The part of a whole list that is asked for.
    pub fn cut<T>(&self, all: Vec<T>) -> Vec<T> {
        all.into_iter().skip(self.from).take(self.limit).collect()
    }

    /// Where the next page starts, if the list of `total` entries has one.
    pub fn next(&self, total: usize) -> Option<usize> {
        let next = self.from.saturating_add(self.limit);
        (next < total).then_some(next)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PageQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

/// The other parameters of a query as `Q`, which must not deny unknown ones.
#[derive(Debug)]
pub struct FilterQuery<Q>(pub Q);

impl<Q: serde::de::DeserializeOwned, S: Send + Sync> FromRequestParts<S> for FilterQuery<Q> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        serde_html_form::from_str(parts.uri.query().unwrap_or_default()).map(Self).map_err(|error| {
            let message = error.to_string();
            if message.starts_with("missing field") {
                ApiError::missing_param(message)
            } else {
                ApiError::invalid_param(message)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_read_and_bounded() {
        let page = PageQuery::parse("from=5&limit=99999&order_by=name&dir=b&name=x").unwrap();
        assert_eq!((page.from, page.limit, page.is_backward), (5, LIMIT_MAX, Some(true)));
        assert_eq!(PageQuery::parse("").unwrap().limit, LIMIT_DEFAULT);
        for wrong in ["from=-1", "limit=many", "dir=up"] {
            assert!(PageQuery::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_list_is_cut() {
        let page = PageQuery::parse("from=2&limit=2").unwrap();
        assert_eq!(page.cut(vec![1, 2, 3, 4, 5]), [3, 4]);
        assert_eq!((page.next(5), page.next(4)), (Some(4), None));
    }
}
