//! A file, or a part of one, as an answer's body: read as the client takes it, a chunk at a time.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::body::HttpBody;
use bytes::{Bytes, BytesMut};
use hyper::body::{Frame, SizeHint};
use tokio::{
    fs::File,
    io::{AsyncRead, ReadBuf},
};

use crate::media::limits::CHUNK_BYTES;

/// The body.
#[derive(Debug)]
pub struct FileBody {
    before: Bytes,
    file: File,
    file_bytes_left: u64,
    after: Bytes,
    buffer: BytesMut,
}

impl FileBody {
    /// The next `length` bytes of a file.
    pub fn new(file: File, length: u64) -> Self {
        Self::within(Bytes::new(), file, length, Bytes::new())
    }

    /// The next `length` bytes of a file, with something before and after.
    pub fn within(before: Bytes, file: File, length: u64, after: Bytes) -> Self {
        Self { before, file, file_bytes_left: length, after, buffer: BytesMut::new() }
    }

    fn poll_file(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let wanted = usize::try_from(self.file_bytes_left).unwrap_or(usize::MAX).min(CHUNK_BYTES);
        self.buffer.resize(wanted, 0);
        let mut read = ReadBuf::new(&mut self.buffer);
        ready!(Pin::new(&mut self.file).poll_read(context, &mut read))?;
        let length = read.filled().len();
        if length == 0 {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        self.file_bytes_left -= length as u64;
        Poll::Ready(Ok(self.buffer.split_to(length).freeze()))
    }
}

impl HttpBody for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if !self.before.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.before)))));
        }
        if self.file_bytes_left > 0 {
            let chunk = ready!(self.poll_file(context));
            if let Err(e) = &chunk {
                tracing::error!("a media file could not be read to its end: {e}");
            }
            return Poll::Ready(Some(chunk.map(Frame::data)));
        }
        if !self.after.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.after)))));
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.before.is_empty() && self.file_bytes_left == 0 && self.after.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.before.len() as u64 + self.file_bytes_left + self.after.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn a_file_comes_whole_between_its_frames() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(200_000).collect();
        std::fs::write(path.path(), &bytes).unwrap();
        let open = || async { File::open(path.path()).await.unwrap() };
        let body = FileBody::within("<".into(), open().await, 200_000, ">".into());
        assert_eq!(body.size_hint().exact(), Some(200_002));
        let whole = body.collect().await.unwrap().to_bytes();
        assert_eq!((whole.first(), whole.last()), (Some(&b'<'), Some(&b'>')));
        assert!(whole[1..200_001] == bytes);
        let part = FileBody::new(open().await, 5).collect().await.unwrap().to_bytes();
        assert_eq!(part, &bytes[..5]);
        assert!(FileBody::new(open().await, 200_001).collect().await.is_err(), "a file that ends early");
        assert!(FileBody::new(open().await, 0).is_end_stream());
    }
}
