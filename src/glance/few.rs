//! The few forms that a shipper gives its records, each told by comparison with one that was read in full.

/// How many are remembered: files and hosts whose records come by turns.
const MOST: usize = 8;

/// Where each record has a form of its own, no more than one in so many is learnt from.
const LONGEST_PAUSE: u32 = 1_024;

/// Some of the forms that came so far.
#[derive(Debug)]
pub(super) struct Few<T> {
    list: Vec<Known<T>>,
    /// The one that was found last, if it is still there.
    last: Option<usize>,
    next: usize,
    /// How many records to let pass before the next form is learnt, and how many after that.
    pause: u32,
    pauses: u32,
}

#[derive(Debug)]
struct Known<T> {
    form: T,
    was_found: bool,
}

impl<T> Default for Few<T> {
    fn default() -> Few<T> {
        Few { list: Vec::new(), last: None, next: 0, pause: 0, pauses: 0 }
    }
}

impl<T> Few<T> {
    /// The one that was found last.
    #[inline(always)]
    pub(super) fn last(&self) -> Option<&T> {
        self.list.get(self.last?).map(|known| &known.form)
    }

    /// What the first form gives that gives anything, the last one before all others.
    pub(super) fn find<R>(&mut self, give: impl Fn(&T) -> Option<R>) -> Option<R> {
        let mut places = self.last.into_iter().chain(0..self.list.len());
        let (place, given) = places.find_map(|at| Some((at, give(&self.list.get(at)?.form)?)))?;
        self.last = Some(place);
        self.list[place].was_found = true;
        Some(given)
    }

    /// Whether a form is to be learnt from this record.
    pub(super) fn is_wanted(&mut self) -> bool {
        let is_wanted = self.pause == 0;
        self.pause = self.pause.saturating_sub(1);
        is_wanted
    }

    pub(super) fn has(&self, is_it: impl Fn(&T) -> bool) -> bool {
        self.list.iter().any(|known| is_it(&known.form))
    }

    /// Remembers a form; another one may go for it.
    pub(super) fn add(&mut self, form: T) {
        let known = Known { form, was_found: false };
        if self.list.len() < MOST {
            self.list.push(known);
            return;
        }
        self.next = (self.next + 1) % MOST;
        self.last = self.last.filter(|last| *last != self.next);
        let gone = std::mem::replace(&mut self.list[self.next], known);
        self.pauses = if gone.was_found { 0 } else { (2 * self.pauses + 1).min(LONGEST_PAUSE) };
        self.pause = self.pauses;
    }
}
