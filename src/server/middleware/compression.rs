//! Compression of answers, where it pays: JSON that does not fit one packet.

use http::{Response, header};
use hyper::body::Body;
use tower_http::{
    CompressionLevel,
    compression::{CompressionLayer, predicate::Predicate},
};

use crate::server::limits::COMPRESSED_BYTES_MIN;

/// Whether an answer is long enough and of a kind that compresses well.
#[derive(Clone, Copy, Debug)]
pub struct LongJson;

impl Predicate for LongJson {
    fn should_compress<B: Body>(&self, response: &Response<B>) -> bool {
        let content_type = response.headers().get(header::CONTENT_TYPE);
        let is_json = content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
        // An unknown length is that of a stream, which nobody knows to be short.
        is_json && response.body().size_hint().exact().is_none_or(|bytes| bytes >= COMPRESSED_BYTES_MIN)
    }
}

/// Compresses long JSON with gzip for clients that take it, at the level that costs least: a small
/// machine has less processor than line to spare.
pub fn layer() -> CompressionLayer<LongJson> {
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(LongJson)
}
