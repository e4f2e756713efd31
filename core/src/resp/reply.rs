//! Writes replies, in RESP2 or RESP3, onto the end of a connection's output.

use crate::collections::listpack::Element;
use crate::error::Error;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    #[default]
    Resp2,
    Resp3,
}

/// A writer of one reply. Aggregates are written as a head with a count, then that many elements
/// (for a map: twice that many).
pub struct Reply<'a> {
    out: &'a mut Vec<u8>,
    protocol: Protocol,
    /// Where the text of the last error written begins (behind its `-`), for the error statistics.
    error_at: Option<usize>,
}

/// The place of an aggregate whose length is not known yet; see [`Reply::deferred`].
#[must_use]
pub struct Deferred {
    at: usize,
}

impl<'a> Reply<'a> {
    pub fn new(out: &'a mut Vec<u8>, protocol: Protocol) -> Self {
        Reply { out, protocol, error_at: None }
    }

    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub fn is_resp3(&self) -> bool {
        self.protocol == Protocol::Resp3
    }

    /// The same writer for a shorter time.
    pub fn reborrow(&mut self) -> Reply<'_> {
        Reply { out: self.out, protocol: self.protocol, error_at: None }
    }

    /// The text of the last error written (`ERR …`), up to the end of its line.
    pub fn last_error(&self) -> Option<&[u8]> {
        let text = &self.out[self.error_at?..];
        Some(&text[..memchr::memchr(b'\r', text).unwrap_or(text.len())])
    }

    /// Bytes already encoded.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    pub fn ok(&mut self) {
        self.raw(b"+OK\r\n");
    }

    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// Line breaks inside the text become spaces, so that the frame stays whole.
    pub fn error(&mut self, error: &Error) {
        self.out.push(b'-');
        self.error_at = Some(self.out.len());
        self.out.extend(
            error.0.bytes().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }),
        );
        self.raw(b"\r\n");
    }

    pub fn int(&mut self, value: i64) {
        match value {
            0 => self.raw(b":0\r\n"),
            1 => self.raw(b":1\r\n"),
            _ => self.number(b':', value),
        }
    }

    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.out.reserve(bytes.len() + 16);
        self.head(b'$', bytes.len());
        self.out.extend_from_slice(bytes);
        self.out.extend_from_slice(b"\r\n");
    }

    pub fn text(&mut self, text: &str) {
        self.bulk(text.as_bytes());
    }

    /// An element of a collection, as a bulk string.
    #[inline]
    pub fn element(&mut self, element: Element) {
        match element {
            Element::Bytes(bytes) => self.bulk(bytes),
            Element::Integer(number) => self.bulk_int(number),
        }
    }

    /// An integer as a bulk string.
    pub fn bulk_int(&mut self, value: i64) {
        self.bulk(itoa::Buffer::new().format(value).as_bytes());
    }

    pub fn null(&mut self) {
        self.raw(if self.is_resp3() { b"_\r\n" } else { b"$-1\r\n" });
    }

    /// What RESP2 clients get as a null array (EXEC aborted, a blocking pop timed out).
    pub fn null_array(&mut self) {
        self.raw(if self.is_resp3() { b"_\r\n" } else { b"*-1\r\n" });
    }

    pub fn array(&mut self, elements: usize) {
        self.head(b'*', elements);
    }

    /// `pairs` keys with their values; RESP2 sees a flat array.
    pub fn map(&mut self, pairs: usize) {
        if self.is_resp3() { self.head(b'%', pairs) } else { self.head(b'*', pairs * 2) }
    }

    pub fn set(&mut self, elements: usize) {
        self.head(if self.is_resp3() { b'~' } else { b'*' }, elements);
    }

    /// An out-of-band message; RESP2 sees an array.
    pub fn push(&mut self, elements: usize) {
        self.head(if self.is_resp3() { b'>' } else { b'*' }, elements);
    }

    pub fn boolean(&mut self, value: bool) {
        match (self.protocol, value) {
            (Protocol::Resp3, true) => self.raw(b"#t\r\n"),
            (Protocol::Resp3, false) => self.raw(b"#f\r\n"),
            (Protocol::Resp2, value) => self.int(value.into()),
        }
    }

    /// RESP3 a double, RESP2 a bulk string of the same digits.
    pub fn double(&mut self, value: f64) {
        let text = crate::score::format(value);
        if self.is_resp3() { self.line(b',', &text) } else { self.bulk(&text) }
    }

    /// RESP3 a big number, RESP2 a bulk string.
    pub fn big_number(&mut self, digits: &str) {
        if self.is_resp3() { self.line(b'(', digits.as_bytes()) } else { self.text(digits) }
    }

    /// RESP3 a verbatim string of `format` (three letters: txt, mkd), RESP2 a bulk string.
    pub fn verbatim(&mut self, format: &str, text: &str) {
        debug_assert_eq!(format.len(), 3);
        if self.is_resp3() {
            self.head(b'=', text.len() + 4);
            self.raw(format.as_bytes());
            self.raw(b":");
            self.raw(text.as_bytes());
            self.raw(b"\r\n");
        } else {
            self.text(text);
        }
    }

    /// Remembers this place; [`Reply::finish_array`] and its siblings put the head there afterwards.
    pub fn deferred(&mut self) -> Deferred {
        Deferred { at: self.out.len() }
    }

    pub fn finish_array(&mut self, deferred: Deferred, elements: usize) {
        self.finish(deferred, b'*', elements);
    }

    pub fn finish_map(&mut self, deferred: Deferred, pairs: usize) {
        if self.is_resp3() {
            self.finish(deferred, b'%', pairs)
        } else {
            self.finish(deferred, b'*', pairs * 2)
        }
    }

    pub fn finish_set(&mut self, deferred: Deferred, elements: usize) {
        self.finish(deferred, if self.is_resp3() { b'~' } else { b'*' }, elements);
    }

    fn finish(&mut self, deferred: Deferred, kind: u8, count: usize) {
        let mut head = Vec::with_capacity(16);
        head.push(kind);
        head.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
        head.extend_from_slice(b"\r\n");
        self.out.splice(deferred.at..deferred.at, head);
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.out.push(kind);
        self.raw(text);
        self.raw(b"\r\n");
    }

    #[inline]
    fn head(&mut self, kind: u8, count: usize) {
        if count < 10 {
            self.out.extend_from_slice(&[kind, b'0' + count as u8, b'\r', b'\n']);
        } else if count < 100 {
            let (tens, ones) = ((count / 10) as u8, (count % 10) as u8);
            self.out.extend_from_slice(&[kind, b'0' + tens, b'0' + ones, b'\r', b'\n']);
        } else {
            self.number(kind, count as i64);
        }
    }

    fn number(&mut self, kind: u8, value: i64) {
        self.line(kind, itoa::Buffer::new().format(value).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(protocol: Protocol, write: impl Fn(&mut Reply), expected: &str) {
        let mut out = Vec::new();
        write(&mut Reply::new(&mut out, protocol));
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn each_type_has_its_form_in_both_protocols() {
        use Protocol::*;
        check(Resp2, |r| r.null(), "$-1\r\n");
        check(Resp3, |r| r.null(), "_\r\n");
        check(Resp2, |r| r.map(2), "*4\r\n");
        check(Resp3, |r| r.map(2), "%2\r\n");
        check(Resp2, |r| r.double(1.5), "$3\r\n1.5\r\n");
        check(Resp3, |r| r.double(1.5), ",1.5\r\n");
        check(Resp3, |r| r.verbatim("txt", "hi"), "=6\r\ntxt:hi\r\n");
        check(Resp2, |r| r.bulk(&[b'x'; 123]), &format!("$123\r\n{}\r\n", "x".repeat(123)));
        check(Resp2, |r| r.bulk(&[b'x'; 42]), &format!("$42\r\n{}\r\n", "x".repeat(42)));
        check(Resp2, |r| r.int(-7), ":-7\r\n");
        check(Resp2, |r| r.error(&Error::new("ERR a\r\nb")), "-ERR a  b\r\n");
    }

    #[test]
    fn a_deferred_head_lands_before_its_elements() {
        check(
            Protocol::Resp2,
            |r| {
                r.int(5);
                let place = r.deferred();
                r.int(2);
                r.int(3);
                r.finish_array(place, 2);
            },
            ":5\r\n*2\r\n:2\r\n:3\r\n",
        );
    }

    #[test]
    fn the_last_error_is_known() {
        let mut out = Vec::new();
        let mut reply = Reply::new(&mut out, Protocol::Resp2);
        assert_eq!(reply.last_error(), None);
        reply.error(&Error::SYNTAX);
        assert_eq!(reply.last_error(), Some(&b"ERR syntax error"[..]));
    }
}
