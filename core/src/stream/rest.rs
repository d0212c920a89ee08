//! Text that is still to be shown.

use std::ops::Deref;

/// Text that is repeatedly cut at its beginning, in time linear in its length.
#[derive(Clone, Debug, Default)]
pub(super) struct Rest {
    text: String,
    /// Start of the rest. The part before it is removed once it is half of the text.
    from: usize,
}

impl Rest {
    pub(super) fn set(&mut self, text: &str) {
        self.text.clear();
        self.from = 0;
        self.text.push_str(text);
    }

    /// Cuts off the first bytes, at the boundary of a scalar value.
    pub(super) fn cut(&mut self, bytes: usize) {
        self.from += bytes;
        if self.from > self.text.len() / 2 {
            self.text.drain(..self.from);
            self.from = 0;
        }
    }

    /// Returns the bytes that it keeps alive.
    pub(super) fn weight(&self) -> usize {
        self.text.len()
    }
}

impl Deref for Rest {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text[self.from..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x_1_cutting_a_text_is_linear() {
        let text = "é".repeat(1 << 14);
        let (mut rest, mut moved) = (Rest::default(), 0);
        rest.set(&text);
        for left in (0..1 << 14).rev() {
            let before = rest.text.len();
            rest.cut(2);
            assert_eq!(rest.len(), 2 * left);
            moved += if rest.text.len() < before { rest.text.len() } else { 0 };
        }
        assert!(moved <= text.len(), "{moved} bytes were moved of {}", text.len());
        assert_eq!((&*rest, rest.weight()), ("", 0));
    }
}
