//! A stream in the digest: its entries in order. Groups do not count, as they do not in Redis.

use super::{Digest, mix};
use crate::collections::Stream;
use crate::collections::stream::StreamId;

/// Adds the value.
pub(super) fn mix_entries(digest: &mut Digest, stream: &Stream) {
    for entry in stream.log.range(StreamId::MIN..=StreamId::MAX) {
        let StreamId { ms, seq } = entry.id;
        mix(digest, format!("{ms}.{seq}").as_bytes());
        for (field, value) in entry.fields() {
            field.with_bytes(|bytes| mix(digest, bytes));
            value.with_bytes(|bytes| mix(digest, bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::testing::TestShard;
    use crate::digest::{hex, of_value, partial};

    /// What redis-server 7.0.15 answers for the same data.
    #[test]
    fn digests_of_streams_are_those_of_redis() {
        let mut test = TestShard::default();
        test.run("XADD s 1-1 a 1 b x");
        test.run("XADD s 2-2 c \"\"");
        let key = test.shard.hasher.key(b"s");
        let digest = of_value(test.shard.databases[0].get(&key));
        assert_eq!(hex(&digest), "509010a5d66f050e494b0a4828ba0a5c7b4a681b");
        assert_eq!(hex(&partial(&test.shard).finish()), "4b9a82b44af19f58f48512c6cdf3903b7c8da931");
        // Groups do not count.
        test.run("XGROUP CREATE s g 0");
        let digest = of_value(test.shard.databases[0].get(&key));
        assert_eq!(hex(&digest), "509010a5d66f050e494b0a4828ba0a5c7b4a681b");
    }
}
