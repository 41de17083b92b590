//! Sessions that this process ended itself, until the feed must have said so.

use std::collections::VecDeque;

use super::table::Entry;

/// They matter only between the end of a session and the feed's word of it, which is
/// milliseconds. So the oldest may go.
const MOST: usize = 65_536;

/// In the order in which they expire.
#[derive(Default)]
pub(super) struct Notes {
    entries: VecDeque<Entry>,
}

impl Notes {
    pub(super) fn add(&mut self, entry: Entry) {
        if self.entries.len() == MOST {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Entry> {
        self.entries.iter().copied()
    }

    pub(super) fn expire(&mut self, now_s: u32) {
        while self
            .entries
            .front()
            .is_some_and(|note| note.expires_at_s <= now_s)
        {
            self.entries.pop_front();
        }
    }
}
