//! Glob patterns over directive names: `*`, `?`, `[a-z]`, `[^a]`, `\` before a literal; case does not matter.

/// Whether `text` has a character that makes it a pattern rather than a name.
pub fn is_pattern(text: &[u8]) -> bool {
    text.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// Whether `name` matches `pattern`. At most `pattern.len() * name.len()` steps.
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut done) = (0, 0);
    // Where to go on when a later part fails: behind the last star, with one more byte given to it.
    let mut retry: Option<(usize, usize)> = None;
    while done < name.len() {
        match step(&pattern[at..], name[done]) {
            Step::Star => {
                at += 1;
                retry = Some((at, done));
                continue;
            }
            Step::Matched(length) => {
                at += length;
                done += 1;
                continue;
            }
            Step::Failed => {}
        }
        let Some((star, given)) = retry else {
            return false;
        };
        at = star;
        done = given + 1;
        retry = Some((star, done));
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

enum Step {
    Star,
    /// One byte matched; so many bytes of the pattern are used up.
    Matched(usize),
    Failed,
}

fn step(pattern: &[u8], byte: u8) -> Step {
    let same = |own: u8| own.eq_ignore_ascii_case(&byte);
    match pattern {
        [b'*', ..] => Step::Star,
        [b'?', ..] => Step::Matched(1),
        [b'[', class @ ..] => class_step(class, byte),
        [b'\\', own, ..] if same(*own) => Step::Matched(2),
        [b'\\', _, ..] => Step::Failed,
        [own, ..] if same(*own) => Step::Matched(1),
        _ => Step::Failed,
    }
}

/// `class` begins behind the `[`. A class that is not closed ends with the pattern.
fn class_step(class: &[u8], byte: u8) -> Step {
    let byte = byte.to_ascii_lowercase();
    let negated = class.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut found = false;
    while at < class.len() && class[at] != b']' {
        match class[at..] {
            [b'\\', own, ..] => {
                found |= own.to_ascii_lowercase() == byte;
                at += 2;
            }
            [from, b'-', to, ..] => {
                let (from, to) = (from.to_ascii_lowercase(), to.to_ascii_lowercase());
                found |= (from.min(to)..=from.max(to)).contains(&byte);
                at += 3;
            }
            [own, ..] => {
                found |= own.to_ascii_lowercase() == byte;
                at += 1;
            }
            [] => {}
        }
    }
    let closed = usize::from(at < class.len());
    if found != negated { Step::Matched(1 + at.min(class.len()) + closed) } else { Step::Failed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(pattern: &str, name: &str, expected: bool) {
        assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} on {name}");
    }

    #[test]
    fn stars_questions_and_classes() {
        check("*", "port", true);
        check("max*", "maxmemory", true);
        check("MAX*policy", "maxmemory-policy", true);
        check("max*policy", "maxmemory", false);
        check("p?rt", "port", true);
        check("p[a-o]rt", "port", true);
        check("p[^a-o]rt", "port", false);
        check("por[t", "port", true);
        check(r"p\ort", "port", true);
        check("", "port", false);
        check("*a*b*", "xaxxbx", true);
        check("port**", "port", true);
    }

    proptest! {
        #[test]
        fn random_patterns_never_panic(pattern: Vec<u8>, name: Vec<u8>) {
            let _ = matches(&pattern, &name);
        }

        #[test]
        fn random_names_match_themselves(name in "[a-z0-9_-]{0,20}") {
            prop_assert!(matches(name.as_bytes(), name.as_bytes()));
            let behind_star = ["*", &*name].concat();
            prop_assert!(matches(behind_star.as_bytes(), name.as_bytes()));
        }
    }
}
