//! A page that one task writes and another reads once a flag is set: there is no await in between, and a race.

use std::sync::atomic::Ordering;

use kumihimo::model::sync::UnsafeCell;
use kumihimo::model::sync::atomic::AtomicBool;

/// A page, and whether it may be read.
pub struct Page {
    text: UnsafeCell<String>,
    is_published: AtomicBool,
    /// How the flag is set.
    order: Ordering,
}

// SAFETY: the text is written before the flag is set, and read after: so it is meant.
unsafe impl Sync for Page {}

impl Page {
    /// A page that is published by setting the flag alone: who sees the flag may not see the text.
    pub fn new() -> Page {
        Page::with(Ordering::Relaxed)
    }

    /// A page that is published with what was written to it before.
    pub fn repaired() -> Page {
        Page::with(Ordering::Release)
    }

    fn with(order: Ordering) -> Page {
        Page { text: UnsafeCell::new(String::new()), is_published: AtomicBool::new(false), order }
    }

    /// Writes the page, and publishes it. To be called once.
    pub fn publish(&self, text: &str) {
        // SAFETY: nobody reads before the flag is set.
        self.text.with_mut(|page| unsafe { (*page).push_str(text) });
        self.is_published.store(true, self.order);
    }

    /// The page, once it is published.
    pub fn read(&self) -> Option<String> {
        // SAFETY: the flag is set, so nobody writes any more.
        self.is_published.load(Ordering::Acquire).then(|| self.text.with(|page| unsafe { (*page).clone() }))
    }
}

impl Default for Page {
    fn default() -> Page {
        Page::repaired()
    }
}

#[cfg(test)]
mod tests {
    use kumihimo as asyncio;
    use kumihimo::model::sync::Arc;

    use super::*;

    async fn write_and_read(page: Page) {
        let page = Arc::new(page);
        let writer = asyncio::create_task({
            let page = page.clone();
            async move { page.publish("news") }
        });
        let reader = asyncio::create_task(async move { page.read() });
        writer.await;
        assert!(reader.await.is_none_or(|text| text == "news"));
    }

    #[test]
    #[cfg(kumihimo_loom)]
    #[should_panic(expected = "a data race")]
    fn the_reader_races_with_the_writer() {
        asyncio::model(|| write_and_read(Page::new()));
    }

    #[test]
    fn the_reader_sees_all_or_nothing() {
        asyncio::model(|| write_and_read(Page::repaired()));
    }
}
