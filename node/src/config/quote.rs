//! Words, quotes and escapes of a configuration line.
//!
//! A line is words parted by white space. A word may hold `"…"` with `\n \r \t \a \b \xHH` and `\` before any
//! other character, or `'…'` where only `\'` is special; a closing quote ends its word. Pure functions.
//!
//! Inline requests have the same syntax, hence [`split`] is theirs.
//!
//! Source: the behaviour of Redis 7.2's configuration reader.

pub use ringfort_core::resp::request::split_words as split;

/// `line` without the white space that a configuration line may be wrapped in.
pub fn trim(line: &[u8]) -> &[u8] {
    let is_padding = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let start = line.iter().position(|byte| !is_padding(byte)).unwrap_or(line.len());
    let end = line.iter().rposition(|byte| !is_padding(byte)).map_or(start, |last| last + 1);
    &line[start..end]
}

/// Appends `word` in double quotes, so that [`split`] gives back exactly these bytes.
pub fn quote_into(line: &mut Vec<u8>, word: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    line.push(b'"');
    for &byte in word {
        match byte {
            b'\\' | b'"' => line.extend([b'\\', byte]),
            b'\n' => line.extend(b"\\n"),
            b'\r' => line.extend(b"\\r"),
            b'\t' => line.extend(b"\\t"),
            0x07 => line.extend(b"\\a"),
            0x08 => line.extend(b"\\b"),
            b' '..=b'~' => line.push(byte),
            _ => {
                line.extend([b'\\', b'x', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]])
            }
        }
    }
    line.push(b'"');
}

/// `words` as they stand in a line: quoted only where a plain word would not come back as it is.
pub fn join<'a>(words: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut line = Vec::new();
    for word in words {
        if !line.is_empty() {
            line.push(b' ');
        }
        let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\');
        if !word.is_empty() && word.iter().all(plain) {
            line.extend(word);
        } else {
            quote_into(&mut line, word);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(line: &str, expected: Option<&[&str]>) {
        let words = split(line.as_bytes());
        let expected = expected
            .map(|words| words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>());
        assert_eq!(words, expected, "words of {line:?}");
    }

    #[test]
    fn words_are_parted_by_any_white_space() {
        check("", Some(&[]));
        check("  \t ", Some(&[]));
        check("save 900\t1", Some(&["save", "900", "1"]));
    }

    #[test]
    fn quotes_keep_spaces_and_escapes() {
        check(r#"a "b c" 'd e'"#, Some(&["a", "b c", "d e"]));
        check(r#"'' """#, Some(&["", ""]));
        check(r#""\x41\n\t\q\"""#, Some(&["A\n\tq\""]));
        check(r"'it\'s' '\n'", Some(&["it's", "\\n"]));
        check(r#"pre"fix x""#, Some(&["prefix x"]));
    }

    #[test]
    fn open_or_glued_quotes_are_refused() {
        check(r#"a "b"#, None);
        check("a 'b", None);
        check(r#""a"b"#, None);
        check("'a'b", None);
        check(r#""a\"#, None);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(line: Vec<u8>) {
            let _ = split(&line);
            let _ = trim(&line);
        }

        #[test]
        fn random_words_survive_quoting(words: Vec<Vec<u8>>) {
            let mut line = Vec::new();
            for word in &words {
                quote_into(&mut line, word);
                line.push(b' ');
            }
            prop_assert!(!line.contains(&b'\n'));
            prop_assert_eq!(split(&line), Some(words.clone()));
            let line = join(words.iter().map(Vec::as_slice));
            prop_assert!(!line.contains(&b'\n'));
            prop_assert_eq!(split(&line), Some(words));
        }
    }
}
