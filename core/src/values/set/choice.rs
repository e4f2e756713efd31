//! Choosing several members of a set by chance.

use super::SetView;
use crate::collections::Set;
use crate::collections::listpack::Element;
use crate::store::Hasher;

/// With less than this share left out, it is cheaper to look at each member once than to draw until enough are found.
const DRAW_UP_TO: usize = 3;

/// Calls `f` with `count` different members, which must not be more than there are. `random` gives random bits.
pub fn choose<'a>(
    set: SetView<'a>,
    count: usize,
    hasher: &Hasher,
    mut random: impl FnMut() -> u64,
    mut f: impl FnMut(Element<'a>),
) {
    let len = set.len();
    debug_assert!(count <= len);
    if let SetView::Large(large) = set
        && count * DRAW_UP_TO <= len
    {
        let mut drawn = Set::new();
        while drawn.len() < count {
            let Some(member) = large.random(random()) else { return };
            if drawn.insert(hasher, hasher.hash(member), member) {
                f(Element::Bytes(member));
            }
        }
        return;
    }
    // Each member is taken with the chance that those still wanted have among those still to come (Knuth, "Selection
    // sampling technique").
    let (mut wanted, mut left) = (count, len);
    set.each_while(|member| {
        if wanted > 0 && ((u128::from(random()) * left as u128) >> 64) < wanted as u128 {
            f(member);
            wanted -= 1;
        }
        left -= 1;
        wanted > 0
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::Limits;
    use crate::shard::next_random;
    use crate::values::set::SetBuilder;
    use std::collections::BTreeMap;

    #[test]
    fn different_members_are_chosen_each_as_often_as_any_other() {
        let hasher = Hasher::new([1, 2, 3, 4]);
        let mut state = 1;
        for (len, prefix) in [(20, ""), (20, "m"), (300, "m")] {
            let mut builder = SetBuilder::new(&hasher, Limits::default());
            for number in 0..len {
                builder.add(Element::of(format!("{prefix}{number}").as_bytes()));
            }
            for count in [0, 1, len / 4, len / 2, len] {
                let mut chosen: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
                for _ in 0..200 {
                    let mut once = BTreeMap::new();
                    choose(
                        builder.view(),
                        count,
                        &hasher,
                        || next_random(&mut state),
                        |member| {
                            assert_eq!(once.insert(member.to_vec(), ()), None);
                        },
                    );
                    assert_eq!(once.len(), count);
                    once.into_keys().for_each(|member| *chosen.entry(member).or_default() += 1);
                }
                if count * 4 >= len {
                    assert_eq!(chosen.len(), len);
                    let expected = 200 * count / len;
                    assert!(chosen.values().all(|&times| times.abs_diff(expected) < 45));
                }
            }
        }
    }
}
