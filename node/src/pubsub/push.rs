//! A published message as its receivers get it: encoded once per protocol, when the first of them needs it.

use ringfort_core::pubsub::Kind;
use ringfort_core::resp::{Protocol, Reply};

pub struct Push<'a> {
    word: &'static str,
    pattern: Option<&'a [u8]>,
    channel: &'a [u8],
    message: &'a [u8],
    resp2: Option<Vec<u8>>,
    resp3: Option<Vec<u8>>,
}

impl<'a> Push<'a> {
    /// For those who listen to the channel itself.
    pub fn by_name(kind: Kind, channel: &'a [u8], message: &'a [u8]) -> Self {
        let word = if kind == Kind::ShardChannel { "smessage" } else { "message" };
        Push { word, pattern: None, channel, message, resp2: None, resp3: None }
    }

    /// For those who listen to a pattern that matches it.
    pub fn by_pattern(pattern: &'a [u8], channel: &'a [u8], message: &'a [u8]) -> Self {
        let pattern = Some(pattern);
        Push { word: "pmessage", pattern, channel, message, resp2: None, resp3: None }
    }

    pub fn encoded(&mut self, protocol: Protocol) -> &[u8] {
        let place = match protocol {
            Protocol::Resp2 => &mut self.resp2,
            Protocol::Resp3 => &mut self.resp3,
        };
        place.get_or_insert_with(|| {
            let mut bytes = Vec::new();
            let mut reply = Reply::new(&mut bytes, protocol);
            reply.push(3 + usize::from(self.pattern.is_some()));
            reply.text(self.word);
            if let Some(pattern) = self.pattern {
                reply.bulk(pattern);
            }
            reply.bulk(self.channel);
            reply.bulk(self.message);
            bytes
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_protocol_has_its_form() {
        let mut push = Push::by_name(Kind::Channel, b"c", b"hi");
        let resp2 = b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n";
        assert_eq!(push.encoded(Protocol::Resp2), resp2);
        assert_eq!(push.encoded(Protocol::Resp3)[..4], *b">3\r\n");
        assert_eq!(push.encoded(Protocol::Resp3)[4..], resp2[4..]);
        let mut push = Push::by_pattern(b"c*", b"c", b"hi");
        let resp3 = b">4\r\n$8\r\npmessage\r\n$2\r\nc*\r\n$1\r\nc\r\n$2\r\nhi\r\n";
        assert_eq!(push.encoded(Protocol::Resp3), resp3);
        let mut push = Push::by_name(Kind::ShardChannel, b"c", b"");
        assert_eq!(push.encoded(Protocol::Resp2), b"*3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$0\r\n\r\n");
    }
}
