//! The body in which servers send media to each other: `multipart/mixed` with two parts, JSON and the file
//! (server-server API, "Content Repository"; RFC 2046, section 5.1).
//!
//! Written around a file that is streamed, and read from a stream, so that no file is in memory.

use super::{MediaError, limits};
use crate::users::secrets;

/// What goes before and after the file's bytes.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The header `Content-Type` of the whole.
    pub content_type: String,
    /// What goes before the file's bytes.
    pub before: String,
    /// What goes after them.
    pub after: String,
}

impl Frame {
    /// For a file with these headers, which must be header values.
    pub fn new(content_type: &str, disposition: &str) -> Result<Self, MediaError> {
        let boundary = secrets::random_secret().map_err(|_| MediaError::NoRandomness)?;
        let before = format!(
            "\r\n--{boundary}\r\nContent-Type: application/json\r\n\r\n{{}}\r\n--{boundary}\r\n\
             Content-Type: {content_type}\r\nContent-Disposition: {disposition}\r\n\r\n"
        );
        let after = format!("\r\n--{boundary}--\r\n");
        Ok(Self { content_type: format!("multipart/mixed; boundary={boundary}"), before, after })
    }
}

/// The headers of the part that holds the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartHeaders {
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// `Location`: the file is there, not here.
    pub location: Option<String>,
}

/// Why a body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MultipartError {
    /// The header names no boundary.
    #[error("the content type names no boundary")]
    NoBoundary,
    /// The headers of a part are too long.
    #[error("the part's headers are too long or not headers")]
    BadHeaders,
    /// The body ends before the file does.
    #[error("the body ends early")]
    EndsEarly,
}

/// The boundary in a `Content-Type` of `multipart/mixed`.
pub fn boundary(content_type: &str) -> Result<String, MultipartError> {
    let mut parts = content_type.split(';');
    let is_mixed = parts.next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("multipart/mixed"));
    let boundary = parts.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"').to_owned())
    });
    let fits = |boundary: &String| !boundary.is_empty() && boundary.len() <= BOUNDARY_BYTES_MAX;
    boundary.filter(|boundary| is_mixed && fits(boundary)).ok_or(MultipartError::NoBoundary)
}

/// The longest boundary, in bytes (RFC 2046 allows 70; some write more).
const BOUNDARY_BYTES_MAX: usize = 256;

/// The longest headers of a part, in bytes, and the longest first part.
const HEADERS_BYTES_MAX: usize = 16 * 1024;

/// Reads a body chunk by chunk: [`Reader::push`] each, and take the file's bytes from [`Reader::take`].
#[derive(Debug)]
pub struct Reader {
    delimiter: Vec<u8>,
    buffer: Vec<u8>,
    state: State,
    headers: PartHeaders,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Looking for the first delimiter.
    Preamble,
    /// Within the JSON.
    Metadata,
    /// Within the file's headers.
    Headers,
    /// Within the file.
    File,
    /// After the file.
    End,
}

impl Reader {
    /// For a body with this boundary.
    pub fn new(boundary: &str) -> Self {
        // The first delimiter may stand at the very beginning, without a line break before it.
        let buffer = b"\r\n".to_vec();
        let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
        Self { delimiter, buffer, state: State::Preamble, headers: PartHeaders::default() }
    }

    /// Adds bytes of the body.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The file's bytes that are certain by now; perhaps none.
    pub fn take(&mut self) -> Result<Vec<u8>, MultipartError> {
        loop {
            match self.state {
                State::Preamble | State::Metadata => {
                    let Some(at) = find(&self.buffer, &self.delimiter) else { return self.nothing_yet() };
                    self.buffer.drain(..at + self.delimiter.len());
                    let is_preamble = self.state == State::Preamble;
                    self.state = if is_preamble { State::Metadata } else { State::Headers };
                }
                State::Headers => {
                    let Some((headers, length)) = split_headers(&self.buffer) else {
                        return self.nothing_yet();
                    };
                    self.headers = read_headers(&headers)?;
                    self.buffer.drain(..length);
                    self.state = State::File;
                }
                State::File => return Ok(self.take_of_file()),
                State::End => {
                    self.buffer.clear();
                    return Ok(Vec::new());
                }
            }
        }
    }

    fn nothing_yet(&self) -> Result<Vec<u8>, MultipartError> {
        if self.buffer.len() > HEADERS_BYTES_MAX + limits::CHUNK_BYTES {
            return Err(MultipartError::BadHeaders);
        }
        Ok(Vec::new())
    }

    fn take_of_file(&mut self) -> Vec<u8> {
        if let Some(at) = find(&self.buffer, &self.delimiter) {
            let mut file = std::mem::take(&mut self.buffer);
            file.truncate(at);
            self.state = State::End;
            return file;
        }
        // The last bytes may be the beginning of a delimiter.
        let certain = self.buffer.len().saturating_sub(self.delimiter.len());
        let rest = self.buffer.split_off(certain);
        std::mem::replace(&mut self.buffer, rest)
    }

    /// The file's headers, once they have been read.
    pub fn headers(&self) -> Option<&PartHeaders> {
        matches!(self.state, State::File | State::End).then_some(&self.headers)
    }

    /// To be called after the last chunk: refuses a body that ends before the file does. A part that only
    /// has a `Location` may end anyhow.
    pub fn finish(&self) -> Result<&PartHeaders, MultipartError> {
        let is_whole = self.state == State::End || self.headers.location.is_some();
        if is_whole { Ok(&self.headers) } else { Err(MultipartError::EndsEarly) }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut from = 0;
    while let Some(at) = bytes.get(from..)?.iter().position(|byte| *byte == first) {
        let at = from + at;
        if bytes.get(at..)?.starts_with(wanted) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

/// The lines after a delimiter up to an empty one, and how many bytes they take. The first line is the rest
/// of the delimiter's.
fn split_headers(bytes: &[u8]) -> Option<(Vec<String>, usize)> {
    let (mut lines, mut from) = (Vec::new(), 0);
    loop {
        let rest = bytes.get(from..)?;
        let length = rest.iter().position(|byte| *byte == b'\n')? + 1;
        let line = String::from_utf8_lossy(rest.get(..length)?).trim_end().to_owned();
        from += length;
        let is_first = from == length;
        if !is_first && line.is_empty() {
            return Some((lines, from));
        }
        if !is_first {
            lines.push(line);
        }
    }
}

fn read_headers(lines: &[String]) -> Result<PartHeaders, MultipartError> {
    let mut headers = PartHeaders::default();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(MultipartError::BadHeaders)?;
        let value = Some(value.trim().to_owned());
        match name.trim().to_ascii_lowercase().as_str() {
            "content-type" => headers.content_type = value,
            "content-disposition" => headers.content_disposition = value,
            "location" => headers.location = value,
            _ => {}
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(boundary: &str, body: &[u8], chunk: usize) -> Result<(Vec<u8>, PartHeaders), MultipartError> {
        let (mut reader, mut file) = (Reader::new(boundary), Vec::new());
        for chunk in body.chunks(chunk) {
            reader.push(chunk);
            file.extend(reader.take()?);
        }
        let headers = reader.finish()?.clone();
        Ok((file, headers))
    }

    proptest! {
        #[test]
        fn a_file_comes_back_however_it_is_cut(file: Vec<u8>, chunk in 1_usize..40) {
            let frame = Frame::new("image/png", "inline; filename=x").unwrap();
            let body = [frame.before.as_bytes(), &file, frame.after.as_bytes()].concat();
            let (found, headers) = read(&boundary(&frame.content_type).unwrap(), &body, chunk).unwrap();
            prop_assert_eq!(found, file);
            prop_assert_eq!(headers.content_type.as_deref(), Some("image/png"));
            prop_assert_eq!(headers.content_disposition.as_deref(), Some("inline; filename=x"));
        }

        #[test]
        fn any_body_is_read_or_refused(body: Vec<u8>, chunk in 1_usize..40) {
            let _ = read("b", &body, chunk);
        }

        #[test]
        fn what_looks_like_a_delimiter_is_part_of_the_file(file in "[\r\n\\-b]{0,30}", chunk in 1_usize..8) {
            let body = format!("--boundary\r\n\r\n{{}}\r\n--boundary\r\n\r\n{file}\r\n--boundary--");
            let (found, _) = read("boundary", body.as_bytes(), chunk).unwrap();
            prop_assert_eq!(found, file.as_bytes());
        }
    }

    #[test]
    fn a_location_stands_for_the_file() {
        let body = b"--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b\r\nLocation: https://cdn/x\r\n\r\n\r\n--b--";
        let (file, headers) = read("b", body, 7).unwrap();
        assert_eq!((file.len(), headers.location.as_deref()), (0, Some("https://cdn/x")));
    }

    #[test]
    fn what_breaks_off_is_refused() {
        let body = b"--b\r\n\r\n{}\r\n--b\r\nContent-Type: image/png\r\n\r\nhalf of the fi";
        assert_eq!(read("b", body, 9), Err(MultipartError::EndsEarly));
        assert_eq!(boundary("multipart/mixed"), Err(MultipartError::NoBoundary));
        assert_eq!(boundary("image/png; boundary=x"), Err(MultipartError::NoBoundary));
        assert_eq!(boundary("Multipart/Mixed; charset=utf-8; boundary=\"x y\"").as_deref(), Ok("x y"));
    }
}
