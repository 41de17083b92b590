//! A cart and its rules. Pure: it knows neither messages, rows, prices nor the time.
//!
//! Prices are in [`priced`]; what the shop sells is in `products.rs`.

pub(crate) mod priced;

#[cfg(test)]
mod tests;

/// A stock keeping unit that is spelt as one: 1 to 32 characters of `a-z0-9-`.
///
/// Whether the shop sells it is another question: see `Products::sold`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Sku(String);

impl Sku {
    /// The longest SKU, in bytes.
    pub(crate) const MAX_LENGTH: usize = 32;

    /// Checks the spelling.
    pub(crate) fn parse(text: &str) -> Result<Self, SkuError> {
        let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if text.is_empty() || text.len() > Self::MAX_LENGTH || !text.bytes().all(is_allowed) {
            return Err(SkuError);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that cannot be a SKU.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("must be 1 to 32 characters of a-z, 0-9 and -")]
pub(crate) struct SkuError;

/// How many of one product: 1 to 99.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Quantity(u8);

impl Quantity {
    /// The most of one product that a cart holds.
    pub(crate) const MAX: Self = Self(99);

    /// Checks the bounds.
    pub(crate) fn new(pieces: i64) -> Result<Self, QuantityError> {
        match u8::try_from(pieces) {
            Ok(pieces @ 1..=Self::MAX_PIECES) => Ok(Self(pieces)),
            _ => Err(QuantityError),
        }
    }

    /// The number, 1 to 99.
    pub(crate) fn get(self) -> u8 {
        self.0
    }

    const MAX_PIECES: u8 = Self::MAX.0;

    /// Both together, unless that is more than a line holds.
    fn checked_add(self, other: Self) -> Option<Self> {
        // Two quantities are at most 198: no wrap in a u8.
        let sum = self.0 + other.0;
        (sum <= Self::MAX.0).then_some(Self(sum))
    }

    /// Both together or the most that a line holds, and how many pieces that leaves out.
    fn capped_add(self, other: Self) -> (Self, u32) {
        let sum = self.0 + other.0;
        let kept = sum.min(Self::MAX.0);
        (Self(kept), u32::from(sum - kept))
    }
}

/// A number that cannot be a quantity.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("must be 1 to 99")]
pub(crate) struct QuantityError;

/// One product in a cart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Line {
    /// Which.
    pub(crate) sku: Sku,
    /// How many.
    pub(crate) quantity: Quantity,
}

/// What somebody has put together: at most 100 lines with different SKUs, in the
/// order in which they were first added.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Cart {
    lines: Vec<Line>,
}

/// What a request does to a cart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// So many more of this, in a new line if there is none.
    Add(Line),
    /// So many of this from now on; the line must be there.
    Update(Line),
    /// None of this; the line must be there.
    Remove(Sku),
    /// Nothing at all. An empty cart stays empty.
    Clear,
}

/// Why a change is refused. A refused change leaves the cart as it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum CartError {
    /// The line would hold more than 99.
    #[error("a line holds at most 99 pieces")]
    QuantityLimit,
    /// The cart would hold more than 100 lines.
    #[error("a cart holds at most 100 lines")]
    Full,
    /// The cart has no such line.
    #[error("the cart has no line with this SKU")]
    LineNotFound,
    /// Two lines have the same SKU: only a damaged store says so.
    #[error("two lines have the same SKU")]
    DuplicateLine,
}

/// What did not fit when two carts became one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Leftover {
    /// Lines past the hundredth.
    pub(crate) lines: u32,
    /// Pieces: those of the lines left out and those past 99 in a line.
    pub(crate) pieces: u32,
}

impl Cart {
    /// The most lines in a cart.
    pub(crate) const MAX_LINES: usize = 100;

    /// A cart of lines that were stored.
    pub(crate) fn from_lines(lines: impl IntoIterator<Item = Line>) -> Result<Self, CartError> {
        let mut cart = Self::default();
        for line in lines {
            if cart.position(&line.sku).is_some() {
                return Err(CartError::DuplicateLine);
            }
            cart.push(line)?;
        }
        Ok(cart)
    }

    /// The lines, in the order in which they were first added.
    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// How many there are of one product.
    pub(crate) fn quantity_of(&self, sku: &Sku) -> Option<Quantity> {
        self.position(sku).map(|at| self.lines[at].quantity)
    }

    /// The number of pieces: at most 9,900.
    #[cfg(test)]
    pub(crate) fn item_count(&self) -> u32 {
        self.lines
            .iter()
            .map(|line| u32::from(line.quantity.get()))
            .sum()
    }

    /// Does what the request asks, or says why not.
    pub(crate) fn apply(&mut self, change: Change) -> Result<(), CartError> {
        match change {
            Change::Add(line) => self.add(line),
            Change::Update(line) => self.update(line),
            Change::Remove(sku) => self.remove(&sku),
            Change::Clear => {
                self.lines.clear();
                Ok(())
            }
        }
    }

    /// Takes in a guest's cart: quantities add up, up to 99 a line; this cart's lines
    /// come first, and the guest's follow in their order, up to 100 lines.
    ///
    /// It never fails: somebody who has just signed in cannot be told to tidy up first.
    pub(crate) fn merge(&mut self, guest: Self) -> Leftover {
        let mut leftover = Leftover::default();
        for line in guest.lines {
            leftover.pieces += match self.position(&line.sku) {
                Some(at) => {
                    let (kept, left_out) = self.lines[at].quantity.capped_add(line.quantity);
                    self.lines[at].quantity = kept;
                    left_out
                }
                None => {
                    let pieces = u32::from(line.quantity.get());
                    match self.push(line) {
                        Ok(()) => 0,
                        Err(_) => {
                            leftover.lines += 1;
                            pieces
                        }
                    }
                }
            };
        }
        leftover
    }

    fn add(&mut self, line: Line) -> Result<(), CartError> {
        let Some(at) = self.position(&line.sku) else {
            return self.push(line);
        };
        let quantity = &mut self.lines[at].quantity;
        *quantity = quantity
            .checked_add(line.quantity)
            .ok_or(CartError::QuantityLimit)?;
        Ok(())
    }

    fn update(&mut self, line: Line) -> Result<(), CartError> {
        let at = self.position(&line.sku).ok_or(CartError::LineNotFound)?;
        self.lines[at].quantity = line.quantity;
        Ok(())
    }

    fn remove(&mut self, sku: &Sku) -> Result<(), CartError> {
        let at = self.position(sku).ok_or(CartError::LineNotFound)?;
        self.lines.remove(at);
        Ok(())
    }

    fn push(&mut self, line: Line) -> Result<(), CartError> {
        if self.lines.len() == Self::MAX_LINES {
            return Err(CartError::Full);
        }
        self.lines.push(line);
        Ok(())
    }

    // At most 100 lines: a walk costs less than keeping an index in step.
    fn position(&self, sku: &Sku) -> Option<usize> {
        self.lines.iter().position(|line| line.sku == *sku)
    }
}
